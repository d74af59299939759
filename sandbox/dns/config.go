package dns

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"sigs.k8s.io/yaml"

	"crossfade.dev/sandbox/delay"
)

// Config is everything that `sandbox dns` serves. README.md has an example.
type Config struct {
	// Seed chooses propagation delays, the order of servers and of addresses.
	Seed uint64 `json:"seed,omitempty"`
	// Port is where every server and resolver listens and sends to, before
	// translation; 53 if it is zero.
	Port uint16 `json:"port,omitempty"`
	// Roots are the addresses at which resolvers begin.
	Roots     []netip.Addr `json:"roots,omitempty"`
	Keys      []Key        `json:"keys,omitempty"`
	Zones     []Zone       `json:"zones,omitempty"`
	Resolvers []Resolver   `json:"resolvers,omitempty"`
}

// A Key signs updates and transfers (TSIG, RFC 8945).
type Key struct {
	Name string `json:"name"`
	// Algorithm is hmac-sha256 if it is empty; hmac-sha224, -sha384 and -sha512 work too.
	Algorithm string `json:"algorithm,omitempty"`
	// Secret is in base64.
	Secret string `json:"secret"`
}

// A Zone is one copy of a zone. Two copies of the same name (the old and the
// new one of a move) differ in ID and in Servers and know nothing of each other.
type Zone struct {
	// ID names the copy's files; the zone's name if it is empty.
	ID   string `json:"id,omitempty"`
	Name string `json:"name"`
	// Servers hold the same data. The first one is the primary.
	Servers []netip.Addr `json:"servers"`
	// Delay is how long a change takes to reach each server but the first.
	Delay delay.Range `json:"delay,omitzero"`
	// AuthorityNS adds the zone's NS set to the authority section of positive
	// answers, as Route 53 and BIND do.
	AuthorityNS bool `json:"authorityNS,omitempty"`
	// Update and Transfer name the keys that may change and list the zone. Without
	// Transfer, the keys of Update may list it.
	Update   []string `json:"update,omitempty"`
	Transfer []string `json:"transfer,omitempty"`
	// Records is the zone's first content, as a master file (RFC 1035). It is used
	// once: what --dir holds of an earlier run wins.
	Records string `json:"records"`
}

// A Resolver is a caching resolver that iterates from Config.Roots.
type Resolver struct {
	Address netip.Addr `json:"address"`
	Kind    Kind       `json:"kind"`
	// MinTTL and MaxTTL bound every TTL that is cached; MaxTTL is a day if it is
	// zero. The AWS VPC resolver has 300 s here.
	MinTTL Duration `json:"minTTL,omitzero"`
	MaxTTL Duration `json:"maxTTL,omitzero"`
	// StretchTTL multiplies every TTL of an answer, as the 9 % of resolvers do that
	// keep records for longer than they were told. 1 if it is zero.
	StretchTTL float64 `json:"stretchTTL,omitempty"`
	// MaxNegativeTTL bounds NXDOMAIN and NODATA; 3 h if it is zero (RFC 2308).
	MaxNegativeTTL Duration `json:"maxNegativeTTL,omitzero"`
	// FailureTTL is how long a failure is cached (RFC 9520: at least 1 s, at most
	// 5 min); 1 s if it is zero.
	FailureTTL Duration `json:"failureTTL,omitzero"`
}

// Kind is the way in which a resolver treats the name servers of a zone, named
// after the software in which it was measured.
type Kind string

// The kinds; see nsRule for what each does.
const (
	BIND     Kind = "bind"
	Unbound  Kind = "unbound"
	PowerDNS Kind = "powerdns"
	Knot     Kind = "knot"
)

// Load reads a Config from a YAML file and checks it.
func Load(path string) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	config, err := Parse(data)
	if err != nil {
		return Config{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	return config, nil
}

// Parse reads a Config from YAML, sets defaults and checks it. A field that does
// not exist is an error.
func Parse(data []byte) (Config, error) {
	var config Config
	if err := yaml.UnmarshalStrict(data, &config); err != nil {
		return Config{}, err
	}
	config.setDefaults()
	return config, config.check()
}

func (c *Config) setDefaults() {
	if c.Port == 0 {
		c.Port = 53
	}
	for i := range c.Keys {
		key := &c.Keys[i]
		key.Name = dns.CanonicalName(key.Name)
		if key.Algorithm == "" {
			key.Algorithm = "hmac-sha256"
		}
		key.Algorithm = dns.CanonicalName(key.Algorithm)
	}
	for i := range c.Zones {
		zone := &c.Zones[i]
		zone.Name = dns.CanonicalName(zone.Name)
		if zone.ID == "" {
			zone.ID = strings.TrimSuffix(zone.Name, ".")
			if zone.ID == "" {
				zone.ID = "root"
			}
		}
		if zone.Transfer == nil {
			zone.Transfer = zone.Update
		}
		zone.Update = canonical(zone.Update)
		zone.Transfer = canonical(zone.Transfer)
	}
	for i := range c.Resolvers {
		c.Resolvers[i].setDefaults()
	}
}

func (r *Resolver) setDefaults() {
	if r.MaxTTL == 0 {
		r.MaxTTL = Duration(24 * time.Hour)
	}
	if r.MaxNegativeTTL == 0 {
		r.MaxNegativeTTL = Duration(3 * time.Hour)
	}
	if r.FailureTTL == 0 {
		r.FailureTTL = Duration(time.Second)
	}
	if r.StretchTTL == 0 {
		r.StretchTTL = 1
	}
}

func canonical(names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		out = append(out, dns.CanonicalName(name))
	}
	return out
}

func (c *Config) check() error {
	keys := map[string]bool{}
	for _, key := range c.Keys {
		if _, err := base64.StdEncoding.DecodeString(key.Secret); err != nil || key.Secret == "" {
			return fmt.Errorf("keys: %s: secret is not base64", key.Name)
		}
		if _, known := hashes[key.Algorithm]; !known {
			return fmt.Errorf("keys: %s: algorithm %q is not known", key.Name, key.Algorithm)
		}
		keys[key.Name] = true
	}
	role := map[netip.Addr]string{}
	ids := map[string]bool{}
	held := map[string]bool{}
	for _, zone := range c.Zones {
		if err := zone.check(keys); err != nil {
			return fmt.Errorf("zones: %s: %w", zone.ID, err)
		}
		if ids[zone.ID] {
			return fmt.Errorf("zones: id %s is used twice", zone.ID)
		}
		ids[zone.ID] = true
		for _, server := range zone.Servers {
			role[server] = "zone " + zone.ID
			at := server.String() + " " + zone.Name
			if held[at] {
				return fmt.Errorf("zones: %s: server %s already holds another copy of %s", zone.ID, server, zone.Name)
			}
			held[at] = true
		}
	}
	for _, resolver := range c.Resolvers {
		if err := resolver.check(); err != nil {
			return fmt.Errorf("resolvers: %s: %w", resolver.Address, err)
		}
		if other, taken := role[resolver.Address]; taken {
			return fmt.Errorf("resolvers: address %s is taken by %s", resolver.Address, other)
		}
		role[resolver.Address] = "another resolver"
		if len(c.Roots) == 0 {
			return errors.New("roots: resolvers need at least one")
		}
	}
	return nil
}

func (r *Resolver) check() error {
	switch _, known := nsRules[r.Kind]; {
	case !r.Address.Is4():
		return errors.New("address: an IPv4 address is needed")
	case !known:
		return fmt.Errorf("kind %q is not one of bind, unbound, powerdns, knot", r.Kind)
	case r.MinTTL > r.MaxTTL:
		return fmt.Errorf("minTTL %s is longer than maxTTL %s", time.Duration(r.MinTTL), time.Duration(r.MaxTTL))
	case r.StretchTTL < 0:
		return fmt.Errorf("stretchTTL is %g: it must be more than 0", r.StretchTTL)
	}
	return nil
}

func (z *Zone) check(keys map[string]bool) error {
	if len(z.Servers) == 0 {
		return errors.New("servers: at least one is needed")
	}
	if slices.ContainsFunc(z.Servers, func(server netip.Addr) bool { return !server.Is4() }) {
		return fmt.Errorf("servers are %s: IPv4 addresses are needed", z.Servers)
	}
	if strings.ContainsAny(z.ID, "/\\") || strings.HasPrefix(z.ID, ".") {
		return fmt.Errorf("id %q cannot be a file's name", z.ID)
	}
	for _, name := range append(append([]string{}, z.Update...), z.Transfer...) {
		if !keys[name] {
			return fmt.Errorf("key %s is not in keys", name)
		}
	}
	_, err := parseZone(z.Name, z.Records)
	return err
}

// A Duration is written as in Go: "5s", "300ms".
type Duration time.Duration

// UnmarshalJSON reads a string such as "1m30s".
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return err
	}
	if parsed < 0 {
		return fmt.Errorf("duration %q is negative", text)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}
