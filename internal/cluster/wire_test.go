package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// A server answers as much of the Kubernetes API as a connection asks for.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	uid     types.UID
	asked   []string // method, path, who is impersonated, and the connection
	waiting chan struct{}
}

func newServer(t *testing.T, http2 bool) *server {
	t.Helper()
	s := &server{uid: "first", waiting: make(chan struct{})}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.answer))
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(func() { close(s.waiting); s.CloseClientConnections(); s.Close() })
	return s
}

func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf("%s %s as %q on %s", r.Method, r.URL.Path, r.Header.Get("Impersonate-User"), r.RemoteAddr))
	uid := s.uid
	s.mu.Unlock()
	var out any
	switch r.URL.Path {
	case "/version":
		out = map[string]string{"gitVersion": "v1.36.3"}
	case "/api/v1/namespaces/kube-system":
		out = corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: uid}}
	case "/api":
		out = metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
	case "/apis":
		out = metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	case "/api/v1":
		out = metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "configmaps", Namespaced: true, Kind: "ConfigMap", Verbs: metav1.Verbs{"get"}}, {Name: "namespaces", Kind: "Namespace", Verbs: metav1.Verbs{"get"}},
		}}
	case "/api/v1/namespaces/default/configmaps/slow":
		select {
		case <-s.waiting:
		case <-r.Context().Done():
		}
		return
	default:
		out = corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Name: "one", Namespace: "default", UID: uid}}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}

// connections are those on which paths that contain what were asked.
func (s *server) connections(what string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[string]int{}
	for _, line := range s.asked {
		if strings.Contains(line, what) {
			seen[line[strings.LastIndex(line, " ")+1:]]++
		}
	}
	return seen
}

func (s *server) become(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uid = uid
}

func (s *server) connect(t *testing.T, pin types.UID) (*Cluster, error) {
	t.Helper()
	c, err := Connect(t.Context(), Options{
		Config: &rest.Config{Host: s.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}},
		PinUID: pin, Identity: "test", ReadTimeout: 2 * time.Second, WriteTimeout: time.Second,
	})
	if err == nil {
		t.Cleanup(c.Close)
	}
	return c, err
}

func read(ctx context.Context, api API, name string) error {
	return api.Get(ctx, client.ObjectKey{Namespace: "default", Name: name}, &corev1.ConfigMap{})
}

func TestConnectionToAnotherClusterIsRefused(t *testing.T) {
	s := newServer(t, true)
	if _, err := s.connect(t, "other"); !errors.Is(err, ErrReplaced) {
		t.Errorf("connected: %v, want ErrReplaced", err)
	}
}

// TestEveryNewConnectionIsIdentified replaces the cluster behind an address.
func TestEveryNewConnectionIsIdentified(t *testing.T) {
	s := newServer(t, true)
	c, err := s.connect(t, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.UID() != "first" {
		t.Errorf("pinned %s, want what was seen first", c.UID())
	}
	if err := read(t.Context(), c, "one"); err != nil {
		t.Fatal(err)
	}
	s.become("second")
	s.CloseClientConnections()
	before := len(s.connections("configmaps/one"))
	for range 3 {
		// The first request may still be lost with the old connection.
		if err = read(t.Context(), c, "one"); errors.Is(err, ErrReplaced) {
			break
		}
	}
	if !errors.Is(err, ErrReplaced) || len(s.connections("configmaps/one")) != before {
		t.Errorf("read from another cluster: %v, want ErrReplaced and no request", err)
	}
	s.become("first")
	if err := read(t.Context(), c, "one"); err != nil {
		t.Errorf("read when the cluster is back: %v", err)
	}
}

func TestRequestsShareOneConnection(t *testing.T) {
	s := newServer(t, true)
	c, err := s.connect(t, "first")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := read(t.Context(), c, "one"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(s.connections("")); n != 1 {
		t.Errorf("%d connections, want one", n)
	}
}

// TestOneAtATime is a server, or a proxy before it, that speaks HTTP/1.1 only.
func TestOneAtATime(t *testing.T) {
	s := newServer(t, false)
	c, err := s.connect(t, "first")
	if err != nil {
		t.Fatal(err)
	}
	slow, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = read(slow, c, "slow") }()
	for range 5 {
		if err := read(t.Context(), c, "one"); err != nil {
			t.Errorf("read beside a slow request: %v", err)
		}
	}
	cancel()
	<-ended
	if n := len(s.connections("configmaps/one")); n < 1 || n > 2 {
		t.Errorf("%d connections for one request after the other, want one or two", n)
	}
}

func TestImpersonationHasConnectionsOfItsOwn(t *testing.T) {
	s := newServer(t, true)
	c, err := s.connect(t, "first")
	if err != nil {
		t.Fatal(err)
	}
	anna := c.As("anna", "teams")
	for range 3 {
		if err := read(t.Context(), anna, "one"); err != nil {
			t.Fatal(err)
		}
	}
	if used := s.connections(`as "anna"`); len(used) != 3 {
		t.Errorf("3 impersonated requests on the connections %v, want one each", used)
	}
	if n := s.connections(`kube-system as "anna"`); len(n) != 0 {
		t.Error("the cluster was identified in another person's name")
	}
}

func TestReadsEndInTime(t *testing.T) {
	s := newServer(t, true)
	c, err := s.connect(t, "first")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := read(t.Context(), c, "slow"); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("a read that is never answered: %v after %s, want a deadline after 2 s", err, time.Since(began))
	}
	if err := read(t.Context(), c, "one"); err != nil {
		t.Errorf("the next read: %v", err)
	}
}

func TestKindsComeOnceInThePreferredVersion(t *testing.T) {
	v := func(g, v string) metav1.GroupVersionForDiscovery {
		return metav1.GroupVersionForDiscovery{GroupVersion: g + "/" + v, Version: v}
	}
	groups := []*metav1.APIGroup{{Name: "a", Versions: []metav1.GroupVersionForDiscovery{v("a", "v2"), v("a", "v1")}, PreferredVersion: v("a", "v1")}}
	lists := []*metav1.APIResourceList{
		{GroupVersion: "a/v2", APIResources: []metav1.APIResource{{Name: "things", Kind: "Thing"}, {Name: "news", Kind: "New"}}},
		{GroupVersion: "a/v1", APIResources: []metav1.APIResource{{Name: "things", Kind: "Thing"}, {Name: "things/status", Kind: "Thing"}, {Name: "things/scale", Kind: "Scale"}}},
	}
	got := ""
	for _, k := range kindsOf(groups, lists) {
		got += fmt.Sprintf("%s %s status=%v; ", k.Kind, k.Version, k.Status)
	}
	if want := "New v2 status=false; Thing v1 status=true; "; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
