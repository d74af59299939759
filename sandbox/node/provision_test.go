package node

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
)

func TestVolumeOfAClaimIsItsOwn(t *testing.T) {
	n, err := newNode(Config{Cluster: 88, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	n.connect(fake.NewClientset())
	ctx := context.Background()
	claim := func(uid string) *corev1.PersistentVolumeClaim {
		c := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "data-db-0", UID: types.UID(uid)}}
		c.Spec.StorageClassName = new(storageClass)
		c.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
		return c
	}
	volume := func(uid string) *corev1.PersistentVolume {
		v, err := n.client.CoreV1().PersistentVolumes().Get(ctx, "pvc-"+uid, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	// file is in the folder that pods find by the claim's name.
	file := filepath.Join(n.claimFolder("shop", "data-db-0"), "rows")

	for range 2 { // the second, after a restart of the node, finds what the first made
		if err := n.createVolume(ctx, claim("one")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte("of the first"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := volume("one")
	if of := first.Spec.ClaimRef; of == nil || of.Name != "data-db-0" || of.UID != "one" || first.Spec.StorageClassName != storageClass {
		t.Errorf("the volume is %+v", first.Spec)
	}

	// The claim is deleted and made again before its volume is released.
	if err := n.createVolume(ctx, claim("two")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("a new claim has the rows of the one that was deleted: %v", err)
	}
	if err := os.WriteFile(file, []byte("of the second"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := n.deleteVolume(ctx, first); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "of the second" {
		t.Errorf("after the first volume went the second holds %q, %v", content, err)
	}
	if _, err := os.Stat(first.Spec.HostPath.Path); !os.IsNotExist(err) {
		t.Errorf("the folder of the first volume is still there: %v", err)
	}
	if err := n.deleteVolume(ctx, first); err != nil {
		t.Errorf("a volume that is gone already: %v", err)
	}
	volume("two")
}
