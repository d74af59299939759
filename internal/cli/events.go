package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/view"
)

func (s *session) events() *cobra.Command {
	var f format
	var watch bool
	cmd := &cobra.Command{
		Use:   "events [NAME]",
		Short: "List what has happened to a migration",
		Long: `Lists what has happened to a migration, or to all of them, the oldest first. The
hub keeps events for an hour unless it is told otherwise; the timeline of
crossfade status is kept for good.`,
		Example:           "  crossfade events shop\n  crossfade events -w",
		Args:              atMost(1),
		ValidArgsFunction: s.completeNames,
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "Go on with what happens, until interrupted")
	outputFlag(cmd, &f, asJSON, asYAML)
	cmd.RunE = s.withHub(func(ctx context.Context, c HubClient, args []string) error {
		name := nameIn(args)
		if name != "" {
			if _, err := s.pick(ctx, c, name); err != nil {
				return err
			}
		}
		if watch {
			return s.watchEvents(ctx, c, name, f)
		}
		all, err := s.eventsOf(ctx, c, name)
		if err != nil {
			return err
		}
		return s.showEvents(all, f)
	})
	return cmd
}

// A happening is an event with what tells it from others.
type happening struct {
	view.Event
	uid types.UID
}

// eventsOf returns the events of one migration, or of all, the oldest first.
func (s *session) eventsOf(ctx context.Context, c client.Reader, name string) ([]happening, error) {
	var list corev1.EventList
	if err := c.List(ctx, &list, client.InNamespace(s.hub().Namespace)); err != nil {
		return nil, err
	}
	var all []happening
	for _, e := range list.Items {
		about := e.InvolvedObject
		if about.Kind != "Migration" || about.GroupVersionKind().Group != v1.GroupVersion.Group || name != "" && about.Name != name {
			continue
		}
		all = append(all, happening{eventOf(e), e.UID})
	}
	slices.SortFunc(all, func(a, b happening) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Migration, b.Migration), cmp.Compare(a.Reason, b.Reason))
	})
	return all, nil
}

// eventOf reads what either version of the events API left in an event.
func eventOf(e corev1.Event) view.Event {
	out := view.Event{Migration: e.InvolvedObject.Name, Reason: e.Reason, Message: e.Message, Times: e.Count}
	for _, at := range []time.Time{e.LastTimestamp.Time, e.EventTime.Time, e.CreationTimestamp.Time} {
		if !at.IsZero() {
			out.At = at
			break
		}
	}
	if e.Series != nil {
		out.At, out.Times = e.Series.LastObservedTime.Time, e.Series.Count
	}
	return out
}

func (s *session) showEvents(all []happening, f format) error {
	if f == asText {
		if len(all) == 0 {
			s.say("the hub keeps no event")
		}
		for _, e := range all {
			if err := s.out(view.EventLine(e.Event, s.look()) + "\n"); err != nil {
				return err
			}
		}
		return nil
	}
	events := make([]view.Event, 0, len(all))
	for _, e := range all {
		events = append(events, e.Event)
	}
	return s.printData(events, f)
}

// watchEvents writes each event once, and again when it has happened again.
func (s *session) watchEvents(ctx context.Context, c client.Reader, name string, f format) error {
	times := map[types.UID]int32{}
	for {
		all, err := s.eventsOf(ctx, c, name)
		if err != nil && ctx.Err() == nil {
			return err
		}
		for _, e := range all {
			if before, seen := times[e.uid]; seen && before == e.Times {
				continue
			}
			times[e.uid] = e.Times
			if err := s.tellEvent(e.Event, f); err != nil {
				return err
			}
		}
		if pause(ctx, poll) != nil {
			return nil // somebody has seen enough
		}
	}
}

func (s *session) tellEvent(e view.Event, f format) error {
	switch f {
	case asJSON:
		data, err := json.Marshal(e)
		if err != nil {
			return err
		}
		return s.out(string(data) + "\n")
	case asYAML:
		if err := s.out("---\n"); err != nil {
			return err
		}
		return s.printData(e, f)
	default:
		return s.out(view.EventLine(e, s.look()) + "\n")
	}
}
