package dns

import (
	"strings"
	"testing"
)

func TestConfigurationsThatAreRefused(t *testing.T) {
	const zone = "zones: [{name: z.test, servers: [10.53.0.3], %s records: \"@ 60 IN SOA ns host 1 1 1 1 1\\n@ 60 IN NS ns\\n\"}]\n"
	tests := []struct{ name, text, want string }{
		{"unknown field", "zone: []", `unknown field "zone"`},
		{"zone without servers", "zones: [{name: z.test}]", "zones: z.test: servers: at least one is needed"},
		{"key that is not there", strings.Replace(zone, "%s", "update: [who],", 1), "zones: z.test: key who. is not in keys"},
		{"records that lack an SOA", "zones: [{name: z.test, servers: [10.53.0.3], records: \"@ 60 IN NS ns\\n\"}]", "the apex needs one SOA record"},
		{"delay that runs backwards", strings.Replace(zone, "%s", "delay: 5s-1s,", 1), "runs backwards"},
		{"id that is no file name", strings.Replace(zone, "%s", "id: a/b,", 1), `id "a/b" cannot be a file's name`},
		{"secret", "keys: [{name: k, secret: \"%\"}]", "keys: k.: secret is not base64"},
		{"algorithm", "keys: [{name: k, secret: YQ==, algorithm: rot13}]", `algorithm "rot13." is not known`},
		{"kind", "resolvers: [{address: 10.53.1.1, kind: dnsmasq}]", `kind "dnsmasq" is not one of bind, unbound, powerdns, knot`},
		{"resolver without an address", "roots: [10.53.0.1]\nresolvers: [{kind: bind}]", "address: an IPv4 address is needed"},
		{"server without an address", strings.Replace(zone, "[10.53.0.3], %s", "[\"\"],", 1), "zones: z.test: servers are [invalid IP]: IPv4 addresses are needed"},
		{"bounds of TTLs that cross", "roots: [10.53.0.1]\nresolvers: [{address: 10.53.1.1, kind: bind, minTTL: 10s, maxTTL: 5s}]", "resolvers: 10.53.1.1: minTTL 10s is longer than maxTTL 5s"},
		{"TTLs that shrink below nothing", "roots: [10.53.0.1]\nresolvers: [{address: 10.53.1.1, kind: bind, stretchTTL: -1}]", "stretchTTL is -1"},
		{"resolver without roots", "resolvers: [{address: 10.53.1.1, kind: bind}]", "roots: resolvers need at least one"},
		{"address twice", "roots: [10.53.0.1]\nresolvers: [{address: 10.53.1.1, kind: bind}, {address: 10.53.1.1, kind: knot}]", "address 10.53.1.1 is taken by another resolver"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
}
