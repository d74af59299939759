package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// volumes makes the volumes of pods.
type volumes struct {
	environment
	client kubernetes.Interface
	// claimFolder is the folder of a claim, and hostPaths that which stands for the
	// root of the node.
	claimFolder func(namespace, name string) string
	hostPaths   string
}

// check tells whether everything that the pod's volumes refer to is there, which
// is what a stand-in, which reads no volume, waits for too.
func (v volumes) check(ctx context.Context, pod *corev1.Pod) error {
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		if _, err := v.content(ctx, pod, volume, false); err != nil {
			return fmt.Errorf("volume %s: %w", volume.Name, err)
		}
	}
	return nil
}

// make writes the pod's volumes below dir and returns the folder of each.
func (v volumes) make(ctx context.Context, pod *corev1.Pod, dir string) (map[string]string, error) {
	folders := map[string]string{}
	for i := range pod.Spec.Volumes {
		volume := &pod.Spec.Volumes[i]
		folder, err := v.folder(ctx, pod, volume, filepath.Join(dir, volume.Name))
		if err != nil {
			return nil, fmt.Errorf("volume %s: %w", volume.Name, err)
		}
		folders[volume.Name] = folder
	}
	return folders, nil
}

func (v volumes) folder(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume, folder string) (string, error) {
	switch {
	case volume.HostPath != nil:
		folder = filepath.Join(v.hostPaths, filepath.Clean("/"+volume.HostPath.Path))
	case volume.PersistentVolumeClaim != nil:
		folder = v.claimFolder(pod.Namespace, volume.PersistentVolumeClaim.ClaimName)
	case volume.Ephemeral != nil:
		folder = v.claimFolder(pod.Namespace, pod.Name+"-"+volume.Name)
	}
	files, err := v.content(ctx, pod, volume, true)
	if _, before := os.Stat(folder); err != nil && before == nil && !errors.As(err, new(errMissing)) {
		return folder, nil // the API server is away: what was written for the last start is good
	}
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(folder, filepath.Clean("/"+name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, files[name], 0o600); err != nil {
			return "", err
		}
	}
	return folder, nil
}

// content returns the files of a volume that is made of API objects. Without
// tokens, none are asked for.
func (v volumes) content(ctx context.Context, pod *corev1.Pod, volume *corev1.Volume, tokens bool) (map[string][]byte, error) {
	files := map[string][]byte{}
	switch {
	case volume.ConfigMap != nil:
		s := volume.ConfigMap
		return files, addItems(ctx, files, v.configMap, pod.Namespace, s.Name, s.Items, s.Optional)
	case volume.Secret != nil:
		s := volume.Secret
		return files, addItems(ctx, files, v.secret, pod.Namespace, s.SecretName, s.Items, s.Optional)
	case volume.DownwardAPI != nil:
		return files, addFields(files, pod, volume.DownwardAPI.Items)
	case volume.Projected != nil:
		for _, source := range volume.Projected.Sources {
			if err := v.project(ctx, files, pod, source, tokens); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

func (v volumes) project(ctx context.Context, files map[string][]byte, pod *corev1.Pod, source corev1.VolumeProjection, tokens bool) error {
	switch {
	case source.ConfigMap != nil:
		s := source.ConfigMap
		return addItems(ctx, files, v.configMap, pod.Namespace, s.Name, s.Items, s.Optional)
	case source.Secret != nil:
		s := source.Secret
		return addItems(ctx, files, v.secret, pod.Namespace, s.Name, s.Items, s.Optional)
	case source.DownwardAPI != nil:
		return addFields(files, pod, source.DownwardAPI.Items)
	case source.ServiceAccountToken != nil && tokens:
		token, err := v.token(ctx, pod, source.ServiceAccountToken)
		files[source.ServiceAccountToken.Path] = []byte(token)
		return err
	}
	return nil
}

// token asks for a token of the pod's service account, bound to the pod. It is
// not renewed: a sandbox lives shorter than a token that is good for a day.
func (v volumes) token(ctx context.Context, pod *corev1.Pod, source *corev1.ServiceAccountTokenProjection) (string, error) {
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: new(int64(24 * 3600)),
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	account := pod.Spec.ServiceAccountName
	reply, err := v.client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("token of service account %s: %w", account, err)
	}
	return reply.Status.Token, nil
}

// addItems adds the keys of a ConfigMap or Secret: those that are named, to the
// path that each asks for, or all.
func addItems(ctx context.Context, files map[string][]byte, find lookup, namespace, name string, items []corev1.KeyToPath, optional *bool) error {
	data, err := find(ctx, namespace, name)
	if errors.As(err, new(errMissing)) && ptr.Deref(optional, false) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(items) == 0 {
		maps.Copy(files, data)
		return nil
	}
	for _, item := range items {
		value, found := data[item.Key]
		if !found && !ptr.Deref(optional, false) {
			return fmt.Errorf("references non-existent config key: %s in %s", item.Key, name)
		}
		files[item.Path] = value
	}
	return nil
}

func addFields(files map[string][]byte, pod *corev1.Pod, items []corev1.DownwardAPIVolumeFile) error {
	for _, item := range items {
		var value string
		var err error
		switch {
		case item.FieldRef != nil:
			value, err = podField(pod, item.FieldRef.FieldPath)
		case item.ResourceFieldRef != nil:
			value, err = resourceField(pod, &pod.Spec.Containers[0], item.ResourceFieldRef)
		}
		if err != nil {
			return err
		}
		files[item.Path] = []byte(value)
	}
	return nil
}

// mounts makes root look as the container's file system would where volumes are
// mounted, and returns where each one is, the longest path first.
func mounts(c *corev1.Container, folders map[string]string, root string) ([]mount, error) {
	var all []mount
	for _, m := range c.VolumeMounts {
		host := filepath.Join(folders[m.Name], filepath.Clean("/"+m.SubPath))
		if _, err := os.Stat(host); errors.Is(err, fs.ErrNotExist) && m.SubPath != "" {
			if err := os.MkdirAll(host, 0o755); err != nil {
				return nil, err
			}
		}
		link := filepath.Join(root, filepath.Clean("/"+m.MountPath))
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			return nil, err
		}
		if err := os.Symlink(host, link); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		all = append(all, mount{at: filepath.Clean(m.MountPath), host: host})
	}
	slices.SortFunc(all, func(a, b mount) int { return len(b.at) - len(a.at) })
	return slices.DeleteFunc(all, func(m mount) bool { return !strings.HasPrefix(m.at, "/") || m.at == "/" }), nil
}
