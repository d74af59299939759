package estate

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func nameOf(t *testing.T, names []Name, host, path string) Name {
	t.Helper()
	i := slices.IndexFunc(names, func(n Name) bool { return n.Host == host && n.Path == path })
	if i < 0 {
		t.Fatalf("no name %s%s in %v", host, path, names)
	}
	return names[i]
}

func TestNamesOfTheDefaultEstate(t *testing.T) {
	names := Generate(Options{Zone: "tv.example.org"}).Names
	want := []Name{
		{
			Host: "web.tv.example.org", Scheme: "http", Port: 80, Path: "/",
			Kinds: []Kind{Get, Write, Slow}, Entry: Entry{"Ingress", "edge", "web"}, Service: "web",
		},
		{
			Host: "live-origin.tv.example.org", Scheme: "http", Port: 80, Path: "/live/playlist.m3u8", PlaylistPath: "/live/playlist.m3u8",
			Kinds: []Kind{Get, Player}, Entry: Entry{"Ingress", "live", "live-origin"}, Service: "live-origin",
		},
	}
	for _, w := range want {
		if got := nameOf(t, names, w.Host, w.Path); !reflect.DeepEqual(got, w) {
			t.Errorf("got %+v, want %+v", got, w)
		}
	}
	if got := nameOf(t, names, "player.tv.example.org", "/manifest"); got.Service != "manifest" {
		t.Errorf("the path to a neighbour leads to %s", got.Service)
	}
	if got := nameOf(t, names, "gateway.tv.example.org", "/"); got.Entry.Kind != "Service" {
		t.Errorf("the balancer's name leads to %+v", got.Entry)
	}
	for kind, least := range map[Kind]int{Get: 15, Slow: 5, Write: 1, Player: 1} {
		found := 0
		for _, name := range names {
			if slices.Contains(name.Kinds, kind) {
				found++
			}
		}
		if found < least {
			t.Errorf("%d names are asked by %s, want %d or more", found, kind, least)
		}
	}
}

func TestNamesOfAnEstateAreThoseOfItsObjects(t *testing.T) {
	made := Generate(Options{Apps: 100})
	if got := Names(made.Objects, DefaultZone); !reflect.DeepEqual(got, made.Names) {
		t.Errorf("got %v, want %v", got, made.Names)
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]Entry{}
	for _, name := range Generate(Options{Apps: 1600}).Names {
		if other, found := seen[name.Host]; found && other != name.Entry {
			t.Errorf("%s leads to %v and %v", name.Host, other, name.Entry)
		}
		seen[name.Host] = name.Entry
		if !strings.HasSuffix(name.Host, "."+DefaultZone) {
			t.Errorf("%s is not under the zone", name.Host)
		}
	}
}

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers: [{name: shop, image: shop}]
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{port: 80}]
---
`

func TestNamesOfLoadedManifests(t *testing.T) {
	tests := []struct {
		name      string
		manifests string
		want      []string // host, path and kinds
	}{
		{"host under the zone", deployment + ingressFor("a.live.demo.test"), []string{"a.live.demo.test/ get slow"}},
		{"no host", deployment + ingressFor(""), []string{"entry.live.demo.test/ get slow"}},
		{"host of another zone", deployment + ingressFor("a.example.com"), []string{"entry.live.demo.test/ get slow"}},
		{"wildcard under the zone", deployment + ingressFor("*.tv.live.demo.test"), []string{"entry.tv.live.demo.test/ get slow"}},
		{"wildcard of the zone", deployment + ingressFor("*.live.demo.test"), []string{"entry.live.demo.test/ get slow"}},
		{"wildcard of another zone", deployment + ingressFor("*.example.com"), []string{"entry.live.demo.test/ get slow"}},
		{"balancer", strings.Replace(deployment, "  ports", "  type: LoadBalancer\n  ports", 1), []string{"shop.live.demo.test/ get slow"}},
		{"balancer of a reserved name", strings.ReplaceAll(strings.Replace(deployment, "  ports", "  type: LoadBalancer\n  ports", 1),
			"{name: shop}", "{name: api}"), []string{"api-default.live.demo.test/ get slow"}},
		{"balancer that names itself", strings.Replace(deployment, "kind: Service\nmetadata: {name: shop}\nspec:",
			"kind: Service\nmetadata: {name: shop, annotations: {external-dns.alpha.kubernetes.io/hostname: \"buy.live.demo.test.\"}}\nspec:\n  type: LoadBalancer", 1),
			[]string{"buy.live.demo.test/ get slow"}},
		{"balancer of a database", strings.Replace(deployment, "  ports: [{port: 80}]", "  type: LoadBalancer\n  ports: [{port: 5432}]", 1) + plainService("web", "80"),
			[]string{"shop.live.demo.test/ ", "web.live.demo.test/ get slow"}},
		{"nothing but ports", deployment, []string{"shop.live.demo.test/ get slow"}},
		{"port named http", strings.Replace(deployment, "{port: 80}", "{port: 7777, name: http-main}", 1), []string{"shop.live.demo.test/ get slow"}},
		{"port of protocol http", strings.Replace(deployment, "{port: 80}", "{port: 7777, name: main, appProtocol: http}", 1), []string{"shop.live.demo.test/ get slow"}},
		{"short grace", strings.Replace(deployment, "    spec:\n      containers", "    spec:\n      terminationGracePeriodSeconds: 10\n      containers", 1),
			[]string{"shop.live.demo.test/ get"}},
		{"gRPC on a port of HTTP", strings.Replace(deployment, "{port: 80}", "{port: 8080, name: grpc}", 1), nil},
		{"database on a port of HTTP", strings.Replace(deployment, "{port: 80}", "{port: 8080, name: redis}", 1), nil},
		{"queue with a console", strings.Replace(deployment, "{port: 80}", "{port: 5672, name: a}, {port: 8080, name: http}", 1), nil},
		{"database behind a port of HTTP", strings.Replace(deployment, "{port: 80}", "{port: 80, targetPort: 6379}", 1), nil},
		{"no replicas", strings.Replace(deployment, "spec:\n  selector: {match", "spec:\n  replicas: 0\n  selector: {match", 1), nil},
		{"StatefulSet", strings.Replace(deployment, "kind: Deployment", "kind: StatefulSet", 1), nil},
		{"Service of nobody", strings.Replace(deployment, "selector: {app: shop}", "selector: {app: other}", 1), nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			loaded, err := Load(write(t, "a.yaml", test.manifests), "live.demo.test")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, name := range loaded.Names {
				text := name.Host + name.Path
				for _, kind := range name.Kinds {
					text += " " + string(kind)
				}
				if len(name.Kinds) == 0 {
					text += " "
				}
				got = append(got, text)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func ingressFor(host string) string {
	return `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: entry}
spec:
  rules:
  - host: "` + host + `"
    http:
      paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]
`
}

func plainService(name, port string) string {
	return `
apiVersion: v1
kind: Service
metadata: {name: ` + name + `}
spec:
  selector: {app: shop}
  ports: [{port: ` + port + `}]
---
`
}
