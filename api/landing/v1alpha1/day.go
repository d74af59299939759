package v1alpha1

import (
	"fmt"
	"time"
)

// A Day is a calendar day in UTC, written as 2026-05-31. The empty day is one that
// was not given.
//
// +kubebuilder:validation:Pattern=`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`
type Day string

// UnmarshalText refuses what is not a day.
func (d *Day) UnmarshalText(text []byte) error {
	if _, err := time.Parse(time.DateOnly, string(text)); err != nil {
		return fmt.Errorf("a day like 2026-05-31")
	}
	*d = Day(text)
	return nil
}

// Start returns when the day begins in UTC: the zero time if the day was not given.
func (d Day) Start() time.Time {
	t, _ := time.Parse(time.DateOnly, string(d)) // only what UnmarshalText let in is a Day
	return t
}

// End returns when the next day begins: the zero time if the day was not given.
func (d Day) End() time.Time {
	if d == "" {
		return time.Time{}
	}
	return d.Start().AddDate(0, 0, 1)
}

// A Waiver lets one finding pass for a while. It stops counting when the day on
// which it expires has begun.
type Waiver struct {
	// Finding is the id of the finding that is waived, for example LZ-QUOTA-001.
	// +kubebuilder:validation:Pattern=`^LZ-[A-Z]+-[0-9]{3}$`
	Finding string `json:"finding"`
	// Question narrows the waiver to one question of a review, Trigger to one
	// trigger of a quota watch.
	// +optional
	Question string `json:"question,omitempty"`
	// +optional
	Trigger string `json:"trigger,omitempty"`
	// Reason says why it may pass.
	// +kubebuilder:validation:MinLength=1
	Reason string `json:"reason"`
	// Owner is the person who answers for it.
	// +kubebuilder:validation:MinLength=1
	Owner string `json:"owner"`
	// Expires is the first day on which the waiver no longer counts.
	Expires Day `json:"expires"`
}
