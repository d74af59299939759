package demo

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"crossfade.dev/internal/object"
)

// A photo is both clusters and every zone as a person would find them: every object
// of every kind in canonical form, and every record of every server with its TTL.
type photo map[string]string

// copies are the zones as each authoritative server holds them.
var copies = []struct{ name, zone, server string }{
	{"parent", parentZone, "10.53.0.2:53"},
	{"old", demoZone, "10.53.0.3:53"}, {"old (second server)", demoZone, "10.53.0.4:53"},
	{"new", demoZone, "10.53.0.5:53"}, {"new (second server)", demoZone, "10.53.0.6:53"},
}

// photograph looks at everything that a migration could leave something in.
func (s *show) photograph(ctx context.Context) (photo, error) {
	p := photo{}
	for _, c := range []site{s.world.source, s.world.target} {
		if err := s.world.pose(ctx, p, c); err != nil {
			return nil, fmt.Errorf("photograph the %s: %w", c.name, err)
		}
	}
	for _, c := range copies {
		if err := s.world.transfer(ctx, p, c.name, c.zone, c.server); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// pose adds every object of a cluster.
func (w *world) pose(ctx context.Context, p photo, c site) error {
	kinds, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return err
	}
	served, err := kinds.ServerPreferredResources()
	if err != nil {
		return err
	}
	for _, group := range served {
		of, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			return err
		}
		for _, kind := range group.APIResources {
			if !slices.Contains(kind.Verbs, "list") || transient[kind.Kind] {
				continue
			}
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(of.WithKind(kind.Kind))
			if err := c.client.List(ctx, list); err != nil {
				return fmt.Errorf("list %s: %w", kind.Kind, err)
			}
			for i := range list.Items {
				if o := &list.Items[i]; w.lasting(o) {
					p[fmt.Sprintf("%s: %s %s/%s", c.name, kind.Kind, o.GetNamespace(), o.GetName())] = portrait(o)
				}
			}
		}
	}
	return nil
}

// transient are kinds that controllers of Kubernetes write by themselves: what
// happened, what an API server is made of, and where Services' pods are by name.
var transient = map[string]bool{"Event": true, "ComponentStatus": true, "Endpoints": true, "IPAddress": true}

// fence is the Lease that an engine holds in each cluster for as long as it runs.
const fence = "kube-system/crossfade"

// lasting tells whether an object is anybody's intent: not made by a controller out
// of another object, nor the engine's fence, nor the team's, which goes on deploying
// meanwhile.
func (w *world) lasting(o *unstructured.Unstructured) bool {
	switch o.GetKind() {
	case "EndpointSlice":
		return !strings.HasSuffix(o.GetLabels()[discoveryv1.LabelManagedBy], ".k8s.io")
	case "Lease":
		return o.GetNamespace()+"/"+o.GetName() != fence
	default:
		return metav1.GetControllerOf(o) == nil && o.GetName() != teamObject
	}
}

// portrait is what an object must be again: the same object, with the same content.
// Of what beats like a heart only its being there.
func portrait(o *unstructured.Unstructured) string {
	switch o.GetKind() {
	case "Lease", "Node":
		return "present"
	}
	return string(o.GetUID()) + " " + object.Digest(object.Canonical(o))
}

// transfer adds every record of a server's zone (AXFR, RFC 5936), the serial number
// of its SOA excepted.
func (w *world) transfer(ctx context.Context, p photo, name, zone, server string) error {
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
			p[name+" zone: "+rr.String()] = "present"
		}
	}
	return nil
}

// settling is how long Kubernetes may take, after a rollback, to collect what was
// deleted: the contents of a namespace, and objects whose owner is gone.
const settling = 30 * time.Second

// compare lists what differs from the photo that was taken before.
func (s *show) compare(ctx context.Context, before photo) ([]string, error) {
	deadline := time.Now().Add(settling)
	for {
		after, err := s.photograph(ctx)
		if err != nil {
			return nil, err
		}
		found := before.differences(after)
		if len(found) == 0 || time.Now().After(deadline) {
			return found, nil
		}
		if err := pause(ctx, time.Second); err != nil {
			return nil, err
		}
	}
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
