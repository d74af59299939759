package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

func (s *session) approve() *cobra.Command {
	var w stepping
	var by string
	cmd := &cobra.Command{
		Use:   "approve [NAME] [STAGE]",
		Short: "Let a stage begin that waits for a person",
		Long: `Lets a stage begin that waits for a person (spec.approval lists those that do).
Without a STAGE it is the one that waits now; any other may be approved ahead.`,
		Example: "  crossfade approve shop Release\n  crossfade approve shop\n  crossfade approve shop --dry-run=step",
		Args:    nameAndStage,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return words(v1.Stages), cobra.ShellCompDirectiveNoFileComp
			}
			return s.completeNames(cmd, args, text)
		},
	}
	w.register(s, cmd)
	cmd.Flags().StringVar(&by, "by", "", "Who approves (who the hub says that you are, if empty)")
	cmd.RunE = s.withHub(func(ctx context.Context, c HubClient, args []string) error {
		name, stageText := approveArgs(args)
		m, err := s.pick(ctx, c, name)
		if err != nil {
			return err
		}
		stage, err := stageToApprove(m, stageText)
		if err != nil {
			return err
		}
		by, err := s.whoever(ctx, c, by)
		if err != nil {
			return err
		}
		return s.giveApproval(ctx, c, m, v1.Approval{Stage: stage, By: by, At: metav1.NewTime(s.Now())}, w)
	})
	return cmd
}

// nameAndStage refuses a word that is no stage before the hub is asked.
func nameAndStage(cmd *cobra.Command, args []string) error {
	if err := atMost(2)(cmd, args); err != nil || len(args) < 2 {
		return err
	}
	_, err := stageNamed("STAGE", args[1], v1.Stages)
	return err
}

// approveArgs tells name and stage apart: of one argument alone, a word that is a
// stage is one.
func approveArgs(args []string) (name, stage string) {
	switch {
	case len(args) == 2:
		return args[0], args[1]
	case len(args) == 1 && isStage(args[0]):
		return "", args[0]
	case len(args) == 1:
		return args[0], ""
	default:
		return "", ""
	}
}

// stageToApprove is the stage named, or the one that waits now.
func stageToApprove(m *v1.Migration, text string) (v1.Stage, error) {
	if text == "" {
		if m.Status.Reason != v1.NotApproved {
			return "", no(fmt.Errorf("migration %s: no stage waits for approval now; say which one to approve ahead", m.Name))
		}
		return m.Status.Stage, nil
	}
	stage, err := stageNamed("STAGE", text, v1.Stages)
	if err != nil {
		return "", err
	}
	if !slices.Contains(m.Spec.Approval, stage) {
		return "", fmt.Errorf("STAGE %q: it does not wait for approval; spec.approval lists %s", stage, listed(words(m.Spec.Approval)))
	}
	return stage, nil
}

func (s *session) giveApproval(ctx context.Context, c HubClient, m *v1.Migration, a v1.Approval, w stepping) error {
	return w.alter(ctx, s, c, m, func(m *v1.Migration) error {
		if m.Approves(a.Stage) {
			return errUnchanged
		}
		m.Spec.Approved = slices.DeleteFunc(m.Spec.Approved, func(have v1.Approval) bool { return have.Stage == a.Stage })
		m.Spec.Approved = append(m.Spec.Approved, a)
		return nil
	}, fmt.Sprintf("%s approved by %s", a.Stage, a.By), fmt.Sprintf("%s was approved already", a.Stage))
}

// listed is a list in running text.
func listed(all []string) string {
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}
