package mirror

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

// Shorthands of the table: w is what the origin wants to be, g what the copy is.
func origin(digest string) look {
	return look{uid: "origin", version: "5", digest: digest, owners: "m"}
}

func copied(digest string) look { return look{uid: "copy", version: "9", digest: digest} }

func noted(got string) Entry {
	return Entry{UID: "copy", From: "origin", Wrote: "w", Got: got, Owners: "m"}
}

func TestDecide(t *testing.T) {
	leaving := func(l look) look { l.leaving = true; return l }
	bare := func(l look) look { l.bare = true; return l }
	with := func(e Entry, change func(*Entry)) Entry { change(&e); return e }
	next := func(digest string) func(*Entry) { return func(e *Entry) { e.Next = digest } }
	going := func(e *Entry) { e.Going = true }
	found := func(e *Entry) { e.Found = true }

	tests := []struct {
		name  string
		facts facts
		want  fate
	}{
		{"nothing anywhere", facts{}, nothing},
		{"only on the side that follows", facts{to: copied("x")}, nothing},

		{"new on the writer's side", facts{from: origin("w")}, create},
		{"being deleted on the writer's side", facts{from: leaving(origin("w"))}, wait},
		{"its creation was begun, nothing came of it", facts{from: origin("w"), entry: Entry{From: "origin", Next: "w"}}, create},
		{"its deletion is over, and it is wanted again", facts{from: origin("w"), entry: with(noted("g"), going)}, create},
		{"somebody deleted the copy", facts{from: origin("w"), entry: noted("g")}, drift},

		{"a stranger that is the same", facts{from: origin("w"), to: copied("w")}, level},
		{"a stranger that differs", facts{from: origin("w"), to: copied("x")}, hold},
		{"a bare one that clusters make", facts{from: origin("w"), to: bare(copied("x"))}, replace},
		{"its own origin, the same", facts{from: origin("w"), to: copied("w"), origin: true}, take},
		{"its own origin, level by the other direction's record", facts{from: origin("w"), to: copied("g"), origin: true, settled: true}, take},
		{"its own origin, changed since", facts{from: origin("w"), to: copied("x"), origin: true}, replace},

		{"reply lost, and it is what was sent", facts{from: origin("w"), to: copied("w"), entry: Entry{From: "origin", Next: "w"}}, ask},
		{"reply lost, and the origin went on", facts{from: origin("v"), to: copied("w"), entry: Entry{From: "origin", Next: "w"}}, ask},
		{"reply lost, and it is something else", facts{from: origin("w"), to: copied("x"), entry: Entry{From: "origin", Next: "w"}}, ask},

		{"level", facts{from: origin("w"), to: copied("g"), entry: noted("g")}, level},
		{"level, and a webhook made it different", facts{from: origin("w"), to: copied("webhook"), entry: noted("webhook")}, level},
		{"the origin changed", facts{from: origin("v"), to: copied("g"), entry: noted("g")}, replace},
		{"the origin changed, and can't be changed in place", facts{from: origin("v"), to: copied("g"), entry: noted("g"), remake: true}, remove},
		{"the copy changed", facts{from: origin("w"), to: copied("x"), entry: noted("g")}, drift},
		{"both changed", facts{from: origin("v"), to: copied("x"), entry: noted("g")}, drift},
		{"both changed to the same", facts{from: origin("v"), to: copied("v"), entry: noted("g")}, take},
		{"an update whose reply was lost", facts{from: origin("v"), to: copied("v"), entry: with(noted("g"), next("v"))}, take},
		{"an update whose reply was lost, and the origin went on", facts{from: origin("u"), to: copied("v"), entry: with(noted("g"), next("v"))}, take},
		{"an update that never came, and is not wanted any longer", facts{from: origin("w"), to: copied("g"), entry: with(noted("g"), next("v"))}, take},
		{"other field owners", facts{from: origin("w"), to: copied("g"), entry: with(noted("g"), func(e *Entry) { e.Owners = "n" })}, sign},
		{"another last run", facts{from: look{uid: "origin", digest: "w", owners: "m", carried: "t"}, to: copied("g"), entry: noted("g")}, sign},
		{"the copy is being deleted", facts{from: origin("w"), to: leaving(copied("g")), entry: noted("g")}, wait},

		{"somebody made it again, the same", facts{from: origin("w"), to: look{uid: "other", digest: "w"}, entry: noted("g")}, forget},
		{"somebody made it again, different", facts{from: origin("w"), to: look{uid: "other", digest: "x"}, entry: noted("g")}, drift},
		{"somebody made it while it was being deleted", facts{from: origin("w"), to: look{uid: "other", digest: "x"}, entry: with(noted("g"), going)}, hold},
		{"the cluster made it again", facts{from: origin("w"), to: bare(look{uid: "other", digest: "x"}), entry: with(noted("g"), found)}, replace},

		{"the origin is gone", facts{to: copied("g"), entry: noted("g")}, remove},
		{"the origin is gone, the copy too", facts{entry: noted("g")}, forget},
		{"the origin is gone, the copy going", facts{to: leaving(copied("g")), entry: noted("g")}, wait},
		{"the origin is gone, but the copy was changed", facts{to: copied("x"), entry: noted("g")}, drift},
		{"the origin is gone, but the copy is another", facts{to: look{uid: "other", digest: "g"}, entry: noted("g")}, forget},
		{"the origin is gone, but the copy was there before", facts{to: copied("g"), entry: with(noted("g"), found)}, hold},
		{"its team deleted on the writer's side what was copied from it", facts{to: copied("g"), origin: true, entry: with(noted("g"), found)}, remove},
		{"the same, but somebody changed it here", facts{to: copied("x"), origin: true, entry: with(noted("g"), found)}, drift},
		{"the same, but it is another here", facts{to: look{uid: "other", digest: "g"}, origin: true, entry: with(noted("g"), found)}, forget},
		{"the origin is gone, the creation's reply was lost", facts{to: copied("w"), entry: Entry{From: "origin", Next: "w"}}, take},
		{"the origin is gone, and this one is not ours", facts{to: copied("x"), entry: Entry{From: "origin", Next: "w"}}, hold},
		{"the origin is gone, an update's reply was lost", facts{to: copied("v"), entry: with(noted("g"), next("v"))}, remove},
		{"an entry that is over counts for nothing", facts{to: copied("x"), entry: Entry{Gone: true}}, nothing},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, why := decide(test.facts)
			if got != test.want {
				t.Errorf("fate %d (%s), want %d", got, why, test.want)
			}
			if (got == hold || got == drift) && why == "" {
				t.Error("a person is asked without being told why")
			}
		})
	}
}

// Whatever the facts are, what somebody else made or changed is not overwritten.
func TestDecideNeverHarmsWhatIsNotTheMirrors(t *testing.T) {
	digests := []string{"", "w", "g", "v", "x"}
	uids := []types.UID{"", "copy", "other"}
	for _, from := range digests {
		for _, to := range digests {
			for _, toUID := range uids {
				for _, e := range entries(digests) {
					f := facts{entry: e}
					if from != "" {
						f.from = origin(from)
					}
					if toUID != "" {
						f.to = copied(to)
						f.to.uid = toUID
					}
					got, why := decide(f)
					ours := f.known() && e.UID == f.to.uid && (to == e.Got || to == e.Next || to == e.Wrote || to == from)
					if (got == replace || got == remove) && !ours {
						t.Fatalf("%d (%s) of what is not the mirror's: %+v", got, why, f)
					}
					if got == remove && (e.Found || from != "") {
						t.Fatalf("remove of what must stay: %+v", f)
					}
					if got == create && f.to.there() {
						t.Fatalf("create over something: %+v", f)
					}
				}
			}
		}
	}
}

func entries(digests []string) []Entry {
	all := []Entry{{}, {Gone: true}}
	for _, wrote := range digests {
		for _, got := range digests {
			for _, next := range digests {
				for flags := range 8 {
					e := Entry{From: "origin", Wrote: wrote, Got: got, Next: next, Owners: "m", Found: flags&1 > 0, Going: flags&2 > 0}
					if flags&4 > 0 {
						e.UID = "copy"
					}
					all = append(all, e)
				}
			}
		}
	}
	return all
}
