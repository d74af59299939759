package bridge_test

import "context"

// ctx is the context of a test, or of one example of a property.
func ctx(t any) context.Context {
	if has, ok := t.(interface{ Context() context.Context }); ok {
		return has.Context()
	}
	return context.Background()
}
