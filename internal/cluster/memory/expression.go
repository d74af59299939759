package memory

import (
	"errors"
	"fmt"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"
	"k8s.io/apimachinery/pkg/types"
)

// An expression is one CEL expression of a policy, compiled. One that does not
// compile fails whenever it is asked.
type expression struct {
	name    string
	program cel.Program
	err     error
}

// environment has the variables of ValidatingAdmissionPolicies and the general
// extensions; the libraries that only Kubernetes has (quantity, url, authorizer)
// are left out, so an expression that needs them does not compile here.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Variable("object", cel.DynType), cel.Variable("oldObject", cel.DynType),
		cel.Variable("request", cel.DynType), cel.Variable("params", cel.DynType),
		cel.Variable("namespaceObject", cel.DynType), cel.Variable("variables", cel.DynType),
		cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Lists(), cel.CrossTypeNumericComparisons(true),
	)
})

func compile(name, source string) expression {
	env, err := environment()
	if err != nil {
		return expression{name: name, err: err}
	}
	ast, issues := env.Compile(source)
	if issues.Err() != nil {
		return expression{name: name, err: fmt.Errorf("compile expression: %w", issues.Err())}
	}
	program, err := env.Program(ast)
	return expression{name: name, program: program, err: err}
}

func (e expression) value(vars map[string]any) (any, error) {
	if e.err != nil {
		return nil, e.err
	}
	out, _, err := e.program.Eval(vars)
	if err != nil {
		return nil, err
	}
	return out.Value(), nil
}

func (e expression) truth(vars map[string]any) (bool, error) {
	v, err := e.value(vars)
	if err != nil {
		return false, err
	}
	holds, ok := v.(bool)
	if !ok {
		return false, errors.New("the expression does not say true or false")
	}
	return holds, nil
}

func (e expression) text(vars map[string]any) (string, error) {
	v, err := e.value(vars)
	if err != nil {
		return "", err
	}
	s, _ := v.(string)
	return s, nil
}

// variables gives expressions what they may speak of. Objects are written out
// only when an expression asks for them.
func (r *request) variables(defined []expression) map[string]any {
	vars := map[string]any{
		"request":         r.attributes(),
		"object":          func() any { return r.content(r.new) },
		"oldObject":       func() any { return r.content(r.old) },
		"params":          nil,
		"namespaceObject": func() any { return r.namespace() },
	}
	values := map[string]any{}
	vars["variables"] = values
	for _, e := range defined {
		if v, err := e.value(vars); err == nil {
			values[e.name] = v
		}
	}
	return vars
}

func (r *request) content(obj Object) any {
	if obj == nil {
		return nil
	}
	u, err := loose(obj, r.kind)
	if err != nil {
		return nil
	}
	return u.Object
}

func (r *request) namespace() any {
	ns := r.c.tables[namespaces].get(types.NamespacedName{Name: r.object().GetNamespace()})
	if ns == nil {
		return nil
	}
	u, err := loose(ns, r.c.kinds[namespaces])
	if err != nil {
		return nil
	}
	return u.Object
}

// attributes is the request as an AdmissionReview has it.
func (r *request) attributes() map[string]any {
	k, o := r.kind, r.object()
	kindOf := map[string]string{"group": k.Group, "version": k.Version, "kind": k.Kind}
	resource := map[string]string{"group": k.Group, "version": k.Version, "resource": k.resource}
	return map[string]any{
		"kind": kindOf, "requestKind": kindOf, "resource": resource, "requestResource": resource,
		"subResource": r.write.subresource, "requestSubResource": r.write.subresource,
		"name": o.GetName(), "namespace": o.GetNamespace(), "operation": r.write.operation, "dryRun": r.write.dryRun,
		"userInfo": map[string]any{"username": r.write.user, "groups": r.write.groups, "uid": "", "extra": map[string]string{}},
	}
}
