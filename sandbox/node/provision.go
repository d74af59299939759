package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"crossfade.dev/sandbox/feed"
)

const (
	// storageClass is the default class of a sandbox's cluster: folders of the node.
	storageClass = "standard"
	provisioner  = "sandbox.crossfade.dev/folder"
	// provisionRetry is the pause after a volume could not be made or removed.
	provisionRetry = 2 * time.Second
)

// provision makes a volume for each claim of the default class, and removes those
// whose claims are gone, until ctx ends.
func (n *Node) provision(ctx context.Context) {
	n.until(ctx, "storage class "+storageClass, n.createStorageClass)
	claims := feed.New(func(c feed.Change[*corev1.PersistentVolumeClaim]) {
		claim := c.Object
		if !c.Gone && claim.Spec.VolumeName == "" && ptr.Deref(claim.Spec.StorageClassName, "") == storageClass {
			go n.until(ctx, "volume of claim "+c.Name, func(ctx context.Context) error { return n.createVolume(ctx, claim) })
		}
	})
	volumes := feed.New(func(c feed.Change[*corev1.PersistentVolume]) {
		volume := c.Object
		if !c.Gone && volume.Status.Phase == corev1.VolumeReleased && volume.Annotations[provisionedBy] == provisioner &&
			volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
			go n.until(ctx, "release of volume "+c.Name, func(ctx context.Context) error { return n.deleteVolume(ctx, volume) })
		}
	})
	go claims.Run(ctx, feed.Source(n.client.CoreV1().PersistentVolumeClaims(""), ""))
	volumes.Run(ctx, feed.Source(n.client.CoreV1().PersistentVolumes(), ""))
}

// provisionedBy is the annotation by which Kubernetes' own volume controller knows
// that a volume is somebody else's to remove.
const provisionedBy = "pv.kubernetes.io/provisioned-by"

// until does what until it succeeds or ctx ends.
func (n *Node) until(ctx context.Context, what string, do func(context.Context) error) {
	for {
		err := do(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		n.log.Info("not done yet", "what", what, "error", err)
		if !sleep(ctx, provisionRetry) {
			return
		}
	}
}

func (n *Node) createStorageClass(ctx context.Context) error {
	_, err := n.client.StorageV1().StorageClasses().Create(ctx, &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name: storageClass, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner:       provisioner,
		ReclaimPolicy:     new(corev1.PersistentVolumeReclaimDelete),
		VolumeBindingMode: new(storagev1.VolumeBindingImmediate),
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// claimFolder is where pods find the volume of a claim: a link to the folder of the
// claim that has the name now.
func (n *Node) claimFolder(namespace, name string) string {
	return filepath.Join(n.cfg.Dir, "claims", namespace, name)
}

// makeFolder makes the folder of a claim, which is its own: a claim that was deleted and
// made again has another.
func (n *Node) makeFolder(claim *corev1.PersistentVolumeClaim) (string, error) {
	link := n.claimFolder(claim.Namespace, claim.Name)
	folder := filepath.Join(n.cfg.Dir, "volumes", string(claim.UID))
	for _, dir := range []string{folder, filepath.Dir(link)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
	}
	next := folder + ".link"
	if err := os.Symlink(folder, next); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return folder, os.Rename(next, link)
}

func (n *Node) createVolume(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	folder, err := n.makeFolder(claim)
	if err != nil {
		return fmt.Errorf("make folder of claim %s/%s: %w", claim.Namespace, claim.Name, err)
	}
	_, err = n.client.CoreV1().PersistentVolumes().Create(ctx, &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{
			Name: "pvc-" + string(claim.UID), Annotations: map[string]string{provisionedBy: provisioner},
		},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName:              storageClass,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   claim.Spec.AccessModes,
			VolumeMode:                    claim.Spec.VolumeMode,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: folder}},
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
		},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (n *Node) deleteVolume(ctx context.Context, volume *corev1.PersistentVolume) error {
	if volume.Spec.HostPath != nil {
		if err := os.RemoveAll(volume.Spec.HostPath.Path); err != nil {
			return fmt.Errorf("remove folder of volume %s: %w", volume.Name, err)
		}
	}
	err := n.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{
		Preconditions: metav1.NewUIDPreconditions(string(volume.UID)),
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
