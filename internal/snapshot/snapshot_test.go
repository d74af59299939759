package snapshot_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/blobtest"
	"crossfade.dev/internal/cluster/memory"
	"crossfade.dev/internal/snapshot"
)

func open(t *testing.T, store *blobtest.Store, k ...keys) *snapshot.Archive {
	t.Helper()
	var a *snapshot.Archive
	var err error
	if len(k) > 0 {
		a, err = snapshot.Open(t.Context(), store.Bucket(), "a", k[0].identity)
	} else {
		a, err = snapshot.Open(t.Context(), store.Bucket(), "a")
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestManifestSaysWhatIsInTheArchive(t *testing.T) {
	store, k := blobtest.New(), newKeys(t)
	source, m := take(t, store, k.recipient)
	counts := map[string]int{}
	total := 0
	for _, file := range m.Files {
		counts[file.Kind] = file.Objects
		total += file.Objects
		if got := len(store.Files()["a/"+file.Name]); int64(got) != file.Bytes {
			t.Errorf("%s has %d bytes, the manifest says %d", file.Name, got, file.Bytes)
		}
	}
	want := map[string]int{
		"CustomResourceDefinition": 1, "Namespace": 2, "ClusterRole": 1, "RoleBinding": 1, "ServiceAccount": 3, "Secret": 1,
		"ConfigMap": 3, "Service": 2, "EndpointSlice": 1, "NetworkPolicy": 1, "Show": 1, "Deployment": 1, "StatefulSet": 1,
		"DaemonSet": 1, "PodDisruptionBudget": 1, "HorizontalPodAutoscaler": 1, "CronJob": 1,
	}
	if !maps.Equal(counts, want) {
		t.Errorf("got  %v\nwant %v", counts, want)
	}
	if m.Objects != total || m.Cluster != source.UID() || m.Version != "v1.36.3" || !m.Began.Equal(start) || m.Secrets != snapshot.Encrypted {
		t.Errorf("got %+v", m)
	}
	if len(m.LeftOut) != 1 || m.LeftOut[0].Kind != "Pod" || !slices.Equal(m.LeftOut[0].Examples, []string{"video/by-hand"}) {
		t.Errorf("left out: %+v", m.LeftOut)
	}
	var order []string
	for _, file := range m.Files {
		order = append(order, file.Kind)
	}
	for _, pair := range [][2]string{{"CustomResourceDefinition", "Namespace"}, {"Namespace", "ServiceAccount"}, {"Secret", "Deployment"}, {"Service", "Deployment"}, {"Show", "Deployment"}, {"Deployment", "HorizontalPodAutoscaler"}} {
		if slices.Index(order, pair[0]) > slices.Index(order, pair[1]) {
			t.Errorf("%s comes after %s in %v", pair[0], pair[1], order)
		}
	}
}

func TestWhatWasArchivedComesBack(t *testing.T) {
	for _, workers := range []int{1, 8} {
		store, k := blobtest.New(), newKeys(t)
		_, m := take(t, store, k.recipient)
		target := newCluster(2)
		a := open(t, store, k)
		result, err := snapshot.Restore(t.Context(), target, a, into(workers))
		if err != nil || len(result.Refused)+len(result.Unread) > 0 || result.Created+result.Found != m.Objects {
			t.Fatalf("got %+v, %v; want %d objects", result, err, m.Objects)
		}
		if len(result.Ownerless) != 1 || result.Ownerless[0].Name != "of-the-lease" {
			t.Errorf("without owner: %v", result.Ownerless)
		}
		differences, err := snapshot.Compare(t.Context(), target, a, inEstate)
		if err != nil {
			t.Fatal(err)
		}
		if len(differences) != 1 || differences[0].Name != "of-the-lease" || !strings.Contains(differences[0].String(), "metadata.ownerReferences") {
			t.Errorf("differences: %v", differences)
		}
		asleep(t, target)
		var show, ofShow unstructured.Unstructured
		show.SetAPIVersion("media.example/v1")
		show.SetKind("Show")
		ofShow.SetAPIVersion("v1")
		ofShow.SetKind("ConfigMap")
		mustGet(t, target, "video/news", &show)
		mustGet(t, target, "video/of-the-show", &ofShow)
		if owners := ofShow.GetOwnerReferences(); len(owners) != 1 || owners[0].UID != show.GetUID() {
			t.Errorf("the show has UID %s, its ConfigMap is owned by %v", show.GetUID(), owners)
		}

		again, err := snapshot.Restore(t.Context(), target, a, into(workers))
		if err != nil || again.Created != 0 || again.Found != m.Objects {
			t.Errorf("again: %+v, %v", again, err)
		}
	}
}

func mustGet(t *testing.T, c snapshot.Cluster, name string, obj client.Object) {
	t.Helper()
	namespace, name, _ := strings.Cut(name, "/")
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, obj); err != nil {
		t.Fatal(err)
	}
}

// asleep fails unless what was restored runs nothing.
func asleep(t *testing.T, c snapshot.Cluster) {
	t.Helper()
	var d appsv1.Deployment
	var s appsv1.StatefulSet
	var ds appsv1.DaemonSet
	var cj batchv1.CronJob
	mustGet(t, c, "shop/web", &d)
	mustGet(t, c, "shop/store", &s)
	mustGet(t, c, "video/agent", &ds)
	mustGet(t, c, "video/nightly", &cj)
	if *d.Spec.Replicas != 0 || *s.Spec.Replicas != 0 || !*cj.Spec.Suspend || ds.Spec.Template.Spec.NodeSelector["crossfade.dev/asleep"] == "" {
		t.Errorf("awake: %d and %d replicas, suspended %v, nodes %v", *d.Spec.Replicas, *s.Spec.Replicas, *cj.Spec.Suspend, ds.Spec.Template.Spec.NodeSelector)
	}
	var pods corev1.PodList
	if err := c.List(t.Context(), &pods, client.InNamespace("shop")); err != nil || len(pods.Items) > 0 {
		t.Errorf("%d pods, %v", len(pods.Items), err)
	}
}

func TestSecretsAreReadByRecipientsOnly(t *testing.T) {
	k := newKeys(t)
	tests := []struct {
		name       string
		encrypted  bool
		identities []keys
		restored   bool
		fails      bool
	}{
		{"with an identity", true, []keys{k}, true, false},
		{"without one", true, nil, false, false},
		{"with somebody else's", true, []keys{newKeys(t)}, false, true},
		{"taken without recipients", false, []keys{k}, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			store := blobtest.New()
			if test.encrypted {
				take(t, store, k.recipient)
			} else {
				take(t, store)
			}
			target := newCluster(2)
			result, err := snapshot.Restore(t.Context(), target, open(t, store, test.identities...), into(1))
			if (err != nil) != test.fails {
				t.Fatal(err)
			}
			if err == nil && (len(result.Unread) == 0) != test.restored {
				t.Errorf("unread: %v", result.Unread)
			}
			var secret corev1.Secret
			err = target.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "password"}, &secret)
			if (err == nil) != test.restored || test.restored && string(secret.Data["password"]) != "hunter2" {
				t.Errorf("got %v, %v", secret.Data, err)
			}
			for name, data := range store.Files() {
				if strings.Contains(unpacked(t, name, data), "hunter2") || strings.Contains(unpacked(t, name, data), "aHVudGVyMg") {
					t.Errorf("%s shows the password", name)
				}
			}
		})
	}
}

func TestADamagedArchiveIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	k := newKeys(t)
	damage := map[string]func([]byte) []byte{
		"cut short":      func(data []byte) []byte { return data[:len(data)-1] },
		"a bit flipped":  func(data []byte) []byte { data[len(data)/2] ^= 1; return data },
		"bytes appended": func(data []byte) []byte { return append(data, 0) },
		"gone":           func([]byte) []byte { return nil },
	}
	store := blobtest.New()
	take(t, store, k.recipient)
	whole := store.Files()
	for how, change := range damage {
		for name, data := range whole {
			if strings.HasSuffix(name, "manifest.json") {
				continue
			}
			store.Put(name, change(slices.Clone(data)))
			target := newCluster(2)
			_, err := snapshot.Restore(t.Context(), target, open(t, store, k), into(1))
			if !errors.Is(err, snapshot.ErrDamaged) {
				t.Errorf("%s, %s: got %v, want %v", name, how, err, snapshot.ErrDamaged)
			}
			if err := target.Get(t.Context(), client.ObjectKey{Name: "shop"}, &corev1.Namespace{}); err == nil {
				t.Errorf("%s, %s: something was written", name, how)
			}
			store.Put(name, data)
		}
	}
	a := open(t, store, k)
	a.Files[0].Objects++
	if _, err := snapshot.Compare(t.Context(), newCluster(2), a, inEstate); !errors.Is(err, snapshot.ErrDamaged) {
		t.Errorf("an object fewer than the manifest says: %v, want %v", err, snapshot.ErrDamaged)
	}
	store.Put("a/manifest.json", nil)
	if _, err := snapshot.Open(t.Context(), store.Bucket(), "a"); !errors.Is(err, snapshot.ErrNoArchive) {
		t.Errorf("without a manifest: %v, want %v", err, snapshot.ErrNoArchive)
	}
	store.Put("a/manifest.json", []byte(`{"format":"other"}`))
	if _, err := snapshot.Open(t.Context(), store.Bucket(), "a"); err == nil {
		t.Error("another format was opened")
	}
}

func TestTakingCutShortLeavesNoArchive(t *testing.T) {
	source := newCluster(1)
	furnish(t, source)
	for cut := 1; ; cut++ {
		store, writes := blobtest.New(), 0
		store.SetFaults(func(op blobtest.Op) blobtest.Fault {
			if op.Verb == "write" {
				if writes++; writes == cut {
					return blobtest.Fault{Before: blobtest.ErrInjected}
				}
			}
			return blobtest.Fault{}
		})
		_, err := snapshot.Take(t.Context(), source, store.Bucket(), options())
		if writes < cut {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		if err == nil {
			t.Errorf("write %d failed, and nobody says so", cut)
		}
		store.SetFaults(nil)
		if _, err := snapshot.Open(t.Context(), store.Bucket(), "a"); !errors.Is(err, snapshot.ErrNoArchive) {
			t.Errorf("write %d failed: opening the archive: %v", cut, err)
		}
	}
}

func TestTakingFailsWhenAListDoes(t *testing.T) {
	source, store := newCluster(1), blobtest.New()
	furnish(t, source)
	source.SetFaults(func(op memory.Op) memory.Fault {
		if op.Verb == "list" && op.Kind.Kind == "Deployment" {
			return memory.TimedOut(op)
		}
		return memory.Fault{}
	})
	if _, err := snapshot.Take(t.Context(), source, store.Bucket(), options()); err == nil || !strings.Contains(err.Error(), "Deployment.apps: list") {
		t.Errorf("got %v", err)
	}
}

func TestCompareNamesEveryDifference(t *testing.T) {
	store, k := blobtest.New(), newKeys(t)
	source, _ := take(t, store, k.recipient)
	a := open(t, store, k)
	if found, err := snapshot.Compare(t.Context(), source, a, inEstate); err != nil || len(found) > 0 {
		t.Fatalf("the source itself: %v, %v", found, err)
	}
	team := source.As("team")
	var settings corev1.ConfigMap
	var secret corev1.Secret
	var web corev1.Service
	var d appsv1.Deployment
	mustGet(t, source, "shop/settings", &settings)
	mustGet(t, source, "shop/password", &secret)
	mustGet(t, source, "shop/web", &web)
	mustGet(t, source, "shop/web", &d)
	settings.Data["text"] = "other"
	secret.Data["password"] = []byte("hunter3")
	d.Spec.Replicas = new(int32(7)) // how much runs is no difference
	for _, obj := range []client.Object{&settings, &secret, &d} {
		if err := team.Update(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
	if err := team.Delete(t.Context(), &web, client.Preconditions{UID: &web.UID}); err != nil {
		t.Fatal(err)
	}
	if err := team.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "new"}}); err != nil {
		t.Fatal(err)
	}
	found, err := snapshot.Compare(t.Context(), source, a, inEstate)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range found {
		got = append(got, d.String())
	}
	want := []string{
		`Secret shop/password differs: data.password: (14 bytes) -> (14 bytes)`,
		`ConfigMap shop/settings differs: data.text: "line\nline" -> "other"`,
		`ConfigMap shop/new is in the cluster and not in the archive`,
		`Service shop/web is in the archive and not in the cluster`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestRestoreOverwritesNothing(t *testing.T) {
	store, k := blobtest.New(), newKeys(t)
	source, _ := take(t, store, k.recipient)
	a := open(t, store, k)
	if _, err := snapshot.Restore(t.Context(), source, a, into(1)); !errors.Is(err, snapshot.ErrOwnSource) {
		t.Errorf("into its own source: %v", err)
	}
	target := newCluster(2)
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "settings"}, Data: map[string]string{"text": "theirs"}}
	if err := target.Seed(theirs); err != nil {
		t.Fatal(err)
	}
	for name, act := range map[string]func() error{
		"restore":  func() error { _, err := snapshot.Restore(t.Context(), target, a, into(1)); return err },
		"rehearse": func() error { _, err := rehearsed(t.Context(), target, a, into(1)); return err },
	} {
		if err := act(); !errors.Is(err, snapshot.ErrOccupied) {
			t.Errorf("%s: %v, want %v", name, err, snapshot.ErrOccupied)
		}
		var have corev1.ConfigMap
		mustGet(t, target, "shop/settings", &have)
		if have.Data["text"] != "theirs" {
			t.Errorf("%s changed what was there", name)
		}
	}
}

func TestRefusedObjectsAreNamed(t *testing.T) {
	store, k := blobtest.New(), newKeys(t)
	take(t, store, k.recipient)
	target := newCluster(2)
	clock := clocktesting.NewFakePassiveClock(start)
	target.SetFaults(alive(target, clock, func(op memory.Op) memory.Fault {
		if op.Verb == "create" && op.Kind.Kind == "Deployment" {
			return memory.Fault{Before: forbidden(op)}
		}
		return memory.Fault{}
	}))
	result, err := rehearsed(t.Context(), target, open(t, store, k), into(1))
	if err != nil || result.Proved() || len(result.Refused) != 1 || result.Refused[0].Name != "web" {
		t.Fatalf("got %+v, %v", result, err)
	}
	if problems := result.Problems(); !strings.HasPrefix(problems[0], "Deployment.apps shop/web was refused: ") {
		t.Errorf("got %q", problems)
	}
}
