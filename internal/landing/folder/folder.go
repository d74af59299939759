// Package folder takes the files in which a landing zone is written down as one
// whole: the organization and its guardrails, addresses, segments, quotas, reviews
// and decisions. Each part is read by the package that knows it; what is wrong
// anywhere is collected, so that one bad file never hides the findings in another.
package folder

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/ipam"
	"crossfade.dev/internal/landing/policy"
	"crossfade.dev/internal/landing/policy/detect"
	"crossfade.dev/internal/landing/quota"
	"crossfade.dev/internal/landing/review"
	"crossfade.dev/internal/landing/source"
	"crossfade.dev/internal/landing/wan"
)

// A Folder is a landing zone.
type Folder struct {
	// Files and Documents are what was read.
	Files     []source.File
	Documents []*source.Document
	// Guardrails are the organization, its accounts, and what limits them.
	Guardrails *policy.State
	// Packs are the rules of detective guardrails.
	Packs []*detect.Pack
	// Networks are the core networks.
	Networks []*wan.Network
	// Quotas are the limits of the provider.
	Quotas []*quota.Watch
	// Records are the reviews and decisions.
	Records review.Records
	// Addresses are the pools and the claims on them.
	Addresses *ipam.Addresses
	// Findings are everything that is wrong, ordered by file and line.
	Findings source.Findings
}

// kinds are those that a folder may hold.
var kinds = []string{policy.KindOrganization, policy.KindAccount, policy.KindGuardrail, ipam.KindPool, ipam.KindClaim, wan.Kind, quota.Kind, review.KindReview, review.KindDecision}

// Load takes files as a landing zone, with the limits that hold at a time. There is
// always a folder, however much is wrong with it: what errors leave open is unknown
// in its answers.
func Load(files []source.File, at time.Time) *Folder {
	f := &Folder{Files: files}
	var unread source.Findings
	f.Documents, unread = source.Read(files)
	f.Findings = append(f.Findings, unread...)
	f.strangers()

	var found source.Findings
	f.Guardrails, found = policy.Load(f.Documents, files, unread)
	f.Findings = append(f.Findings, found...)
	f.Findings = append(f.Findings, f.Guardrails.CheckLimits(at)...)
	f.Packs, found = detect.Load(f.Documents)
	f.Findings = append(f.Findings, found...)

	f.Quotas, found = quota.Load(f.Documents, unread)
	f.Findings = append(f.Findings, found...)
	f.Records, found = review.Load(f.Documents, files, unread)
	f.Findings = append(f.Findings, found...)
	f.Addresses, found = ipam.Load(f.Documents, unread)
	f.Findings = append(f.Findings, found...)
	f.Networks, found = wan.Load(f.Documents, files)
	f.Findings = append(f.Findings, found...)
	f.references()

	f.Findings.Sort()
	return f
}

// strangers finds documents that are of no kind of a landing zone.
func (f *Folder) strangers() {
	for _, d := range f.Documents {
		group, _, _ := strings.Cut(d.APIVersion, "/")
		switch {
		case group != landing.GroupVersion.Group:
			f.Findings.Add(d.File, d.Root.Get("apiVersion"), "$.apiVersion", "folder/group", "expected "+landing.GroupVersion.String())
		case !slices.Contains(kinds, d.Kind):
			f.Findings.Add(d.File, d.Root.Get("kind"), "$.kind", "folder/kind", "expected one of "+strings.Join(kinds, ", "))
		}
	}
}

// Counts returns how many documents of each kind the folder holds, in the order of
// the kinds, as people are told it: "60 Accounts, 7 Guardrails".
func (f *Folder) Counts() string {
	counts := map[string]int{}
	for _, d := range f.Documents {
		counts[d.Kind]++
	}
	counts[review.KindDecision] = len(f.Records.Decisions) // most are Markdown
	var told []string
	for _, kind := range kinds {
		switch n := counts[kind]; n {
		case 0:
		case 1:
			told = append(told, "1 "+kind)
		default:
			told = append(told, fmt.Sprintf("%d %s", n, plural(kind)))
		}
	}
	return strings.Join(told, ", ")
}

// plural is the name of a kind, for several of it.
func plural(kind string) string {
	if strings.HasSuffix(kind, "ch") {
		return kind + "es"
	}
	return kind + "s"
}

// AccountNames are the names of the accounts of the organization.
func (f *Folder) AccountNames() []string {
	var names []string
	for _, a := range f.Guardrails.Accounts {
		names = append(names, a.Name)
	}
	return names
}

// HasAccount reports whether an account can be asked about: by its name, or by 12
// digits, which may be those of an account outside the organization.
func (f *Folder) HasAccount(account string) bool {
	return isAccountID(account) || slices.Contains(f.AccountNames(), account)
}

// RoleARN returns the ARN of a role of an account (its name or its 12 digits), with
// the role's path and no slash before it, or nothing if the account has no id yet.
func (f *Folder) RoleARN(account, role string) string {
	id := account
	for _, a := range f.Guardrails.Accounts {
		if a.Name == account {
			id = a.Spec.ID
		}
	}
	if id == "" {
		return ""
	}
	return "arn:" + cmp.Or(f.Guardrails.Organization.Spec.Partition, "aws") + ":iam::" + id + ":role/" + role
}
