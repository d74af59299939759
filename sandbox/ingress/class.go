package ingress

import (
	"context"
	"fmt"
	"time"

	netv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// controllerName is who serves the IngressClass that ensureClass makes.
const controllerName = "crossfade.dev/sandbox-ingress"

// ensureClass makes a default IngressClass in a cluster that has no class at all,
// as a cluster with an ingress controller has one. It tries until it is done.
func (e *edge) ensureClass(ctx context.Context) {
	for ctx.Err() == nil {
		err := e.makeClass(ctx)
		if err == nil {
			return
		}
		e.Log.Debug("ingress class is not there yet", "class", e.Class, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(writeAgain):
		}
	}
}

func (e *edge) makeClass(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	classes := e.Client.NetworkingV1().IngressClasses()
	have, err := classes.List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return fmt.Errorf("list ingress classes: %w", err)
	}
	if len(have.Items) > 0 {
		return nil
	}
	class := &netv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: e.Class, Annotations: map[string]string{netv1.AnnotationIsDefaultIngressClass: "true"}},
		Spec:       netv1.IngressClassSpec{Controller: controllerName},
	}
	_, err = classes.Create(ctx, class, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("make ingress class %s: %w", e.Class, err)
	}
	return nil
}
