package referee

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// Targets are the names that the referee asks.
type Targets []Target

// A Target is one name and what it is asked. The package documentation says what
// each kind expects of it.
type Target struct {
	// Name stands for the target in the report; unique.
	Name string `json:"name"`
	// Host is resolved by every client, unless it is an address. It is also the
	// request's Host header and the name that TLS checks.
	Host string `json:"host"`
	// Port defaults to 80, for https 443 and for tcp 6379.
	Port uint16 `json:"port,omitempty"`
	// Scheme defaults to http.
	Scheme Scheme `json:"scheme,omitempty"`
	// Path is what get and slow ask for; it defaults to "/" and may have a query.
	Path string `json:"path,omitempty"`
	// WritePath defaults to "/v1/events".
	WritePath string `json:"writePath,omitempty"`
	// PlaylistPath defaults to "/playlist.m3u8"; segments are found relative to it.
	PlaylistPath string `json:"playlistPath,omitempty"`
	// Kinds default to get, for the scheme tcp to tcp.
	Kinds []Kind `json:"kinds,omitempty"`
	// ExpectStatus is what get and slow may be answered with; it defaults to
	// "200-399". Writes, playlists and segments expect 200-299.
	ExpectStatus StatusRange `json:"expectStatus,omitzero"`
	// Insecure accepts any certificate.
	Insecure bool `json:"insecure,omitempty"`
}

// A Scheme is the protocol that a target speaks.
type Scheme string

// The schemes. H2C is HTTP/2 without TLS and with prior knowledge (RFC 9113, 3.3).
const (
	HTTP  Scheme = "http"
	HTTPS Scheme = "https"
	H2C   Scheme = "h2c"
	TCP   Scheme = "tcp"
)

// A Kind is what a target is asked; see the package documentation.
type Kind string

// The kinds, in the order of the report.
const (
	KindGet    Kind = "get"
	KindWrite  Kind = "write"
	KindPlayer Kind = "player"
	KindSlow   Kind = "slow"
	KindTCP    Kind = "tcp"
	KindRedis  Kind = "redis"
)

var (
	schemes   = map[Scheme]uint16{HTTP: 80, HTTPS: 443, H2C: 80, TCP: 6379}
	httpKinds = []Kind{KindGet, KindWrite, KindPlayer, KindSlow}
	tcpKinds  = []Kind{KindTCP, KindRedis}
)

// A StatusRange is a range of HTTP statuses, both ends included. In a file it is
// "200-399", or one status.
type StatusRange struct{ First, Last int }

var success = StatusRange{200, 299}

// ReadTargets reads a file that holds a list of targets in YAML or JSON.
func ReadTargets(file string) (Targets, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("targets: %w", err)
	}
	targets, err := ParseTargets(data)
	if err != nil {
		return nil, fmt.Errorf("targets file %s: %w", file, err)
	}
	return targets, nil
}

// ParseTargets reads a list of targets in YAML or JSON and fills in the defaults.
// Unknown fields, and values that cannot be asked, are refused by target and field.
func ParseTargets(data []byte) (Targets, error) {
	var targets Targets
	if err := yaml.UnmarshalStrict(data, &targets); err != nil {
		return nil, err
	}
	if len(targets) == 0 {
		return nil, errors.New("no targets in it")
	}
	return targets.complete()
}

// complete returns a copy with the defaults filled in.
func (t Targets) complete() (Targets, error) {
	completed := slices.Clone(t)
	seen := map[string]bool{}
	for i := range completed {
		target := &completed[i]
		if err := target.complete(); err != nil {
			return nil, fmt.Errorf("target %d (%q): %w", i+1, target.Name, err)
		}
		if seen[target.Name] {
			return nil, fmt.Errorf("target %d: the name %q is taken", i+1, target.Name)
		}
		seen[target.Name] = true
	}
	return completed, nil
}

var (
	validHost = regexp.MustCompile(`^[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_])?$`)
	validPath = regexp.MustCompile(`^/[!-~]*$`) // goes into a request line as it is
)

func (t *Target) complete() error {
	setDefault(&t.Scheme, HTTP)
	port, known := schemes[t.Scheme]
	if !known {
		return fmt.Errorf("scheme %q: want http, https, h2c or tcp", t.Scheme)
	}
	setDefault(&t.Port, port)
	setDefault(&t.Path, "/")
	setDefault(&t.WritePath, "/v1/events")
	setDefault(&t.PlaylistPath, "/playlist.m3u8")
	setDefault(&t.ExpectStatus, StatusRange{200, 399})
	kinds := httpKinds
	if t.Scheme == TCP {
		kinds = tcpKinds
	}
	if len(t.Kinds) == 0 {
		t.Kinds = []Kind{kinds[0]}
	}

	if t.Name == "" {
		return errors.New("name: empty")
	}
	if _, err := netip.ParseAddr(t.Host); err != nil && !validHost.MatchString(t.Host) {
		return fmt.Errorf("host %q: want a DNS name or an address", t.Host)
	}
	for i, kind := range t.Kinds {
		if !slices.Contains(kinds, kind) {
			return fmt.Errorf("kind %q: the scheme %s has %q", kind, t.Scheme, kinds)
		}
		if slices.Contains(t.Kinds[:i], kind) {
			return fmt.Errorf("kind %q: named twice", kind)
		}
	}
	for _, path := range []string{t.Path, t.WritePath, t.PlaylistPath} {
		if !validPath.MatchString(path) {
			return fmt.Errorf(`path %q: want "/" and printable characters without spaces`, path)
		}
	}
	return nil
}

func (t *Target) ask(kind Kind) bool { return slices.Contains(t.Kinds, kind) }

func (t Targets) ask(kind Kind) bool {
	return slices.ContainsFunc(t, func(target Target) bool { return target.ask(kind) })
}

// hostHeader leaves out the port where the scheme implies it (RFC 9110, 7.2).
func (t *Target) hostHeader() string {
	host := t.Host
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "[" + host + "]"
	}
	if t.Port == schemes[t.Scheme] {
		return host
	}
	return host + ":" + strconv.Itoa(int(t.Port))
}

// UnmarshalJSON reads "200-399", "404" or 404.
func (r *StatusRange) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		text = string(data)
	}
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, errFirst := strconv.Atoi(low)
	last, errLast := strconv.Atoi(high)
	if errFirst != nil || errLast != nil || first < 200 || first > last || last > 599 {
		return fmt.Errorf("expectStatus %q: want statuses from 200 to 599, such as 200-399", text)
	}
	*r = StatusRange{first, last}
	return nil
}

// MarshalText writes the form that UnmarshalJSON reads.
func (r StatusRange) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d-%d", r.First, r.Last), nil
}

func (r StatusRange) contains(status int) bool { return r.First <= status && status <= r.Last }
