package ingress

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crossfade.dev/sandbox/delay"
)

func loadBalancer(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer }

// address returns what the status of a Service says, empty if nothing.
func (c *cluster) address(service string) string {
	c.t.Helper()
	s, err := c.client.CoreV1().Services("shop").Get(c.t.Context(), service, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	if ip := statusAddress(s); ip.IsValid() {
		return ip.String()
	}
	return ""
}

func (c *cluster) addressOf(service string) netip.Addr {
	c.t.Helper()
	eventually(c.t, "Service "+service+" has an address", func() bool { return c.address(service) != "" })
	return parsed(c.address(service))
}

// echo starts a pod that repeats each line with its own name before it, and says
// goodbye when the client has said all.
func (c *cluster) echo() *pod {
	p := c.bare()
	listener := p.listen(c.t)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			p.arrived.Add(1)
			go func() {
				defer conn.Close()
				buffer := make([]byte, 1024)
				for {
					n, err := conn.Read(buffer)
					if err != nil {
						fmt.Fprintf(conn, "%s: goodbye\n", p.ip)
						return
					}
					fmt.Fprintf(conn, "%s: %s", p.ip, buffer[:n])
				}
			}()
		}
	}()
	return p
}

func (c *cluster) dialBalancer(ip netip.Addr) *net.TCPConn {
	c.t.Helper()
	conn, err := connectTo(c.at(int(ip.As4()[3]), 80))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

func say(t *testing.T, conn net.Conn, words string) string {
	t.Helper()
	fmt.Fprint(conn, words)
	buffer := make([]byte, 1024)
	n, err := conn.Read(buffer)
	if err != nil {
		t.Fatal(err)
	}
	return string(buffer[:n])
}

func TestLoadBalancerForwardsAndKeepsWhatIsOpen(t *testing.T) {
	c := startCluster(t)
	a, b := c.echo(), c.echo()
	c.service("chat", "tcp", loadBalancer)
	c.slice("chat-1", "chat", "tcp", "endpointslice-controller.k8s.io", readyPods(a)...)
	ip := c.addressOf("chat")
	c.uses("chat", a)

	conn := c.dialBalancer(ip)
	if got := say(t, conn, "hello"); got != a.ip.String()+": hello" {
		t.Fatalf("%q", got)
	}
	c.slice("chat-1", "chat", "tcp", "endpointslice-controller.k8s.io", state{pod: a, serving: true, terminating: true})
	c.slice("chat-2", "chat", "tcp", "crossfade.dev", readyPods(b)...)
	c.uses("chat", b)
	if got := say(t, conn, "still there?"); got != a.ip.String()+": still there?" {
		t.Errorf("connection that was open before: %q", got)
	}
	if got := say(t, c.dialBalancer(ip), "hello"); got != b.ip.String()+": hello" {
		t.Errorf("new connection: %q", got)
	}

	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(conn)
	if err != nil || string(rest) != a.ip.String()+": goodbye\n" {
		t.Errorf("after the client's half-close: %q, %v", rest, err)
	}
}

func TestConnectionWithoutAPodIsReset(t *testing.T) {
	c := startCluster(t)
	c.service("chat", "tcp", loadBalancer)
	ip := c.addressOf("chat")
	conn, err := connectTo(c.at(int(ip.As4()[3]), 80))
	if err == nil {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, want a reset", err)
	}
}

func TestConnectionTriesAnotherPod(t *testing.T) {
	c := startCluster(t)
	there, away := c.echo(), c.bare()
	c.service("chat", "tcp", loadBalancer)
	c.slice("chat-1", "chat", "tcp", "x", readyPods(there, away)...)
	ip := c.addressOf("chat")
	c.uses("chat", there, away)
	for range 4 {
		if got := say(t, c.dialBalancer(ip), "hello"); got != there.ip.String()+": hello" {
			t.Errorf("%q", got)
		}
	}
}

func TestClientAffinity(t *testing.T) {
	c := startCluster(t)
	pods := []*pod{c.echo(), c.echo(), c.echo()}
	c.service("chat", "tcp", loadBalancer, func(s *corev1.Service) { s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP })
	c.slice("chat-1", "chat", "tcp", "x", readyPods(pods...)...)
	ip := c.addressOf("chat")
	c.uses("chat", pods...)
	first := say(t, c.dialBalancer(ip), "hello")
	for range 6 {
		if got := say(t, c.dialBalancer(ip), "hello"); got != first {
			t.Errorf("one client was led to %q and to %q", first, got)
		}
	}
}

func TestAddressesAreGivenKeptAndFreed(t *testing.T) {
	c := startCluster(t)
	c.service("one", "tcp", loadBalancer)
	c.service("classed", "tcp", loadBalancer, func(s *corev1.Service) { s.Spec.LoadBalancerClass = new("other.example/lb") })
	one := c.addressOf("one")
	c.service("two", "tcp", loadBalancer)
	two := c.addressOf("two")
	if one == two || one.As4()[3] < firstBalancer || two.As4()[3] < firstBalancer {
		t.Fatalf("addresses %s and %s", one, two)
	}
	if got := c.address("classed"); got != "" {
		t.Errorf("a Service of another controller's class got %s", got)
	}
	if err := c.client.CoreV1().Services("shop").Delete(t.Context(), "one", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nothing listens for the Service that went", func() bool {
		conn, err := connectTo(c.at(int(one.As4()[3]), 80))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	c.service("three", "tcp", loadBalancer)
	if three := c.addressOf("three"); three == one || three == two {
		t.Errorf("a new Service got %s, which was another's a moment ago", three)
	}
}

func TestRestartKeepsAddresses(t *testing.T) {
	dir := t.TempDir()
	book, err := openAddresses(41, dir)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := book.take("shop/a")
	b, _ := book.take("shop/b")
	book, err = openAddresses(41, dir)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := book.take("shop/b"); again != b {
		t.Errorf("after a restart shop/b has %s, had %s", again, b)
	}
	stated := balancerAddress(41, 99)
	if got, _ := book.take("shop/c", stated); got != stated {
		t.Errorf("shop/c, whose status says %s, got %s", stated, got)
	}
	if got, _ := book.take("shop/d", a); got == a {
		t.Errorf("shop/d got %s, which is shop/a's", got)
	}
	if got, _ := book.take("shop/e", netip.MustParseAddr("10.99.240.7")); got == netip.MustParseAddr("10.99.240.7") {
		t.Errorf("shop/e got an address of another cluster")
	}
	for i := range lastBalancer {
		if _, err := book.take(fmt.Sprint("shop/many-", i)); err != nil {
			if !errors.Is(err, errNoAddress) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Error("there were more addresses than there are")
}

func TestAddressIsListenedOnBeforeItIsPublished(t *testing.T) {
	c := startCluster(t, func(o *Options) {
		o.AddressDelay = delay.Range{Min: 300 * time.Millisecond, Max: 300 * time.Millisecond}
	})
	p := c.echo()
	began := time.Now()
	c.service("chat", "tcp", loadBalancer)
	c.slice("chat-1", "chat", "tcp", "x", readyPods(p)...)
	ip := c.addressOf("chat")
	if took := time.Since(began); took < 290*time.Millisecond {
		t.Errorf("the address came after %v, before its delay", took)
	}
	if got := say(t, c.dialBalancer(ip), "hello"); !strings.HasSuffix(got, ": hello") {
		t.Errorf("%q", got)
	}
}

func TestServiceThatChangesItsTypeLosesItsAddress(t *testing.T) {
	c := startCluster(t)
	c.service("chat", "tcp", loadBalancer)
	c.addressOf("chat")
	service, err := c.client.CoreV1().Services("shop").Get(t.Context(), "chat", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	service.Spec.Type = corev1.ServiceTypeClusterIP
	service.ResourceVersion = "changed"
	if _, err := c.client.CoreV1().Services("shop").Update(t.Context(), service, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the status is empty", func() bool { return c.address("chat") == "" })
}
