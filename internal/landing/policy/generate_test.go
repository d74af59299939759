package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/catalog"
	"crossfade.dev/internal/landing/source"
)

// A zoneCase is a chain of policies with calls to ask about it. Cases stay within
// the scope that docs/landing/guardrails.md fixes for the comparison with another
// simulator: what both say they do, and the vendor's documentation settles.
type zoneCase struct {
	Services [][]json.RawMessage `json:"s"` // policies by level, the root first
	Owners   [][]json.RawMessage `json:"o"`
	Calls    []callCase          `json:"c"`
}

type callCase struct {
	Principal string              `json:"p"`
	Action    string              `json:"a"`
	Resource  string              `json:"r"`
	Context   map[string][]string `json:"-"`
	// Whole is the context with the keys that package policy derives, single values
	// as texts.
	Whole map[string]any `json:"x"`
}

type generator struct{ *rand.Rand }

func pick[T any](g generator, list []T) T { return list[g.IntN(len(list))] }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

// Services, their actions, and resources of each.
var (
	limitedServices = []string{"s3", "sqs", "dynamodb", "secretsmanager", "logs"}
	allServices     = append([]string{"ec2", "lambda"}, limitedServices...)
	actionsOf       = map[string][]string{
		"s3": {"GetObject", "PutObject", "DeleteObject", "ListBucket"}, "sqs": {"SendMessage", "ReceiveMessage", "DeleteQueue"},
		"dynamodb": {"GetItem", "PutItem", "DeleteTable"}, "secretsmanager": {"GetSecretValue", "PutSecretValue"},
		"logs": {"PutLogEvents", "GetLogEvents"}, "ec2": {"RunInstances", "TerminateInstances", "DescribeInstances"},
		"lambda": {"InvokeFunction", "DeleteFunction"},
	}
	resourcesOf = map[string][]string{
		"s3":             {"arn:aws:s3:::films/prod/reel", "arn:aws:s3:::films/red/reel", "arn:aws:s3:::films", "arn:aws:s3:::live-é/ann/x"},
		"sqs":            {"arn:aws:sqs:eu-west-1:222222222222:orders", "arn:aws:sqs:us-east-1:222222222222:orders-red"},
		"dynamodb":       {"arn:aws:dynamodb:eu-west-1:222222222222:table/users", "arn:aws:dynamodb:eu-west-1:222222222222:table/users/index/red"},
		"secretsmanager": {"arn:aws:secretsmanager:eu-west-1:222222222222:secret:prod/key-AbCdEf"},
		"logs":           {"arn:aws:logs:eu-west-1:222222222222:log-group:/aws/red:log-stream:one"},
		"ec2":            {"arn:aws:ec2:eu-west-1:222222222222:instance/i-1234", "arn:aws:ec2:us-east-1:222222222222:instance/i-99"},
		"lambda":         {"arn:aws:lambda:eu-west-1:222222222222:function:encode"},
	}
)

func (g generator) zone(calls int) zoneCase {
	var c zoneCase
	levels := 2 + g.IntN(3)
	for range levels {
		c.Services = append(c.Services, g.level(landing.ServiceControl))
		c.Owners = append(c.Owners, g.level(landing.ResourceControl))
	}
	for range calls {
		c.Calls = append(c.Calls, g.call())
	}
	return c
}

func (g generator) level(t Type) []json.RawMessage {
	policies := []json.RawMessage{}
	count := g.IntN(3)
	if t == landing.ResourceControl {
		count = g.IntN(2) * g.IntN(3)
	} else if g.chance(85) {
		policies = append(policies, json.RawMessage(fullAccessText))
	}
	for range count {
		var statements []string
		for range 1 + g.IntN(3) {
			statements = append(statements, g.statement(t))
		}
		policies = append(policies, json.RawMessage(`{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`))
	}
	return policies
}

func (g generator) statement(t Type) string {
	parts := []string{`"Effect":"Deny"`}
	services, action := allServices, "Action"
	if t == landing.ResourceControl {
		services = limitedServices
		parts = append(parts, `"Principal":"*"`)
	} else {
		if g.chance(40) {
			parts[0] = `"Effect":"Allow"`
		}
		if g.chance(20) {
			action = "NotAction"
		}
	}
	var actions []string
	for range 1 + g.IntN(3) {
		actions = append(actions, g.action(services, t == landing.ServiceControl))
	}
	resource := "Resource"
	if g.chance(25) {
		resource = "NotResource"
	}
	var resources []string
	for range 1 + g.IntN(2) {
		resources = append(resources, g.resource(services, resource == "NotResource"))
	}
	parts = append(parts, quoted(g, action, actions), quoted(g, resource, resources))
	if g.chance(60) {
		parts = append(parts, `"Condition":`+g.conditions())
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// quoted writes a field of one or more texts.
func quoted(g generator, name string, list []string) string {
	var value any = list
	if len(list) == 1 && g.chance(50) {
		value = list[0]
	}
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%q:%s", name, raw)
}

func (g generator) action(services []string, alone bool) string {
	service := pick(g, services)
	name := pick(g, actionsOf[service])
	switch g.IntN(8) {
	case 0:
		if alone {
			return "*"
		}
		name = "*"
	case 1, 2:
		name = "*"
	case 3:
		name = name[:1+g.IntN(len(name)-1)] + "*"
	case 4:
		name = "*" + name[g.IntN(len(name)):]
	case 5:
		at := g.IntN(len(name))
		name = name[:at] + "?" + name[at+1:]
	case 6:
		return strings.ToUpper(service[:1]) + service[1:] + ":" + strings.ToLower(name)
	}
	return service + ":" + name
}

// resource returns a pattern with the six parts of an ARN.
func (g generator) resource(services []string, inverted bool) string {
	if g.chance(25) && !inverted {
		return "*"
	}
	parts := strings.SplitN(pick(g, resourcesOf[pick(g, services)]), ":", 6)
	for _, i := range []int{1, 3, 4} {
		switch at := len(parts[i]); {
		case at < 4:
		case g.chance(25):
			parts[i] = "*"
		case g.chance(10):
			parts[i] = parts[i][:2] + "*" + parts[i][at-1:]
		case g.chance(10):
			parts[i] = parts[i][:2] + "?" + parts[i][3:]
		}
	}
	// Wildcards stand after the resource's type, if it has one.
	kind, name := "", parts[5]
	if at := strings.IndexAny(name, "/:"); at >= 0 && parts[2] != "s3" {
		kind, name = name[:at+1], name[at+1:]
	}
	switch g.IntN(6) {
	case 0:
		name = "*"
	case 1:
		name = strings.ToValidUTF8(name[:1+g.IntN(len(name)-1)], "") + "*"
	case 2:
		name = "*" + strings.ToValidUTF8(name[g.IntN(len(name)):], "")
	case 3:
		name = strings.Replace(name, "é", "?", 1)
		if kind != "" || parts[2] == "s3" { // variables stand after a resource's type, or the name of a bucket
			name = strings.ReplaceAll(name, "red", g.variable(inverted))
		}
	}
	parts[5] = kind + name
	return strings.Join(parts, ":")
}

// variable returns a variable; one that has a value in every request where it
// stands for something that must not match.
func (g generator) variable(inverted bool) string {
	if inverted || g.chance(40) {
		return pick(g, []string{"${aws:PrincipalTag/team, 'red'}", "${aws:PrincipalAccount}", "${aws:userid, 'ann'}"})
	}
	return pick(g, []string{"${aws:PrincipalTag/team}", "${aws:username}"})
}

// A kindOfKey is a family of operators with keys that they fit.
type kindOfKey struct {
	operators []string
	single    []string
	many      []string
	policy    func(g generator, inverted bool) string
	request   func(g generator) string
}

var words = []string{"red", "blue", "Red", "prod", "prod-1", "home/ann/x", "é1", "a.b", "ann"}

var kindsOfKeys = []kindOfKey{
	{[]string{"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"},
		[]string{"aws:PrincipalTag/team", "aws:ResourceTag/stage", "aws:SourceVpce"}, []string{"aws:TagKeys", "aws:CalledVia"},
		func(g generator, inverted bool) string {
			if g.chance(20) {
				return g.variable(inverted)
			}
			return pick(g, words)
		}, func(g generator) string { return pick(g, words) }},
	{[]string{"StringLike", "StringNotLike"}, []string{"aws:PrincipalTag/team", "s3:prefix"}, []string{"aws:TagKeys"},
		func(g generator, inverted bool) string {
			word := pick(g, words)
			switch g.IntN(5) {
			case 0:
				return strings.ToValidUTF8(word[:1+g.IntN(len(word)-1)], "") + "*"
			case 1:
				return "*" + strings.ToValidUTF8(word[1:], "")
			case 2:
				return "?" + strings.ToValidUTF8(word[1:], "")
			case 3:
				return "home/" + g.variable(inverted) + "/*"
			}
			return word
		}, func(g generator) string { return pick(g, words) }},
	{[]string{"Bool"}, []string{"aws:SecureTransport", "aws:MultiFactorAuthPresent"}, nil,
		func(g generator, _ bool) string { return pick(g, []string{"true", "false"}) },
		func(g generator) string { return pick(g, []string{"true", "false"}) }},
	{[]string{"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"},
		[]string{"aws:MultiFactorAuthAge", "s3:max-keys"}, nil,
		func(g generator, _ bool) string {
			return pick(g, []string{"0", "1", "2.5", "10", "3600", "-1", "2.50"})
		},
		func(g generator) string { return pick(g, []string{"0", "1", "2.5", "10", "3599", "3601", "-2"}) }},
	{[]string{"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"},
		[]string{"aws:CurrentTime", "aws:TokenIssueTime"}, nil,
		func(g generator, _ bool) string {
			return pick(g, []string{"2026-01-01T00:00:00Z", "2026-01-01", "2026-01-01T01:00:00+01:00", "2025-06-30T12:00:00Z", "2026-02"})
		},
		func(g generator) string {
			return pick(g, []string{"2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", "2026-03-01T00:00:00Z", "2025-06-30T12:00:00Z"})
		}},
	{[]string{"IpAddress", "NotIpAddress"}, []string{"aws:SourceIp"}, nil,
		func(g generator, _ bool) string {
			if g.chance(20) {
				return fmt.Sprintf("10.0.%d.7", g.IntN(3))
			}
			return fmt.Sprintf("10.0.%d.0/%d", g.IntN(3), 1+g.IntN(32))
		},
		func(g generator) string { return fmt.Sprintf("10.0.%d.7", g.IntN(3)) }},
	{[]string{"IpAddress", "NotIpAddress"}, []string{"aws:VpcSourceIp"}, nil,
		func(g generator, _ bool) string { return fmt.Sprintf("2001:DB8:1234::/%d", 1+g.IntN(128)) },
		func(g generator) string {
			return pick(g, []string{"2001:db8:1234:0:0:0:0:1", "2001:db8:1235::1", "fd00::1"})
		}},
	{[]string{"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"}, []string{"aws:SourceArn", "lambda:SourceFunctionArn"}, []string{"logs:LogGeneratingResourceArns"},
		func(g generator, inverted bool) string {
			text := g.resource(allServices, true)
			if !inverted && g.chance(10) {
				text = "arn:aws:sqs:*:*:orders-${aws:PrincipalTag/team}"
			}
			return text
		},
		func(g generator) string { return pick(g, resourcesOf[pick(g, allServices)]) }},
	{[]string{"BinaryEquals"}, []string{"acm:binary"}, nil,
		func(g generator, _ bool) string { return pick(g, []string{"QQ==", "QUI="}) },
		func(g generator) string { return pick(g, []string{"QQ==", "QUI="}) }},
	{[]string{"StringEquals", "StringNotEquals"}, []string{"aws:PrincipalOrgID", "aws:ResourceAccount", "aws:RequestedRegion"}, nil,
		func(g generator, _ bool) string {
			return pick(g, []string{"o-a1b2c3d4e5", "222222222222", "eu-west-1", "us-east-1"})
		}, nil},
}

func (g generator) conditions() string {
	operators := map[string]map[string]any{}
	for range 1 + g.IntN(3) {
		k := pick(g, kindsOfKeys)
		operator := pick(g, k.operators)
		inverted := strings.Contains(operator, "Not")
		name := pick(g, k.single)
		if g.chance(30) {
			operator += "IfExists"
		}
		if k.many != nil && g.chance(40) {
			name = pick(g, k.many)
			if strings.HasSuffix(operator, "IfExists") || g.chance(50) {
				operator = "ForAllValues:" + operator
			} else {
				operator = "ForAnyValue:" + operator
			}
		}
		var values any
		if g.chance(10) {
			operator, values = "Null", pick(g, []any{"true", "false", true, []string{"false"}})
		} else {
			var list []string
			for range 1 + g.IntN(3) {
				list = append(list, k.policy(g, inverted))
			}
			values = list
		}
		if g.chance(10) {
			name = strings.ToUpper(name)
		}
		if operators[operator] == nil {
			operators[operator] = map[string]any{}
		}
		operators[operator][name] = values
	}
	raw, err := json.Marshal(operators)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func (g generator) call() callCase {
	service := pick(g, allServices)
	c := callCase{
		Principal: "arn:aws:iam::222222222222:role/ann",
		Action:    service + ":" + pick(g, actionsOf[service]),
		Resource:  pick(g, resourcesOf[service]),
		Context:   map[string][]string{},
		Whole: map[string]any{
			"aws:PrincipalAccount": "222222222222", "aws:PrincipalOrgID": "o-a1b2c3d4e5", "aws:RequestedRegion": "eu-west-1",
			"aws:ResourceAccount": "222222222222",
		},
	}
	for _, k := range kindsOfKeys {
		if k.request == nil {
			continue
		}
		for _, name := range k.single {
			if g.chance(65) {
				value := k.request(g)
				c.Context[name], c.Whole[name] = []string{value}, value
			}
		}
		for _, name := range k.many {
			if g.chance(65) {
				var list []string
				for range 1 + g.IntN(3) {
					list = append(list, k.request(g))
				}
				c.Context[name], c.Whole[name] = list, list
			}
		}
	}
	if g.chance(50) {
		c.Context["aws:username"], c.Whole["aws:username"] = []string{"ann"}, "ann"
	}
	return c
}

// state returns the state that a case describes.
func (c *zoneCase) state() (*State, error) {
	s := &State{catalog: catalog.Default(), Organization: &landing.Organization{}, organizationID: []string{"o-a1b2c3d4e5"},
		nodes: map[string]*node{}, byName: map[string]*member{}, byID: map[string]*member{}}
	s.Organization.Spec.ID = "o-a1b2c3d4e5"
	m := &member{name: "player", id: "222222222222"}
	for i := range c.Services {
		n := &node{name: fmt.Sprint("level ", i), withoutFull: true}
		for _, part := range []struct {
			policies []json.RawMessage
			t        Type
			to       *[]*Policy
		}{{c.Services[i], landing.ServiceControl, &n.services}, {c.Owners[i], landing.ResourceControl, &n.owners}} {
			for j, text := range part.policies {
				name := fmt.Sprintf("%s-%d-%d", part.t, i, j)
				root, found := source.ParseJSON(name, text)
				if root == nil {
					return nil, fmt.Errorf("%v in %s", found, text)
				}
				p, found := Parse(name, part.t, name, root, "$")
				if p.Broken {
					return nil, fmt.Errorf("%v in %s", found.Errors(), text)
				}
				*part.to = append(*part.to, p)
			}
		}
		switch {
		case i == 0:
			s.nodes[""] = n
		case i == len(c.Services)-1:
			m.node = n
		default:
			m.unit = strings.TrimPrefix(m.unit+"/u", "/")
			s.nodes[m.unit] = n
		}
	}
	s.members, s.byName[m.name], s.byID[m.id] = []*member{m}, m, m
	s.link()
	return s, nil
}

// request returns a call as package policy asks about it: what it derives is not
// told.
func (c *callCase) request() *Request {
	return &Request{Account: "player", Action: c.Action, Resource: c.Resource, ResourceAccount: "player", Region: "eu-west-1", Principal: c.Principal,
		Context: NewContext(c.Context).Complete()}
}
