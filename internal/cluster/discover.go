package cluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// UID is the UID that the connection is pinned to.
func (c *Cluster) UID() types.UID { return c.live.wire.pin.get() }

// Version asks the server for its version.
func (c *Cluster) Version(ctx context.Context) (string, error) {
	v, err := c.discovery.ServerVersionWithContext(ctx)
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", c.live.config.Host, err)
	}
	return v.GitVersion, nil
}

// Ready asks the server whether it is ready to serve.
func (c *Cluster) Ready(ctx context.Context) error {
	if _, err := c.discovery.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx); err != nil {
		return fmt.Errorf("ask %s whether it is ready: %w", c.live.config.Host, err)
	}
	return nil
}

// Kinds lists what the cluster serves. If any group can't be discovered, such as
// one whose own server is down, that is an error.
func (c *Cluster) Kinds(ctx context.Context) ([]Kind, error) {
	groups, lists, err := c.discovery.ServerGroupsAndResourcesWithContext(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its kinds: %w", c.live.config.Host, err)
	}
	return kindsOf(groups, lists), nil
}

// kindsOf takes each kind once, in the first version of its group, in the group's
// own order of preference, that has it, with the versions that have it too.
func kindsOf(groups []*metav1.APIGroup, lists []*metav1.APIResourceList) []Kind {
	byVersion := map[string]*metav1.APIResourceList{}
	for _, list := range lists {
		byVersion[list.GroupVersion] = list
	}
	var kinds []Kind
	for _, group := range groups {
		first := len(kinds)
		versions := slices.Clone(group.Versions)
		slices.SortStableFunc(versions, func(a, b metav1.GroupVersionForDiscovery) int {
			return compareBool(b == group.PreferredVersion, a == group.PreferredVersion)
		})
		for _, version := range versions {
			if list := byVersion[version.GroupVersion]; list != nil {
				kinds = addKinds(kinds, first, list, schema.GroupVersion{Group: group.Name, Version: version.Version})
			}
		}
	}
	slices.SortFunc(kinds, func(a, b Kind) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Kind, b.Kind)) })
	return kinds
}

// addKinds adds the kinds of one version of a group to kinds, in which those of the
// group's earlier versions begin at first.
func addKinds(kinds []Kind, first int, list *metav1.APIResourceList, version schema.GroupVersion) []Kind {
	status := map[string]bool{}
	for _, r := range list.APIResources {
		if resource, sub, _ := strings.Cut(r.Name, "/"); sub == "status" {
			status[resource] = true
		}
	}
	for _, r := range list.APIResources {
		if strings.Contains(r.Name, "/") {
			continue
		}
		if i := slices.IndexFunc(kinds[first:], func(k Kind) bool { return k.Kind == r.Kind }); i >= 0 {
			kinds[first+i].Versions = append(kinds[first+i].Versions, version.Version)
			continue
		}
		kinds = append(kinds, Kind{
			GroupVersionKind: version.WithKind(r.Kind), Versions: []string{version.Version}, Resource: r.Name,
			Namespaced: r.Namespaced, Status: status[r.Name], Verbs: r.Verbs,
		})
	}
	return kinds
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
