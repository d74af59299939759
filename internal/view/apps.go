package view

import (
	"cmp"
	"slices"

	v1 "crossfade.dev/api/v1alpha1"
)

// Apps are the apps of an estate.
type Apps struct {
	v1.AppCounts `json:",inline"`
	// ByState counts those whose Move is known.
	ByState map[v1.MoveState]int `json:"byState,omitempty"`
	// Worst are the apps most in need of a person, worst first; More is how many
	// there are besides.
	Worst []App `json:"worst,omitempty"`
	More  int   `json:"more,omitempty"`
}

// An App is one app with how far it has moved.
type App struct {
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	State     v1.MoveState `json:"state,omitempty"`
	// Share is percent of the target.
	Share     int32               `json:"share"`
	Message   string              `json:"message,omitempty"`
	Workloads []v1.WorkloadStatus `json:"workloads,omitempty"`
}

// badness orders the states of apps: what needs a person comes first, what has
// moved comes last.
var badness = []v1.MoveState{
	v1.MoveQuarantined, v1.MoveUndecided, "", v1.MoveShifting, v1.MoveWarm, v1.MoveMirrored, v1.MoveWaiting,
	v1.MoveStaying, v1.MoveMoved,
}

func appsOf(m *v1.Migration, moves []v1.Move, most int) Apps {
	apps := Apps{AppCounts: m.Status.Apps}
	for _, move := range moves {
		if move.Spec.Migration == m.Name && move.Namespace == m.Namespace {
			apps.Worst = append(apps.Worst, appOf(move))
		}
	}
	apps.ByState = countStates(apps.Worst)
	sortWorst(apps.Worst)
	if most >= 0 && len(apps.Worst) > most {
		apps.More = len(apps.Worst) - most
		apps.Worst = apps.Worst[:most]
	}
	return apps
}

func appOf(move v1.Move) App {
	return App{
		Namespace: move.Spec.Namespace, Name: move.Spec.App, State: move.Status.State, Share: move.Status.Share,
		Message: move.Status.Message, Workloads: move.Status.Workloads,
	}
}

func countStates(apps []App) map[v1.MoveState]int {
	if len(apps) == 0 {
		return nil
	}
	counts := map[v1.MoveState]int{}
	for _, a := range apps {
		counts[a.State]++
	}
	return counts
}

// sortWorst puts the worst first; among equals those with less on the target.
func sortWorst(apps []App) {
	slices.SortFunc(apps, func(a, b App) int {
		return cmp.Or(
			cmp.Compare(slices.Index(badness, a.State), slices.Index(badness, b.State)),
			cmp.Compare(a.Share, b.Share),
			cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name),
		)
	})
}
