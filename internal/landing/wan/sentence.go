package wan

import (
	"fmt"
	"slices"
	"strings"
)

// String tells a change in one sentence, for example: after this, 14 accounts of
// segment dev reach prod-db through no inspection; today they do not.
func (c Change) String() string {
	who, one := c.From.who(c.wholeFrom)
	return fmt.Sprintf("after this, %s %s; today %s", who, c.After.does(one, c.To.what(c.wholeTo), c.Before), c.Before.did(one))
}

// who names a side by its accounts, or by its attachments if it is not known whose
// they all are, and says whether it is one.
func (s Side) who(whole bool) (text string, one bool) {
	names, kind := s.Accounts(), "account"
	if owned := func(h Host) bool { return h.Attachment != nil && h.Attachment.Account != "" }; len(names) == 0 ||
		slices.ContainsFunc(s.Hosts, func(h Host) bool { return !owned(h) }) {
		names, kind = s.Attachments(), "attachment"
	}
	all := ""
	if whole && len(names) > 1 {
		all = "all "
	}
	if len(names) == 1 {
		return kind + " " + names[0] + s.of(), true
	}
	return fmt.Sprintf("%s%d %ss%s", all, len(names), kind, s.of()), false
}

func (s Side) of() string {
	switch {
	case s.Landing.Segment != "":
		return " of segment " + s.Landing.Segment
	case s.Landing.Group != "":
		return " of group " + s.Landing.Group
	}
	return ""
}

// what names a side as a target: a segment as a whole, or attachments by name.
func (s Side) what(whole bool) string {
	const short = 3
	names := s.Attachments()
	switch {
	case len(names) == 0:
		return s.Hosts[0].Prefix.String()
	case whole && len(names) > 1 && s.Landing.Segment != "":
		return "segment " + s.Landing.Segment
	case len(names) <= short:
		return list(names)
	}
	return fmt.Sprintf("%d attachments%s (%s, ...)", len(names), s.of(), strings.Join(names[:2], ", "))
}

// does says what the side, one or several, does to a target from now on.
func (o Outcome) does(one bool, what string, before Outcome) string {
	verb := func(several, single string) string {
		if one {
			return single
		}
		return several
	}
	switch o.Verdict {
	case Yes:
		text := fmt.Sprintf("%s %s %s", verb("reach", "reaches"), what, through(o.Through))
		if !slices.Equal(o.Through, o.Back) {
			text += ", which answers " + through(o.Back)
		}
		return text
	case OneWay:
		return fmt.Sprintf("%s packets to %s %s, and get no answers (%s)", verb("send", "sends"), what, through(o.Through), strings.TrimPrefix(o.Why, "answers: "))
	case Unknown:
		return fmt.Sprintf("may reach %s, which depends on %s", what, o.Why)
	}
	if before.Verdict == Unknown {
		return fmt.Sprintf("%s %s (%s)", verb("do not reach", "does not reach"), what, o.Why)
	}
	return fmt.Sprintf("no longer %s %s (%s)", verb("reach", "reaches"), what, o.Why)
}

// did says what the side did before.
func (o Outcome) did(one bool) string {
	them, do := "they", "do"
	if one {
		them, do = "it", "does"
	}
	switch o.Verdict {
	case Yes:
		if slices.Equal(o.Through, o.Back) {
			return fmt.Sprintf("%s %s, %s", them, do, through(o.Through))
		}
		return fmt.Sprintf("%s %s, %s, with answers %s", them, do, through(o.Through), through(o.Back))
	case OneWay:
		return fmt.Sprintf("%s %s, %s and without answers", them, do, through(o.Through))
	case Unknown:
		return "that depends on " + o.Why
	}
	return fmt.Sprintf("%s %s not", them, do)
}

func through(groups []string) string {
	if len(groups) == 0 {
		return "through no inspection"
	}
	return "through inspection by " + strings.Join(groups, " and then ")
}

// String tells a flow in one sentence.
func (f Flow) String() string {
	who, one := f.From.who(false)
	text := who + " " + f.does(one, f.To.what(false), Outcome{Verdict: Unknown})
	if f.Verdict == No {
		return text
	}
	if len(f.Path) > 0 {
		hops := make([]string, len(f.Path))
		for i, h := range f.Path {
			hops[i] = h.String()
		}
		text += ": " + strings.Join(hops, ", ")
	}
	return text
}
