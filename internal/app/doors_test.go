package app

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gocloud.dev/gcerrors"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/probe"
)

// counted answers every request, and counts them.
type counted int

func (c *counted) RoundTrip(*http.Request) (*http.Response, error) {
	*c++
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func TestNothingThatLastsIsSent(t *testing.T) {
	for _, test := range []struct {
		method, path, body string
		sent               bool
	}{
		{http.MethodGet, "/api/v1/namespaces", "", true},
		{http.MethodPost, "/api/v1/namespaces", "{}", false},
		{http.MethodPost, "/api/v1/namespaces?dryRun=All", "{}", true},
		{http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "{}", true},
		{http.MethodPut, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/crossfade", "{}", false},
		{http.MethodPatch, "/api/v1/namespaces/shop?fieldManager=crossfade", "{}", false},
		{http.MethodPatch, "/api/v1/namespaces/shop?dryRun=All&fieldManager=crossfade", "{}", true},
		{http.MethodDelete, "/api/v1/namespaces/shop", "", false},
		{http.MethodDelete, "/api/v1/namespaces/shop", `{"preconditions":{"uid":"u"}}`, false},
		{http.MethodDelete, "/api/v1/namespaces/shop", `{"dryRun":["All"]}`, true},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, "https://cluster"+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		var through counted
		response, err := harmlessly{&through}.RoundTrip(request)
		if err == nil {
			_ = response.Body.Close()
		}
		if sent := through == 1; sent != test.sent || sent == errors.Is(err, errLasting) {
			t.Errorf("%s %s %s: sent %v, %v", test.method, test.path, test.body, sent, err)
		}
	}
}

func TestABucketThatIsNotThereYetIsEmptyAndNotMade(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "journal")
	b, err := openAsItIs(t.Context(), "file://"+folder+"?create_dir=true&no_tmp_dir=true")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	if _, err := b.ReadAll(t.Context(), "any"); gcerrors.Code(err) != gcerrors.NotFound {
		t.Errorf("got %v, want not found", err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder: %v, want none", err)
	}
	if _, err := openAsItIs(t.Context(), "file://"+folder); err == nil {
		t.Error("a folder that is not to be made is taken for an empty bucket")
	}
}

// A dry run believes what the controller's judge said last, and passes nothing that
// nobody has judged.
func TestTheJudgeIsTheControllers(t *testing.T) {
	said := v1.Gate{Name: plan.GateComparison, Verdict: v1.Failed, Reason: v1.ErrorsWorse, Waived: "ann"}
	m := &v1.Migration{Status: v1.MigrationStatus{Gates: []v1.Gate{{Name: plan.GateArchive, Verdict: v1.Passed}, said}}}
	names := []probe.Name{{Host: "pay"}}
	said.Waived = "" // the engine waives again
	if gates, err := (remembered{}).Judge(t.Context(), m, names, time.Time{}); err != nil || len(gates) != 1 || gates[0] != said {
		t.Errorf("gates %+v, %v; want the controller's", gates, err)
	}
	m.Status.Gates = nil
	if gates, err := (remembered{}).Judge(t.Context(), m, names, time.Time{}); err != nil || len(gates) != 1 || gates[0].Verdict != v1.Held {
		t.Errorf("gates %+v, %v; want one that is held", gates, err)
	}
	gates, err := remembered{}.Judge(t.Context(), m, nil, time.Time{})
	for _, g := range gates {
		if g.Verdict != v1.Passed {
			t.Errorf("without a name, %+v", g)
		}
	}
	if err != nil || len(gates) == 0 {
		t.Errorf("without a name, %v, %v", gates, err)
	}
}
