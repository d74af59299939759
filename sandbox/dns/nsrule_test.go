package dns

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The laboratory: one question a second for a name never asked before, 51 s before
// and 900 s after the parent was pointed at the new servers. The cells are the
// second of the last answer that came from the old servers (or of the last
// failure), as measured in BIND 9.18, Unbound 1.17, PowerDNS Recursor 4.8 and Knot
// Resolver 5.6.
const (
	warm  = 51
	after = 900
	never = after
	// slack, in seconds: the real ones differ by moments within a TTL.
	slack = 5
)

func TestNSFlipLaboratory(t *testing.T) {
	tests := []struct {
		name                 string
		parentNS, childNS    int
		apex                 bool // the old apex NS points to the new servers, too
		newTargets           bool // the old zone serves the new targets already
		refused              bool // the old servers answer REFUSED from the flip on
		bind, unbound, power int
		knot                 int
	}{
		{name: "child NS outlives the parent's", parentNS: 20, childNS: 200, bind: 9, unbound: 12, power: 149, knot: never},
		{name: "both short", parentNS: 20, childNS: 20, bind: 9, unbound: 12, power: 9, knot: never},
		{name: "parent NS outlives the child's", parentNS: 200, childNS: 20, bind: 149, unbound: 150, power: 9, knot: never},
		{name: "old apex NS follows", parentNS: 20, childNS: 20, apex: true, bind: 9, unbound: 12, power: 0, knot: 11},
		{name: "old zone serves the new targets", parentNS: 20, childNS: 200, newTargets: true, bind: -1, unbound: -1, power: -1, knot: -1},
		{name: "old zone refuses at once", parentNS: 20, childNS: 200, refused: true, bind: 9, unbound: -1, power: 149, knot: 167},
	}
	for _, test := range tests {
		for kind, want := range map[Kind]int{BIND: test.bind, Unbound: test.unbound, PowerDNS: test.power, Knot: test.knot} {
			t.Run(fmt.Sprintf("%s/%s", test.name, kind), func(t *testing.T) {
				w := newWorld(t, movingZones(test.parentNS, test.childNS)...)
				r := w.resolver(Resolver{Address: netip.MustParseAddr("10.53.1.1"), Kind: kind}, "10.53.0.1")
				last := -1
				for second := -warm; second < after; second++ {
					if second == 0 {
						w.flip(test.parentNS, test.childNS, test.apex, test.newTargets, test.refused)
					}
					reply := ask(r, fmt.Sprintf("n%d.live.demo.test.", second+warm), dns.TypeA)
					if answer := data(reply.Answer); second >= 0 && answer != "A 10.2.0.1" {
						last = second
					} else if second < 0 && answer != "A 10.1.0.1" {
						t.Fatalf("before the flip, second %d: answer %q, code %s", second, answer, dns.RcodeToString[reply.Rcode])
					}
					w.pass(time.Second)
				}
				if want == never {
					want = after - 1
				}
				if math.Abs(float64(last-want)) > slack {
					t.Errorf("last old answer in second %d, measured %d", last, want)
				}
			})
		}
	}
}

func (w *world) flip(parentNS, childNS int, apex, newTargets, refused bool) {
	w.t.Helper()
	w.pointNS("parent", parentNS)
	if apex {
		w.pointNS("old", childNS)
	}
	if newTargets {
		w.update("old", func(m *dns.Msg) {
			m.RemoveRRset(records(w.t, "*.live.demo.test. 0 IN A 10.1.0.1"))
			m.Insert(records(w.t, "*.live.demo.test. 5 IN A 10.2.0.1"))
		})
	}
	if refused {
		w.refuses[netip.MustParseAddr("10.53.0.3")] = true
		w.refuses[netip.MustParseAddr("10.53.0.4")] = true
	}
}
