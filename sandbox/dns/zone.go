package dns

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"crossfade.dev/sandbox/delay"
)

// A heldZone is one copy of a zone: its newest version, the journal that keeps
// it, and what each of its servers shows of it.
type heldZone struct {
	Zone
	now func() time.Time

	updating sync.Mutex // orders updates; guards newest, journal and delays
	newest   *version
	journal  *journal
	delays   *rand.Rand

	mu    sync.Mutex // guards the content of views; never held while the disk is waited for
	views map[netip.Addr]*view
}

// A view is the zone as one server shows it. A change reaches the primary at
// once and the others after a delay, in order, as a zone transfer would bring it.
type view struct {
	shown   *version
	coming  []arrival
	primary bool
}

type arrival struct {
	at      time.Time
	version *version
}

func openZone(config Zone, dir string, seed uint64, now func() time.Time) (*heldZone, error) {
	first, err := parseZone(config.Name, config.Records)
	if err != nil {
		return nil, fmt.Errorf("zone %s: %w", config.ID, err)
	}
	z := &heldZone{
		Zone: config, now: now, newest: first, views: map[netip.Addr]*view{},
		delays: delay.Random(seed, "delays of "+config.ID),
	}
	if dir != "" {
		z.journal, z.newest, err = openJournal(dir, config.ID, first)
		if err != nil {
			return nil, fmt.Errorf("zone %s: %w", config.ID, err)
		}
	}
	for i, server := range config.Servers {
		z.views[server] = &view{shown: z.newest, primary: i == 0}
	}
	return z, nil
}

// at returns the version that server shows now.
func (z *heldZone) at(server netip.Addr) *version {
	z.mu.Lock()
	defer z.mu.Unlock()
	v := z.views[server]
	now := z.now()
	for len(v.coming) > 0 && !v.coming[0].at.After(now) {
		v.shown, v.coming = v.coming[0].version, v.coming[1:]
	}
	return v.shown
}

// update does what an UPDATE message asks for, on disk first, and returns the
// response code. A secondary passes updates on to the primary (RFC 2136 section
// 6), so it does not matter which server was asked.
func (z *heldZone) update(message *dns.Msg) (int, error) {
	z.updating.Lock()
	defer z.updating.Unlock()
	e, rcode := z.newest.apply(message)
	if rcode != dns.RcodeSuccess {
		return rcode, nil
	}
	changed := e.changed()
	if len(changed) == 0 {
		return dns.RcodeSuccess, nil
	}
	next := e.version(z.newest.number + 1)
	if z.journal != nil {
		if err := z.journal.record(next, changed); err != nil {
			return dns.RcodeServerFailure, fmt.Errorf("zone %s: %w", z.ID, err)
		}
	}
	z.newest = next
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, server := range z.Servers {
		z.publish(z.views[server], next)
	}
	return dns.RcodeSuccess, nil
}

// publish lets a server show next in its time. The caller holds mu.
func (z *heldZone) publish(v *view, next *version) {
	if v.primary {
		v.shown = next
		return
	}
	at := z.now().Add(z.Delay.Draw(z.delays))
	if n := len(v.coming); n > 0 && v.coming[n-1].at.After(at) {
		at = v.coming[n-1].at
	}
	v.coming = append(v.coming, arrival{at, next})
}

func (z *heldZone) close() error {
	z.updating.Lock()
	defer z.updating.Unlock()
	if z.journal == nil {
		return nil
	}
	return z.journal.close()
}
