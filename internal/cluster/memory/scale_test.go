package memory_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster/memory"
)

const apps = 1600

// estate has 1,600 apps of 4 pods each, all of them Ready.
func estate(b *testing.B) (*memory.Cluster, func(time.Duration)) {
	b.Helper()
	c, clock := newCluster(1)
	for i := range apps {
		ns, name := fmt.Sprintf("team-%d", i/8), fmt.Sprintf("app-%d", i)
		seed(b, c, deployment(ns, name, 4), service(ns, name))
	}
	pass := func(d time.Duration) { run(c, clock, d) }
	pass(40 * time.Second)
	if n := c.ReadyPods("", nil); n != 4*apps {
		b.Fatalf("%d pods are ready, want %d", n, 4*apps)
	}
	return c, pass
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		estate(b)
	}
}

// BenchmarkIdle is what an estate costs in which nothing happens.
func BenchmarkIdle(b *testing.B) {
	_, pass := estate(b)
	b.ResetTimer()
	for b.Loop() {
		pass(time.Second)
	}
}

func BenchmarkList(b *testing.B) {
	ctx := context.Background()
	c, _ := estate(b)
	b.Run("deployments shared", func(b *testing.B) {
		for b.Loop() {
			if err := c.List(ctx, &appsv1.DeploymentList{}, client.UnsafeDisableDeepCopy); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pods shared", func(b *testing.B) {
		for b.Loop() {
			if err := c.List(ctx, &corev1.PodList{}, client.UnsafeDisableDeepCopy); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pods of a namespace", func(b *testing.B) {
		for b.Loop() {
			if err := c.List(ctx, &corev1.PodList{}, client.InNamespace("team-7")); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	ctx := context.Background()
	c, _ := estate(b)
	d := get(b, c, "team-0", "app-0", &appsv1.Deployment{})
	b.Run("update", func(b *testing.B) {
		for b.Loop() {
			d.Spec.Replicas = new(1 + *d.Spec.Replicas%9)
			if err := c.Update(ctx, d); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("patch", func(b *testing.B) {
		for b.Loop() {
			base := d.DeepCopy()
			d.Spec.Replicas = new(1 + *d.Spec.Replicas%9)
			if err := c.Patch(ctx, d, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})); err != nil {
				b.Fatal(err)
			}
		}
	})
}
