// Package view is what people are shown: how far a migration has come, what a plan
// found, and what is proved of a landing zone; as text for terminals, as a page, as
// Markdown and as SARIF. It looks at API objects and at what the packages that decide
// found, and its functions are pure: the time is an argument.
package view
