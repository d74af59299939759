package migration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/plan"
	"crossfade.dev/internal/probe"
)

// A Judge tells what users would have noticed, from probes of its own.
type Judge interface {
	// Judge goes on asking these names on both sides, and returns its verdicts over
	// what it has seen since a moment. It does not wait.
	Judge(ctx context.Context, m *v1.Migration, names []probe.Name, since time.Time) ([]v1.Gate, error)
}

// judged is Done when the gates, and the judge's over everything since this part
// of the stage was first asked about, have passed or are waived.
func (e *Engine) judged(ctx context.Context, v *visit, part string, gates []v1.Gate) (Progress, error) {
	since := e.hearEvidence(v, part)
	names, missing := v.names()
	verdicts, err := e.Judge.Judge(ctx, v.m, names, since)
	if err != nil {
		return Progress{}, fmt.Errorf("judge: %w", err)
	}
	gates = slices.Concat(gates, plan.EntryGates(missing), verdicts, plan.QuarantineGates(v.m.Status.Apps.Quarantined, v.m.Spec.MaxQuarantined))
	gates = plan.Waive(gates, v.m.Spec.Waivers, e.Clock.Now())
	if p := Through(gates); p != nil {
		return *p, nil
	}
	p := Done()
	p.Gates = gates
	return p, nil
}

// hearEvidence tells since when evidence about a part of the stage counts: since it
// was first asked about.
func (e *Engine) hearEvidence(v *visit, part string) time.Time {
	return v.moment("judged-"+part, e.Clock.Now())
}

// names are the public names of the estate, with the addresses of either side. Those
// at which the target is not entered yet cannot be compared: they are missing.
func (v *visit) names() (names []probe.Name, missing []string) {
	there := map[client.ObjectKey]*netv1.Ingress{}
	for _, i := range v.target.ingresses {
		there[client.ObjectKeyFromObject(i)] = i
	}
	for _, i := range v.source.ingresses {
		for _, rule := range i.Spec.Rules {
			if rule.Host == "" || strings.HasPrefix(rule.Host, "*") {
				continue
			}
			name := probe.Name{Host: rule.Host, Path: firstPath(rule), Port: 80}
			what := fmt.Sprintf("%s (Ingress %s/%s)", rule.Host, i.Namespace, i.Name)
			pairs, lacks := paired(name, what, ingressAddresses(i), ingressAddresses(there[client.ObjectKeyFromObject(i)]))
			names, missing = append(names, pairs...), append(missing, lacks...)
		}
	}
	for key, svc := range v.source.services {
		if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		port, web := webPort(svc)
		name := probe.Name{Host: key.Name + "." + key.Namespace, Path: "/", Port: port}
		pairs, lacks := paired(name, "Service "+key.String(), balancerAddresses(svc), balancerAddresses(v.target.services[key]))
		if web {
			names = append(names, pairs...)
		}
		missing = append(missing, lacks...)
	}
	slices.SortFunc(names, func(a, b probe.Name) int { return strings.Compare(a.String(), b.String()) })
	slices.Sort(missing)
	return names, missing
}

// paired is a name with each address of either side once. Where the source is not
// entered by it, it is no public name.
func paired(name probe.Name, what string, here, there []string) (pairs []probe.Name, missing []string) {
	switch {
	case len(here) == 0:
		return nil, nil
	case len(there) == 0:
		return nil, []string{what}
	}
	for i := range max(len(here), len(there)) {
		name.Entry, name.Source, name.Target = i, here[i%len(here)], there[i%len(there)]
		pairs = append(pairs, name)
	}
	return pairs, nil
}

func firstPath(rule netv1.IngressRule) string {
	if rule.HTTP == nil || len(rule.HTTP.Paths) == 0 || rule.HTTP.Paths[0].Path == "" {
		return "/"
	}
	return rule.HTTP.Paths[0].Path
}

// webPort is the Service's port that speaks HTTP in clear, by name, application
// protocol or number.
func webPort(s *corev1.Service) (int32, bool) {
	for _, p := range s.Spec.Ports {
		if p.Port == 80 || p.Port == 8080 || strings.HasPrefix(p.Name, "http") && p.Port != 443 {
			return p.Port, true
		}
	}
	return 0, false
}
