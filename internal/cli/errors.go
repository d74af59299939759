package cli

import (
	"errors"
	"net"
	"net/url"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sentence is an error as a person reads it: one line, without the API server's
// wrapping.
func sentence(err error) string {
	text := err.Error()
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Reason == metav1.StatusReasonInvalid {
		if causes := invalid(status.Status()); causes != "" {
			return causes
		}
	}
	var unreachable *url.Error
	switch {
	case meta.IsNoMatchError(err):
		text = "the hub does not know Crossfade's kinds: apply config/crd to it, or choose another with --kubeconfig and --context"
	case apierrors.IsUnauthorized(err):
		text = "the hub does not accept the credentials of this context"
	case errors.As(err, &unreachable):
		text = unanswered(unreachable)
	}
	return misspelt(strings.Join(strings.Fields(text), " "))
}

// unanswered says which server did not answer, and why.
func unanswered(err *url.Error) string {
	host := err.URL
	if u, parseErr := url.Parse(err.URL); parseErr == nil {
		host = u.Host
	}
	why := err.Err.Error()
	var op *net.OpError
	if errors.As(err.Err, &op) {
		why = op.Err.Error()
	}
	if err.Timeout() {
		why = "timed out"
	}
	return host + " does not answer: " + why
}

// invalid is what an API server says about an object that breaks the rules of its
// kind: the fields with what is wrong about each.
func invalid(s metav1.Status) string {
	if s.Details == nil {
		return ""
	}
	var said []string
	for _, cause := range s.Details.Causes {
		said = append(said, causeOf(cause.Field, cause.Message))
	}
	return strings.Join(said, "; ")
}

var (
	// valueWords come before the value that is wrong; a value that is a whole object
	// is quoted as one of objectWords, or left out.
	valueWords  = regexp.MustCompile(`^(?:Invalid value|Unsupported value): `)
	objectWords = regexp.MustCompile(`^(?:"object"|"array"|\{.*\}|\[.*\]|null): `)
	// ownField is how a rule of ours names the field that it is about.
	ownField = regexp.MustCompile(`^[a-z][A-Za-z]*(?:\.[a-z][A-Za-z]*)*: `)
)

// causeOf turns "spec.shift.sharePercent" and "Invalid value: 120:
// spec.shift.sharePercent in body should be less than or equal to 99" into
// "spec.shift.sharePercent: 120: should be less than or equal to 99". A rule of
// ours names its field itself.
func causeOf(field, message string) string {
	text := valueWords.ReplaceAllString(strings.ReplaceAll(message, field+" in body ", ""), "")
	text = objectWords.ReplaceAllString(text, "")
	if ownField.MatchString(text) && !strings.HasPrefix(text, "true: ") && !strings.HasPrefix(text, "false: ") {
		return joinField(field, text)
	}
	return field + ": " + text
}

// joinField puts "target: a cluster …" under the field that the rule stands at:
// "spec.target: a cluster …".
func joinField(field, rest string) string {
	last := field[strings.LastIndex(field, ".")+1:]
	if rest = strings.TrimPrefix(rest, last+"."); field == "" || field == "<nil>" {
		return rest
	}
	return field + "." + rest
}

// keyBytes matches where an error of client-go prints a whole list of a kubeconfig,
// keys included.
var keyBytes = regexp.MustCompile(`(?s)( in list:)? *\[\{.*`)

// WithoutKeys is an error about a kubeconfig that is fit to be shown: client-go prints
// all users, with their private keys, when two of them have one name.
func WithoutKeys(err error) error {
	text := err.Error()
	if short := keyBytes.ReplaceAllString(text, ""); short != text {
		return errors.New(short)
	}
	return err
}
