package demo

import (
	"fmt"
	"path/filepath"
	"strings"

	"sigs.k8s.io/yaml"

	"crossfade.dev/internal/vantage"
)

// The demo's zone, and how its servers and clusters are numbered. The sandbox
// writes addresses as 10.x and is found at 127.x.
const (
	parentZone = "demo.test"
	demoZone   = "live.demo.test"
	apiName    = "api." + demoZone
	tsigKey    = "crossfade"
	tsigSecret = "Y3Jvc3NmYWRlLXNhbmRib3gta2V5LTEyMw=="

	// firstTTL is what every record has at first, in seconds; loweredTTL is what the
	// migration lowers it to.
	firstTTL   = 20
	loweredTTL = 5
)

// A route is how addresses are reached from this machine, as flags carry it.
type route struct{ networks, ports []string }

// newRoute is where the sandbox's addresses are found on this machine: all of 10.x
// if the clusters are the demo's own; otherwise only its name servers and the
// entries of its own to given clusters, and beside them what a person says.
func newRoute(given bool, networks, ports []string) route {
	r := route{networks: []string{"10.0.0.0/8=127.0.0.0/8"}, ports: []string{"1-1023=+10000"}}
	if !given {
		return r
	}
	r.networks = []string{"10.53.0.0/16=127.53.0.0/16"}
	for _, number := range []int{sourceNumber, targetNumber} {
		r.networks = append(r.networks, fmt.Sprintf("%s/32=127.%d.0.9/32", apiAddress(number, true), number))
	}
	return route{append(r.networks, networks...), append(r.ports, ports...)}
}

func (r route) parse() (vantage.Translation, error) { return vantage.Parse(r.networks, r.ports) }

// flags are the route as flags of `crossfade load` and `crossfade controller`.
func (r route) flags() []string {
	var out []string
	for _, n := range r.networks {
		out = append(out, "--translate", n)
	}
	for _, p := range r.ports {
		out = append(out, "--map-ports", p)
	}
	return out
}

// apiAddress is where the name of the API leads in a cluster: to its API server, or
// to the demo's proxy before it if the cluster is given.
func apiAddress(number int, given bool) string {
	if given {
		return fmt.Sprintf("10.%d.0.9", number)
	}
	return fmt.Sprintf("10.%d.0.1", number)
}

var resolvers = []string{"bind=10.53.1.1:53", "unbound=10.53.1.2:53", "powerdns=10.53.1.3:53", "knot=10.53.1.4:53"}

// dnsConfig is what `sandbox dns` serves: root, parent, both copies of the zone,
// and a resolver of each kind.
func dnsConfig(seed uint64, records []string) ([]byte, error) {
	type entry map[string]any
	apex := func(set string) string {
		return fmt.Sprintf("@ %[1]d IN SOA ns1.%[2]s.%[3]s. hostmaster.%[3]s. 1 1800 900 604800 %[1]d\n"+
			"@ %[1]d IN NS ns1.%[2]s.%[3]s.\n@ %[1]d IN NS ns2.%[2]s.%[3]s.\n", firstTTL, set, parentZone)
	}
	root := "@ 86400 IN SOA a.root.test. hostmaster.root.test. 1 1800 900 604800 60\n@ 86400 IN NS a.root.test.\n" +
		"a.root.test. 86400 IN A 10.53.0.1\n" + parentZone + ". 86400 IN NS ns." + parentZone + ".\nns." + parentZone + ". 86400 IN A 10.53.0.2\n"
	parent := fmt.Sprintf("@ %[1]d IN SOA ns hostmaster 1 1800 900 604800 %[1]d\n@ %[1]d IN NS ns\nns %[1]d IN A 10.53.0.2\n"+
		"live %[1]d IN NS ns1.old.%[2]s.\nlive %[1]d IN NS ns2.old.%[2]s.\n"+
		"ns1.old %[1]d IN A 10.53.0.3\nns2.old %[1]d IN A 10.53.0.4\nns1.new %[1]d IN A 10.53.0.5\nns2.new %[1]d IN A 10.53.0.6\n",
		firstTTL, parentZone)
	return yaml.Marshal(entry{
		"seed":  seed,
		"roots": []string{"10.53.0.1"},
		"keys":  []entry{{"name": tsigKey, "secret": tsigSecret}},
		"zones": []entry{
			{"id": "root", "name": ".", "servers": []string{"10.53.0.1"}, "records": root},
			{"id": "parent", "name": parentZone, "servers": []string{"10.53.0.2"}, "authorityNS": true, "update": []string{tsigKey}, "records": parent},
			{"id": "old", "name": demoZone, "servers": []string{"10.53.0.3", "10.53.0.4"}, "delay": "0s-500ms", "authorityNS": true,
				"update": []string{tsigKey}, "records": apex("old") + strings.Join(records, "\n") + "\n"},
			{"id": "new", "name": demoZone, "servers": []string{"10.53.0.5", "10.53.0.6"}, "delay": "0s-500ms", "authorityNS": true,
				"update": []string{tsigKey}, "records": apex("new")},
		},
		"resolvers": []entry{
			{"address": "10.53.1.1", "kind": "bind"}, {"address": "10.53.1.2", "kind": "unbound"},
			{"address": "10.53.1.3", "kind": "powerdns"}, {"address": "10.53.1.4", "kind": "knot"},
		},
	})
}

// bucketURL is a folder of the demo as a bucket, made at its first use.
func bucketURL(dir, name string) string {
	return "file://" + filepath.Join(dir, name) + "?create_dir=true&no_tmp_dir=true"
}
