// Package freeze refuses teams' changes in one cluster while its controllers go on
// working, and proves that it does.
//
// A freeze is one ValidatingAdmissionPolicy and its binding. It refuses by
// identity: every write to what teams own is refused, unless it comes from
// Kubernetes itself or from a user or group that the notice exempts. Members of
// system:masters are people, and are refused too. Reading, exec, logs, evictions,
// status and what clusters keep for themselves (events, leases, endpoints, nodes,
// reviews) are left alone. Admission never guards its own policies, so whoever
// administers the cluster can always lift a freeze.
//
// The objects are not the proof. API servers obey a policy some moments after it
// was written, each in its own time; Prove asks them.
package freeze

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/cluster"
)

// Marks on the policy and its binding.
const (
	managedByLabel = "app.kubernetes.io/managed-by"
	managedBy      = "crossfade"
	sideLabel      = "crossfade.dev/side"

	migrationAnnotation = "crossfade.dev/migration"
	sinceAnnotation     = "crossfade.dev/since"
	sentenceAnnotation  = "crossfade.dev/sentence"
)

// ErrForeign says that an object of the name that a freeze needs exists already and
// is not a freeze. It is left alone.
var ErrForeign = errors.New("the object was not made by crossfade")

// A Notice says what is frozen, for whom it is not, and what a refused person reads.
type Notice struct {
	// Migration is the name of the migration, at most one freeze a cluster each.
	Migration string
	// Side is what the frozen cluster is to the migration.
	Side v1.Side
	// Namespaces are those of the estate; none means every namespace except kube-*
	// and those in Except.
	Namespaces, Except []string
	// Reason, Contact and Advice make the sentence that a refused person reads.
	// Reason follows a colon ("its apps are moving to the cluster west"); Advice is
	// a sentence of its own, and may be empty.
	Reason, Contact, Advice string
	// Exempt are the users that may write: the engine's own, teams' controllers,
	// break-glass names. ExemptGroups are groups, for example
	// system:serviceaccounts:cert-manager.
	Exempt, ExemptGroups []string
	// Since is when the freeze began. A freeze that stands keeps its own.
	Since time.Time
}

// Sentence is what a refused person reads, in one line.
func (n Notice) Sentence() string {
	text := fmt.Sprintf("migration %s froze this cluster: %s; ask %s", n.Migration, n.Reason, n.Contact)
	if n.Advice != "" {
		text += ". " + n.Advice
	}
	return strings.Join(strings.Fields(text), " ")
}

// Close writes the freeze of a notice, or changes the one that stands to it. It may
// be repeated; one that stands as it should is not written. The freeze takes effect
// only when Prove says so.
func Close(ctx context.Context, api cluster.API, n Notice) error {
	// Without its binding a policy refuses nothing, so the policy comes first.
	if err := put(ctx, api, policy(n), &admissionv1.ValidatingAdmissionPolicy{}, samePolicy); err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	if err := put(ctx, api, binding(n), &admissionv1.ValidatingAdmissionPolicyBinding{}, sameBinding); err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	return nil
}

// Lift removes the freeze of a migration; one that does not stand is no error. It
// needs nothing but the cluster. API servers may refuse for some moments more.
func Lift(ctx context.Context, api cluster.API, migration string) error {
	name := nameOf(migration)
	if err := remove(ctx, api, name, &admissionv1.ValidatingAdmissionPolicyBinding{}); err != nil {
		return fmt.Errorf("lift the freeze of migration %s: %w", migration, err)
	}
	if err := remove(ctx, api, name, &admissionv1.ValidatingAdmissionPolicy{}); err != nil {
		return fmt.Errorf("lift the freeze of migration %s: %w", migration, err)
	}
	return nil
}

// Closed is true if the freeze of a migration stands in the cluster, as its objects
// say. Whether API servers obey it already, only Prove can tell.
func Closed(ctx context.Context, api cluster.API, migration string) (bool, error) {
	all, err := Standing(ctx, api)
	if err != nil {
		return false, err
	}
	for _, s := range all {
		if s.Migration == migration {
			return s.Bound, nil
		}
	}
	return false, nil
}

// A Freeze is what stands in a cluster, as its objects tell.
type Freeze struct {
	Migration string
	Side      v1.Side
	Since     time.Time
	Sentence  string
	// Bound is false while the policy stands alone and refuses nothing: a freeze
	// that was being closed or lifted when its engine stopped.
	Bound bool
}

// Standing lists the freezes in a cluster, by the name of their migration. It needs
// no hub, so a person can find and lift what an engine left behind.
func Standing(ctx context.Context, api cluster.API) ([]Freeze, error) {
	ours := client.MatchingLabels{managedByLabel: managedBy}
	var policies admissionv1.ValidatingAdmissionPolicyList
	if err := api.List(ctx, &policies, ours, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list freezes: %w", err)
	}
	var bindings admissionv1.ValidatingAdmissionPolicyBindingList
	if err := api.List(ctx, &bindings, ours, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list freezes: %w", err)
	}
	bound := map[string]bool{}
	for _, b := range bindings.Items {
		bound[b.Spec.PolicyName] = len(b.Spec.ValidationActions) == 1 && b.Spec.ValidationActions[0] == admissionv1.Deny
	}
	var out []Freeze
	for _, p := range policies.Items {
		migration, ok := p.Annotations[migrationAnnotation]
		if !ok {
			continue
		}
		since, _ := time.Parse(time.RFC3339Nano, p.Annotations[sinceAnnotation]) // unreadable: unknown
		out = append(out, Freeze{
			Migration: migration,
			Side:      v1.Side(p.Labels[sideLabel]),
			Since:     since,
			Sentence:  p.Annotations[sentenceAnnotation],
			Bound:     bound[p.Name],
		})
	}
	return out, nil
}

// put makes the object want, or changes the one of its name to it; have is an empty
// object of the same kind.
func put[T client.Object](ctx context.Context, api cluster.API, want, have T, same func(have, want T) bool) error {
	err := api.Get(ctx, client.ObjectKeyFromObject(want), have, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err):
		if err := api.Create(ctx, want); err != nil {
			return fmt.Errorf("create policy %s: %w", want.GetName(), err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("read policy %s: %w", want.GetName(), err)
	case have.GetLabels()[managedByLabel] != managedBy:
		return fmt.Errorf("policy %s: %w", want.GetName(), ErrForeign)
	}
	annotations := want.GetAnnotations()
	if since, ok := have.GetAnnotations()[sinceAnnotation]; ok {
		annotations[sinceAnnotation] = since
		want.SetAnnotations(annotations)
	}
	if same(have, want) && equality.Semantic.DeepEqual(have.GetLabels(), want.GetLabels()) &&
		equality.Semantic.DeepEqual(have.GetAnnotations(), annotations) {
		return nil
	}
	want.SetUID(have.GetUID())
	want.SetResourceVersion(have.GetResourceVersion())
	if err := api.Update(ctx, want); err != nil {
		return fmt.Errorf("change policy %s: %w", want.GetName(), err)
	}
	return nil
}

func remove(ctx context.Context, api cluster.API, name string, obj client.Object) error {
	err := api.Get(ctx, client.ObjectKey{Name: name}, obj)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("read policy %s: %w", name, err)
	case obj.GetLabels()[managedByLabel] != managedBy:
		return fmt.Errorf("policy %s: %w", name, ErrForeign)
	}
	uid, version := obj.GetUID(), obj.GetResourceVersion()
	as := client.Preconditions(metav1.Preconditions{UID: &uid, ResourceVersion: &version})
	if err := api.Delete(ctx, obj, as); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete policy %s: %w", name, err)
	}
	return nil
}
