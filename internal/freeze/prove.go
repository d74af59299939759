package freeze

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/cluster"
)

// A Subject is somebody in whose name a write is tried.
type Subject struct {
	User   string
	Groups []string
}

// Person is the subject of a proof that needs no team's name: a user of Crossfade's
// own who may do everything, so that only a freeze can refuse.
var Person = Subject{User: "crossfade:proof", Groups: []string{"system:masters", "system:authenticated"}}

// A Trial is how often and where a write is tried.
type Trial struct {
	Subjects   []Subject
	Namespaces []string
	// Times is how often each subject tries in each namespace, each time on a
	// connection of its own: behind one address there may be several API servers.
	Times int
}

// An Outcome is how a tried write ended.
type Outcome string

// The outcomes. Unknown is anything but a clear answer, for example a refusal for
// another reason than the freeze.
const (
	Accepted Outcome = "Accepted"
	Refused  Outcome = "Refused"
	Unknown  Outcome = "Unknown"
)

// A Try is one tried write.
type Try struct {
	Subject   Subject
	Namespace string
	Outcome   Outcome
	// Sentence is what the refused person read. Err is set when the outcome is
	// Unknown.
	Sentence string
	Err      error
}

// A Proof is what a trial found.
type Proof struct{ Tries []Try }

// Refused is true if something was tried, and every try was refused by the freeze
// with the notice's own sentence.
func (p Proof) Refused() bool { return p.all(Refused) }

// Accepted is true if something was tried, and every try was accepted. A refusal
// proves a freeze only if the same trial was accepted before.
func (p Proof) Accepted() bool { return p.all(Accepted) }

func (p Proof) all(outcome Outcome) bool {
	for _, try := range p.Tries {
		if try.Outcome != outcome {
			return false
		}
	}
	return len(p.Tries) > 0
}

// Odd returns a sentence about the first try that did not end in the outcome, or
// nothing.
func (p Proof) Odd(outcome Outcome) string {
	for _, try := range p.Tries {
		switch {
		case try.Outcome == outcome:
		case try.Err != nil:
			return fmt.Sprintf("a write of %s in %s got no clear answer: %v", try.Subject.User, try.Namespace, try.Err)
		default:
			return fmt.Sprintf("a write of %s in %s was %s", try.Subject.User, try.Namespace, strings.ToLower(string(try.Outcome)))
		}
	}
	return ""
}

// Prove tries a write in each subject's name that would change nothing if it were
// accepted: a dry run. It does not wait and does not repeat what failed; the caller
// asks again until the proof is what it waits for, or its time is over. Every
// failure to ask is an Unknown in the proof.
func Prove(ctx context.Context, api cluster.API, n Notice, trial Trial) Proof {
	var found Proof
	for range trial.Times {
		for _, subject := range trial.Subjects {
			for _, namespace := range trial.Namespaces {
				found.Tries = append(found.Tries, try(ctx, api, n, subject, namespace))
			}
		}
	}
	return found
}

// Now returns the time on the API server's clock, to the second, as a dry run by the
// caller itself tells it: a freeze must let the caller pass, and the error says if it
// does not.
func Now(ctx context.Context, api cluster.API, namespace string) (time.Time, error) {
	tried := proof(namespace)
	if err := api.Create(ctx, tried, client.DryRunAll); err != nil {
		return time.Time{}, err
	}
	return tried.CreationTimestamp.Time, nil
}

func try(ctx context.Context, api cluster.API, n Notice, subject Subject, namespace string) Try {
	err := api.As(subject.User, subject.Groups...).Create(ctx, proof(namespace), client.DryRunAll)
	return outcome(n, subject, namespace, err)
}

// proof is what is tried to be written.
func proof(namespace string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "crossfade-proof"}}
}

// outcome judges the answer to a write. The sentence is part of the proof: it is
// what people will read, and what tells this refusal from any other 403.
func outcome(n Notice, subject Subject, namespace string, err error) Try {
	t := Try{Subject: subject, Namespace: namespace, Outcome: Unknown, Err: err}
	switch {
	case err == nil:
		t.Outcome = Accepted
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), n.Sentence()):
		t.Outcome, t.Sentence, t.Err = Refused, err.Error(), nil
	}
	return t
}
