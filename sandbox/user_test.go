package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// nobody is the number of an ordinary user: one without any right of root.
const nobody = 65534

// TestAnOrdinaryUserRunsEveryPart runs each part of the sandbox as a user without
// rights, and asks what a cluster is for.
func TestAnOrdinaryUserRunsEveryPart(t *testing.T) {
	c := newCluster(t, 63)
	c.runAs(t, nobody)
	c.start(t)
	c.startEntry(t)
	c.deploy(t, "web", "example.com/web:1")
	c.deploy(t, "real", "example.com/real:1")
	c.statefulSet(t, "db")
	c.expose(t, "web")
	eventually(t, "every pod is ready", 60*time.Second, func() bool {
		pods := c.pods(t, "")
		for _, pod := range pods {
			if len(pod.Status.ContainerStatuses) == 0 || !pod.Status.ContainerStatuses[0].Ready {
				return false
			}
		}
		return len(pods) == 8
	})
	real := c.pods(t, "app=real")[0]

	t.Run("a process reaches pods by name", func(t *testing.T) { testProcessReachesPodsByName(t, c, real) })
	t.Run("clients reach pods by the ingress and the load balancer", func(t *testing.T) { testClientsReachPods(t, c) })
	t.Run("kubectl reaches into a pod", func(t *testing.T) { testKubectlReachesIntoPod(t, c, real.Name) })
	t.Run("names are served", func(t *testing.T) { testNamesAreServed(t, c) })
	t.Run("a crashed process is started again without a control plane", func(t *testing.T) { testCrashedProcessIsStartedAgain(t, c, real) })
}

// startEntry starts what leads clients to the cluster: ingress and DNS.
func (c *cluster) startEntry(t *testing.T) {
	t.Helper()
	c.run(t, "ingress", "--cluster", fmt.Sprint(c.number), "--kubeconfig", c.kubeconfig(), "--dir", filepath.Join(c.dir, "ingress"),
		"--address-delay", "100ms-1s", "--endpoint-delay", "0s-100ms")
	config := fmt.Sprintf(`
zones:
  - name: demo.test
    servers: [10.%d.53.1]
    records: |
      @   5 IN SOA ns hostmaster 1 1800 900 604800 5
      @   5 IN NS  ns
      ns  5 IN A   10.%[1]d.53.1
      web 5 IN A   10.%[1]d.240.1
`, c.number)
	if err := os.WriteFile(filepath.Join(c.dir, "dns.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	c.run(t, "dns", "--config", filepath.Join(c.dir, "dns.yaml"), "--dir", filepath.Join(c.dir, "dns"))
}

// statefulSet creates a StatefulSet of 2 with its headless Service. Its pods wait for
// volumes of the default class.
func (c *cluster) statefulSet(t *testing.T, name string) {
	t.Helper()
	labels := map[string]string{"app": name}
	s := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: name}}
	s.Spec.Replicas, s.Spec.ServiceName = new(int32(2)), name
	s.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	s.Spec.Template.Labels = labels
	s.Spec.Template.Spec.Containers = []corev1.Container{{Name: "main", Image: "example.com/db:1", Ports: []corev1.ContainerPort{{Name: "db", ContainerPort: 5432}}}}
	data := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data"}}
	data.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	data.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{data}
	s.Spec.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	if _, err := c.client.AppsV1().StatefulSets("default").Create(context.Background(), s, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.service(t, name, corev1.ServiceSpec{Selector: labels, ClusterIP: corev1.ClusterIPNone, Ports: []corev1.ServicePort{{Name: "db", Port: 5432}}})
}

// expose leads clients to the pods of a Deployment: by an Ingress for name.test, and
// by a load balancer.
func (c *cluster) expose(t *testing.T, name string) {
	t.Helper()
	prefix := netv1.PathTypePrefix
	backend := netv1.IngressBackend{Service: &netv1.IngressServiceBackend{Name: name, Port: netv1.ServiceBackendPort{Name: "http"}}}
	ingress := &netv1.Ingress{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: netv1.IngressSpec{Rules: []netv1.IngressRule{{
		Host: name + ".test",
		IngressRuleValue: netv1.IngressRuleValue{HTTP: &netv1.HTTPIngressRuleValue{
			Paths: []netv1.HTTPIngressPath{{Path: "/", PathType: &prefix, Backend: backend}},
		}},
	}}}}
	if _, err := c.client.NetworkingV1().Ingresses("default").Create(context.Background(), ingress, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.service(t, name+"-lb", corev1.ServiceSpec{
		Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": name},
		Ports: []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromString("http")}},
	})
}

// host is where the address 10.N.x.y is found on this machine.
func host(ip string) string { return "127." + strings.TrimPrefix(ip, "10.") }

// testProcessReachesPodsByName asks each kind of name from a process of a pod, which
// knows nothing but the environment that it was given.
func testProcessReachesPodsByName(t *testing.T, c *cluster, from corev1.Pod) {
	for target, want := range map[string]string{
		"http://web/":                                        "default/web-",
		"http://web.default.svc.cluster.local/":              "default/web-",
		"http://web-pods:8080/":                              "default/web-",
		"http://db:5432/":                                    "default/db-",
		"http://db-1.db:5432/":                               "default/db-1",
		"http://db-0.db.default.svc.cluster.local:5432/":     "default/db-0",
		"http://real.default:80/":                            "default/real-",
		"http://" + from.Status.PodIP + ":8080/":             "default/" + from.Name,
		"http://" + c.clusterIP(t, "web") + "/any?delay=5ms": "default/web-",
	} {
		got := ""
		eventually(t, target+" leads to "+want, 20*time.Second, func() bool {
			answer, err := get(t.Context(), http.DefaultClient, "http://"+host(from.Status.PodIP)+":8080/ask?url="+url.QueryEscape(target))
			if err != nil {
				return false
			}
			defer func() { _ = answer.Body.Close() }()
			got = answer.Header.Get("X-Asked-Pod")
			return answer.StatusCode == http.StatusOK
		})
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s leads to pod %q, want %s", target, got, want)
		}
	}
}

func (c *cluster) clusterIP(t *testing.T, service string) string {
	t.Helper()
	s, err := c.client.CoreV1().Services("default").Get(t.Context(), service, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Spec.ClusterIP
}

func testClientsReachPods(t *testing.T, c *cluster) {
	address := ""
	eventually(t, "the load balancer has an address", 20*time.Second, func() bool {
		s, err := c.client.CoreV1().Services("default").Get(t.Context(), "web-lb", metav1.GetOptions{})
		if err == nil && len(s.Status.LoadBalancer.Ingress) == 1 {
			address = s.Status.LoadBalancer.Ingress[0].IP
		}
		return address != ""
	})
	for _, ip := range []string{fmt.Sprintf("10.%d.240.1", c.number), address} {
		pod := ""
		eventually(t, ip+" leads to a pod", 20*time.Second, func() bool {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host(ip)+":10080/", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = "web.test"
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				return false
			}
			defer func() { _ = answer.Body.Close() }()
			pod = answer.Header.Get("X-Pod-Name")
			return answer.StatusCode == http.StatusOK
		})
		if !strings.HasPrefix(pod, "default/web-") {
			t.Errorf("%s leads to pod %q, want one of web", ip, pod)
		}
	}
}

// testKubectlReachesIntoPod has kubectl read a pod's log, run a command in it and forward a port.
func testKubectlReachesIntoPod(t *testing.T, c *cluster, pod string) {
	if out, err := c.kubectl(t, "logs", pod); err != nil || out != "serving from "+pod+"\n" {
		t.Errorf("logs: %q, %v", out, err)
	}
	if out, err := c.kubectl(t, "exec", pod, "--", "/bin/sh", "-c", "id -u; echo $POD_NAME"); err != nil || out != fmt.Sprintf("%d\n%s\n", c.userID(), pod) {
		t.Errorf("exec: %q, %v; want the number of the user, and the pod's name", out, err)
	}
	if out, err := c.kubectl(t, "exec", pod, "--", "/bin/sh", "-c", "exit 7"); err == nil || !strings.Contains(err.Error(), "exit code 7") {
		t.Errorf("exec of a command that fails: %q, %v", out, err)
	}
	if out, err := c.kubectl(t, "exec", "db-0", "--", "true"); err == nil || !strings.Contains(err.Error(), "stand-in") {
		t.Errorf("exec in a stand-in: %q, %v; want a refusal", out, err)
	}

	forward := c.command(t, "kubectl", "--kubeconfig", c.kubeconfig(), "port-forward", pod, ":8080")
	out, err := forward.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := forward.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = forward.Process.Kill(); _ = forward.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n') // Forwarding from 127.0.0.1:PORT -> 8080
	words := strings.Fields(line)
	if err != nil || len(words) < 3 {
		t.Fatalf("port-forward said %q, %v", line, err)
	}
	answer, err := get(t.Context(), http.DefaultClient, "http://"+words[2]+"/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "from "+pod+"\n" {
		t.Errorf("by the forwarded port: %q, %v", body, err)
	}
}

// userID is the number of the user who runs the cluster.
func (c *cluster) userID() int {
	if c.user != nil {
		return int(c.user.Uid)
	}
	return os.Getuid()
}

func testNamesAreServed(t *testing.T, c *cluster) {
	for name, server := range map[string]string{
		"web.demo.test.":                      fmt.Sprintf("127.%d.53.1:10053", c.number),
		"web.default.svc.cluster.local.":      fmt.Sprintf("127.%d.0.10:10053", 100+c.number),
		"web-pods.default.svc.cluster.local.": fmt.Sprintf("127.%d.0.10:10053", 100+c.number),
	} {
		reply, _, err := new(dns.Client).ExchangeContext(t.Context(), new(dns.Msg).SetQuestion(name, dns.TypeA), server)
		if err != nil || len(reply.Answer) == 0 {
			t.Errorf("%s asked of %s: %v, %v", name, server, reply, err)
		}
	}
}

// testCrashedProcessIsStartedAgain has the process of a pod crash after the control plane was killed.
func testCrashedProcessIsStartedAgain(t *testing.T, c *cluster, pod corev1.Pod) {
	c.kill(t, c.control)
	at := "http://" + host(pod.Status.PodIP) + ":8080"
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at+"/crash", nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := http.DefaultClient.Do(request); err == nil {
		_ = answer.Body.Close()
		t.Fatal("the process answered instead of crashing")
	}
	eventually(t, "the process answers again", 20*time.Second, func() bool {
		answer, err := get(t.Context(), http.DefaultClient, at)
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.Header.Get("X-Pod-Name") == "default/"+pod.Name
	})
	c.startControl(t)
	eventually(t, "the restart is told once the control plane is back", 30*time.Second, func() bool {
		now, err := c.client.CoreV1().Pods("default").Get(t.Context(), pod.Name, metav1.GetOptions{})
		return err == nil && now.UID == pod.UID && now.Status.ContainerStatuses[0].RestartCount == 1 && now.Status.ContainerStatuses[0].Ready
	})
}
