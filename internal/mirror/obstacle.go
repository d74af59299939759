package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	corev1 "k8s.io/api/core/v1"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// An obstacle is what stood in the way of a write.
type obstacle struct {
	text   string
	reason v1.Reason // Busy if nobody has to do anything
	pass   int       // in which it was met
	// digest is what was wanted when the API server refused it. The same is not
	// asked for again before until.
	digest string
	until  time.Time
}

// refusalHolds is how long a refusal by the API server is taken to last.
const refusalHolds = time.Minute

// passable is true if another attempt makes sense in this pass.
func (o *obstacle) passable(t *twin, pass int, now time.Time) bool {
	switch {
	case o.text == "":
		return true
	case o.digest != "" && o.digest == t.from.digest:
		return !now.Before(o.until)
	}
	return o.pass != pass
}

func (m *Mirror) obstruct(t *twin, reason v1.Reason, text string) {
	t.obstacle = &obstacle{text: text, reason: reason, pass: m.passes}
}

func (m *Mirror) refused(t *twin, text string) {
	t.obstacle = &obstacle{
		text: text, reason: v1.ObjectHeld, pass: m.passes,
		digest: t.from.digest, until: m.Clock.Now().Add(refusalHolds),
	}
}

// failed notes why a write failed. It returns the error if no further write may be
// tried in this pass: the cluster is not ours to write to, or the caller has ended.
func (m *Mirror) failed(t *twin, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cluster.ErrFenced), errors.Is(err, cluster.ErrReplaced),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case apierrors.IsTooManyRequests(err):
		m.pace.slower(err)
		m.obstruct(t, v1.Busy, "the API server asks to wait")
	case refusal(err):
		m.refused(t, "refused: "+m.speakable(t, err))
	default:
		// Conflicts, time-outs, and neighbours that are not there yet.
		m.obstruct(t, v1.Busy, m.speakable(t, err))
	}
	return nil
}

// refusal is true if the API server said no to this very object.
func refusal(err error) bool {
	if apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return false
	}
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) ||
		apierrors.IsRequestEntityTooLargeError(err) || apierrors.IsMethodNotSupported(err) || apierrors.IsNotAcceptable(err)
}

// speakable is an error without what a Secret holds: API servers repeat values that
// they refuse.
func (m *Mirror) speakable(t *twin, err error) string {
	if t.body == nil || t.body.GetKind() != "Secret" {
		return err.Error()
	}
	reason := apierrors.ReasonForError(err)
	if reason == metav1.StatusReasonUnknown {
		return "no answer"
	}
	var fields []string
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Details != nil {
		for _, cause := range status.Status().Details.Causes {
			fields = append(fields, fmt.Sprintf("%s (%s)", cause.Field, cause.Type))
		}
	}
	return strings.TrimSpace(string(reason) + " " + strings.Join(fields, ", "))
}
