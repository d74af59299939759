package node

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/version"
)

const (
	// leaseEvery is how often the node says that it lives, and statusEvery how
	// often it says how it is.
	leaseEvery  = 10 * time.Second
	statusEvery = time.Minute
	// registerLimit is how long the API server may be away when a node starts.
	registerLimit = time.Minute
)

// capacity is more than any estate asks for: the machine's own limits are not
// what a sandbox is about.
func capacity() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("10000"),
		corev1.ResourceMemory:           resource.MustParse("100Ti"),
		corev1.ResourceEphemeralStorage: resource.MustParse("100Ti"),
		corev1.ResourcePods:             resource.MustParse("10000"),
	}
}

// register creates the Node, or takes over the one that is there.
func (n *Node) register(ctx context.Context) error {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: n.cfg.Name,
		Labels: map[string]string{
			corev1.LabelOSStable:           "linux",
			corev1.LabelArchStable:         runtime.GOARCH,
			corev1.LabelHostname:           n.cfg.Name,
			corev1.LabelTopologyZone:       n.cfg.Zone,
			corev1.LabelTopologyRegion:     "sandbox",
			corev1.LabelInstanceTypeStable: "sandbox",
			"beta.kubernetes.io/os":        "linux", // manifests from before 1.14 select by these
			"beta.kubernetes.io/arch":      runtime.GOARCH,
		},
	}}
	var last error
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, registerLimit, true, func(ctx context.Context) (bool, error) {
		_, last = n.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
		if last == nil || apierrors.IsAlreadyExists(last) {
			last = n.writeStatus(ctx)
		}
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("register node %s: %w", n.cfg.Name, last)
	}
	return nil
}

// nodePatch changes the status of a node.
type nodePatch struct {
	Status corev1.NodeStatus `json:"status"`
}

func (n *Node) writeStatus(ctx context.Context) error {
	ip := n.cfg.Cluster.Node().String()
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: reason, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.NewTime(n.began)}
	}
	status := corev1.NodeStatus{
		Capacity:    capacity(),
		Allocatable: capacity(),
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: ip}, {Type: corev1.NodeHostName, Address: n.cfg.Name},
		},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: kubeletPort}},
		Conditions: []corev1.NodeCondition{
			condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady"),
			condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory"),
			condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure"),
			condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID"),
		},
		NodeInfo: corev1.NodeSystemInfo{
			KubeletVersion: version.Get().GitVersion, OperatingSystem: "linux",
			Architecture: runtime.GOARCH, OSImage: "Crossfade sandbox", ContainerRuntimeVersion: "sandbox://1",
			MachineID: n.cfg.Name, SystemUUID: n.cfg.Name, BootID: n.cfg.Name, KernelVersion: "sandbox",
		},
	}
	body, err := json.Marshal(nodePatch{status})
	if err != nil {
		return err
	}
	_, err = n.client.CoreV1().Nodes().Patch(ctx, n.cfg.Name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	return err
}

// heartbeat renews the node's Lease and status until ctx ends. While the API server
// is away it tries again each second, so that the node is soon taken for alive.
func (n *Node) heartbeat(ctx context.Context) {
	var statusAt time.Time
	for {
		next := leaseEvery
		err := n.renewLease(ctx)
		if err == nil && time.Since(statusAt) > statusEvery {
			if err = n.writeStatus(ctx); err == nil {
				statusAt = time.Now()
			}
		}
		if err != nil {
			n.log.Info("heartbeat not written", "error", err)
			next = time.Second
		}
		if !sleep(ctx, next) {
			return
		}
	}
}

func (n *Node) renewLease(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseEvery)
	defer cancel()
	leases := n.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	lease, err := leases.Get(ctx, n.cfg.Name, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return err
	}
	if missing {
		lease = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: n.cfg.Name, Namespace: corev1.NamespaceNodeLease}}
	}
	lease.Spec.HolderIdentity = new(n.cfg.Name)
	lease.Spec.LeaseDurationSeconds = new(int32(40))
	lease.Spec.RenewTime = new(metav1.NowMicro())
	if missing {
		_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
	} else {
		_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	}
	return err
}

func newEventSink(client kubernetes.Interface) record.EventSink {
	return &typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")}
}
