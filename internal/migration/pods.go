package migration

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// readPods learns of every pod whose it is. Its owner is its ReplicaSet, and that is a
// Deployment's if it is named after it, by what the controller adds to the name, and
// the Deployment selects the pod: a name alone may be another's with a longer one.
func (s *site) readPods(ctx context.Context, in func(string) bool, deployments []*appsv1.Deployment) error {
	var pods metav1.PartialObjectMetadataList
	pods.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	if err := s.api.List(ctx, &pods, client.UnsafeDisableDeepCopy); err != nil {
		return err
	}
	ours := within(in, pods.Items)
	known := &s.last.pods[indexOf(s.side)]
	for _, d := range deployments {
		known.from.see(d.UID, "") // a selector stays what it is
	}
	seeAll(&known.from, ours)
	if known.from.same() && known.of != nil {
		s.podsOf, s.loose = known.of, known.loose
		return nil
	}
	known.of = nil
	if err := s.assign(ours); err != nil {
		return err
	}
	known.of, known.loose = s.podsOf, s.loose
	return nil
}

// assign finds the Deployment of each pod.
func (s *site) assign(pods []*metav1.PartialObjectMetadata) error {
	s.podsOf, s.loose = make(map[client.ObjectKey]string, len(pods)), nil
	for _, pod := range pods {
		owner := metav1.GetControllerOfNoCopy(pod)
		if owner != nil && owner.Kind != "ReplicaSet" {
			continue
		}
		if owner != nil {
			if cut := strings.LastIndex(owner.Name, "-"); cut > 0 {
				deployment := client.ObjectKey{Namespace: pod.Namespace, Name: owner.Name[:cut]}
				ours, err := selects(s.deployments[deployment], pod.Labels)
				if err != nil {
					return err
				}
				if ours {
					s.podsOf[client.ObjectKeyFromObject(pod)] = deployment.Name
					continue
				}
			}
		}
		s.loose = append(s.loose, pod)
	}
	return nil
}

// selects tells whether a Deployment selects pods with the labels; one that is not there
// selects none.
func selects(d *appsv1.Deployment, of map[string]string) (bool, error) {
	if d == nil {
		return false, nil
	}
	if s := d.Spec.Selector; s != nil && len(s.MatchExpressions) == 0 {
		for key, value := range s.MatchLabels {
			if have, there := of[key]; !there || have != value {
				return false, nil
			}
		}
		return true, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return false, fmt.Errorf("selector of Deployment %s/%s: %w", d.Namespace, d.Name, err)
	}
	return selector.Matches(labels.Set(of)), nil
}

// looseOnes reads the pods that nothing keeps, but those that have run to their end,
// and the ReplicaSets that no Deployment keeps: workloads of their own.
func (s *site) looseOnes(ctx context.Context) (pods []*corev1.Pod, sets []*appsv1.ReplicaSet, err error) {
	seen := map[client.ObjectKey]bool{}
	for _, metadata := range s.loose {
		key := client.ObjectKeyFromObject(metadata)
		if owner := metav1.GetControllerOfNoCopy(metadata); owner != nil {
			key.Name = owner.Name
			rs := &appsv1.ReplicaSet{}
			if seen[key] {
				continue
			}
			seen[key] = true
			if found, err := s.found(ctx, key, rs); err != nil {
				return nil, nil, err
			} else if found {
				sets = append(sets, rs)
			}
			continue
		}
		pod := &corev1.Pod{}
		found, err := s.found(ctx, key, pod)
		if err != nil {
			return nil, nil, err
		}
		if found && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
			pods = append(pods, pod)
		}
	}
	return pods, sets, nil
}

// found reads an object, and tells whether it is there.
func (s *site) found(ctx context.Context, key client.ObjectKey, into client.Object) (bool, error) {
	err := s.api.Get(ctx, key, into)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
