package memory

import (
	"cmp"
	"encoding/json"
	"hash/fnv"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const revisionAnnotation = "deployment.kubernetes.io/revision"

// syncDeployment gives a Deployment a ReplicaSet of its present template, moves
// replicas to it within maxSurge and maxUnavailable, and tells the status.
func (c *Cluster) syncDeployment(key types.NamespacedName) error {
	d, _ := c.tables[deployments].get(key).(*appsv1.Deployment)
	if d == nil || d.DeletionTimestamp != nil {
		return nil
	}
	sets, err := c.withPresent(d)
	if err != nil || len(sets) == 0 {
		return err
	}
	present, old := sets[len(sets)-1], sets[:len(sets)-1]
	if err := c.scale(d, present, old); err != nil {
		return err
	}
	if err := c.discard(d, old); err != nil {
		return err
	}
	return c.tellDeployment(key, present.Name)
}

// withPresent returns the ReplicaSets of a Deployment by revision. The last is
// that of its present template, which is made, or made the newest, if need be.
func (c *Cluster) withPresent(d *appsv1.Deployment) ([]*appsv1.ReplicaSet, error) {
	sets := c.setsOf(d)
	if len(sets) > 0 && (d.Spec.Paused || d.Status.ObservedGeneration == d.Generation) {
		return sets, nil
	}
	revision := "1"
	if len(sets) > 0 {
		revision = strconv.Itoa(revisionOf(sets[len(sets)-1]) + 1)
	}
	at := slices.IndexFunc(sets, func(rs *appsv1.ReplicaSet) bool { return sameTemplate(&rs.Spec.Template, &d.Spec.Template) })
	switch {
	case at >= 0 && at == len(sets)-1:
		return sets, nil
	case at >= 0:
		again := *sets[at]
		again.Annotations = with(again.Annotations, revisionAnnotation, revision)
		if err := c.settle(c.kinds[replicaSets], c.kinds[replicaSets].key(&again), sets[at], &again, system(deploymentController)); err != nil {
			return nil, err
		}
	default:
		if err := c.newSet(d, revision); err != nil {
			return nil, err
		}
	}
	out := d.DeepCopy()
	out.Annotations = with(out.Annotations, revisionAnnotation, revision)
	if _, err := c.replace(c.kinds[deployments], d, out, system(deploymentController)); err != nil {
		return nil, err
	}
	return c.setsOf(d), nil
}

// setsOf returns the ReplicaSets that a Deployment controls, by revision.
func (c *Cluster) setsOf(d *appsv1.Deployment) []*appsv1.ReplicaSet {
	var sets []*appsv1.ReplicaSet
	for _, r := range c.owned(d.UID) {
		if r.kind == replicaSets {
			if rs := c.tables[replicaSets].get(r.key).(*appsv1.ReplicaSet); rs.DeletionTimestamp == nil {
				sets = append(sets, rs)
			}
		}
	}
	slices.SortStableFunc(sets, func(a, b *appsv1.ReplicaSet) int { return cmp.Compare(revisionOf(a), revisionOf(b)) })
	return sets
}

func revisionOf(obj Object) int {
	n, _ := strconv.Atoi(obj.GetAnnotations()[revisionAnnotation])
	return n
}

// sameTemplate compares templates without the label that tells them apart.
func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	if len(a.Labels) != len(b.Labels)+1 || !selects(b.Labels, a.Labels) {
		return false
	}
	return equality.Semantic.DeepEqual(a.Annotations, b.Annotations) && equality.Semantic.DeepEqual(a.Spec, b.Spec)
}

// newSet makes the ReplicaSet of the present template, with no replicas yet.
func (c *Cluster) newSet(d *appsv1.Deployment, revision string) error {
	hash := templateHash(&d.Spec.Template)
	template := d.Spec.Template.DeepCopy()
	if template.Labels == nil {
		template.Labels = map[string]string{}
	}
	template.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	selector := d.Spec.Selector.DeepCopy()
	selector.MatchLabels = with(selector.MatchLabels, appsv1.DefaultDeploymentUniqueLabelKey, hash)
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: d.Name + "-" + hash, Namespace: d.Namespace, Labels: template.Labels,
			Annotations:     with(d.Annotations, revisionAnnotation, revision),
			OwnerReferences: []metav1.OwnerReference{owner(d, c.kinds[deployments])},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: new(int32(0)), MinReadySeconds: d.Spec.MinReadySeconds, Selector: selector, Template: *template},
	}
	_, err := c.create(c.kinds[replicaSets], rs, system(deploymentController))
	return err
}

func templateHash(t *corev1.PodTemplateSpec) string {
	data, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	h := fnv.New64a()
	h.Write(data)
	return word(h.Sum64(), 10)
}

// with is a copy of m with one more pair.
func with(m map[string]string, key, value string) map[string]string {
	out := make(map[string]string, len(m)+1)
	for k, v := range m {
		out[k] = v
	}
	out[key] = value
	return out
}

// scale moves replicas towards the present ReplicaSet.
func (c *Cluster) scale(d *appsv1.Deployment, present *appsv1.ReplicaSet, old []*appsv1.ReplicaSet) error {
	want := *d.Spec.Replicas
	var oldTotal, oldAlive, available int32
	for _, rs := range old {
		oldTotal += *rs.Spec.Replicas
		oldAlive += rs.Status.Replicas
		available += rs.Status.AvailableReplicas
	}
	if oldTotal == 0 && oldAlive == 0 {
		return c.setReplicas(present, want)
	}
	if want == 0 {
		return c.shrink(append(slices.Clone(old), present), 1<<30)
	}
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return c.shrink(old, oldTotal)
	}
	surge, unavailable := limits(d)
	if room := want + surge - oldTotal - *present.Spec.Replicas; room > 0 || *present.Spec.Replicas > want {
		if err := c.setReplicas(present, min(want, *present.Spec.Replicas+max(0, room))); err != nil {
			return err
		}
		present = c.tables[replicaSets].get(types.NamespacedName{Namespace: present.Namespace, Name: present.Name}).(*appsv1.ReplicaSet)
	}
	// What is not available in the old sets goes first, then what the present set
	// makes up for; together no more than what all sets were asked to have above the
	// least, since a status may not yet tell of what was taken away before.
	least := want - unavailable
	most := oldTotal + *present.Spec.Replicas - least - max(0, *present.Spec.Replicas-present.Status.AvailableReplicas)
	sick, spare := oldTotal-available, available+present.Status.AvailableReplicas-least
	return c.shrink(old, max(0, min(most, max(0, sick)+max(0, spare))))
}

// limits resolves maxSurge and maxUnavailable into pods.
func limits(d *appsv1.Deployment) (surge, unavailable int32) {
	r, n := d.Spec.Strategy.RollingUpdate, int(*d.Spec.Replicas)
	s, err := intstr.GetScaledValueFromIntOrPercent(r.MaxSurge, n, true)
	if err != nil {
		s = 1
	}
	u, err := intstr.GetScaledValueFromIntOrPercent(r.MaxUnavailable, n, false)
	if err != nil {
		u = 0
	}
	if s == 0 && u == 0 {
		u = 1
	}
	return int32(s), int32(u)
}

// shrink takes n replicas away, from the oldest set first.
func (c *Cluster) shrink(sets []*appsv1.ReplicaSet, n int32) error {
	for _, rs := range sets {
		take := min(n, *rs.Spec.Replicas)
		n -= take
		if err := c.setReplicas(rs, *rs.Spec.Replicas-take); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) setReplicas(rs *appsv1.ReplicaSet, n int32) error {
	if *rs.Spec.Replicas == n {
		return nil
	}
	out := *rs
	out.Spec.Replicas = &n
	out.Generation++
	return c.settle(c.kinds[replicaSets], types.NamespacedName{Namespace: rs.Namespace, Name: rs.Name}, rs, &out, system(deploymentController))
}

// discard removes empty old sets beyond revisionHistoryLimit.
func (c *Cluster) discard(d *appsv1.Deployment, old []*appsv1.ReplicaSet) error {
	surplus := len(old) - int(*d.Spec.RevisionHistoryLimit)
	for _, rs := range old {
		if surplus <= 0 {
			return nil
		}
		if *rs.Spec.Replicas == 0 && rs.Status.Replicas == 0 {
			surplus--
			if err := c.remove(c.kinds[replicaSets], types.NamespacedName{Namespace: rs.Namespace, Name: rs.Name}, noOptions, system(deploymentController)); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellDeployment writes the status of a Deployment from its ReplicaSets.
func (c *Cluster) tellDeployment(key types.NamespacedName, present string) error {
	d := c.tables[deployments].get(key).(*appsv1.Deployment)
	status := appsv1.DeploymentStatus{ObservedGeneration: d.Generation}
	for _, rs := range c.setsOf(d) {
		status.Replicas += rs.Status.Replicas
		status.ReadyReplicas += rs.Status.ReadyReplicas
		status.AvailableReplicas += rs.Status.AvailableReplicas
		if rs.Name == present {
			status.UpdatedReplicas = rs.Status.Replicas
		}
	}
	status.UnavailableReplicas = max(0, *d.Spec.Replicas-status.AvailableReplicas)
	unavailable := int32(0)
	if d.Spec.Strategy.RollingUpdate != nil {
		_, unavailable = limits(d)
	}
	complete := status.UpdatedReplicas == *d.Spec.Replicas && status.Replicas == *d.Spec.Replicas && status.AvailableReplicas == *d.Spec.Replicas
	status.Conditions = []appsv1.DeploymentCondition{
		c.condition(d, appsv1.DeploymentAvailable, status.AvailableReplicas >= *d.Spec.Replicas-unavailable, "MinimumReplicasAvailable", "MinimumReplicasUnavailable"),
		c.progress(d, complete),
	}
	if equality.Semantic.DeepEqual(status, d.Status) {
		return nil
	}
	out := *d
	out.Status = status
	w := system(deploymentController).on("status")
	c.sign(c.kinds[deployments], d, &out, w)
	return c.settle(c.kinds[deployments], key, d, &out, w)
}

func (c *Cluster) condition(d *appsv1.Deployment, kind appsv1.DeploymentConditionType, holds bool, yes, no string) appsv1.DeploymentCondition {
	now := c.now()
	out := appsv1.DeploymentCondition{Type: kind, Status: corev1.ConditionFalse, Reason: no, LastTransitionTime: now, LastUpdateTime: now}
	if holds {
		out.Status, out.Reason = corev1.ConditionTrue, yes
	}
	for _, had := range d.Status.Conditions {
		if had.Type == kind && had.Status == out.Status && had.Reason == out.Reason {
			return had
		}
	}
	return out
}

// progress is True while a rollout goes on and when it is complete; the reason tells which.
func (c *Cluster) progress(d *appsv1.Deployment, complete bool) appsv1.DeploymentCondition {
	reason := "ReplicaSetUpdated"
	if complete {
		reason = "NewReplicaSetAvailable"
	}
	return c.condition(d, appsv1.DeploymentProgressing, true, reason, "")
}
