package view

import (
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
)

// quantity writes an amount of a resource for people: from ten whole units on without
// parts of one, rounded up (26755m is 27, 53784Mi is 53Gi).
func quantity(text string) string {
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return text
	}
	if q.Format == resource.BinarySI {
		for _, unit := range []struct {
			size int64
			name string
		}{{1 << 40, "Ti"}, {1 << 30, "Gi"}, {1 << 20, "Mi"}} {
			if n := (q.Value() + unit.size - 1) / unit.size; q.Value()%unit.size == 0 {
				return text
			} else if n > 10 {
				return fmt.Sprintf("%s%s", grouped(n), unit.name)
			}
		}
		return text
	}
	if n := q.Value(); n > 10 {
		return grouped(n)
	}
	return text
}
