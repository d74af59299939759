package view

import v1 "crossfade.dev/api/v1alpha1"

// A Plan is what a migration would find if it began now.
type Plan struct {
	Source string `json:"source"`
	Target string `json:"target"`
	// Moves are the apps as they would be recorded.
	Moves []v1.Move `json:"moves"`
	// Gates are Preflight's.
	Gates []v1.Gate `json:"gates"`
	// Warnings are what a person should know and no gate holds, a sentence each.
	Warnings []string `json:"warnings,omitempty"`
}

// A Difference is one object that the two sides hold differently.
type Difference struct {
	// Object is the kind, and the namespace and name: Deployment shop/cart.
	Object string `json:"object"`
	// Text says what is wrong with the whole object; empty if Fields differ.
	Text   string       `json:"text,omitempty"`
	Fields []FieldValue `json:"fields,omitempty"`
}

// A FieldValue is one field with its value on either side, as people read it.
type FieldValue struct {
	Path   string `json:"path"`
	Source string `json:"source,omitempty"`
	Target string `json:"target,omitempty"`
}
