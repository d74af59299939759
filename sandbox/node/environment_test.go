package node

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// found is a lookup in a map from name to content.
func found(objects map[string]map[string][]byte) lookup {
	return func(_ context.Context, namespace, name string) (map[string][]byte, error) {
		if data, ok := objects[name]; ok {
			return data, nil
		}
		return nil, errMissing{reference{"configmap", namespace, name}}
	}
}

var sources = environment{
	configMap: found(map[string]map[string][]byte{"cm": {"A": []byte("1"), "not a name": []byte("2"), "B": []byte("3")}}),
	secret:    found(map[string]map[string][]byte{"s": {"password": []byte("p")}}),
	own:       map[string]string{"HOME": "/h", "A": "own"},
}

var podOfTests = &corev1.Pod{
	ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-0", Labels: map[string]string{"app": "web"}, UID: "u1"},
	Spec:       corev1.PodSpec{NodeName: "n1", ServiceAccountName: "robot"},
	Status:     corev1.PodStatus{PodIP: "10.1.1.7", HostIP: "10.1.0.2"},
}

func TestVariables(t *testing.T) {
	field := func(name, path string) corev1.EnvVar {
		return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
	}
	ref := corev1.LocalObjectReference{Name: "cm"}
	c := &corev1.Container{
		EnvFrom: []corev1.EnvFromSource{
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: ref}},
			{Prefix: "X_", SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}}},
			{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Optional: new(true)}},
		},
		Env: []corev1.EnvVar{
			{Name: "B", Value: "own $(A) $(LATER) $$(A)"},
			{Name: "LATER", Value: "x"},
			field("POD", "metadata.name"), field("IP", "status.podIP"), field("NODE", "spec.nodeName"), field("APP", "metadata.labels['app']"),
			{Name: "KEY", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: ref, Key: "A"}}},
			{Name: "GONE", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: ref, Key: "Z", Optional: new(true)}}},
			{Name: "CPU", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
		},
		Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m")}},
	}
	got, err := sources.variables(context.Background(), podOfTests, c)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"HOME": "/h", "A": "1", "B": "own 1 $(LATER) $(A)", "LATER": "x", "X_password": "p",
		"POD": "web-0", "IP": "10.1.1.7", "NODE": "n1", "APP": "web", "KEY": "1", "CPU": "2",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if sources.own["A"] != "own" {
		t.Error("the variables of the node were changed")
	}
}

func TestMissingReferencesAreErrors(t *testing.T) {
	none := corev1.LocalObjectReference{Name: "none"}
	for name, c := range map[string]*corev1.Container{
		"envFrom": {EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: none}}}},
		"object":  {Env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: none, Key: "k"}}}}},
		"key": {Env: []corev1.EnvVar{{Name: "A", ValueFrom: &corev1.EnvVarSource{
			ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}, Key: "Z"}}}}},
	} {
		if _, err := sources.variables(context.Background(), podOfTests, c); !errors.As(err, new(errMissing)) {
			t.Errorf("%s: error is %v, want errMissing", name, err)
		}
	}
}

func TestRelocate(t *testing.T) {
	mounts := []mount{{"/etc/app/tls", "/d/tls"}, {"/etc/app", "/d/app"}, {"/data", "/d/data"}}
	for in, want := range map[string]string{
		"/data":               "/d/data",
		"/data/x/y":           "/d/data/x/y",
		"/database":           "/database",
		"/etc/app/tls/ca.crt": "/d/tls/ca.crt",
		"/etc/app/a.yaml":     "/d/app/a.yaml",
		"--config=/etc/app/a": "--config=/d/app/a",
		"A=/data":             "A=/data",
		"see /data":           "see /data",
		"":                    "",
	} {
		if got := relocate(in, mounts); got != want {
			t.Errorf("relocate(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestVolumesAreFoldersOfFiles(t *testing.T) {
	dir := t.TempDir()
	v := volumes{environment: sources, hostPaths: filepath.Join(dir, "host"), claimFolder: func(namespace, name string) string {
		return filepath.Join(dir, "claims", namespace, name)
	}}
	pod := podOfTests.DeepCopy()
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "conf", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}, Items: []corev1.KeyToPath{{Key: "A", Path: "sub/a.txt"}}}}},
		{Name: "info", VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
			Items: []corev1.DownwardAPIVolumeFile{{Path: "name", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.name"}}}}}},
		{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}}},
		{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	if err := v.check(context.Background(), pod); err != nil {
		t.Fatal(err)
	}
	folders, err := v.make(context.Background(), pod, filepath.Join(dir, "volumes"))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "claims", "shop", "c"); folders["data"] != want {
		t.Errorf("the claim is at %s, want %s", folders["data"], want)
	}
	c := &corev1.Container{VolumeMounts: []corev1.VolumeMount{
		{Name: "conf", MountPath: "/etc/app/"}, {Name: "conf", MountPath: "/one", SubPath: "sub/a.txt"},
		{Name: "info", MountPath: "/info"}, {Name: "tmp", MountPath: "/tmp"},
	}}
	root := filepath.Join(dir, "root")
	mounted, err := mounts(c, folders, root)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/etc/app/sub/a.txt": "1", "/one": "1", "/info/name": "web-0"} {
		for _, at := range []string{filepath.Join(root, path), relocate(path, mounted)} {
			if got, err := os.ReadFile(at); err != nil || string(got) != want {
				t.Errorf("%s: %q, %v; want %q", at, got, err, want)
			}
		}
	}

	// While the API server is away, what was written before serves a restart.
	away := v
	away.configMap = func(context.Context, string, string) (map[string][]byte, error) { return nil, syscall.ECONNREFUSED }
	if again, err := away.make(context.Background(), pod, filepath.Join(dir, "volumes")); err != nil || !maps.Equal(again, folders) {
		t.Errorf("for a restart without the API server: %v, %v; want %v", again, err, folders)
	}
	if _, err := away.make(context.Background(), pod, filepath.Join(dir, "others")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("for a first start without the API server: %v, want that it is away", err)
	}
	pod.Spec.Volumes[0].ConfigMap.Name = "none"
	if _, err := v.make(context.Background(), pod, filepath.Join(dir, "volumes")); !errors.As(err, new(errMissing)) {
		t.Errorf("for a restart whose ConfigMap is gone: %v, want errMissing", err)
	}
	if err := v.check(context.Background(), pod); !errors.As(err, new(errMissing)) {
		t.Errorf("a volume of a missing ConfigMap: %v, want errMissing", err)
	}
}

func TestImagesAreFoundWithAndWithoutTag(t *testing.T) {
	table := images{
		"reg:5000/a": {Command: []string{"/bin/a"}, Args: []string{"serve"}, Paths: map[string]string{"/probe": "/bin/probe"}},
		"b:v1":       {Command: []string{"/bin/b"}},
	}
	for name, want := range map[string]bool{
		"reg:5000/a": true, "reg:5000/a:v2": true, "reg:5000/a@sha256:00": true, "reg:5000/a:v2@sha256:00": true,
		"b:v1": true, "b:v2": false, "b": false, "reg:5000/b": false,
	} {
		if _, ok := table.find(name); ok != want {
			t.Errorf("find(%q) = %v, want %v", name, ok, want)
		}
	}
	a := table["reg:5000/a"]
	for _, tt := range []struct{ command, args, want string }{
		{"", "", "/bin/a serve"}, {"", "x y", "/bin/a x y"}, {"/app/a", "x", "/bin/a x"}, {"/probe -v", "", "/bin/probe -v"}, {"sh -c", "x", "sh -c x"},
	} {
		c := &corev1.Container{Command: strings.Fields(tt.command), Args: strings.Fields(tt.args)}
		if got := strings.Join(a.argv(c), " "); got != tt.want {
			t.Errorf("command %q, args %q: runs %q, want %q", tt.command, tt.args, got, tt.want)
		}
	}
}

func TestReadImages(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "images.yaml")
	for content, want := range map[string]string{
		"a: {command: [./bin/a], args: [x]}": "",
		"a: {command: []}":                   "has no command",
		"a: {cmd: [x]}":                      `unknown field "cmd"`,
		"[":                                  "read table of images",
	} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		table, err := readImages(file)
		if want == "" && (err != nil || table["a"].Command[0] != filepath.Join(dir, "bin/a")) {
			t.Errorf("%s: %v, %v", content, table, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", content, err, want)
		}
	}
}

func TestAddressesAreReusedAsLateAsPossible(t *testing.T) {
	a := newAddresses(netip.MustParseAddr("10.1.1.0"), netip.MustParseAddr("10.1.1.3"))
	take := func() string {
		ip, err := a.take()
		if err != nil {
			return err.Error()
		}
		return ip.String()
	}
	if !a.keep(netip.MustParseAddr("10.1.1.1")) || a.keep(netip.MustParseAddr("10.1.1.1")) || a.keep(netip.MustParseAddr("10.1.2.1")) {
		t.Error("keep must take an address of the range once")
	}
	got := []string{take()}
	a.release(netip.MustParseAddr("10.1.1.1"))
	got = append(got, take(), take(), take(), take())
	want := []string{"10.1.1.2", "10.1.1.3", "10.1.1.0", "10.1.1.1", errNoAddress.Error()}
	if !slices.Equal(got, want) {
		t.Errorf("took %v, want %v", got, want)
	}
}

func TestTally(t *testing.T) {
	for _, tt := range []struct {
		results          string
		success, failure int32
		passed           bool
		want             string // verdict after each result
	}{
		{"++", 1, 3, false, "yy"},
		{"--+--+---", 1, 3, true, "yyyyyyyyn"},
		{"+-++", 2, 1, false, "nnny"},
		{"---+", 1, 1, true, "nnny"},
	} {
		tl := newTally(&corev1.Probe{SuccessThreshold: tt.success, FailureThreshold: tt.failure}, tt.passed)
		got := ""
		for _, r := range tt.results {
			tl.observe(r == '+')
			got += map[bool]string{true: "y", false: "n"}[tl.passed]
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.results, got, tt.want)
		}
	}
}

func TestBackoffForgivesALongRun(t *testing.T) {
	b := backoff{base: time.Second, limit: 4 * time.Second}
	var got []time.Duration
	for _, ran := range []time.Duration{0, 0, 0, 0, 0, time.Minute, 0} {
		got = append(got, b.after(ran))
	}
	want := []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second, 0, time.Second}
	if !slices.Equal(got, want) {
		t.Errorf("pauses are %v, want %v", got, want)
	}
}

func TestLogbookKeepsTheLastLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b := newLogbook(func() time.Time { return at }, 3, path)
	for _, piece := range []string{"one\ntw", "o\nthree\nfour\n", "rest"} {
		if _, err := b.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	text := func(lines []logLine) string {
		all := make([]string, len(lines))
		for i, l := range lines {
			all[i] = l.text
		}
		return strings.Join(all, ",")
	}
	lines, next, more := b.from(0)
	if text(lines) != "two,three,four" {
		t.Errorf("kept %s", text(lines))
	}
	b.close()
	select {
	case <-more:
	default:
		t.Error("who follows was not told of the end")
	}
	if lines, _, more = b.from(next); text(lines) != "rest" || more != nil {
		t.Errorf("after the end: %s, %v", text(lines), more)
	}
	content, err := os.ReadFile(path)
	if want := "2026-01-02T03:04:05Z one\n"; err != nil || !strings.HasPrefix(string(content), want) || strings.Count(string(content), "\n") != 5 {
		t.Errorf("the file has %q, %v", content, err)
	}
}
