package bridge

import (
	"context"
	"fmt"
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
)

// Reach is which pods of the other cluster a Service leads to here.
type Reach struct {
	// Ready are the addresses of the pods that stand ready in slices of ours, in
	// order.
	Ready []string
}

// Has is true if the Service leads to the pod with the address.
func (r Reach) Has(address string) bool {
	_, found := slices.BinarySearch(r.Ready, address)
	return found
}

// Bridged says, of every Service in the cluster of side, which pods of the other
// cluster it leads to, as the API server of side holds it: what kube-proxy and
// ingress controllers obey, some milliseconds later. A pod may be given up for
// another only when that one is reachable by every Service of both. Services that
// lead to no pod of the other cluster are missing from the result.
func (b *Bridge) Bridged(ctx context.Context, side v1.Side) (map[Key]Reach, error) {
	var list discoveryv1.EndpointSliceList
	err := b.api(side).List(ctx, &list, client.MatchingLabels{discoveryv1.LabelManagedBy: ManagedBy}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("list the bridge's slices in the %s: %w", side, err)
	}
	reach := map[Key]Reach{}
	for i := range list.Items {
		slice := &list.Items[i]
		key, ok := KeyOf(slice)
		if !ok || !isOurs(slice) {
			continue
		}
		for _, endpoint := range slice.Endpoints {
			if ready(endpoint) {
				reach[key] = Reach{Ready: append(reach[key].Ready, endpoint.Addresses[0])}
			}
		}
	}
	for key, r := range reach {
		slices.Sort(r.Ready)
		reach[key] = Reach{Ready: slices.Compact(r.Ready)}
	}
	return reach, nil
}
