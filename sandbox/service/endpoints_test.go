package service

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// sliceOf has an endpoint for each address, all with the same conditions.
func sliceOf(ports []discoveryv1.EndpointPort, conditions discoveryv1.EndpointConditions, addresses ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{Ports: ports}
	for _, a := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}, Conditions: conditions})
	}
	return s
}

func TestUsable(t *testing.T) {
	type slices = map[string]*discoveryv1.EndpointSlice
	yes, no := new(true), new(false)
	web := []discoveryv1.EndpointPort{{Name: new("web"), Port: new(int32(8080))}}
	nameless := []discoveryv1.EndpointPort{{Port: new(int32(53)), Protocol: new(corev1.ProtocolUDP)}, {Port: new(int32(8081))}}
	var unset discoveryv1.EndpointConditions
	unready := discoveryv1.EndpointConditions{Ready: no}
	leaving := discoveryv1.EndpointConditions{Ready: no, Serving: yes, Terminating: yes}
	gone := discoveryv1.EndpointConditions{Ready: no, Serving: no, Terminating: yes}
	for _, tt := range []struct {
		name string
		all  slices
		port string
		want string
	}{
		{"conditions that are not set mean ready", slices{"a": sliceOf(web, unset, "10.1.1.2", "10.1.1.1")}, "web", "10.1.1.1:8080 10.1.1.2:8080"},
		{"every slice counts, and each endpoint once", slices{"a": sliceOf(web, unset, "10.1.1.1"), "b": sliceOf(web, unset, "10.1.1.1", "10.2.1.1")}, "web", "10.1.1.1:8080 10.2.1.1:8080"},
		{"ready before terminating", slices{"a": sliceOf(web, leaving, "10.1.1.1"), "b": sliceOf(web, unset, "10.1.1.2")}, "web", "10.1.1.2:8080"},
		{"terminating where none is ready", slices{"a": sliceOf(web, leaving, "10.1.1.1"), "b": sliceOf(web, unready, "10.1.1.2"), "c": sliceOf(web, gone, "10.1.1.3")}, "web", "10.1.1.1:8080"},
		{"a port without a name, which is not the UDP one", slices{"a": sliceOf(nameless, unset, "10.1.1.1")}, "", "10.1.1.1:8081"},
		{"another port", slices{"a": sliceOf(web, unset, "10.1.1.1")}, "admin", ""},
		{"names are no addresses", slices{"a": sliceOf(web, unset, "db.example.com")}, "web", ""},
	} {
		if got := strings.Trim(fmt.Sprint(Usable(tt.all, tt.port)), "[]"); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
