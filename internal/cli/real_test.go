package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/config"
	"crossfade.dev/internal/controltest"
)

// TestRealHub holds the commands against a real API server: how the hub is reached,
// what it refuses, and that writes change nothing but what they are about.
func TestRealHub(t *testing.T) {
	restConfig := controltest.Start(t)
	api := controltest.New(t, restConfig)
	kubeconfig := controltest.Kubeconfig(t, map[string]*rest.Config{"hub": restConfig})
	line := func(args ...string) (code int, stdout, stderr string) {
		var out, err bytes.Buffer
		env := Env{
			Args: append([]string{"crossfade", "--kubeconfig", kubeconfig}, args...), Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err,
			Getenv: func(string) string { return "" }, Width: func() int { return 0 }, Now: time.Now,
		}
		code = Main(t.Context(), env, allCommands())
		return code, out.String(), err.String()
	}
	refused := func(want string, args ...string) {
		t.Helper()
		if code, stdout, stderr := line(args...); code != codeError || stdout != "" || stderr != "error: "+want+"\n" {
			t.Errorf("%s: got %d, %q and %q, want 2 and %q", strings.Join(args, " "), code, stdout, stderr, want)
		}
	}
	accepted := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := line(args...)
		if code != codeYes {
			t.Fatalf("%s: got %d and %q", strings.Join(args, " "), code, stderr)
		}
		return stdout
	}

	refused("the hub does not know Crossfade's kinds: apply config/crd to it, or choose another with --kubeconfig and --context", "status")
	refused(`--context "west": the kubeconfig has no context of that name; there are: hub`, "--context", "west", "status")
	furnish(t, api)

	refused("spec.shift.sharePercent: 120: should be less than or equal to 99", "run", "-f", manifestFile(t, "shift: {sharePercent: 120}"))
	refused("spec.dns.zone: the zone must lie below dns.parent", "run", "-f", manifestFile(t, dnsOf("live.other.test", 60)))
	refused(`spec.dns.zone: "Live.demo.test": write it in lower case and without the final dot`, "run", "-f", manifestFile(t, dnsOf("Live.demo.test", 60)))
	refused("spec.dns.ttlSeconds: 90000: should be less than or equal to 3600", "run", "-f", manifestFile(t, dnsOf("live.demo.test", 90000)))
	refused("spec.shift.maxTotalPercent: 50: should be greater than or equal to 100", "run", "-f", manifestFile(t, "shift: {maxTotalPercent: 50}"))
	refused("spec.freeze.maxMinutes: 0: should be greater than or equal to 1", "run", "-f", manifestFile(t, "freeze: {maxMinutes: 0}"))
	own := &v1.Migration{ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: defaultNamespace}, Spec: v1.MigrationSpec{Source: "east", Target: "east"}}
	if err := api.Create(t.Context(), own); err == nil || !strings.HasSuffix(err.Error(), "target: a cluster cannot be its own target") {
		t.Errorf("source and target are one: got %v", err)
	}
	refused("spec.dns.ttlSeconds: 0: should be greater than or equal to 1", "run", "-f", manifestFile(t, dnsOf("live.demo.test", 0)))
	refused(`spec.decisions[0].workload: "cart": should match '^[A-Za-z]+/[a-z0-9.*-]+/[a-z0-9.*-]+$'`,
		"run", "-f", manifestFile(t, "decisions: [{workload: cart, decide: Stay}]"))
	if code, _, _ := line("status", "demo"); code != codeNo {
		t.Errorf("after refusals there is a migration: exit code %d", code)
	}

	if text := accepted("run", "demo", "--source", "east", "--target", "west", "--dry-run=server", "-o", "yaml"); !strings.Contains(text, "sharePercent: 50") {
		t.Errorf("a dry run by the server does not show what it fills in:\n%s", text)
	}
	accepted("run", "demo", "--source", "east", "--target", "west", "--approval", "Release")
	accepted("hold", "demo", "--reason", "lunch")
	accepted("resume", "demo")
	accepted("approve", "demo", "Release")
	accepted("rollback", "demo", "--to", "Nothing")

	m := &v1.Migration{}
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: defaultNamespace, Name: "demo"}, m); err != nil {
		t.Fatal(err)
	}
	if m.Generation != 5 {
		t.Errorf("after five writes the generation is %d", m.Generation)
	}
	if len(m.Spec.Approved) != 1 || m.Spec.Approved[0].By == "" || m.Spec.Direction != v1.Back || m.Spec.BackTo != v1.Nothing || m.Spec.Hold != nil {
		t.Errorf("got %+v", m.Spec)
	}
	if text := accepted("status", "demo"); !strings.Contains(text, "back, all the way") {
		t.Errorf("got %s", text)
	}
	accepted("events", "demo")
}

// TestWhatTheWayBackNeedsCannotBeChanged holds the rules of the CRD against a real API
// server.
func TestWhatTheWayBackNeedsCannotBeChanged(t *testing.T) {
	api := controltest.New(t, controltest.Start(t))
	furnish(t, api)
	service := v1.DNSService{Servers: []string{"a:53"}, Names: []string{"ns"},
		RFC2136: v1.RFC2136{Server: "a:53", KeyName: "k", KeySecret: v1.SecretKey{Name: "s", Key: "key"}}}
	made := func(name string, dns *v1.DNS) *v1.Migration {
		m := &v1.Migration{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: defaultNamespace}, Spec: v1.MigrationSpec{
			Source: "east", Target: "west", Namespaces: []string{"shop", "pay"}, DNS: dns,
		}}
		if err := api.Create(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		return m
	}
	with := &v1.DNS{Zone: "live.demo.test", Parent: "demo.test", TTLSeconds: 60, Steps: []int32{100}, Old: service, New: service, ParentService: service}
	without := made("without", nil)
	m := made("with", with)
	for _, test := range []struct {
		name    string
		m       *v1.Migration
		change  func(*v1.MigrationSpec)
		refusal string // "" is none
	}{
		{"zone", m, func(s *v1.MigrationSpec) { s.DNS.Zone = "other.demo.test" }, "dns: zone, parent, ttlSeconds"},
		{"TTL", m, func(s *v1.MigrationSpec) { s.DNS.TTLSeconds = 30 }, "dns: zone, parent, ttlSeconds"},
		{"names of servers", m, func(s *v1.MigrationSpec) { s.DNS.New.Names = []string{"ns2"} }, "dns: zone, parent, ttlSeconds"},
		{"endpoint", m, func(s *v1.MigrationSpec) { s.DNS.Endpoint = &v1.Endpoint{Name: "api", Source: "1", Target: "2"} }, "dns: zone, parent, ttlSeconds"},
		{"no names any more", m, func(s *v1.MigrationSpec) { s.DNS = nil }, "dns: a migration cannot come to have names, or none"},
		{"names now", without, func(s *v1.MigrationSpec) { s.DNS = with }, "dns: a migration cannot come to have names, or none"},
		{"namespaces", m, func(s *v1.MigrationSpec) { s.Namespaces = []string{"shop"} }, "namespaces of a migration cannot be changed"},
		{"every namespace", m, func(s *v1.MigrationSpec) { s.Namespaces = nil }, "namespaces of a migration cannot be changed"},
		{"steps, servers and keys", m, func(s *v1.MigrationSpec) {
			s.DNS.Steps, s.DNS.Old.Servers, s.DNS.Old.RFC2136.KeyName = []int32{50, 100}, []string{"b:53"}, "new"
			s.Shift.SharePercent, s.Freeze.Contact = 30, "#night-shift"
		}, ""},
		{"a word to let go", m, func(s *v1.MigrationSpec) { s.Retire = &v1.Retire{By: "ann", At: metav1.NewTime(time.Unix(1e9, 0))} }, ""},
		{"another's word", m, func(s *v1.MigrationSpec) { s.Retire.By = "bob" }, "retire cannot be changed"},
		{"a later word", m, func(s *v1.MigrationSpec) { s.Retire = &v1.Retire{By: "bob", At: metav1.NewTime(time.Unix(2e9, 0))} }, ""},
		{"no word", m, func(s *v1.MigrationSpec) { s.Retire = nil }, ""},
	} {
		now := &v1.Migration{}
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(test.m), now); err != nil {
			t.Fatal(err)
		}
		test.change(&now.Spec)
		err := api.Update(t.Context(), now)
		if (err != nil) != (test.refusal != "") || err != nil && !strings.Contains(err.Error(), test.refusal) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.refusal)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	kubeconfig := controltest.Kubeconfig(t, map[string]*rest.Config{"hub": {Host: "https://127.0.0.1:1"}})
	var stderr bytes.Buffer
	env := Env{
		Args: []string{"crossfade", "--kubeconfig", kubeconfig, "status"}, Stdout: &stderr, Stderr: &stderr,
		Getenv: func(string) string { return "" }, Width: func() int { return 0 }, Now: time.Now,
	}
	if code := Main(t.Context(), env, Commands{}); code != codeError || stderr.String() != "error: 127.0.0.1:1 does not answer: connect: connection refused\n" {
		t.Errorf("got %d and %q", code, stderr.String())
	}
	for flag, want := range map[string]string{
		"/nowhere/kubeconfig": `error: --kubeconfig "/nowhere/kubeconfig": no such file or directory` + "\n",
		os.DevNull:            "error: --kubeconfig: no kubeconfig was found, neither by this flag nor by $KUBECONFIG nor in ~/.kube/config\n",
	} {
		stderr.Reset()
		env.Args[2] = flag
		if code := Main(t.Context(), env, Commands{}); code != codeError || stderr.String() != want {
			t.Errorf("%s: got %d and %q, want %q", flag, code, stderr.String(), want)
		}
	}
}

// furnish makes a hub of a cluster: our kinds, the namespace and two Clusters.
func furnish(t *testing.T, api controltest.API) {
	t.Helper()
	kinds, err := config.Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range kinds {
		if err := api.Create(t.Context(), crd); err != nil {
			t.Fatal(err)
		}
	}
	objects := []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: defaultNamespace}}}
	for _, name := range []string{"east", "west"} {
		objects = append(objects, &v1.Cluster{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: defaultNamespace},
			Spec:       v1.ClusterSpec{Kubeconfig: v1.SecretKey{Name: name, Key: "kubeconfig"}},
		})
	}
	for _, obj := range objects {
		until := time.Now().Add(30 * time.Second) // the server takes a moment to serve new kinds
		for {
			err := api.Create(t.Context(), obj)
			if err == nil {
				break
			}
			if time.Now().After(until) {
				t.Fatal(err)
			}
			if err := pause(t.Context(), 50*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// manifestFile writes a manifest of a Migration with something more in its spec.
func manifestFile(t *testing.T, more string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "demo.yaml")
	text := "{apiVersion: crossfade.dev/v1alpha1, kind: Migration, metadata: {name: demo}, spec: {source: east, target: west, " + more + "}}"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// dnsOf is a spec.dns with a zone below demo.test and a TTL.
func dnsOf(zone string, ttl int) string {
	service := "{servers: [a:53], names: [ns], rfc2136: {server: a:53, keyName: k, keySecret: {name: s, key: key}}}"
	text, err := yaml.Marshal(map[string]any{"zone": zone, "parent": "demo.test", "ttlSeconds": ttl})
	if err != nil {
		panic(err)
	}
	fields := strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", ", ")
	return "dns: {" + fields + ", old: " + service + ", new: " + service + ", parentService: " + service + "}"
}
