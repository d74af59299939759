package review

import (
	"fmt"
	"strings"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/finding"
)

// The findings about decisions.
const (
	// NoApprover: a one-way door names nobody who must agree. A failure.
	NoApprover = "LZ-DECISION-001"
	// NotApproved: somebody named has not agreed, or not to what is decided now. A
	// failure.
	NotApproved = "LZ-DECISION-002"
	// NoReversalTest: a two-way door links no test of the way back, or one that is
	// not there. A failure.
	NoReversalTest = "LZ-DECISION-003"
	// ReversalFailed: the test of the way back failed. A failure.
	ReversalFailed = "LZ-DECISION-004"
	// DecisionUnproved: a fact is missing, or the document has errors. Unknown.
	DecisionUnproved = "LZ-DECISION-005"
	// DecisionExpired: the decision has to be taken anew. A failure.
	DecisionExpired = "LZ-DECISION-006"
	// NotDecided: the decision is only proposed. Unknown.
	NotDecided = "LZ-DECISION-007"
	// ReversalUntested: the way back was tested before the decision was last changed.
	// Unknown.
	ReversalUntested = "LZ-DECISION-008"
	// NoReversalCost: nobody wrote down what the way back costs. A warning.
	NoReversalCost = "LZ-DECISION-009"
)

// CheckDecisions returns everything to know about decisions at a time, waived
// findings and warnings among them. Decisions that are rejected, deprecated or
// superseded are acted on by nobody and have no findings. finding.Blocking tells which
// must not pass: one-way doors without the agreement of everybody named, two-way doors
// without a passing test of the way back, decisions that are open or have expired, and
// what could not be read.
func (r Records) CheckDecisions(at time.Time) []finding.Finding {
	var all []finding.Finding
	for _, place := range r.Unread {
		all = append(all, unread(DecisionUnproved, place))
	}
	for _, d := range r.Decisions {
		found := d.check(at)
		finding.Waive(found, d.Spec.Waivers, at)
		all = append(all, found...)
	}
	finding.Sort(all)
	return all
}

// A decisionCheck gathers the findings about one decision.
type decisionCheck struct {
	d     *Decision
	at    time.Time
	found []finding.Finding
}

func (c *decisionCheck) add(id string, severity finding.Severity, observed, why, fix string, steps ...any) {
	place := c.d.Place
	if c.d.document != nil && !c.d.inFront {
		place = c.d.document.Place(append([]any{"spec"}, steps...)...)
	} else if c.d.document != nil {
		place = c.d.document.Place(steps...)
	}
	c.found = append(c.found, finding.Finding{ID: id, Severity: severity, Object: KindDecision + "/" + c.d.Name, Place: place, Observed: observed, Why: why, Fix: fix})
}

func (d *Decision) check(at time.Time) []finding.Finding {
	c := &decisionCheck{d: d, at: at}
	if d.Broken {
		c.add(DecisionUnproved, finding.Unknown, "the document has errors", "it may not say what was meant", "mend what validate says of it")
		return c.found
	}
	switch d.Spec.Status {
	case landing.Rejected, landing.Deprecated, landing.Superseded:
		return nil
	case landing.Proposed:
		c.add(NotDecided, finding.Unknown, "it is only proposed", "what hangs on it may come out either way", "decide, and set the status", "status")
	}
	if e := d.Spec.Expires; e != "" && !at.Before(e.Start()) {
		c.add(DecisionExpired, finding.Fail, "it expired on "+string(e), "what it was based on may no longer hold", "take it anew, and set a later day", "expires")
	}
	switch d.Spec.Door {
	case landing.OneWay:
		c.approvers()
	case landing.TwoWay:
		c.reversal()
	default:
		c.add(DecisionUnproved, finding.Unknown, "not known: whether it is a one-way or a two-way door", "nobody knows what coming back from it takes", "set door to one-way or two-way", "door")
	}
	if d.Spec.Date == "" && d.Spec.Door != "" {
		c.add(DecisionUnproved, finding.Unknown, "not known: when it was last changed (date)", "what was agreed to, or tested, may have been something else", "write the day down", "date")
	}
	if d.Spec.Reversal == nil || d.Spec.Reversal.Cost == "" {
		c.add(NoReversalCost, finding.Warning, "not written down: what coming back from it costs", "people decide more lightly than they should, or less", "write it down: time, money, what is lost", "reversal", "cost")
	}
	return c.found
}

func (c *decisionCheck) approvers() {
	spec := c.d.Spec
	if len(spec.Approvers) == 0 {
		c.add(NoApprover, finding.Fail, "a one-way door, and no approver is named", "nobody can come back from it, and nobody answers for it", "name those who must agree", "approvers")
	}
	for i, a := range spec.Approvers {
		why, fix := "a one-way door needs everybody who is named", fmt.Sprintf("ask %s", a.Name)
		switch {
		case a.Approved == "":
			c.add(NotApproved, finding.Fail, a.Name+" has not approved", why, fix, "approvers", i)
		case a.Approved.Start().After(c.at):
			c.add(NotApproved, finding.Fail, fmt.Sprintf("%s approves on %s, which has not come yet", a.Name, a.Approved), why, fix, "approvers", i)
		case spec.Date != "" && a.Approved < spec.Date:
			c.add(NotApproved, finding.Fail, fmt.Sprintf("%s approved on %s, and the decision was changed on %s", a.Name, a.Approved, spec.Date), "it may not be what was agreed to", fix+" again", "approvers", i)
		}
	}
}

func (c *decisionCheck) reversal() {
	r := c.d.Spec.Reversal
	if r == nil || r.Test == "" {
		c.add(NoReversalTest, finding.Fail, "a two-way door, and no test of the way back is linked", "a way back that nobody walked is a hope", "test it, and link the test", "reversal", "test")
		return
	}
	var unknown []string
	switch {
	case !c.d.TestFound:
		c.add(NoReversalTest, finding.Fail, "the test of the way back, "+r.Test+", is not there", "a way back that nobody walked is a hope", "link a URL or a file of the folder", "reversal", "test")
	case r.Result == landing.TestFailed:
		c.add(ReversalFailed, finding.Fail, "the test of the way back failed on "+string(r.TestedAt), "it is a one-way door until the test passes", "mend the way back, or call it a one-way door", "reversal", "result")
	case r.Result == "":
		unknown = append(unknown, "how the test of the way back ended (result)")
	}
	switch date := c.d.Spec.Date; {
	case r.TestedAt == "":
		unknown = append(unknown, "when the way back was tested (testedAt)")
	case r.TestedAt.Start().After(c.at):
		unknown = append(unknown, fmt.Sprintf("the test of %s, which has not come yet", r.TestedAt))
	case date != "" && r.TestedAt < date:
		c.add(ReversalUntested, finding.Unknown, fmt.Sprintf("the way back was tested on %s, and the decision was changed on %s", r.TestedAt, date), "the way back may not be what was tested", "test it again", "reversal", "testedAt")
	}
	if len(unknown) > 0 {
		c.add(DecisionUnproved, finding.Unknown, "not known: "+strings.Join(unknown, "; "), "a way back that nobody walked is a hope", "test it, and write down how it ended", "reversal")
	}
}
