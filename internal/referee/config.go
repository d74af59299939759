package referee

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Config is what one run of the referee is told. `crossfade load` fills it from
// the flags named here.
type Config struct {
	// Targets are the names to ask (--targets FILE; see ReadTargets).
	Targets Targets
	// Rate is the number of requests in a second over all names of the kinds get,
	// write, tcp and redis (--rate, default 240). Slow requests and players come
	// on top, at paces of their own.
	Rate float64
	// Duration ends the load (--duration); zero leaves it to a stop.
	Duration time.Duration
	// Resolvers are the addresses that names are resolved by, one client each
	// (--resolver, repeated): "10.53.1.1", "10.53.1.1:53", or "bind=10.53.1.1:53" to
	// name the client in the report. Without any, hosts must be addresses.
	Resolvers []string
	// Seed orders the lanes and chooses among addresses (--seed).
	Seed uint64
	// Timeout is counted from a request's scheduled time (--timeout, default 5 s),
	// SlowTimeout likewise for the kind slow (--slow-timeout, default 10 s).
	Timeout, SlowTimeout time.Duration
	// MaxSlip is how late, or how long at a standstill, the referee may be itself
	// before a sample is invalid (--max-slip, default 50 ms).
	MaxSlip time.Duration
	// Window is how many last answers of each name the report's last counts look at
	// (--window, default 50, at most 256).
	Window int
	// Listen is the address of the control endpoint (--listen); empty for none. It
	// asks nobody who they are: loopback is the place for it.
	Listen string
	// MarksFile is read for period names, one a line (--marks); empty for none. It
	// need not exist at first; what stands in it at first counts too.
	MarksFile string
	// ReportFile is where the final report goes as JSON (--report); empty for none.
	ReportFile string

	// Dial connects to addresses as the estate knows them: vantage's
	// Translation.DialContext (--translate, --map-ports). Nil means net.Dialer's.
	Dial DialFunc
	// TLS is cloned for each https connection, which sets ServerName. Nil trusts
	// the system's roots.
	TLS *tls.Config
	// Out gets the final report as a short text, Narration a line now and then. Nil
	// discards.
	Out, Narration io.Writer
}

// A DialFunc has the contract of net.Dialer.DialContext. It must give up when ctx
// ends, and serve "udp" as well as "tcp".
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// Defaults of Config's fields that are zero.
const (
	DefaultRate        = 240
	DefaultTimeout     = 5 * time.Second
	DefaultSlowTimeout = 10 * time.Second
	DefaultMaxSlip     = 50 * time.Millisecond
	DefaultWindow      = 50
)

// maxWindow bounds what is remembered of each name: one byte an answer.
const maxWindow = 256

// withDefaults fills what is unset and refuses what cannot be run. The errors name
// the field as its flag does.
func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Rate, DefaultRate)
	setDefault(&c.Timeout, DefaultTimeout)
	setDefault(&c.SlowTimeout, DefaultSlowTimeout)
	setDefault(&c.MaxSlip, DefaultMaxSlip)
	setDefault(&c.Window, DefaultWindow)
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	if c.TLS == nil {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.Out == nil {
		c.Out = io.Discard
	}
	if c.Narration == nil {
		c.Narration = io.Discard
	}

	switch {
	case len(c.Targets) == 0:
		return c, errors.New("targets: none given")
	case !(c.Rate > 0 && c.Rate <= 1e6):
		return c, fmt.Errorf("rate %v: want more than 0 and at most 1000000 requests in a second", c.Rate)
	case c.Duration < 0:
		return c, fmt.Errorf("duration %s: want 0 or more", c.Duration)
	case c.Timeout < 0 || c.SlowTimeout <= slowDelay && c.Targets.ask(KindSlow):
		return c, fmt.Errorf("timeouts %s and %s: want more than 0, and for slow requests more than %s", c.Timeout, c.SlowTimeout, slowDelay)
	case c.MaxSlip < 0:
		return c, fmt.Errorf("max-slip %s: want more than 0", c.MaxSlip)
	case c.Window < 1 || c.Window > maxWindow:
		return c, fmt.Errorf("window %d: want 1 to %d", c.Window, maxWindow)
	}
	targets, err := c.Targets.complete()
	if err != nil {
		return c, err
	}
	c.Targets = targets
	if len(c.Resolvers) == 0 {
		for _, target := range c.Targets {
			if _, err := netip.ParseAddr(target.Host); err != nil {
				return c, fmt.Errorf("resolver: none given, and host %q of target %q is a name", target.Host, target.Name)
			}
		}
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var unset T
	if *field == unset {
		*field = value
	}
}

// resolverAddress splits "bind=10.53.1.1:53" into the client's name and the
// server's address, for both of which the address alone is enough.
func resolverAddress(text string) (name, server string, err error) {
	name, address, named := strings.Cut(text, "=")
	if !named {
		address = text
	}
	server = address
	if ip, err := netip.ParseAddr(address); err == nil {
		server = netip.AddrPortFrom(ip, 53).String()
	}
	if _, err := netip.ParseAddrPort(server); err != nil {
		return "", "", fmt.Errorf("resolver %q: want ADDRESS, ADDRESS:PORT or NAME=ADDRESS:PORT", text)
	}
	if name == "" || name == staleName {
		return "", "", fmt.Errorf("resolver %q: the name %q cannot be given to a client", text, name)
	}
	return name, server, nil
}
