// Package review says which risks of a landing zone are open and which decisions
// may not be acted on yet. It is pure: reviews, lenses and decisions are read from
// files, and the time is given.
//
// Questions and risk rules are those of custom lenses of the AWS Well-Architected
// Tool, schema 2021-11-01 (User Guide, Lens format specification:
// https://docs.aws.amazon.com/wellarchitected/latest/userguide/lenses-format-specification.html).
// Decisions are documents of kind Decision, or MADR 4.0 documents
// (https://adr.github.io/madr/) whose front matter also says which door they are.
package review

import (
	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

// The kinds of documents that Load reads, beside MADR documents.
const (
	KindReview   = "Review"
	KindDecision = "Decision"
)

// Records are the reviews and decisions of a landing zone, each in order of name.
type Records struct {
	Reviews   []*Review
	Decisions []*Decision
	// Unread are the files of which something could not be read: nobody knows what
	// it would have said.
	Unread []source.Place
}

// A Review is one review as it was written down, with its lens.
type Review struct {
	*landing.Review
	Place source.Place
	// Lens is nil if it could not be read.
	Lens *Lens
	// Broken holds when the document has errors: an answer may be missing that was
	// given, so every risk is Unknown.
	Broken bool

	document *source.Document
}

// A Decision is one decision as it was written down.
type Decision struct {
	*landing.Decision
	Place source.Place
	// TestFound reports whether the reversal's test is a URL or a file of the folder.
	TestFound bool
	// Broken holds when the document has errors: nothing is concluded from it.
	Broken bool

	document *source.Document
	inFront  bool // the fields stand in the front matter of a MADR document
}
