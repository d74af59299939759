package cli

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crossfade.dev/internal/checkout"
	"crossfade.dev/internal/landing/folder"
	"crossfade.dev/internal/landing/ipam"
	"crossfade.dev/internal/landing/policy"
	"crossfade.dev/internal/landing/quota"
	"crossfade.dev/internal/landing/source"
	"crossfade.dev/internal/landing/wan"
	"crossfade.dev/internal/view"
)

// worktree is the state of the files as they are on disk.
const worktree = "worktree"

// A failOn says what makes the exit code of a plan 1.
type failOn string

const (
	failAny   failOn = "any"
	failWorse failOn = "worse"
	failNever failOn = "never"
)

// landingPlanFlags are the flags of landing plan.
type landingPlanFlags struct {
	landingFlags
	from, to, fromFolder       string
	accounts, actions, regions []string
	role                       string
	context                    []string
	complete                   bool
	failOn                     failOn
}

func (s *session) landingPlan() *cobra.Command {
	var f landingPlanFlags
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say what a change of the files would let happen, before it is made",
		Long: `Compares the landing zone in two states: as it stood in a revision of Git and as it
is on disk, in two revisions, or in two folders. It says which calls turn, in which
accounts and regions, and which statement decides before and after: what opens first;
who reaches whom that does not today, and through which inspection; which networks
change; and what would go wrong with addresses, quotas, reviews and
decisions that does not today.

The calls are those of one role (--role) to every action, in every account and region,
each with a resource of the same account that is not named. --context says more about
them; what stays unknown is named.

The exit code is 1 if anything turns (see --fail-on), or if the new state has errors.`,
		Example: `  crossfade landing plan -f examples/landing
  crossfade landing plan -f examples/landing --from origin/main --role platform/deployer
  crossfade landing plan -f examples/landing --from origin/main -o markdown > comment.md
  crossfade landing plan -f new --from-folder old --fail-on worse`,
		Args: noArgs,
	}
	f.register(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.fromFolder != "" && cmd.Flags().Changed("from") {
			return fmt.Errorf("--from-folder %q: it is the state to compare with; leave out --from", f.fromFolder)
		}
		before, after, err := f.states(cmd.Context(), s)
		if err != nil {
			return err
		}
		return s.planLanding(&f, before, after)
	}
	return cmd
}

func (f *landingPlanFlags) register(cmd *cobra.Command) {
	f.landingFlags.register(cmd)
	f.failOn = failAny
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "HEAD", "Revision of Git to compare with")
	flags.StringVar(&f.to, "to", worktree, "Revision of Git that is the new state, or "+worktree+" for the files as they are")
	flags.StringVar(&f.fromFolder, "from-folder", "", "Folder to compare with, instead of a revision")
	flags.StringSliceVar(&f.accounts, "account", nil, "Accounts to compare (all if empty)")
	flags.StringSliceVar(&f.actions, "action", nil, "Actions to compare (all if empty)")
	flags.StringSliceVar(&f.regions, "region", nil, "Regions to compare (the organization's if empty)")
	flags.StringVar(&f.role, "role", "app", "Role that calls, with its path, as platform/deployer; not known if empty")
	contextFlag(cmd, &f.context)
	flags.BoolVar(&f.complete, "complete", false, "The calls have no context keys but those given and those that follow from the organization")
	flags.Var(choice[failOn]{&f.failOn, []failOn{failAny, failWorse, failNever}}, "fail-on", "What makes the exit code 1: any, worse (something opens, or would newly go wrong) or never")
	complete(cmd, "fail-on", words([]failOn{failAny, failWorse, failNever}))
}

// states reads both states, at the same time.
func (f *landingPlanFlags) states(ctx context.Context, s *session) (before, after *folder.Folder, err error) {
	at, err := f.time(s)
	if err != nil {
		return nil, nil, err
	}
	type read struct {
		zone *folder.Folder
		err  error
	}
	old := make(chan read, 1)
	go func() {
		files, err := f.old(ctx, s)
		if err != nil {
			old <- read{err: err}
			return
		}
		old <- read{zone: folder.Load(files, at)}
	}()
	files, err := f.new(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	after = folder.Load(files, at)
	o := <-old
	return o.zone, after, o.err
}

func (f *landingPlanFlags) old(ctx context.Context, s *session) ([]source.File, error) {
	if f.fromFolder != "" {
		return s.readFolder("--from-folder", f.fromFolder)
	}
	return f.revision(ctx, s, "--from", f.from)
}

func (f *landingPlanFlags) new(ctx context.Context, s *session) ([]source.File, error) {
	files, err := f.read(s) // also when a revision is asked for: it says which folder is meant
	if err != nil || f.to == worktree {
		return files, err
	}
	return f.revision(ctx, s, "--to", f.to)
}

// revision reads the folder as it stood in a revision.
func (f *landingPlanFlags) revision(ctx context.Context, s *session, flag, revision string) ([]source.File, error) {
	files, err := checkout.Revision(ctx, s.at(f.folder), f.folder, revision)
	switch {
	case errors.Is(err, checkout.ErrNoRepository):
		return nil, fmt.Errorf("%s %q: --folder %q: %w; compare two folders with --from-folder", flag, revision, f.folder, checkout.ErrNoRepository)
	case errors.Is(err, checkout.ErrNoFolder):
		return nil, fmt.Errorf("%s %q: --folder %q: %w", flag, revision, f.folder, err)
	case err != nil:
		return nil, fmt.Errorf("%s %q: %w", flag, revision, err)
	}
	return files, nil
}

func (s *session) planLanding(f *landingPlanFlags, before, after *folder.Folder) error {
	scope, err := f.scope(before, after)
	if err != nil {
		return err
	}
	at, err := f.time(s)
	if err != nil {
		return err
	}
	if found := before.Findings.Errors(); len(found) > 0 {
		s.say("%s in the state to compare with: what that leaves open is unknown", view.Tally(found))
	}
	p := compared(before, after, scope, at)
	p.From, p.To = f.from, f.to
	title := f.folderTitle() + ": " + p.From + " → " + p.To
	if f.fromFolder != "" {
		p.From, p.To = f.fromFolder, f.folder
		title = p.From + " → " + p.To
	}
	r := view.LandingPlanReport(title, p, f.most(8))
	r.Next = f.next(p)
	return s.answer(f.landingFlags, p, r, f.code(p))
}

// compared is what the step from one state to another lets happen, on one day.
func compared(before, after *folder.Folder, scope policy.Scope, at time.Time) *view.LandingPlan {
	p := &view.LandingPlan{Role: scope.Role, Findings: after.Findings}
	p.Guardrails = policy.Diff(before.Guardrails, after.Guardrails, scope)
	p.Segments = view.NetworkChanges(wan.CompareAll(before.Networks, after.Networks), after.Networks)
	had, has := allocated(before, nil, at), allocated(after, before, at)
	p.Networks = networksThatChange(had.Steps, has.Steps)
	p.Addresses = view.TurnoverOf(had.Findings, has.Findings)
	p.Quotas = view.TurnoverOf(quota.Check(before.Quotas, at).Findings, quota.Check(after.Quotas, at).Findings)
	p.Reviews = view.TurnoverOf(reviewed(before.Records, at).Findings, reviewed(after.Records, at).Findings)
	return p
}

// networksThatChange are the claims that have another network than before, whether
// it is written into their files already or not.
func networksThatChange(had, has []ipam.Step) []ipam.Step {
	before := map[string]ipam.Step{}
	for _, step := range had {
		before[step.Claim] = step
	}
	var changed []ipam.Step
	for _, step := range has {
		if step.Outcome == ipam.Released {
			changed = append(changed, step)
			continue
		}
		old := before[step.Claim]
		if old.To == step.To {
			continue
		}
		if step.From = old.To; old.Outcome == ipam.Allocated { // it was never written down, so nobody has it
			step.From = netip.Prefix{}
		}
		switch {
		case !step.From.IsValid():
			step.Outcome = ipam.Allocated
		case step.To.Overlaps(step.From) && step.To.Bits() < step.From.Bits():
			step.Outcome = ipam.Grown
		case step.To.Overlaps(step.From):
			step.Outcome = ipam.Shrunk
		default:
			step.Outcome = moved
		}
		changed = append(changed, step)
	}
	return changed
}

// moved is what becomes of a claim whose file was given a network elsewhere.
const moved ipam.Outcome = "Moved"

// code is the exit code of a plan.
func (f *landingPlanFlags) code(p *view.LandingPlan) int {
	fails := map[failOn]bool{failAny: p.Differs(), failWorse: p.Worse()}[f.failOn]
	if fails || len(p.Findings.Errors()) > 0 {
		return codeNo
	}
	return codeYes
}

// scope is which calls are compared.
func (f *landingPlanFlags) scope(before, after *folder.Folder) (policy.Scope, error) {
	given, err := contextOf(f.context, f.complete)
	if err != nil {
		return policy.Scope{}, err
	}
	names := slices.Compact(slices.Sorted(slices.Values(append(before.AccountNames(), after.AccountNames()...))))
	for _, a := range f.accounts {
		if !slices.Contains(names, a) {
			return policy.Scope{}, no(fmt.Errorf("--account %q: the organization has no such account%s", a, meant(a, names)))
		}
	}
	for _, a := range f.actions {
		if service, name, ok := strings.Cut(a, ":"); !ok || service == "" || name == "" || strings.ContainsAny(a, "*?") {
			return policy.Scope{}, fmt.Errorf("--action %q: want one action of a service, as s3:PutObject", a)
		}
	}
	return policy.Scope{Actions: f.actions, Regions: f.regions, Accounts: f.accounts, Role: strings.TrimPrefix(f.role, "/"), Context: given}, nil
}

// next leads to the worst of what turns.
func (f *landingPlanFlags) next(p *view.LandingPlan) []string {
	d := p.Guardrails
	if len(p.Findings.Errors()) > 0 {
		return []string{"crossfade landing validate" + f.again()}
	}
	if len(d.Changes) == 0 || f.to != worktree {
		return nil
	}
	c := d.Changes[0]
	command := "crossfade landing explain" + f.again() + " --account " + quoted(c.Accounts[0]) + " --action " + quoted(view.Telling(c.Actions)) + " --region " + quoted(c.Regions[0])
	if f.role != "" {
		command += " --role " + quoted(f.role)
	}
	for _, text := range f.context {
		command += " --context " + quoted(text)
	}
	if f.complete {
		command += " --complete"
	}
	return []string{command}
}
