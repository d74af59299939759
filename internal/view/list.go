package view

import (
	"fmt"
	"strings"
	"time"
)

// List is several migrations, a line each. With wide, what they wait for is shown.
func List(all []Summary, look Look, wide bool) string {
	sheet := &sheet{Look: look}
	head := []string{"NAME", "SOURCE", "TARGET", "DIRECTION", "STAGE", "STANDING", "CAPACITY", "ENTRY", "WRITER"}
	if wide {
		head = append(head, "APPS", "WAITS FOR")
	}
	rows := [][]string{head}
	for _, s := range all {
		row := []string{
			s.Name, s.Source, s.Target, string(s.Direction), stageNow(s),
			sheet.mark(standingMarks[s.Standing], standingWords[s.Standing]),
			fmt.Sprintf("%d %%", s.Capacity), fmt.Sprintf("%d %%", s.Entry), sideWord(s.Writer),
		}
		if wide {
			row = append(row, fmt.Sprint(s.Apps.Total), waitWords(s.Wait))
		}
		rows = append(rows, row)
	}
	sheet.table("", rows)
	return sheet.String()
}

// stageNow is the stage that a line shows: the one under way, or the last done.
func stageNow(s Summary) string {
	last := "-"
	for _, stage := range s.Stages {
		switch stage.State {
		case StageDone:
			last = string(stage.Name)
		case StageWorking, StageWaiting, StageFailed, StageUndoing:
			return string(stage.Name)
		}
	}
	return last
}

func waitWords(w *Wait) string {
	if w == nil {
		return "-"
	}
	return strings.Trim(string(w.Reason)+": "+w.Message, ": ")
}

// An Event is something that happened to a migration.
type Event struct {
	At        time.Time `json:"at"`
	Migration string    `json:"migration"`
	Reason    string    `json:"reason"`
	Message   string    `json:"message"`
	// Times is how often it was seen in a row.
	Times int32 `json:"times,omitempty"`
}

// EventLine is an event in one line.
func EventLine(e Event, look Look) string {
	times := ""
	if e.Times > 1 {
		times = fmt.Sprintf(" (%d times)", e.Times)
	}
	line := fmt.Sprintf("%s  %-12s  %-18s  %s%s", e.At.UTC().Format(time.DateTime)+"Z", e.Migration, e.Reason, e.Message, times)
	return look.Fit(strings.Join(strings.Split(line, "\n"), " "))
}
