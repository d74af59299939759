package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"crossfade.dev/internal/landing/catalog"
	"crossfade.dev/internal/landing/folder"
	"crossfade.dev/internal/landing/policy"
	"crossfade.dev/internal/view"
)

// callFlags describe a call to ask about.
type callFlags struct {
	account, action, resource, resourceAccount string
	region, role, principal                    string
	context                                    []string
	complete                                   bool
}

func (s *session) landingExplain() *cobra.Command {
	var f landingFlags
	var c callFlags
	cmd := &cobra.Command{
		Use:   "explain --account ACCOUNT --action SERVICE:ACTION",
		Short: "Would this call pass in this account, and which statement decides?",
		Long: `Says whether the guardrails let a call pass, which statement decides, and what every
other statement about the action says. What the call does not tell, and the answer
depends on, makes it unknown, and is named. That a call passes gives nobody a
permission: policies in the account have to allow it too.

The exit code is 0 if the call passes, 1 if it is denied or unknown.`,
		Example: `  crossfade landing explain --account player-prod --action s3:PutObject --resource arn:aws:s3:::films/reel.mp4
  crossfade landing explain --account player-prod --action ec2:RunInstances --region eu-west-1 \
    --role app --context ec2:MetadataHttpTokens=required --complete`,
		Args: noArgs,
	}
	f.register(cmd)
	c.register(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if err := c.check(); err != nil {
			return err
		}
		zone, _, err := f.ask(s)
		if err != nil {
			return err
		}
		request, err := c.request(zone)
		if err != nil {
			return err
		}
		if _, known := catalog.Default().Find(c.action); !known {
			s.say("--action %q: the catalogue of %s knows no such action: nothing is known of what it is about", c.action, catalog.Default().Version)
		}
		e := zone.Guardrails.Explain(request)
		code := codeNo
		if e.Answer == policy.Allowed {
			code = codeYes
		}
		r := view.ExplanationReport(e)
		r.Next = c.next(f, e)
		return s.answer(f, explanation{Account: request.Account, Action: request.Action, Region: request.Region,
			Resource: request.Resource, Principal: request.Principal, Explanation: e}, r, code)
	}
	return cmd
}

// An explanation with the call that it is about, as programs read it.
type explanation struct {
	Account   string `json:"account"`
	Action    string `json:"action"`
	Region    string `json:"region,omitempty"`
	Resource  string `json:"resource,omitempty"`
	Principal string `json:"principal,omitempty"`
	policy.Explanation
}

func (c *callFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.account, "account", "", "Account of whoever calls: its name or its 12 digits")
	f.StringVar(&c.action, "action", "", "What is called, as s3:PutObject")
	f.StringVar(&c.resource, "resource", "", "ARN of what is called upon (any that the action can be about if empty)")
	f.StringVar(&c.resourceAccount, "resource-account", "", "Account that owns the resource (the one that --resource names; without --resource, --account)")
	f.StringVar(&c.region, "region", "", "Region in which it is called")
	f.StringVar(&c.role, "role", "", "Role of the account that calls, with its path: platform/deployer")
	f.StringVar(&c.principal, "principal", "", "ARN of whoever calls, instead of --role")
	contextFlag(cmd, &c.context)
	f.BoolVar(&c.complete, "complete", false, "The call has no context keys but those given and those that follow from the organization")
}

// contextFlag takes context keys. It stands before the flag of the same name that
// leads to a hub, which landing zones do not have.
func contextFlag(cmd *cobra.Command, to *[]string) {
	cmd.Flags().StringArrayVar(to, "context", nil, "Context key of the call as KEY=VALUE, or KEY if the call does not have it (may be repeated)")
}

// contextOf reads what contextFlag took.
func contextOf(given []string, complete bool) (policy.Context, error) {
	values := map[string][]string{}
	for _, text := range given {
		key, value, has := strings.Cut(text, "=")
		if key == "" || strings.ContainsAny(key, " ") {
			return policy.Context{}, fmt.Errorf("--context %q: want KEY=VALUE", text)
		}
		if values[key] == nil {
			values[key] = []string{}
		}
		if has {
			values[key] = append(values[key], value)
		}
	}
	if complete {
		return policy.NewContext(values).Complete(), nil
	}
	return policy.NewContext(values), nil
}

func (c *callFlags) check() error {
	service, name, ok := strings.Cut(c.action, ":")
	switch {
	case c.account == "":
		return fmt.Errorf(`--account "": want the name of an account, or its 12 digits`)
	case !ok || service == "" || name == "" || strings.ContainsAny(c.action, "*? "):
		return fmt.Errorf("--action %q: want one action of a service, as s3:PutObject", c.action)
	case c.role != "" && c.principal != "":
		return fmt.Errorf("--principal %q: it says who calls; leave out --role", c.principal)
	case c.resource != "" && c.resource != "*" && !strings.HasPrefix(c.resource, "arn:"):
		return fmt.Errorf("--resource %q: want an ARN, or * for an action that is about no resource", c.resource)
	case c.principal != "" && !strings.HasPrefix(c.principal, "arn:"):
		return fmt.Errorf("--principal %q: want an ARN", c.principal)
	case strings.Contains(c.principal, ":assumed-role/"):
		return fmt.Errorf("--principal %q: want the ARN of the role, which is what aws:PrincipalArn holds, not of its session", c.principal)
	}
	return nil
}

// request is the call that the flags describe.
func (c *callFlags) request(zone *folder.Folder) (*policy.Request, error) {
	for _, named := range []struct{ flag, account string }{{"--account", c.account}, {"--resource-account", c.resourceAccount}} {
		if named.account != "" && !zone.HasAccount(named.account) {
			return nil, no(fmt.Errorf("%s %q: the organization has no such account%s", named.flag, named.account, meant(named.account, zone.AccountNames())))
		}
	}
	given, err := contextOf(c.context, c.complete)
	if err != nil {
		return nil, err
	}
	r := &policy.Request{Account: c.account, Action: c.action, Region: c.region, Resource: c.resource,
		ResourceAccount: c.resourceAccount, Principal: c.principal, Context: given}
	if c.role != "" {
		if r.Principal = zone.RoleARN(c.account, c.role); r.Principal == "" {
			return nil, fmt.Errorf("--role %q: account %s has no id yet, so its roles have no ARN; leave it out", c.role, c.account)
		}
	}
	return r, nil
}

// next are commands that would make an unknown answer certain.
func (c *callFlags) next(f landingFlags, e policy.Explanation) []string {
	if e.Answer != policy.Unknown {
		return nil
	}
	command := "crossfade landing explain" + f.again() + " --account " + quoted(c.account) + " --action " + quoted(c.action)
	for _, given := range []struct{ flag, value string }{
		{"resource", c.resource}, {"resource-account", c.resourceAccount}, {"region", c.region}, {"role", c.role}, {"principal", c.principal},
	} {
		if given.value != "" {
			command += " --" + given.flag + " " + quoted(given.value)
		}
	}
	for _, text := range c.context {
		command += " --context " + quoted(text)
	}
	var asked []string
	for _, m := range e.Missing {
		if flag := c.flagFor(m); flag != "" && !slices.Contains(asked, flag) {
			asked = append(asked, flag)
		}
	}
	if len(asked) == 0 {
		return []string{"crossfade landing validate" + f.again()}
	}
	return []string{command + " " + strings.Join(asked, " ")}
}

// flagFor is the flag that tells a missing fact, empty if no flag does.
func (c *callFlags) flagFor(m policy.Missing) string {
	switch name := strings.ToLower(m.Name); {
	case name == "resource":
		return "--resource ARN"
	case name == "resourceaccount",
		(name == "aws:resourceaccount" || strings.HasPrefix(name, "aws:resourceorg")) && c.resource != "" && c.resourceAccount == "":
		return "--resource-account ACCOUNT"
	case name == "aws:requestedregion":
		return "--region REGION"
	case name == "aws:principalarn":
		return "--role ROLE"
	case m.Why != "":
		return ""
	}
	return "--context " + quoted(m.Name+"=VALUE")
}
