package object_test

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes/scheme"

	"k8s.io/apimachinery/pkg/api/resource"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/object"
)

// TestUnstructuredIsWhatTheConverterWrites fills every kind of Kubernetes and of
// Crossfade by chance, from empty to full.
func TestUnstructuredIsWhatTheConverterWrites(t *testing.T) {
	kinds := runtime.NewScheme()
	if err := scheme.AddToScheme(kinds); err != nil {
		t.Fatal(err)
	}
	if err := v1.AddToScheme(kinds); err != nil {
		t.Fatal(err)
	}
	chance := rand.New(rand.NewPCG(1, 2))
	seen := 0
	for kind := range kinds.AllKnownTypes() {
		for round := range 12 {
			obj, err := kinds.New(kind)
			if err != nil {
				t.Fatal(err)
			}
			fill(chance, reflect.ValueOf(obj).Elem(), float64(round)/11, 12)
			want, wrong := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
			have, err := object.Unstructured(obj)
			if (err != nil) != (wrong != nil) {
				t.Fatalf("%s: %v; want %v", kind, err, wrong)
			}
			if err == nil && !reflect.DeepEqual(have.Object, want) {
				t.Fatalf("%s: %v; want %v", kind, have.Object, want)
			}
			seen++
		}
	}
	if seen < 1000 {
		t.Errorf("only %d objects were compared", seen)
	}
}

// fill sets each field of v with probability p.
func fill(chance *rand.Rand, v reflect.Value, p float64, depth int) {
	if !v.CanSet() || depth == 0 {
		return
	}
	switch at := v.Addr().Interface().(type) {
	case *metav1.Time:
		*at = metav1.NewTime(time.Unix(chance.Int64N(1<<31), 0))
		return
	case *metav1.MicroTime:
		*at = metav1.NewMicroTime(time.UnixMicro(chance.Int64N(1 << 50)))
		return
	case *resource.Quantity:
		*at = *resource.NewMilliQuantity(chance.Int64N(1e6), resource.DecimalSI)
		return
	case *intstr.IntOrString:
		*at = []intstr.IntOrString{intstr.FromInt32(chance.Int32N(9)), intstr.FromString("25%")}[chance.IntN(2)]
		return
	case *metav1.FieldsV1:
		*at = *metav1.NewFieldsV1(`{"f:spec":{"f:replicas":{}}}`)
		return
	case *runtime.RawExtension:
		*at = runtime.RawExtension{Raw: []byte(`{"a":[1,2.5,"b"]}`)}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if chance.Float64() < p {
				fill(chance, v.Field(i), p, depth-1)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(chance, v.Elem(), p, depth-1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), chance.IntN(3), 3))
		for i := range v.Len() {
			fill(chance, v.Index(i), p, depth-1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range chance.IntN(3) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(chance, key, 1, depth-1)
			fill(chance, value, p, depth-1)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString([]string{"", "a", "<é>", "10m"}[chance.IntN(4)])
	case reflect.Bool:
		v.SetBool(chance.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(chance.Int64N(100) - 20)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(chance.Uint64N(100))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(chance.Float64())
	}
}
