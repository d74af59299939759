package folder

import (
	"slices"
	"strings"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/ipam"
	"crossfade.dev/internal/landing/quota"
	"crossfade.dev/internal/landing/source"
)

// references finds accounts that are named and are not there. Guardrails and core
// networks say so themselves.
func (f *Folder) references() {
	names := f.AccountNames()
	for _, d := range f.Documents {
		if d.Kind != ipam.KindClaim && d.Kind != quota.Kind {
			continue
		}
		n, path := d.Locate("spec", "account")
		if n.Kind == source.String && n.Text != "" && !isAccountID(n.Text) && !slices.Contains(names, n.Text) {
			f.Findings.Add(d.File, n, path, "folder/account", "expected the name of an account of the organization, or 12 digits")
		}
	}
}

func isAccountID(text string) bool { return len(text) == 12 && strings.Trim(text, "0123456789") == "" }

// Concerns reports whether a guardrail is attached to an account (its name or its 12
// digits), or to anything above it. A guardrail concerns an account that is not in
// the organization, and might be: who knows where it hangs.
func (f *Folder) Concerns(guardrail, account string) bool {
	var of *landing.Account
	for _, a := range f.Guardrails.Accounts {
		if a.Name == account || a.Spec.ID == account && account != "" {
			of = a
		}
	}
	for _, g := range f.Guardrails.Guardrails {
		if g.Name != guardrail {
			continue
		}
		return slices.ContainsFunc(g.Spec.Targets, func(t landing.Target) bool {
			return t.Root || of == nil || t.Account == of.Name || t.Unit != "" && strings.HasPrefix(of.Spec.Unit+"/", t.Unit+"/")
		})
	}
	return false
}
