package main

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTrafficSurvivesScalingRolloutAndDeathOfTheControlPlane(t *testing.T) {
	c := startCluster(t, 61)
	c.deploy(t, "web", "example.com/web:1")
	c.deploy(t, "real", "example.com/real:1")
	eventually(t, "both deployments ready", 30*time.Second, func() bool { return c.settled("web", 3)() && c.settled("real", 3)() })

	tr := &traffic{}
	targets := []string{"http://web/", "http://web.default.svc.cluster.local/", "http://web-pods:8080/", "http://real.default/", "http://real-pods.default.svc:8080/"}
	// The first endpoints take as long as any change to be in use.
	proxyClient := &traffic{}
	eventually(t, "every name leads to a pod", 20*time.Second, func() bool {
		before := proxyClient.failed.Load()
		for _, target := range targets {
			c.once(proxyClient, target)
		}
		return proxyClient.failed.Load() == before
	})
	for i, target := range targets {
		c.ask(tr, target, i%2 == 0)
	}

	for _, name := range []string{"web", "real"} {
		c.patch(t, name, `{"spec":{"replicas":1}}`)
	}
	eventually(t, "scaled to 1", 40*time.Second, func() bool { return c.settled("web", 1)() && c.settled("real", 1)() })
	for _, name := range []string{"web", "real"} {
		c.patch(t, name, `{"spec":{"replicas":3}}`)
	}
	eventually(t, "scaled to 3", 40*time.Second, func() bool { return c.settled("web", 3)() && c.settled("real", 3)() })
	for _, name := range []string{"web", "real"} {
		c.patch(t, name, `{"spec":{"template":{"metadata":{"annotations":{"release":"2"}}}}}`)
	}
	eventually(t, "rolled out", 60*time.Second, func() bool { return c.settled("web", 3)() && c.settled("real", 3)() })

	before := c.pods(t, "app=real")
	c.kill(t, c.control)
	<-time.After(3 * time.Second) // of traffic without a control plane
	c.startControl(t)
	after := c.pods(t, "app=real")

	// And once more, in the middle of a rollout and a scaling.
	c.patch(t, "web", `{"spec":{"replicas":2}}`)
	c.patch(t, "real", `{"spec":{"template":{"metadata":{"annotations":{"release":"3"}}}}}`)
	<-time.After(time.Second)
	c.kill(t, c.control)
	c.startControl(t)
	eventually(t, "scaled and rolled out", 60*time.Second, func() bool { return c.settled("web", 2)() && c.settled("real", 3)() })
	eventually(t, "every pod that was told to stop is gone", 30*time.Second, func() bool { return len(c.pods(t, "")) == 5 })

	tr.stop()
	t.Logf("%d requests, %d failed, %d pods answered", tr.sent.Load(), tr.failed.Load(), len(tr.pods))
	if n := tr.failed.Load(); n > 0 {
		t.Errorf("%d of %d requests failed, the first: %s", n, tr.sent.Load(), tr.first)
	}
	if len(tr.pods) < 12 {
		t.Errorf("only %d pods answered, want all of both releases", len(tr.pods))
	}
	for i, pod := range after {
		if n := pod.Status.ContainerStatuses[0].RestartCount; n != 0 || pod.UID != before[i].UID {
			t.Errorf("pod %s is another than before the control plane died, or was restarted %d times", pod.Name, n)
		}
	}
	now := c.pods(t, "app=real")
	if logs, err := c.kubectl(t, "logs", now[0].Name); err != nil || logs != "serving from "+now[0].Name+"\n" {
		t.Errorf("kubectl logs %s: %q, %v", now[0].Name, logs, err)
	}
}

// TestKilledControlPlaneLosesNothingThatItConfirmed kills a control plane while it takes
// writes.
func TestKilledControlPlaneLosesNothingThatItConfirmed(t *testing.T) {
	c := newCluster(t, 60)
	c.startControl(t, "--small")
	confirmed := map[string]bool{}
	for round := range 2 {
		var mu sync.Mutex
		var writers sync.WaitGroup
		for writer := range 4 {
			writers.Go(func() {
				for n := 0; ; n++ {
					name := fmt.Sprintf("r%d-w%d-%d", round, writer, n)
					object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
					if _, err := c.client.CoreV1().ConfigMaps("default").Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
						return // the control plane is gone
					}
					mu.Lock()
					confirmed[name] = true
					mu.Unlock()
				}
			})
		}
		<-time.After(time.Second)
		c.kill(t, c.control)
		writers.Wait()
		c.startControl(t, "--small")
	}
	list, err := c.client.CoreV1().ConfigMaps("default").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, there := range list.Items {
		delete(confirmed, there.Name)
	}
	t.Logf("%d objects", len(list.Items))
	if len(confirmed) > 0 || len(list.Items) < 20 {
		t.Errorf("of %d objects these are lost: %v", len(list.Items)+len(confirmed), slices.Sorted(maps.Keys(confirmed)))
	}
}

func TestRestartedNodeKeepsItsPods(t *testing.T) {
	c := startCluster(t, 62)
	c.deploy(t, "web", "example.com/web:1")
	c.deploy(t, "real", "example.com/real:1")
	eventually(t, "both deployments ready", 30*time.Second, func() bool { return c.settled("web", 3)() && c.settled("real", 3)() })
	before := map[string]string{}
	for _, pod := range c.pods(t, "") {
		before[pod.Name] = pod.Status.PodIP
	}

	c.kill(t, c.node)
	eventually(t, "processes of pods end with their node", 5*time.Second, func() bool {
		for _, ip := range before {
			if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", host(ip)+":8080"); err == nil {
				_ = conn.Close()
				return false
			}
		}
		return true
	})
	c.startNode(t)

	eventually(t, "every pod was restarted and is ready", 20*time.Second, func() bool {
		for _, pod := range c.pods(t, "") {
			if s := pod.Status.ContainerStatuses[0]; s.RestartCount != 1 || !s.Ready {
				return false
			}
		}
		return true
	})
	for _, pod := range c.pods(t, "") {
		if before[pod.Name] != pod.Status.PodIP {
			t.Errorf("pod %s had address %q, and has %s", pod.Name, before[pod.Name], pod.Status.PodIP)
		}
	}
}
