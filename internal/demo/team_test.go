package demo

import (
	"errors"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestATeamMeasuresTheFreezeByItsOwnWrites(t *testing.T) {
	refused := apierrors.NewForbidden(schema.GroupResource{Resource: "configmaps"}, teamObject, errors.New("frozen"))
	down := errors.New("connection refused")
	tests := []struct {
		name         string
		back, faults bool
		writes       []error
		frozen       time.Duration
		complaints   []string
	}{
		{"refused for two seconds", false, false, []error{nil, nil, refused, refused, refused, nil, nil}, 4 * time.Second, nil},
		{"refused again after a write got through", false, false, []error{nil, refused, nil, refused, nil}, 4 * time.Second, nil},
		{"nothing was ever accepted", false, false, []error{refused, refused}, 0, []string{"none of the team's writes was accepted"}},
		{"nothing before", false, false, []error{refused, nil}, 0, []string{"none of the team's writes was accepted before the freeze"}},
		{"nothing after", false, false, []error{nil, refused}, 0, []string{"none of the team's writes was accepted after the freeze"}},
		{"a freeze that nobody saw", false, false, []error{nil, nil}, 0, []string{"none of the team's writes was refused: nobody saw the freeze"}},
		{"back before the freeze", true, false, []error{nil, nil}, 0, nil},
		{"down", false, false, []error{nil, refused, down, nil}, 3 * time.Second,
			[]string{"1 of the team's writes failed otherwise than refused: connection refused"}},
		{"down because it was killed", false, true, []error{nil, refused, down, nil}, 3 * time.Second, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var d diary
			for i, err := range test.writes {
				d.enter("r", err, time.Unix(int64(1000+i), 0))
			}
			if got := d.frozen(); got != test.frozen {
				t.Errorf("frozen for %s, want %s", got, test.frozen)
			}
			if got := d.complaints(test.back, test.faults); !slices.Equal(got, test.complaints) {
				t.Errorf("complaints = %q, want %q", got, test.complaints)
			}
		})
	}
}
