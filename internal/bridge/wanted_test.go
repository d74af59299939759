package bridge

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	v1 "crossfade.dev/api/v1alpha1"
)

func service(change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "web-uid", ResourceVersion: "5"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func port(name string, number int32) discoveryv1.EndpointPort {
	return discoveryv1.EndpointPort{Name: &name, Protocol: new(corev1.ProtocolTCP), Port: &number}
}

// endpoint is an address and its conditions, by letters: r ready, s serving,
// t terminating.
func endpoint(address, conditions string) discoveryv1.Endpoint {
	is := func(c string) *bool { return new(strings.Contains(conditions, c)) }
	return discoveryv1.Endpoint{
		Addresses:  []string{address},
		Conditions: discoveryv1.EndpointConditions{Ready: is("r"), Serving: is("s"), Terminating: is("t")},
	}
}

func slice(name string, number int32, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, UID: types.UID(name), ResourceVersion: "1",
			Labels: map[string]string{discoveryv1.LabelServiceName: "web", discoveryv1.LabelManagedBy: controllerManagedBy},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{port("http", number)},
		Endpoints:   endpoints,
	}
}

func TestWantedCarriesWhatIsTrueEverywhere(t *testing.T) {
	there := endpoint("10.2.1.1", "rs")
	there.Hostname = new("web-0")
	there.NodeName, there.Zone = new("node-1"), new("zone-1")
	there.TargetRef = &corev1.ObjectReference{Kind: "Pod", Name: "web-0"}
	there.Hints = &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "zone-1"}}}
	theirs := slice("web-abc", 8080, there, endpoint("10.2.1.3", "st"), endpoint("10.2.1.2", ""))
	theirs.Ports = append(theirs.Ports, discoveryv1.EndpointPort{Port: new(int32(9)), AppProtocol: new("h2c")})

	got := wanted(service(func(s *corev1.Service) { s.Spec.ClusterIP = "None" }), []*discoveryv1.EndpointSlice{theirs}, nil)

	kept := endpoint("10.2.1.1", "rs")
	kept.Hostname = new("web-0")
	want := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: got[0].Name,
			Labels: map[string]string{
				"kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "crossfade.dev",
				"service.kubernetes.io/headless": "",
			},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Service", Name: "web", UID: "web-uid"}},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{
			{Name: new(""), Protocol: new(corev1.ProtocolTCP), Port: new(int32(9)), AppProtocol: new("h2c")},
			port("http", 8080),
		},
		// The pod that starts (10.2.1.2) is of no use to anyone yet.
		Endpoints: []discoveryv1.Endpoint{kept, endpoint("10.2.1.3", "st")},
	}
	if len(got) != 1 || !equality.Semantic.DeepEqual(got[0], want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if !strings.HasPrefix(got[0].Name, "web-crossfade-") || !isOurs(got[0]) {
		t.Errorf("the slice %q is not marked as ours", got[0].Name)
	}
}

func TestWanted(t *testing.T) {
	six := slice("web-6", 8080, endpoint("2001:db8::1", "rs"))
	six.AddressType = discoveryv1.AddressTypeIPv6
	name := slice("web-n", 8080, endpoint("a.example", "rs"))
	name.AddressType = discoveryv1.AddressTypeFQDN
	dual := func(s *corev1.Service) {
		s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}
	}

	tests := []struct {
		name    string
		service *corev1.Service
		theirs  []*discoveryv1.EndpointSlice
		want    []string
	}{
		{"nothing there", service(), nil, nil},
		{"an empty slice there", service(), []*discoveryv1.EndpointSlice{slice("a", 80)}, nil},
		{"two slices with the same ports become one", service(),
			[]*discoveryv1.EndpointSlice{slice("a", 80, endpoint("10.2.1.2", "rs")), slice("b", 80, endpoint("10.2.1.1", "rs"))},
			[]string{"80: 10.2.1.1 10.2.1.2"}},
		{"pods that answer on different ports stay apart", service(),
			[]*discoveryv1.EndpointSlice{slice("a", 80, endpoint("10.2.1.2", "rs")), slice("b", 81, endpoint("10.2.1.1", "rs"))},
			[]string{"80: 10.2.1.2", "81: 10.2.1.1"}},
		{"families that the Service does not carry", service(),
			[]*discoveryv1.EndpointSlice{slice("a", 80, endpoint("10.2.1.2", "rs")), six, name},
			[]string{"80: 10.2.1.2"}},
		{"both families", service(dual),
			[]*discoveryv1.EndpointSlice{slice("a", 80, endpoint("10.2.1.2", "rs")), six},
			[]string{"8080: 2001:db8::1", "80: 10.2.1.2"}},
		{"an endpoint on its way from one slice to another", service(),
			[]*discoveryv1.EndpointSlice{slice("a", 80, endpoint("10.2.1.1", "rs")), slice("b", 80, endpoint("10.2.1.1", "st"))},
			[]string{"80: 10.2.1.1(st)"}},
		{"the same the other way round", service(),
			[]*discoveryv1.EndpointSlice{slice("a", 80, endpoint("10.2.1.1", "st")), slice("b", 80, endpoint("10.2.1.1", "rs"))},
			[]string{"80: 10.2.1.1(st)"}},
		{"conditions that are not set mean ready", service(),
			[]*discoveryv1.EndpointSlice{slice("a", 80, discoveryv1.Endpoint{Addresses: []string{"10.2.1.1"}})},
			[]string{"80: 10.2.1.1"}},
		{"a pod that ends and no longer answers", service(),
			[]*discoveryv1.EndpointSlice{slice("a", 80, endpoint("10.2.1.1", "t"))}, nil},
		{"published though not ready", service(),
			[]*discoveryv1.EndpointSlice{slice("a", 80, endpoint("10.2.1.1", "r"))}, []string{"80: 10.2.1.1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := describe(wanted(test.service, test.theirs, nil))
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// describe writes each slice as its first port's number and its endpoints.
func describe(list []*discoveryv1.EndpointSlice) []string {
	var out []string
	for _, s := range list {
		text := fmt.Sprintf("%d:", *s.Ports[0].Port)
		for _, e := range s.Endpoints {
			text += " " + e.Addresses[0]
			if !ready(e) {
				text += "(st)"
			}
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

func TestBlockedAndNotes(t *testing.T) {
	theirs := []*discoveryv1.EndpointSlice{slice("a", 80, endpoint("10.2.1.1", "rs"))}
	six := slice("six", 80, endpoint("2001:db8::1", "rs"))
	six.AddressType = discoveryv1.AddressTypeIPv6
	headed := func(change func(*corev1.Service)) *corev1.Service { return service(change) }

	tests := []struct {
		name    string
		facts   facts
		blocked string
		nothing bool
		notes   []Reason
	}{
		{"an ordinary service", facts{here: service(), there: service(), theirs: theirs}, "", false, nil},
		{"nowhere", facts{}, "", true, nil},
		{"missing here", facts{there: service(), theirs: theirs}, "Source ServiceMissing", false, nil},
		{"missing here, without a selector there", facts{there: headed(func(s *corev1.Service) { s.Spec.Selector = nil })}, "", true, nil},
		{"missing there", facts{here: service()}, "Target ServiceMissing", false, nil},
		{"missing there in a late read, its slices still stand", facts{here: service(), theirs: theirs}, "", false, nil},
		{"an alias", facts{here: headed(func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeExternalName }), there: service()}, "Source ExternalName", false, nil},
		{"no selector, endpoints of somebody", facts{
			here: headed(func(s *corev1.Service) { s.Spec.Selector = nil }), there: service(), others: theirs,
		}, "Source NoSelector", false, nil},
		{"no selector, no endpoints", facts{here: headed(func(s *corev1.Service) { s.Spec.Selector = nil }), there: service()}, "", true, nil},
		{"pods of one's own node alone", facts{
			here: headed(func(s *corev1.Service) {
				s.Spec.InternalTrafficPolicy = new(corev1.ServiceInternalTrafficPolicyLocal)
			}), there: service(), theirs: theirs,
		}, "Source InternalTrafficLocal", false, nil},
		{"addresses of another family", facts{here: service(), there: service(), theirs: []*discoveryv1.EndpointSlice{six}}, "Source FamilyMissing", false, nil},
		{"everything that people should know", facts{
			here: headed(func(s *corev1.Service) {
				s.Spec.Type = corev1.ServiceTypeLoadBalancer
				s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
				s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
				s.Spec.TrafficDistribution = new("PreferSameZone")
			}), there: service(), theirs: theirs,
		}, "", false, []Reason{TopologyIgnored, SessionAffinity, ExternalTrafficLocal}},
		{"topology by annotation", facts{
			here:  headed(func(s *corev1.Service) { s.Annotations = map[string]string{corev1.AnnotationTopologyMode: "Auto"} }),
			there: service(),
		}, "", false, []Reason{TopologyIgnored}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.facts.place = place{v1.Source, Key{Namespace: "shop", Name: "web"}}
			found, nothing := test.facts.blocked()
			got := ""
			if found != nil {
				got = fmt.Sprintf("%s %s", found.Side, found.Reason)
			}
			if got != test.blocked || nothing != test.nothing {
				t.Errorf("blocked %q, nothing %v; want %q, %v", got, nothing, test.blocked, test.nothing)
			}
			var notes []Reason
			if found == nil && !nothing {
				for _, note := range test.facts.notes() {
					notes = append(notes, note.Reason)
				}
			}
			if !slices.Equal(notes, test.notes) {
				t.Errorf("notes %v, want %v", notes, test.notes)
			}
		})
	}
}

// theirSlices draws what an endpoint controller might hold: some slices, with
// addresses out of a small range so that they overlap.
func theirSlices(t *rapid.T, label string) []*discoveryv1.EndpointSlice {
	var out []*discoveryv1.EndpointSlice
	for i := range rapid.IntRange(0, 4).Draw(t, label+" slices") {
		s := slice(fmt.Sprintf("their-%d", i), int32(80+rapid.IntRange(0, 1).Draw(t, "port")))
		seen := map[int]bool{}
		for _, n := range rapid.SliceOfN(rapid.IntRange(0, 400), 0, 150).Draw(t, "addresses") {
			if !seen[n] {
				seen[n] = true
				conditions := rapid.SampledFrom([]string{"rs", "st", "", "r"}).Draw(t, "conditions")
				s.Endpoints = append(s.Endpoints, endpoint(fmt.Sprintf("10.2.%d.%d", n/250, n%250), conditions))
			}
		}
		out = append(out, s)
	}
	return out
}

// usable is what clients should reach: port and address of each endpoint that
// somebody would use.
func usable(list []*discoveryv1.EndpointSlice) map[string]bool {
	out := map[string]bool{}
	for _, s := range list {
		for _, e := range s.Endpoints {
			if ready(e) || serving(e) {
				out[fmt.Sprintf("%d %s", *s.Ports[0].Port, e.Addresses[0])] = true
			}
		}
	}
	return out
}

func TestWantedIsTheSameEndpointsInGoodSlices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ours []*discoveryv1.EndpointSlice
		for round := range 3 {
			theirs := theirSlices(t, fmt.Sprint("round ", round))
			before := usable(ours)
			where := map[string]string{}
			for _, s := range ours {
				for _, e := range s.Endpoints {
					where[fmt.Sprintf("%d %s", *s.Ports[0].Port, e.Addresses[0])] = s.Name
				}
			}
			want := wanted(service(), theirs, ours)

			if got, expected := usable(want), usable(theirs); !equality.Semantic.DeepEqual(got, expected) {
				t.Fatalf("endpoints %v, want %v", got, expected)
			}
			if len(changes(wanted(service(), theirs, want), want)) > 0 {
				t.Fatal("a second pass would change something")
			}
			count := 0
			for _, s := range want {
				if len(s.Endpoints) == 0 || len(s.Endpoints) > maxEndpoints {
					t.Fatalf("slice %s holds %d endpoints", s.Name, len(s.Endpoints))
				}
				count += len(s.Endpoints)
				for _, e := range s.Endpoints {
					id := fmt.Sprintf("%d %s", *s.Ports[0].Port, e.Addresses[0])
					if was := where[id]; was != "" && was != s.Name {
						t.Fatalf("endpoint %s moved from slice %s to %s", id, was, s.Name)
					}
				}
			}
			if count != len(usable(want)) {
				t.Fatalf("%d endpoints in the slices, %d of them different", count, len(usable(want)))
			}
			ours = applyAll(t, changes(want, ours), ours, before, usable(want))
		}
	})
}

// applyAll makes the changes one by one and fails if an endpoint that stands
// before and after is missing in between.
func applyAll(t *rapid.T, list []change, have []*discoveryv1.EndpointSlice, before, after map[string]bool) []*discoveryv1.EndpointSlice {
	for _, c := range list {
		var next []*discoveryv1.EndpointSlice
		for _, s := range have {
			if c.old == nil || s.Name != c.old.Name {
				next = append(next, s)
			}
		}
		if c.new != nil {
			next = append(next, c.new)
		}
		have = next
		now := usable(have)
		for id := range before {
			if after[id] && !now[id] {
				t.Fatalf("endpoint %s is missing in between", id)
			}
		}
	}
	return have
}

// TestAPodThatAnswersOnAnotherPortIsNeverMissing moves a pod from one slice to
// another, both of which stand before and after.
func TestAPodThatAnswersOnAnotherPortIsNeverMissing(t *testing.T) {
	for _, ports := range [][2]int32{{80, 81}, {81, 80}} {
		before := []*discoveryv1.EndpointSlice{
			slice("a", ports[0], endpoint("10.2.1.1", "rs"), endpoint("10.2.1.2", "rs")), slice("b", ports[1], endpoint("10.2.1.3", "rs")),
		}
		after := []*discoveryv1.EndpointSlice{
			slice("a", ports[0], endpoint("10.2.1.1", "rs")), slice("b", ports[1], endpoint("10.2.1.2", "rs"), endpoint("10.2.1.3", "rs")),
		}
		ours := wanted(service(), before, nil)
		list := changes(wanted(service(), after, ours), ours)
		if len(list) != 2 || len(list[0].new.Endpoints) != 2 {
			t.Errorf("ports %v: the slice that loses the pod is written first", ports)
		}
	}
	ours := wanted(service(), []*discoveryv1.EndpointSlice{slice("a", 80, endpoint("10.2.1.1", "rs"))}, nil)
	list := changes(wanted(service(), []*discoveryv1.EndpointSlice{slice("b", 81, endpoint("10.2.1.1", "rs"))}, ours), ours)
	if len(list) != 2 || list[0].old != nil || list[1].new != nil {
		t.Errorf("the slice that loses its only pod goes first: %+v", list)
	}
}
