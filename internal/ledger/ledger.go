// Package ledger is the durable record of a migration: what was found (Before),
// what was created and what is intended. It lives in chunked Ledger objects in
// the hub and, where the migration names a bucket, a second time as a journal
// there, so that the way back does not need the hub.
package ledger
