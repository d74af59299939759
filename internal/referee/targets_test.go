package referee

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestTargetsAreReadWithTheirDefaults(t *testing.T) {
	got, err := ParseTargets([]byte(`
- name: web
  host: web.live.demo.test
- {name: api, host: 10.1.240.1, port: 8080, path: "/status?full=1", kinds: [get, write, player, slow], expectStatus: 200-204, writePath: /w, playlistPath: /p}
- {name: shop, host: shop.live.demo.test, scheme: https, expectStatus: 404, insecure: true}
- {name: rpc, host: rpc.live.demo.test, scheme: h2c, port: 50051}
- {name: store, host: store.live.demo.test, scheme: tcp, kinds: [tcp, redis]}
- {name: queue, host: queue.live.demo.test, scheme: tcp, port: 5672}
`))
	base := Target{Path: "/", WritePath: "/v1/events", PlaylistPath: "/playlist.m3u8", Kinds: []Kind{KindGet}, ExpectStatus: StatusRange{200, 399}}
	with := func(change func(*Target)) Target {
		target := base
		change(&target)
		return target
	}
	want := Targets{
		with(func(t *Target) { t.Name, t.Host, t.Port, t.Scheme = "web", "web.live.demo.test", 80, HTTP }),
		{Name: "api", Host: "10.1.240.1", Port: 8080, Scheme: HTTP, Path: "/status?full=1", WritePath: "/w", PlaylistPath: "/p", Kinds: httpKinds, ExpectStatus: StatusRange{200, 204}},
		with(func(t *Target) {
			t.Name, t.Host, t.Port, t.Scheme, t.ExpectStatus, t.Insecure = "shop", "shop.live.demo.test", 443, HTTPS, StatusRange{404, 404}, true
		}),
		with(func(t *Target) { t.Name, t.Host, t.Port, t.Scheme = "rpc", "rpc.live.demo.test", 50051, H2C }),
		with(func(t *Target) {
			t.Name, t.Host, t.Port, t.Scheme, t.Kinds = "store", "store.live.demo.test", 6379, TCP, tcpKinds
		}),
		with(func(t *Target) {
			t.Name, t.Host, t.Port, t.Scheme, t.Kinds = "queue", "queue.live.demo.test", 5672, TCP, []Kind{KindTCP}
		}),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ParseTargets = %+v, %v\nwant %+v", got, err, want)
	}
}

// What is read can be written as JSON and read again, as the demo does.
func TestTargetsSurviveJSON(t *testing.T) {
	want, err := ParseTargets([]byte(`[{name: web, host: web.demo.test, expectStatus: 200-299}, {name: store, host: 10.0.0.1, scheme: tcp}]`))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "targets.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadTargets(file); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ReadTargets = %+v, %v\nwant %+v", got, err, want)
	}
}

func TestUnusableTargetsAreRefusedByName(t *testing.T) {
	for _, test := range []struct{ name, file, want string }{
		{"empty", ``, "no targets in it"},
		{"not a list", `name: web`, "cannot unmarshal object"},
		{"unknown field", `[{name: web, host: a, hots: b}]`, `unknown field "hots"`},
		{"no name", `[{host: a}]`, "target 1 (\"\"): name: empty"},
		{"a name twice", `[{name: web, host: a}, {name: web, host: b}]`, `target 2: the name "web" is taken`},
		{"no host", `[{name: web}]`, `target 1 ("web"): host ""`},
		{"host with a port", `[{name: web, host: "a:80"}]`, `host "a:80"`},
		{"host that ends a header", `[{name: web, host: "a\r\nX: y"}]`, `host "a\r\nX: y"`},
		{"port too high", `[{name: web, host: a, port: 65536}]`, "port"},
		{"scheme", `[{name: web, host: a, scheme: gopher}]`, `scheme "gopher"`},
		{"kind", `[{name: web, host: a, kinds: [put]}]`, `kind "put"`},
		{"kind of another scheme", `[{name: web, host: a, scheme: tcp, kinds: [get]}]`, `kind "get": the scheme tcp has`},
		{"kind twice", `[{name: web, host: a, kinds: [get, get]}]`, `kind "get": named twice`},
		{"relative path", `[{name: web, host: a, path: b}]`, `path "b"`},
		{"path that ends the request line", `[{name: web, host: a, path: "/ HTTP/1.1"}]`, `path "/ HTTP/1.1"`},
		{"status range backwards", `[{name: web, host: a, expectStatus: 300-200}]`, `expectStatus "300-200"`},
		{"informational status", `[{name: web, host: a, expectStatus: 100-200}]`, `expectStatus "100-200"`},
		{"status beyond the last", `[{name: web, host: a, expectStatus: 200-600}]`, `expectStatus "200-600"`},
		{"no status", `[{name: web, host: a, expectStatus: ok}]`, `expectStatus "ok"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseTargets([]byte(test.file))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("ParseTargets = %v; want %q in it", err, test.want)
			}
		})
	}
	if _, err := ReadTargets(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReadTargets of no file = %v", err)
	}
}

func TestHostHeaderLeavesOutTheSchemesPort(t *testing.T) {
	for want, target := range map[string]Target{
		"web.demo.test":      {Host: "web.demo.test", Port: 80, Scheme: HTTP},
		"web.demo.test:8080": {Host: "web.demo.test", Port: 8080, Scheme: HTTP},
		"web.demo.test:443":  {Host: "web.demo.test", Port: 443, Scheme: HTTP},
		"10.1.240.1":         {Host: "10.1.240.1", Port: 443, Scheme: HTTPS},
		"[2001:db8::1]:8080": {Host: "2001:db8::1", Port: 8080, Scheme: HTTP},
	} {
		if got := target.hostHeader(); got != want {
			t.Errorf("Host of %+v = %s, want %s", target, got, want)
		}
	}
}
