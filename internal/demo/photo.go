package demo

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"crossfade.dev/internal/object"
)

// A photo is the source and both zones as a person would find them: every object
// of the estate's kinds in canonical form, and every record with its TTL.
type photo map[string]string

// photograph looks at the source, at the zone in its old copy, and at its parent.
func (s *show) photograph(ctx context.Context) (photo, error) {
	p := photo{}
	for _, kind := range s.world.kinds() {
		var list unstructured.UnstructuredList
		list.SetGroupVersionKind(kind)
		if err := s.world.source.client.List(ctx, &list); err != nil {
			return nil, fmt.Errorf("photograph %s: %w", kind.Kind, err)
		}
		for i := range list.Items {
			o := &list.Items[i]
			if strings.HasPrefix(o.GetNamespace(), "kube-") || s.world.teams(o) {
				continue
			}
			p[fmt.Sprintf("%s %s/%s", kind.Kind, o.GetNamespace(), o.GetName())] = object.Digest(object.Canonical(o))
		}
	}
	for _, z := range []struct{ name, server string }{{demoZone, "10.53.0.3:53"}, {parentZone, "10.53.0.2:53"}} {
		if err := s.world.transfer(ctx, p, z.name, z.server); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// kinds are those of the estate, each once.
func (w *world) kinds() []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	for _, o := range w.estate.Objects {
		if k := o.GroupVersionKind(); !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// teams tells whether an object is the team's that goes on deploying meanwhile.
func (w *world) teams(o client.Object) bool { return o.GetName() == teamObject }

// transfer adds every record of a zone (AXFR, RFC 5936), the serial number of its
// SOA excepted.
func (w *world) transfer(ctx context.Context, p photo, zone, server string) error {
	conn, err := w.translation.DialContext(ctx, "tcp", server)
	if err != nil {
		return fmt.Errorf("transfer zone %s: %w", zone, err)
	}
	defer conn.Close()
	t := &dns.Transfer{Conn: &dns.Conn{Conn: conn}, TsigSecret: map[string]string{tsigKey + ".": tsigSecret}}
	question := new(dns.Msg).SetAxfr(dns.Fqdn(zone))
	question.SetTsig(tsigKey+".", dns.HmacSHA256, 300, time.Now().Unix())
	envelopes, err := t.In(question, net.JoinHostPort("", "53"))
	if err != nil {
		return fmt.Errorf("transfer zone %s: %w", zone, err)
	}
	for e := range envelopes {
		if e.Error != nil {
			return fmt.Errorf("transfer zone %s: %w", zone, e.Error)
		}
		for _, rr := range e.RR {
			if soa, ok := rr.(*dns.SOA); ok {
				soa.Serial = 0
			}
			p["record "+rr.String()] = "present"
		}
	}
	return nil
}

// differences lists what changed between two photos, ordered.
func (p photo) differences(after photo) []string {
	var out []string
	for key, digest := range p {
		switch now, there := after[key]; {
		case !there:
			out = append(out, key+" is gone")
		case now != digest:
			out = append(out, key+" changed")
		}
	}
	for key := range after {
		if _, there := p[key]; !there {
			out = append(out, key+" is new")
		}
	}
	slices.Sort(out)
	return out
}
