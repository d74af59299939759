// Package detect checks resources as they are against the rules of detective
// guardrails: CEL expressions over one snapshot each. What a snapshot does not tell
// is InsufficientData, never Compliant.
package detect

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

// A Status is what is known of compliance, in the vendor's words (AWS Config
// Developer Guide, "Evaluating resources").
type Status string

// The statuses.
const (
	Compliant        Status = "COMPLIANT"
	NonCompliant     Status = "NON_COMPLIANT"
	InsufficientData Status = "INSUFFICIENT_DATA"
)

// worst returns the status of a whole of which these are parts: one that does not
// comply is enough, and so is, otherwise, one that could not be told. The vendor's
// packs leave out rules of which nothing is known; here what was not seen is not
// assumed, and Counts tell the rest.
func worst(parts []Status) Status {
	switch {
	case slices.Contains(parts, NonCompliant):
		return NonCompliant
	case len(parts) == 0 || slices.Contains(parts, InsufficientData):
		return InsufficientData
	}
	return Compliant
}

// A Pack is the compiled rules of one guardrail.
type Pack struct {
	Name  string
	rules []rule
}

type rule struct {
	landing.DetectiveRule
	program cel.Program // nil if the expression has errors
}

// mostCost bounds what an expression may cost: some hundred thousand steps.
const mostCost = 500_000

// Compile compiles the rules of a guardrail, which stands in d, and returns
// everything that is wrong with them. A rule with errors stays in the pack: nothing
// can be told by it.
func Compile(g *landing.Guardrail, d *source.Document) (*Pack, source.Findings) {
	var found source.Findings
	pack := &Pack{Name: g.Name}
	env, err := cel.NewEnv(
		cel.Variable("resource", cel.MapType(cel.StringType, cel.DynType)),
		cel.OptionalTypes(), ext.Strings(), ext.Sets(),
		cel.ParserExpressionSizeLimit(10_000), cel.ParserRecursionLimit(100),
	)
	if err != nil {
		panic("detect: " + err.Error()) // the environment is fixed
	}
	items := d.Root.Get("spec", "rules")
	names := map[string]bool{}
	for i, r := range g.Spec.Rules {
		where := source.Item("$.spec.rules", i)
		at := d.Root
		if items != nil && i < len(items.Items) {
			at = items.Items[i]
		}
		if names[r.Name] {
			found.Add(d.File, at.Get("name"), where+".name", "detect/name", "expected names of rules to be different")
		}
		names[r.Name] = true
		program, wrong := compile(env, r.Expression)
		if wrong != "" {
			found.Add(d.File, at.Get("expression"), where+".expression", "detect/expression", "expected a CEL expression that is true or false: "+wrong)
		}
		pack.rules = append(pack.rules, rule{r, program})
	}
	return pack, found
}

// Load compiles the rules of every detective guardrail among documents, and returns
// what is wrong with them. What is wrong with the guardrails otherwise, policy.Load
// says.
func Load(documents []*source.Document) ([]*Pack, source.Findings) {
	var packs []*Pack
	var found source.Findings
	for _, d := range documents {
		if d.Kind != "Guardrail" || d.APIVersion != landing.GroupVersion.String() {
			continue
		}
		g := &landing.Guardrail{}
		_ = source.Decode(d, g) // said by policy.Load
		if g.Spec.Type != landing.Detective {
			continue
		}
		pack, wrong := Compile(g, d)
		packs, found = append(packs, pack), append(found, wrong...)
	}
	return packs, found
}

// compile compiles an expression, or says what is wrong with it.
func compile(env *cel.Env, expression string) (cel.Program, string) {
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		first := issues.Errors()[0]
		return nil, fmt.Sprintf("%s, at line %d, column %d", first.Message, first.Location.Line(), first.Location.Column()+1)
	}
	if t := ast.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, "this is of type " + t.String()
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptPartialEval), cel.CostLimit(mostCost))
	if err != nil {
		return nil, err.Error()
	}
	return program, ""
}

// A Resource is a snapshot of one resource.
type Resource struct {
	Type, ID, Account, Region string
	Tags                      map[string]string
	// Configuration is what the cloud says of the resource, as it says it.
	Configuration any
	// Unknown are the parts that the snapshot could not see, for example
	// configuration.encryption.
	Unknown []string
}

// values are the resource as expressions see it.
func (r *Resource) values() map[string]any {
	tags := r.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	return map[string]any{"type": r.Type, "id": r.ID, "account": r.Account, "region": r.Region, "tags": tags, "configuration": r.Configuration}
}

// A Result is what one rule says of one resource.
type Result struct {
	Rule     string `json:"rule"`
	Resource string `json:"resource"`
	Status   Status `json:"status"`
	// Why is the rule's message, or what could not be told.
	Why string `json:"why,omitempty"`
}

// A Report is what a pack says of all resources.
type Report struct {
	Pack   string       `json:"pack"`
	Status Status       `json:"status"`
	Rules  []RuleReport `json:"rules"`
	// Results are of every rule and resource, in the order of both.
	Results []Result `json:"results"`
}

// A RuleReport is what one rule says of all resources of its type.
type RuleReport struct {
	Rule   string         `json:"rule"`
	Status Status         `json:"status"`
	Counts map[Status]int `json:"counts"`
}

// Check asks every rule about every resource of its type. A rule that meets no
// resource is InsufficientData.
func (p *Pack) Check(resources []Resource) Report {
	report := Report{Pack: p.Name}
	var all []Status
	for _, rule := range p.rules {
		r := RuleReport{Rule: rule.Name, Counts: map[Status]int{}}
		var statuses []Status
		for i := range resources {
			if resources[i].Type != rule.ResourceType {
				continue
			}
			result := rule.check(&resources[i])
			report.Results = append(report.Results, result)
			statuses = append(statuses, result.Status)
			r.Counts[result.Status]++
		}
		r.Status = worst(statuses)
		all = append(all, r.Status)
		report.Rules = append(report.Rules, r)
	}
	report.Status = worst(all)
	return report
}

// check asks one rule about one resource.
func (r *rule) check(resource *Resource) Result {
	result := Result{Rule: r.Name, Resource: resource.ID, Status: InsufficientData}
	if r.program == nil {
		result.Why = "the rule has errors"
		return result
	}
	var patterns []*cel.AttributePatternType
	for _, path := range resource.Unknown {
		pattern := cel.AttributePattern("resource")
		for part := range strings.SplitSeq(path, ".") {
			pattern = pattern.QualString(part)
		}
		patterns = append(patterns, pattern)
	}
	vars, err := cel.PartialVars(map[string]any{"resource": resource.values()}, patterns...)
	if err != nil {
		result.Why = err.Error()
		return result
	}
	value, _, err := r.program.Eval(vars)
	switch {
	case types.IsUnknown(value):
		result.Why = "the snapshot does not tell " + strings.Join(resource.Unknown, ", ")
	case err != nil:
		result.Why = err.Error()
	case value == types.True:
		result.Status = Compliant
	case value == types.False:
		result.Status, result.Why = NonCompliant, r.Message
	default:
		result.Why = fmt.Sprintf("the expression is %v, not true or false", value.Type())
	}
	return result
}
