package v1alpha1

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A QuotaWatch is one limit of a provider, how far it is used, what is planned, and
// how long it takes to raise it or to scale below it.
//
// +kubebuilder:object:root=true
type QuotaWatch struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec QuotaWatchSpec `json:"spec"`
}

// QuotaWatchSpec is what is known of a quota. What is left out is unknown, and the
// answer names it.
type QuotaWatchSpec struct {
	// Service is the provider's service, for example vpc.
	// +kubebuilder:validation:MinLength=1
	Service string `json:"service"`
	// Quota is what is counted, for example VPCs per region.
	// +kubebuilder:validation:MinLength=1
	Quota string `json:"quota"`
	// Code is the provider's code for the quota, for example L-F678F1CE.
	// +optional
	Code string `json:"code,omitempty"`
	// Account and Region are where it applies.
	// +optional
	Account string `json:"account,omitempty"`
	// +optional
	Region string `json:"region,omitempty"`

	// Value is the quota, above 0.
	// +optional
	Value *float64 `json:"value,omitempty"`
	// Fixed holds when the provider does not raise the quota.
	// +optional
	Fixed bool `json:"fixed,omitempty"`

	// Samples are how much was used on which days, in any order, one for a day.
	// +optional
	// +listType=map
	// +listMapKey=on
	Samples []UseSample `json:"samples,omitempty"`
	// Events are what is planned beside growth.
	// +optional
	// +listType=map
	// +listMapKey=name
	Events []PlannedEvent `json:"events,omitempty"`
	// Increase is how long it takes until the provider has raised the quota.
	// +optional
	Increase *LeadTime `json:"increase,omitempty"`
	// MarginDays is how many calendar days must be left between the raised quota and
	// the day on which the present one would have run out.
	// +optional
	// +kubebuilder:default=14
	// +kubebuilder:validation:Minimum=0
	MarginDays *int `json:"marginDays,omitempty"`
	// Triggers are what scales the load below the quota.
	// +optional
	// +listType=map
	// +listMapKey=name
	Triggers []ScaleTrigger `json:"triggers,omitempty"`
	// Waivers let findings pass for a while.
	// +optional
	Waivers []Waiver `json:"waivers,omitempty"`
}

// A UseSample is how much of a quota was used on a day.
type UseSample struct {
	On Day `json:"on"`
	// Used is at least 0, in the unit of the quota.
	// +kubebuilder:validation:Minimum=0
	Used float64 `json:"used"`
}

// A PlannedEvent is a time in which more is used than growth alone explains.
type PlannedEvent struct {
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// From and To are the first and the last day, both included.
	From Day `json:"from"`
	To   Day `json:"to"`
	// Multiplier is what the use is multiplied by, at least 1. Where events overlap,
	// their multipliers are multiplied.
	// +kubebuilder:validation:Minimum=1
	Multiplier float64 `json:"multiplier"`
}

// LeadTime is how long something takes: exactly one of businessDays and
// calendarDays is given.
type LeadTime struct {
	// BusinessDays counts Mondays to Fridays without Holidays, from the day after the
	// one on which it is asked for.
	// +optional
	// +kubebuilder:validation:Minimum=0
	BusinessDays *int `json:"businessDays,omitempty"`
	// CalendarDays counts every day.
	// +optional
	// +kubebuilder:validation:Minimum=0
	CalendarDays *int `json:"calendarDays,omitempty"`
	// Holidays are days that are no business days.
	// +optional
	// +listType=set
	Holidays []Day `json:"holidays,omitempty"`
}

// String says how long it is, for example "10 business days".
func (t LeadTime) String() string {
	if t.BusinessDays != nil {
		return fmt.Sprintf("%d business days", *t.BusinessDays)
	}
	if t.CalendarDays != nil {
		return fmt.Sprintf("%d calendar days", *t.CalendarDays)
	}
	return "an unknown time"
}

// A ScaleTrigger is what adds capacity when a metric crosses a threshold.
type ScaleTrigger struct {
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// Metric is what is measured, in percent of what the running capacity carries.
	// +kubebuilder:validation:MinLength=1
	Metric string `json:"metric"`
	// ThresholdPercent is where the trigger fires, above 0 and under 100.
	// +optional
	ThresholdPercent *float64 `json:"thresholdPercent,omitempty"`
	// Reaction is what happens one after the other between the threshold and the
	// moment in which the new capacity serves.
	// +optional
	Reaction []ReactionPart `json:"reaction,omitempty"`
	// LoadGrowth is how fast the load can grow at worst.
	// +optional
	LoadGrowth *LoadGrowth `json:"loadGrowth,omitempty"`
	// AddsPercent is how much capacity one reaction adds, in percent of what ran when
	// it fired. Without it only the first reaction is checked.
	// +optional
	AddsPercent *float64 `json:"addsPercent,omitempty"`
}

// A ReactionPart is one part of a reaction, for example the period of the metric.
type ReactionPart struct {
	// +kubebuilder:validation:MinLength=1
	Name  string          `json:"name"`
	Takes metav1.Duration `json:"takes"`
}

// LoadGrowth is a rise of the load by percentage points of the running capacity
// in a time.
type LoadGrowth struct {
	Points float64         `json:"points"`
	Within metav1.Duration `json:"within"`
}

// QuotaWatchList is a list of quota watches.
//
// +kubebuilder:object:root=true
type QuotaWatchList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []QuotaWatch `json:"items"`
}
