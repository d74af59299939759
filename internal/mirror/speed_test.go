package mirror

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// BenchmarkIdlePass is a pass over a level estate of 1,600 apps in memory: what the
// simulation pays for each step.
func BenchmarkIdlePass(b *testing.B) {
	w := newWorld(b, 1)
	w.estate(1600)
	began := time.Now()
	if report := w.follow(); !report.Level() {
		b.Fatalf("not level: %+v", report)
	}
	b.ReportMetric(time.Since(began).Seconds(), "copy-s")
	for b.Loop() {
		w.sync()
	}
}

var secrets = flag.Int("secrets", 5000, "how many Secrets BenchmarkCopyOfSecrets copies")

// BenchmarkCopyOfSecrets copies Secrets of 512 bytes between two real control planes,
// verified, and restarts on what is level; bare-s is a loop that only posts as many.
func BenchmarkCopyOfSecrets(b *testing.B) {
	s := startServers(b)
	postSecrets(b, s.from, "shop", *secrets)
	bare := postSecrets(b, s.to, "bare", *secrets)
	s.config.Workers = 32
	pass := func() (Report, time.Duration) {
		s.restart()
		began := time.Now()
		report, err := s.mirror.Sync(b.Context())
		if err != nil || !report.Level() {
			b.Fatalf("not level after one pass: %+v, %v", report, err)
		}
		return report, time.Since(began)
	}
	_, copied := pass()
	report, restarted := pass()
	if report.Written > 0 {
		b.Errorf("wrote %d objects after a restart", report.Written)
	}
	b.ReportMetric(bare.Seconds(), "bare-s")
	b.ReportMetric(copied.Seconds(), "copy-s")
	b.ReportMetric(restarted.Seconds(), "restart-s")
	b.ReportMetric(0, "ns/op")
}

// postSecrets makes a namespace full of Secrets, as fast as 32 callers can.
func postSecrets(b *testing.B, c *cluster.Cluster, namespace string, n int) time.Duration {
	b.Helper()
	began := time.Now()
	if err := c.Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}); err != nil {
		b.Fatal(err)
	}
	payload := []byte(strings.Repeat("x", 512))
	work := make(chan int)
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for i := range work {
				obj := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("s-%05d", i)}, Data: map[string][]byte{"a": payload}}
				if err := c.Create(context.Background(), obj, client.FieldOwner("helm")); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	all.Wait()
	return time.Since(began)
}
