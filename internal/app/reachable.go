package app

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

// reachable is the condition of a Cluster that answered.
const reachable = "Reachable"

func setReachable(c *v1.Cluster) {
	meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{
		Type: reachable, Status: metav1.ConditionTrue, Reason: string(v1.Finished),
		Message: "the API server answered", ObservedGeneration: c.Generation,
	})
}
