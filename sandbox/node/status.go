package node

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
)

// A reporter writes the status of pods to the API, and deletes those that have
// stopped. What cannot be written is written later: pods do not wait for it.
type reporter struct {
	node  *Node
	queue workqueue.TypedRateLimitingInterface[types.UID]
}

// reportRetry bounds the pause after a write that failed.
const reportRetry = time.Second

func newReporter(n *Node) *reporter {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[types.UID](50*time.Millisecond, reportRetry)
	return &reporter{node: n, queue: workqueue.NewTypedRateLimitingQueue(limiter)}
}

func (r *reporter) add(uid types.UID) { r.queue.Add(uid) }

// run writes with several workers until ctx ends.
func (r *reporter) run(ctx context.Context, workers int) {
	context.AfterFunc(ctx, r.queue.ShutDown)
	for range workers {
		go func() {
			for {
				uid, quit := r.queue.Get()
				if quit {
					return
				}
				if err := r.report(ctx, uid); err != nil && ctx.Err() == nil {
					r.node.log.Info("status not written", "uid", uid, "error", err)
					r.queue.AddRateLimited(uid)
				} else {
					r.queue.Forget(uid)
				}
				r.queue.Done(uid)
			}
		}()
	}
}

// statusPatch changes the status of the one pod that has this UID.
type statusPatch struct {
	Metadata struct {
		UID types.UID `json:"uid"`
	} `json:"metadata"`
	Status *corev1.PodStatus `json:"status"`
}

func (r *reporter) report(ctx context.Context, uid types.UID) error {
	p := r.node.pod(uid)
	if p == nil {
		return nil
	}
	status, gone := p.status()
	pods := r.node.client.CoreV1().Pods(p.namespace)
	if status != nil {
		patch := statusPatch{Status: status}
		patch.Metadata.UID = uid
		body, err := json.Marshal(patch)
		if err != nil {
			return err
		}
		_, err = pods.Patch(ctx, p.name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
		switch {
		case apierrors.IsNotFound(err), apierrors.IsConflict(err): // another pod has the name by now
			return nil
		case err != nil:
			return fmt.Errorf("write status of pod %s/%s: %w", p.namespace, p.name, err)
		}
		p.mu.Lock()
		p.reported = status
		p.mu.Unlock()
	}
	if !gone {
		return nil
	}
	err := pods.Delete(ctx, p.name, metav1.DeleteOptions{
		GracePeriodSeconds: new(int64), Preconditions: metav1.NewUIDPreconditions(string(uid)),
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete pod %s/%s: %w", p.namespace, p.name, err)
	}
	return nil
}

// status returns the pod's status if it is not what was reported last, and whether
// the pod has stopped and can be deleted.
func (p *pod) status() (status *corev1.PodStatus, gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gone = p.over && p.object.DeletionTimestamp != nil
	if p.finishedBefore {
		return nil, gone
	}
	node := p.node.cfg.Cluster.Node().String()
	status = &corev1.PodStatus{
		Phase:              p.phase(),
		ObservedGeneration: p.object.Generation,
		HostIP:             node,
		HostIPs:            []corev1.HostIP{{IP: node}},
		PodIP:              p.ip.String(),
		PodIPs:             []corev1.PodIP{{IP: p.ip.String()}},
		StartTime:          &metav1.Time{Time: p.began.Truncate(time.Second)},
	}
	for _, c := range p.inits {
		status.InitContainerStatuses = append(status.InitContainerStatuses, c.status())
	}
	for _, c := range p.mains {
		status.ContainerStatuses = append(status.ContainerStatuses, c.status())
	}
	if p.expired {
		status.Reason, status.Message = "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
	}
	status.Conditions = p.judge(status.Phase)
	if p.reported != nil && equality.Semantic.DeepEqual(status, p.reported) {
		return nil, gone
	}
	return status, gone
}

// phase follows https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle.
// It must be called with p.mu held.
func (p *pod) phase() corev1.PodPhase {
	if p.expired && p.over {
		return corev1.PodFailed
	}
	for _, c := range p.inits {
		if c.over && c.role == initRole && c.state.Terminated != nil && c.state.Terminated.ExitCode != 0 && !p.stopping() {
			return corev1.PodFailed
		}
	}
	unstarted, living, failed := 0, 0, 0
	for _, c := range p.mains {
		ended := c.state.Terminated
		switch {
		case c.runs == 0 && ended == nil && !p.resumed:
			unstarted++
		case c.over && ended != nil && ended.ExitCode != 0:
			failed++
		case !c.over:
			living++
		}
	}
	switch {
	case unstarted > 0:
		return corev1.PodPending
	case living > 0:
		return corev1.PodRunning
	case failed > 0:
		return corev1.PodFailed
	case !p.over && len(p.inits) > 0: // sidecars are still ending
		return corev1.PodRunning
	}
	return corev1.PodSucceeded
}

// judge returns the pod's conditions. It must be called with p.mu held.
func (p *pod) judge(phase corev1.PodPhase) []corev1.PodCondition {
	completed := phase == corev1.PodSucceeded
	initialized := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}
	if !p.initDone && !completed {
		initialized.Status, initialized.Reason = corev1.ConditionFalse, "ContainersNotInitialized"
	}
	var unready []string
	for _, c := range slices.Concat(p.inits, p.mains) {
		if c.role != initRole && !c.ready {
			unready = append(unready, c.spec.Name)
		}
	}
	containers := corev1.PodCondition{Type: corev1.ContainersReady, Status: corev1.ConditionTrue}
	switch {
	case completed:
		containers.Status, containers.Reason = corev1.ConditionFalse, "PodCompleted"
	case len(unready) > 0:
		containers.Status, containers.Reason = corev1.ConditionFalse, "ContainersNotReady"
		containers.Message = "containers with unready status: [" + strings.Join(unready, " ") + "]"
	}
	ready := containers
	ready.Type = corev1.PodReady
	if gate := p.closedGate(); gate != "" && ready.Status == corev1.ConditionTrue {
		ready.Status, ready.Reason = corev1.ConditionFalse, "ReadinessGatesNotReady"
		ready.Message = "corresponding condition of pod readiness gate " + gate + " is not True"
	}
	next := []corev1.PodCondition{initialized, ready, containers}
	for i := range next {
		next[i].LastTransitionTime = metav1.Now().Rfc3339Copy()
		for _, old := range p.conditions {
			if old.Type == next[i].Type && old.Status == next[i].Status {
				next[i].LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	p.conditions = next
	return next
}

// closedGate is the first readiness gate that others have not opened; "" if none.
func (p *pod) closedGate() string {
	for _, gate := range p.object.Spec.ReadinessGates {
		open := slices.ContainsFunc(p.object.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == gate.ConditionType && c.Status == corev1.ConditionTrue
		})
		if !open {
			return string(gate.ConditionType)
		}
	}
	return ""
}
