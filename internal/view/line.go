package view

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	v1 "crossfade.dev/api/v1alpha1"
)

// mostMessage is how many characters of the message a Line shows.
const mostMessage = 72

// Line is a migration in one line, for progress that scrolls by: stage, direction,
// reason and message, capacity and entry in percent of the target, and the writer.
// It says the same as long as nothing of that changes.
func Line(m *v1.Migration) string {
	stage := string(m.Status.Stage)
	if stage == "" {
		stage = "unseen"
	}
	direction := "forward"
	if m.Spec.Direction == v1.Back {
		direction = "back"
	}
	said := string(m.Status.Reason)
	if message := shorten(m.Status.Message, mostMessage); message != "" {
		said = strings.TrimPrefix(said+": "+message, ": ")
	}
	line := fmt.Sprintf("%-9s %-7s  capacity %3d %%  entry %3d %%  writer %-6s  %s",
		stage, direction, m.Status.Capacity, m.Status.Entry, sideWord(m.Status.Writer), said)
	if meta.IsStatusConditionTrue(m.Status.Conditions, v1.Frozen) {
		line += "  [frozen]"
	}
	return strings.TrimRight(line, " ")
}

// sideWord is a side as running text writes it.
func sideWord(s v1.Side) string {
	if s == "" {
		return "?"
	}
	return s.Word()
}

// shorten keeps a text to one line of at most n characters.
func shorten(text string, n int) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > n {
		return strings.TrimRight(string(r[:n-1]), " ,;:") + "…"
	}
	return text
}
