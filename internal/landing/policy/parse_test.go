package policy

import (
	"strings"
	"testing"
	"time"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/catalog"
	"crossfade.dev/internal/landing/source"
)

// What the vendor would refuse, and what is likely not meant so, is said with its
// place.
func TestParseFindings(t *testing.T) {
	scp, rcp := landing.ServiceControl, landing.ResourceControl
	tests := []struct {
		name      string
		kind      Type
		statement string
		want      []string
	}{
		{"good", scp, `{"Sid":"A1","Effect":"Deny","Action":"s3:GetObject","Resource":"*"}`, nil},
		{"effect", scp, `{"Effect":"deny","Action":"*","Resource":"*"}`, []string{`p.json:2:11: $.Statement.Effect: "deny": expected Allow or Deny [policy/effect]`}},
		{"both actions", scp, `{"Effect":"Deny","Action":"*","NotAction":"s3:*","Resource":"*"}`, []string{`p.json:2:43: $.Statement.NotAction: expected either Action or NotAction, not both [policy/element]`}},
		{"nothing", scp, `{}`, []string{
			`p.json:2:1: $.Statement.Effect: expected the field Effect [policy/effect]`,
			`p.json:2:1: $.Statement.Action: expected Action or NotAction [policy/element]`,
			`p.json:2:1: $.Statement.Resource: expected Resource or NotResource [policy/element]`,
		}},
		{"principal", scp, `{"Principal":"*","Effect":"Deny","Action":"*","Resource":"*"}`, []string{`p.json:2:2: $.Statement.Principal: "Principal": expected one of Sid, Effect, Action, NotAction, Resource, NotResource, Condition [policy/element]`}},
		{"action", scp, `{"Effect":"Deny","Action":["S3","s3:","*:Get*", 3],"Resource":"*"}`, []string{
			`p.json:2:28: $.Statement.Action[0]: "S3": expected * or a service and an action, for example s3:GetObject [policy/action]`,
			`p.json:2:33: $.Statement.Action[1]: "s3:": expected * or a service and an action, for example s3:GetObject [policy/action]`,
			`p.json:2:39: $.Statement.Action[2]: "*:Get*": expected the service by its name: only the name of the action may have wildcards [policy/action]`,
			`p.json:2:49: $.Statement.Action[3]: 3: expected a string [policy/action]`,
		}},
		{"unknown action", scp, `{"Effect":"Deny","Action":["s3:GetObjekt","s4:*"],"Resource":"*"}`, []string{
			`p.json:2:28: $.Statement.Action[0]: warning: "s3:GetObjekt": the catalogue of VERSION knows no such action [policy/unknown-action]`,
			`p.json:2:43: $.Statement.Action[1]: warning: "s4:*": the catalogue of VERSION knows no service s4 [policy/unknown-service]`,
		}},
		{"resource", scp, `{"Effect":"Deny","Action":"*","Resource":["films","arn:aws:s3:${aws:x}::b","arn:aws:s3:::${aws:x","arn:aws:s3:::${aws:x,'d'}"]}`, []string{
			`p.json:2:43: $.Statement.Resource[0]: "films": expected * or an ARN, for example arn:aws:s3:::name/* [policy/resource]`,
			`p.json:2:51: $.Statement.Resource[1]: "arn:aws:s3:${aws:x}::b": expected variables only in the last part of an ARN, after the fifth colon [policy/resource]`,
			`p.json:2:76: $.Statement.Resource[2]: "arn:aws:s3:::${aws:x": expected a } after ${ [policy/resource]`,
			`p.json:2:99: $.Statement.Resource[3]: "arn:aws:s3:::${aws:x,'d'}": expected a context key, or one with a comma, a space and a default in single quotes, in ${aws:x,'d'} [policy/resource]`,
		}},
		{"condition", scp, `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEqual":{"aws:x":"y"},"NullIfExists":{"aws:x":"true"},"Bool":{"aws:x":"maybe"},"NumericLessThan":{"aws:x":["1","1k"]},"DateEquals":{"aws:x":"soon"},"IpAddress":{"aws:x":"10.0.0.0/33"},"StringLike":{"x":[]},"StringEquals":{}}}`, []string{
			`p.json:2:59: $.Statement.Condition.StringEqual: "StringEqual": expected a condition operator, for example StringEquals, ForAnyValue:StringLike or BoolIfExists [policy/operator]`,
			`p.json:2:87: $.Statement.Condition.NullIfExists: "NullIfExists": expected a condition operator, for example StringEquals, ForAnyValue:StringLike or BoolIfExists [policy/operator]`,
			`p.json:2:135: $.Statement.Condition.Bool["aws:x"]: "maybe": expected true or false, for Bool [policy/value]`,
			`p.json:2:176: $.Statement.Condition.NumericLessThan["aws:x"][1]: "1k": expected a number, for NumericLessThan [policy/value]`,
			`p.json:2:205: $.Statement.Condition.DateEquals["aws:x"]: "soon": expected a date like 2026-01-31T00:00:00Z, or seconds since 1970, for DateEquals [policy/value]`,
			`p.json:2:234: $.Statement.Condition.IpAddress["aws:x"]: "10.0.0.0/33": expected an IP address or a range like 203.0.113.0/24, for IpAddress [policy/value]`,
			`p.json:2:263: $.Statement.Condition.StringLike.x: "x": expected a context key, for example aws:RequestedRegion [policy/key]`,
			`p.json:2:267: $.Statement.Condition.StringLike.x: a list of 0: expected at least one value [policy/value]`,
			`p.json:2:286: $.Statement.Condition.StringEquals: an object: expected an object of context keys [policy/condition]`,
		}},
		{"many values", scp, `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:TagKeys":"y"}}}`, []string{
			`p.json:2:75: $.Statement.Condition.StringEquals["aws:TagKeys"]: warning: "aws:TagKeys": aws:TagKeys may have several values in a request: the vendor asks for ForAnyValue or ForAllValues [policy/many-values]`}},
		{"no ARN", scp, `{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam:*"}}}`, []string{
			`p.json:2:89: $.Statement.Condition.ArnLike["aws:PrincipalArn"]: warning: "arn:aws:iam:*": ArnLike compares the six parts of an ARN one by one; what a text with fewer means is unknown [policy/arn]`}},
		{"resource control", rcp, `{"Effect":"Allow","NotAction":"s3:*","Action":"*","Resource":"*"}`, []string{
			`p.json:2:1: $.Statement.Principal: expected the field Principal with the value "*" [policy/principal]`,
			`p.json:2:19: $.Statement.NotAction: "NotAction": expected one of Sid, Effect, Principal, Action, Resource, NotResource, Condition [policy/element]`,
			`p.json:2:11: $.Statement.Effect: "Allow": expected Deny: only RCPFullAWSAccess allows [policy/effect]`,
			`p.json:2:31: $.Statement.NotAction: expected either Action or NotAction, not both [policy/element]`,
		}},
		{"resource control of a principal", rcp, `{"Principal":{"AWS":"*"},"Effect":"Deny","Action":"*","Resource":"*"}`, []string{
			`p.json:2:14: $.Statement.Principal: an object: expected "*": conditions say which principals are meant [policy/principal]`,
			`p.json:2:51: $.Statement.Action: "*": expected an action of a service, for example s3:* [policy/action]`,
		}},
		{"resource control without effect", rcp, `{"Principal":"*","Effect":"Deny","Action":"ec2:*","Resource":"*"}`, []string{
			`p.json:2:43: $.Statement.Action: warning: "ec2:*": resource control policies do not apply to ec2 [policy/no-effect]`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := "{\"Version\":\"2012-10-17\",\"Statement\":\n" + test.statement + "}"
			root, _ := source.ParseJSON("p.json", []byte(text))
			p, found := Parse("p", test.kind, "p.json", root, "$")
			var got []string
			for _, f := range found {
				got = append(got, f.String())
			}
			want := strings.ReplaceAll(strings.Join(test.want, "\n"), "VERSION", catalog.Default().Version)
			if strings.Join(got, "\n") != want {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
			}
			if p.Broken != (len(found.Errors()) > 0) {
				t.Errorf("broken is %v with %d errors", p.Broken, len(found.Errors()))
			}
		})
	}
}

func TestLoadFindings(t *testing.T) {
	files := zone(
		"apiVersion: landing.crossfade.dev/v1alpha1\nkind: Account\nmetadata: {name: player}\nspec: {id: \"333333333333\"}\n",
		"apiVersion: landing.crossfade.dev/v1alpha1\nkind: Account\nmetadata: {name: encoder}\nspec: {id: \"222222222222\", unit: Workload}\n",
		"apiVersion: landing.crossfade.dev/v1alpha1\nkind: Account\nmetadata: {name: short}\nspec: {id: \"22\"}\n",
		"apiVersion: landing.crossfade.dev/v2\nkind: Account\nmetadata: {name: new}\nspec: {}\n",
		"apiVersion: landing.crossfade.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: a}\nspec: {type: Preventive}\n",
		"apiVersion: landing.crossfade.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: b}\nspec: {type: ServiceControl, policyFile: scp/none.json}\n",
		"apiVersion: landing.crossfade.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: c}\nspec: {type: ServiceControl, targets: [{unit: Prod}, {account: x}, {root: true, unit: Workloads}, {}]}\n",
		"apiVersion: landing.crossfade.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: d}\nspec: {type: ServiceControl, policyFile: bad.json}\n",
		"apiVersion: landing.crossfade.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: e}\nspec: {type: Detective, policy: {}}\n",
		"apiVersion: other.dev/v1\nkind: Account\nmetadata: {name: player}\n",
	)
	files = append(files, source.File{Name: "bad.json", Data: []byte("{\n \"Version\": \"2012-10-17\",\n \"Statement\": [}")})
	documents, found := source.Read(files)
	_, wrong := Load(documents, files, found)
	found = append(found, wrong...)
	found.Sort()
	var got []string
	for _, f := range found {
		got = append(got, strings.TrimPrefix(f.String(), "zone.yaml"))
	}
	want := []string{
		`bad.json:3:15: expected JSON: invalid character '}' looking for beginning of value [source/json]`,
		`:19:18: $.metadata.name: "player": expected names of Accounts to be different: zone.yaml has this one too [policy/duplicate]`,
		`:25:12: $.spec.id: "222222222222": expected ids of accounts to be different: player has this one too [policy/account-id]`,
		`:25:34: $.spec.unit: "Workload": expected the path of a unit of the organization [policy/unit]`,
		`:30:12: $.spec.id: "22": expected 12 digits in quotes [policy/account-id]`,
		`:32:13: $.apiVersion: "landing.crossfade.dev/v2": expected landing.crossfade.dev/v1alpha1 [policy/version]`,
		`:40:14: $.spec.type: "Preventive": expected ServiceControl, ResourceControl or Detective [policy/type]`,
		`:45:42: $.spec.policyFile: "scp/none.json": expected a file scp/none.json [policy/policy-file]`,
		`:50:7: $.spec: an object: expected exactly one of policy and policyFile [policy/policy]`,
		`:50:40: $.spec.targets[0]: an object: expected the path of a unit of the organization, not Prod [policy/target]`,
		`:50:54: $.spec.targets[1]: an object: expected the name of an account, not x [policy/target]`,
		`:50:68: $.spec.targets[2]: an object: expected exactly one of root, unit and account [policy/target]`,
		`:50:99: $.spec.targets[3]: an object: expected exactly one of root, unit and account [policy/target]`,
		`:57:1: $.spec.rules: expected at least one rule [policy/rules]`,
		`:60:7: $.spec: an object: expected rules and no policy in a guardrail of type Detective [policy/rules]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPolicyFile(t *testing.T) {
	files := zone("apiVersion: landing.crossfade.dev/v1alpha1\nkind: Guardrail\nmetadata: {name: logs}\nspec: {type: ServiceControl, policyFile: scp/logs.json, targets: [{root: true}]}\n")
	files = append(files, source.File{Name: "scp/logs.json", Data: []byte(`{"Version": "2012-10-17", "Statement": ` + denyDelete + `}`)})
	d := load(t, files).Decide(&Request{Account: "player", Action: "logs:DeleteLogGroup"})
	if d.Reason != ExplicitDeny || d.Statement.Place.String() != "scp/logs.json:1:40: $.Statement" {
		t.Errorf("%s by %s", d.Reason, d.Statement.Place)
	}
}

func TestNoOrganization(t *testing.T) {
	s, found := Load(nil, nil, nil)
	if len(found) != 1 || found[0].Code != "policy/organization" {
		t.Errorf("found %v", found)
	}
	d := s.Decide(&Request{Account: "111111111111", Action: "s3:GetObject"})
	if got, want := d.Sentence(&Request{Account: "111111111111", Action: "s3:GetObject"}), "s3:GetObject in 111111111111 is unknown: it depends on Account (whether the organization has it: the organization is not there)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A document that cannot be read may say anything: nothing passes for certain.
func TestUnreadDocuments(t *testing.T) {
	files := append(zone(guardrail("logs", "ServiceControl", "{root: true}", denyDelete)), source.File{Name: "more.yaml", Data: []byte("kind: [")})
	documents, unread := source.Read(files)
	s, found := Load(documents, files, unread)
	if len(found) > 0 {
		t.Fatal(found)
	}
	for _, test := range []struct {
		account, action string
		want            Answer
	}{{"player", "s3:GetObject", Unknown}, {"player", "logs:DeleteLogGroup", Denied}, {"999999999999", "s3:GetObject", Unknown}} {
		if d := s.Decide(&Request{Account: test.account, Action: test.action}); d.Answer != test.want {
			t.Errorf("%s in %s is %s, want %s", test.action, test.account, d.Answer, test.want)
		}
	}
}

func TestLimits(t *testing.T) {
	before, after := time.Date(2026, 5, 14, 23, 0, 0, 0, time.UTC), time.Date(2026, 5, 15, 0, 0, 0, 0, time.UTC)
	long := `{"Effect": "Deny", "Action": ["s3:` + strings.Repeat("a", 6000) + `*"], "Resource": "*"}`
	var more []string
	for _, name := range strings.Split("a b c d e f", " ") {
		more = append(more, guardrail(name, "ServiceControl", "{unit: Workloads}", denyDelete))
	}
	s := load(t, zone(append(more, guardrail("long", "ServiceControl", "{root: true}", long))...))
	var got []string
	for _, f := range s.CheckLimits(before) {
		got = append(got, f.String())
	}
	want := []string{
		`zone.yaml:10:5: $.spec.units[1]: 7: expected at most 5 service control policies attached to Workloads, the limit since 2024-11-13 [policy/limit]`,
		`zone.yaml:71:11: $.spec.policy: 6089: expected at most 5120 characters without white space, the limit since 2024-11-13 [policy/limit]`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if found := s.CheckLimits(after); len(found) > 0 {
		t.Errorf("on the day of the higher limits: %v", found)
	}
}

// Parsing and deciding never panic, and what is broken is never taken for a yes.
func FuzzPolicy(f *testing.F) {
	for _, statement := range []string{denyDelete, denyRegions, denyInstances, allowStorage} {
		f.Add([]byte(`{"Version":"2012-10-17","Statement":[`+statement+`]}`), true)
	}
	f.Add([]byte(`{"Version":"2012-10-17","Statement":[`+denyPlainHTTP+`]}`), false)
	f.Add([]byte(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","NotAction":"a:b?c","NotResource":["arn:aws:s3:::${aws:username}/${aws:x, 'd'}${*}"],"Condition":{"ForAllValues:ArnNotLikeIfExists":{"aws:x":"arn:a:b:c:d:${aws:y}"},"DateLessThan":{"aws:d":["2020",3]},"Null":{"aws:z":true}}}}`), true)
	requests := []*Request{
		{Account: "player", Action: "s3:GetObject"},
		{Account: "player", Action: "ec2:RunInstances", Region: "eu-west-1", Resource: "arn:aws:ec2:eu-west-1:222222222222:instance/i-1"},
		{Account: "player", Action: "s3:GetObject", Resource: "arn:aws:s3:::ann/d*", Context: NewContext(map[string][]string{"aws:x": {"a", "b"}, "aws:username": {"ann"}}).Complete()},
	}
	f.Fuzz(func(t *testing.T, data []byte, service bool) {
		kind := landing.ResourceControl
		if service {
			kind = landing.ServiceControl
		}
		root, _ := source.ParseJSON("f.json", data)
		if root == nil {
			return
		}
		p, found := Parse("f", kind, "f.json", root, "$")
		if p.Broken != (len(found.Errors()) > 0) {
			t.Fatalf("broken is %v with %d errors", p.Broken, len(found.Errors()))
		}
		s := load(t, zone())
		s.nodes[""].services = append(s.nodes[""].services, p)
		s.link()
		for _, r := range requests {
			d := s.Decide(r)
			if p.Broken && d.Answer == Allowed {
				t.Fatalf("a broken policy lets %s pass", r.Action)
			}
			if (d.Answer == Unknown) != (len(d.Missing) > 0) {
				t.Fatalf("%s with %d facts missing", d.Answer, len(d.Missing))
			}
			if e := s.Explain(r); e.Answer != d.Answer {
				t.Fatalf("decided %s, explained %s", d.Answer, e.Answer)
			}
		}
	})
}
