package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// referenceAge is for how long a ConfigMap or Secret is taken as read: long enough
// that the pods of one rollout ask once, short enough that nobody notices.
const referenceAge = 2 * time.Second

// references reads the ConfigMaps and Secrets that pods refer to.
type references struct {
	client kubernetes.Interface
	now    func() time.Time

	mu   sync.Mutex
	read map[reference]*referred
}

type reference struct{ kind, namespace, name string }

// referred is the content of a ConfigMap or Secret, as of a time.
type referred struct {
	at   time.Time
	once sync.Once
	data map[string][]byte
	err  error
}

// errMissing says that a pod refers to something that is not there.
type errMissing struct{ reference }

func (e errMissing) Error() string {
	return fmt.Sprintf("%s %q not found", e.kind, e.name)
}

func newReferences(client kubernetes.Interface, now func() time.Time) *references {
	return &references{client: client, now: now, read: map[reference]*referred{}}
}

// configMap and secret return what an object holds. The error is errMissing if
// there is no such object.
func (r *references) configMap(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	return r.get(ctx, reference{"configmap", namespace, name})
}

func (r *references) secret(ctx context.Context, namespace, name string) (map[string][]byte, error) {
	return r.get(ctx, reference{"secret", namespace, name})
}

func (r *references) get(ctx context.Context, ref reference) (map[string][]byte, error) {
	r.mu.Lock()
	now := r.now()
	found := r.read[ref]
	if found == nil || now.Sub(found.at) > referenceAge {
		for old, entry := range r.read {
			if now.Sub(entry.at) > referenceAge {
				delete(r.read, old)
			}
		}
		found = &referred{at: now}
		r.read[ref] = found
	}
	r.mu.Unlock()
	found.once.Do(func() { found.data, found.err = r.fetch(ctx, ref) })
	return found.data, found.err
}

func (r *references) fetch(ctx context.Context, ref reference) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var data map[string][]byte
	var err error
	switch ref.kind {
	case "configmap":
		var object *corev1.ConfigMap
		if object, err = r.client.CoreV1().ConfigMaps(ref.namespace).Get(ctx, ref.name, metav1.GetOptions{}); err == nil {
			data = map[string][]byte{}
			for key, value := range object.Data {
				data[key] = []byte(value)
			}
			for key, value := range object.BinaryData {
				data[key] = value
			}
		}
	case "secret":
		var object *corev1.Secret
		if object, err = r.client.CoreV1().Secrets(ref.namespace).Get(ctx, ref.name, metav1.GetOptions{}); err == nil {
			data = object.Data
		}
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, errMissing{ref}
	case err != nil:
		return nil, fmt.Errorf("read %s %s/%s: %w", ref.kind, ref.namespace, ref.name, err)
	}
	return data, nil
}
