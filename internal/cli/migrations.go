package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/spf13/cobra"

	v1 "crossfade.dev/api/v1alpha1"
)

// migrationLabel is on every Move and names its migration.
const migrationLabel = "crossfade.dev/migration"

// nameIn is the name that a command was given, empty if it was given none.
func nameIn(args []string) string { return cmp.Or(append(args, "")...) }

// pick returns the migration of that name or, without a name, the only one.
func (s *session) pick(ctx context.Context, c client.Reader, name string) (*v1.Migration, error) {
	if name == "" {
		return s.only(ctx, c)
	}
	m := &v1.Migration{}
	err := c.Get(ctx, client.ObjectKey{Namespace: s.hub().Namespace, Name: name}, m)
	if apierrors.IsNotFound(err) {
		return nil, no(fmt.Errorf("migration %q: there is none of that name in namespace %s%s", name, s.hub().Namespace, s.others(ctx, c)))
	}
	return m, err
}

// only returns the only migration that there is.
func (s *session) only(ctx context.Context, c client.Reader) (*v1.Migration, error) {
	all, err := s.list(ctx, c)
	if err != nil {
		return nil, err
	}
	switch len(all) {
	case 0:
		return nil, no(fmt.Errorf("there is no migration in namespace %s", s.hub().Namespace))
	case 1:
		return &all[0], nil
	default:
		return nil, fmt.Errorf("NAME: there are %d migrations, say which: %s", len(all), strings.Join(names(all), ", "))
	}
}

func (s *session) list(ctx context.Context, c client.Reader) ([]v1.Migration, error) {
	var all v1.MigrationList
	if err := c.List(ctx, &all, client.InNamespace(s.hub().Namespace)); err != nil {
		return nil, err
	}
	slices.SortFunc(all.Items, func(a, b v1.Migration) int { return strings.Compare(a.Name, b.Name) })
	return all.Items, nil
}

// others names the migrations that there are, for somebody who asked for another.
func (s *session) others(ctx context.Context, c client.Reader) string {
	all, err := s.list(ctx, c)
	if err != nil {
		return ""
	}
	return thereAre(names(all))
}

func names(all []v1.Migration) []string {
	var out []string
	for _, m := range all {
		out = append(out, m.Name)
	}
	return out
}

// movesOf returns the moves of a migration.
func (s *session) movesOf(ctx context.Context, c client.Reader, m *v1.Migration) ([]v1.Move, error) {
	var moves v1.MoveList
	err := c.List(ctx, &moves, client.InNamespace(m.Namespace), client.MatchingLabels{migrationLabel: m.Name})
	return moves.Items, err
}

func (s *session) freezesOf(ctx context.Context, c client.Reader, m *v1.Migration) ([]v1.Freeze, error) {
	var freezes v1.FreezeList
	err := c.List(ctx, &freezes, client.InNamespace(m.Namespace))
	return freezes.Items, err
}

// errUnchanged says that an object is as it is wanted already.
var errUnchanged = errors.New("unchanged")

// change brings a migration's spec to what edit makes of it, and writes nothing but
// the fields that edit changed. If someone else wrote meanwhile it looks again:
// edit may be called several times. It returns false if edit said errUnchanged.
func (s *session) change(ctx context.Context, c HubClient, m *v1.Migration, dry dryRun, edit func(*v1.Migration) error) (changed bool, err error) {
	key := client.ObjectKeyFromObject(m)
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := c.Get(ctx, key, m); err != nil {
			return err
		}
		before := m.DeepCopy()
		if err := edit(m); err != nil || dry == dryClient {
			return err
		}
		var opts []client.PatchOption
		if dry.asks() {
			opts = append(opts, client.DryRunAll)
		}
		return c.Patch(ctx, m, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), opts...)
	})
	if errors.Is(err, errUnchanged) {
		return false, nil
	}
	return err == nil, err
}

// whoever returns by or, if that is empty, who the hub says that this is.
func (s *session) whoever(ctx context.Context, c HubClient, by string) (string, error) {
	if by != "" {
		return by, nil
	}
	self := &authenticationv1.SelfSubjectReview{}
	if err := c.Create(ctx, self); err == nil && self.Status.UserInfo.Username != "" {
		return self.Status.UserInfo.Username, nil
	}
	if user := s.Getenv("USER"); user != "" {
		return user, nil
	}
	return "", errors.New("--by: say who you are; the hub does not")
}

// stageNamed reads a stage from an argument or a flag, in any case.
func stageNamed(what, text string, allowed []v1.Stage) (v1.Stage, error) {
	var known []string
	for _, stage := range allowed {
		if strings.EqualFold(text, string(stage)) {
			return stage, nil
		}
		known = append(known, string(stage))
	}
	return "", fmt.Errorf("%s %q: want %s", what, text, either(known))
}

// either lists what may be chosen: "a, b or c".
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func isStage(text string) bool {
	_, err := stageNamed("", text, v1.Stages)
	return err == nil
}

// completeNames offers the names of migrations to a shell, if the hub answers.
func (s *session) completeNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	c, err := s.connect()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	all, err := s.list(cmd.Context(), c)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names(all), cobra.ShellCompDirectiveNoFileComp
}
