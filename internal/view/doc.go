// Package view makes one summary of a migration for everybody who shows it: the
// commands and the page. It looks at API objects and nothing else, and its
// functions are pure: the time is an argument.
package view
