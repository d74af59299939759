package ingress

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"crossfade.dev/sandbox/delay"
	"crossfade.dev/sandbox/feed"
)

const (
	writeTimeout = 5 * time.Second
	writeAgain   = 500 * time.Millisecond
)

// statuses writes addresses into the status of Ingresses and Services.
type statuses struct {
	client kubernetes.Interface
	queue  *queue
	log    *slog.Logger
	seed   uint64
	wait   delay.Range
	served netip.Addr // the ingress's address

	mu      sync.Mutex
	waiting map[types.UID]*addressee
}

// An addressee is an Ingress that has been seen without its address.
type addressee struct {
	due    time.Time
	queued bool
}

// addressed sees to it that an Ingress gets the ingress's address after its delay,
// and again should it lose it.
func (s *statuses) addressed(c feed.Change[*netv1.Ingress]) {
	ingress := c.Object
	points := ingress.Status.LoadBalancer.Ingress
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Gone {
		delete(s.waiting, ingress.UID)
		return
	}
	if len(points) == 1 && points[0].IP == s.served.String() {
		return
	}
	to := s.waiting[ingress.UID]
	if to == nil {
		to = &addressee{due: time.Now().Add(s.wait.For(s.seed, "address of Ingress "+c.Name))}
		s.waiting[ingress.UID] = to
	}
	if to.queued {
		return
	}
	to.queued = true
	s.queue.after(time.Until(to.due), "Ingress "+c.Name, func(ctx context.Context) {
		s.mu.Lock()
		to.queued = false
		s.mu.Unlock()
		s.write(ctx, "Ingress "+c.Name, newPatch(ingress.UID, s.served), func(ctx context.Context, patch []byte) error {
			_, err := s.client.NetworkingV1().Ingresses(ingress.Namespace).
				Patch(ctx, ingress.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
			return err
		})
	})
}

// setAddress writes the address of a LoadBalancer Service; an invalid one is none.
func (s *statuses) setAddress(ctx context.Context, service *corev1.Service, ip netip.Addr) {
	what := "Service " + service.Namespace + "/" + service.Name
	s.write(ctx, what, newPatch(service.UID, ip), func(ctx context.Context, patch []byte) error {
		_, err := s.client.CoreV1().Services(service.Namespace).
			Patch(ctx, service.Name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
		return err
	})
}

// A statusPatch is a merge patch. It names the UID, so that the status of an object
// that took the name meanwhile is left alone.
type statusPatch struct {
	Metadata patchedObject `json:"metadata"`
	Status   patchedStatus `json:"status"`
}

type patchedObject struct {
	UID types.UID `json:"uid,omitempty"`
}

type patchedStatus struct {
	LoadBalancer patchedBalancer `json:"loadBalancer"`
}

type patchedBalancer struct {
	Ingress []patchedAddress `json:"ingress"`
}

type patchedAddress struct {
	IP string `json:"ip"`
}

func newPatch(uid types.UID, ip netip.Addr) statusPatch {
	patch := statusPatch{Metadata: patchedObject{uid}}
	patch.Status.LoadBalancer.Ingress = []patchedAddress{}
	if ip.IsValid() {
		patch.Status.LoadBalancer.Ingress = []patchedAddress{{ip.String()}}
	}
	return patch
}

// write repeats a patch until it is done or the object is gone: the API server may
// be away for a while.
func (s *statuses) write(ctx context.Context, what string, status statusPatch, send func(context.Context, []byte) error) {
	patch, err := json.Marshal(status)
	if err != nil {
		s.log.Error("address was not written", "object", what, "error", err)
		return
	}
	for ctx.Err() == nil {
		attempt, cancel := context.WithTimeout(ctx, writeTimeout)
		err := send(attempt, patch)
		cancel()
		switch {
		case err == nil, apierrors.IsNotFound(err), apierrors.IsConflict(err):
			return
		case apierrors.IsInvalid(err), apierrors.IsForbidden(err):
			s.log.Error("address was refused", "object", what, "error", err)
			return
		}
		s.log.Debug("address was not written yet", "object", what, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(writeAgain):
		}
	}
}
