// Package archtest holds the architecture to what was agreed: who may import
// whom, that every package says what it is, and that functions can be read. It is
// tests only.
package archtest
