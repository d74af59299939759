// Package object says what of a Kubernetes object is the team's and what is its
// cluster's, so that objects can be kept, copied and compared across clusters. It
// is pure: no client, no clock.
//
// Three forms of one object follow from that:
//
//   - as read: what an API server returned;
//   - Portable: without what only holds in the cluster that it came from. This is
//     what is archived or created elsewhere. It keeps ownerReferences with the UIDs
//     of the old cluster, for the writer to map, and spec.replicas, suspend and the
//     like, which are the writer's to decide;
//   - Canonical: Portable, and without what two clusters may rightly differ in
//     (owners' UIDs, allocated ports and addresses, bookkeeping of controllers).
//     Two objects are the same to a team exactly when their Canonical forms have
//     the same Digest. Diff says where they differ.
//
// Canonical(Portable(o)) equals Canonical(o), and each form is a fixed point of its
// own function. Only Reduce changes what it is given.
package object

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// A Field is the path to one field of an object, through maps only.
type Field []string

// Fields that the engine owns on the receiving side of a migration, and which are
// therefore left out of most comparisons.
var (
	Replicas = Field{"spec", "replicas"}
	Suspend  = Field{"spec", "suspend"}
)

// Unstructured is obj as an unstructured object that shares nothing with obj. Its
// apiVersion and kind are those that obj carries itself: typed objects read by a
// client often carry none, and the caller sets them.
func Unstructured(obj runtime.Object) (*unstructured.Unstructured, error) {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return u.DeepCopy(), nil
	}
	fields, err := fieldsOf(obj)
	if err != nil {
		return nil, fmt.Errorf("read %T as fields: %w", obj, err)
	}
	return &unstructured.Unstructured{Object: fields}, nil
}

// Portable is obj without what only holds in the cluster that it came from: what
// the API server wrote into its metadata, its status, and what that cluster
// allocated to it (cluster IPs, node ports that nobody asked for, bound volumes,
// service account tokens). Finalizers of the cluster's own controllers go too.
func Portable(obj *unstructured.Unstructured) *unstructured.Unstructured {
	out := obj.DeepCopy()
	portable(out)
	return out
}

// Canonical is the form in which objects are compared. The fields in without are
// left out as well.
func Canonical(obj *unstructured.Unstructured, without ...Field) *unstructured.Unstructured {
	out := obj.DeepCopy()
	Reduce(out, without...)
	return out
}

// Reduce makes obj its own Canonical form. Who has no other use for obj saves the
// copy by it.
func Reduce(obj *unstructured.Unstructured, without ...Field) {
	portable(obj)
	canonical(obj)
	for _, field := range without {
		unstructured.RemoveNestedField(obj.Object, field...)
	}
}

// Digest is the SHA-256 of obj's JSON, in hexadecimal. It panics if obj holds
// something that JSON cannot express, which no API server returns.
func Digest(obj *unstructured.Unstructured) string {
	text, err := JSON(obj)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
