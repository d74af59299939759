package cluster

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
)

// A kubeconfig that acts as somebody else is obeyed: whoever asks for fewer rights
// does not get the caller's own.
func TestAKubeconfigsImpersonationIsKept(t *testing.T) {
	var other atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Impersonate-User") != "poor" {
			other.Add(1)
		}
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/version" {
			_, _ = w.Write([]byte(`{"gitVersion":"v1.36.3"}`))
			return
		}
		_, _ = w.Write([]byte(`{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":"u"}}`))
	}))
	defer server.Close()
	config := &rest.Config{Host: server.URL, Impersonate: rest.ImpersonationConfig{UserName: "poor"}}
	c, err := Connect(t.Context(), Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if n := other.Load(); n > 0 {
		t.Errorf("%d requests were the caller's own", n)
	}
}
