package policy

import (
	"strings"
	"testing"

	landing "crossfade.dev/api/landing/v1alpha1"
	"crossfade.dev/internal/landing/source"
)

const (
	denyDelete    = `{"Sid": "KeepLogs", "Effect": "Deny", "Action": "logs:Delete*", "Resource": "*"}`
	denyRegions   = `{"Sid": "OnlyEurope", "Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "Resource": "*", "Condition": {"StringNotEquals": {"aws:RequestedRegion": ["eu-west-1", "eu-central-1"]}}}`
	denyInstances = `{"Sid": "SmallOnly", "Effect": "Deny", "Action": "ec2:RunInstances", "Resource": "arn:aws:ec2:*:*:instance/*", "Condition": {"StringNotLike": {"ec2:InstanceType": "t3.*"}}}`
	allowStorage  = `{"Sid": "StorageOnly", "Effect": "Allow", "Action": "s3:*", "Resource": "*"}`
	denyPlainHTTP = `{"Sid": "OnlyTLS", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": {"BoolIfExists": {"aws:SecureTransport": "false"}}}`
)

func TestDecide(t *testing.T) {
	const allowList = "apiVersion: landing.crossfade.dev/v1alpha1\nkind: Account\nmetadata: {name: vault}\nspec: {id: \"333333333333\", unit: Workloads, withoutFullAccess: true}\n"
	s := load(t, zone(allowList,
		guardrail("logs", "ServiceControl", "{root: true}", denyDelete),
		guardrail("regions", "ServiceControl", "{unit: Workloads}", denyRegions),
		guardrail("instances", "ServiceControl", "{unit: Workloads/Prod}", denyInstances),
		guardrail("storage", "ServiceControl", "{account: vault}", allowStorage),
		guardrail("tls", "ResourceControl", "{root: true}", denyPlainHTTP),
	))
	plain := NewContext(map[string][]string{"aws:SecureTransport": {"false"}})
	secure := NewContext(map[string][]string{"aws:SecureTransport": {"true"}})
	tests := []struct {
		name    string
		request Request
		want    string // of the answer, the reason, the statement, the level, what is missing
	}{
		{"deny at the root", Request{Account: "player", Action: "logs:DeleteLogGroup", Region: "eu-west-1"}, "Denied ExplicitDeny logs/KeepLogs the root"},
		{"by the account's id", Request{Account: memberID, Action: "LOGS:deleteloggroup", Region: "eu-west-1"}, "Denied ExplicitDeny logs/KeepLogs the root"},
		{"allowed at every level", Request{Account: "player", Action: "logs:PutLogEvents", Region: "eu-west-1"}, "Allowed EveryLevelAllows FullAWSAccess[0] the account"},
		{"the region decides", Request{Account: "player", Action: "sqs:SendMessage", Region: "us-east-1"}, "Denied ExplicitDeny regions/OnlyEurope Workloads"},
		{"the region is not given", Request{Account: "player", Action: "sqs:SendMessage"}, "Unknown FactsMissing aws:RequestedRegion"},
		{"a region that makes no difference is not needed", Request{Account: "player", Action: "iam:CreateRole"}, "Allowed EveryLevelAllows FullAWSAccess[0] the account"},
		{"a service with one endpoint", Request{Account: "player", Action: "route53:CreateHostedZone", Region: "eu-west-1"}, "Denied ExplicitDeny regions/OnlyEurope Workloads"},
		{"resource and key not given", Request{Account: "player", Action: "ec2:RunInstances", Region: "eu-west-1"}, "Unknown FactsMissing Resource (the request names none) ec2:InstanceType"},
		{"resource of another type", Request{Account: "player", Action: "ec2:RunInstances", Region: "eu-west-1", Resource: "arn:aws:ec2:eu-west-1:222222222222:subnet/subnet-1"}, "Allowed EveryLevelAllows FullAWSAccess[0] the account"},
		{"key given", Request{Account: "player", Action: "ec2:RunInstances", Region: "eu-west-1", Resource: "arn:aws:ec2:eu-west-1:222222222222:instance/*",
			Context: NewContext(map[string][]string{"EC2:instancetype": {"m5.large"}})}, "Denied ExplicitDeny instances/SmallOnly Workloads/Prod"},
		{"nothing allows it at the account", Request{Account: "vault", Action: "sqs:SendMessage", Region: "eu-west-1"}, "Denied NotAllowed - the account"},
		{"denied whatever the region is", Request{Account: "vault", Action: "sqs:SendMessage"}, "Denied NotAllowed - the account"},
		{"allowed by its own statement", Request{Account: "vault", Action: "s3:GetObject", Region: "eu-west-1", Context: secure}, "Allowed EveryLevelAllows storage/StorageOnly the account"},
		{"resource control", Request{Account: "player", Action: "s3:GetObject", Region: "eu-west-1", Context: plain}, "Denied ExplicitDeny tls/OnlyTLS the root"},
		{"resource control, key not given", Request{Account: "player", Action: "s3:GetObject", Region: "eu-west-1"}, "Unknown FactsMissing aws:SecureTransport"},
		{"resource control and a principal from outside", Request{Account: "999999999999", ResourceAccount: "player", Action: "s3:GetObject", Context: plain}, "Denied ExplicitDeny tls/OnlyTLS the root"},
		{"the same, over TLS", Request{Account: "999999999999", ResourceAccount: "player", Action: "s3:GetObject", Context: secure}, "Allowed EveryLevelAllows - "},
		{"a resource outside", Request{Account: "player", Action: "s3:GetObject", Resource: "arn:aws:s3:::x", ResourceAccount: "999999999999", Region: "eu-west-1", Context: plain}, "Allowed EveryLevelAllows FullAWSAccess[0] the account"},
		{"both outside", Request{Account: "999999999999", Action: "s3:GetObject"}, "Allowed OutsideOrganization - "},
		{"management account", Request{Account: managerID, Action: "logs:DeleteLogGroup"}, "Allowed ManagementAccount - "},
		{"management account, resource of a member", Request{Account: managerID, ResourceAccount: "player", Action: "s3:GetObject", Context: plain}, "Denied ExplicitDeny tls/OnlyTLS the root"},
		{"service-linked role", Request{Account: "player", Action: "logs:DeleteLogGroup", Principal: "arn:aws:iam::222222222222:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX"}, "Allowed ServiceLinkedRole - "},
		{"a principal of another account", Request{Account: "player", Action: "logs:PutLogEvents", Region: "eu-west-1", Principal: "arn:aws:iam::999999999999:role/app"},
			"Unknown FactsMissing Principal (it is of account 999999999999, and the call of player)"},
		{"no such account", Request{Account: "plyaer", Action: "s3:GetObject"}, "Unknown FactsMissing Account (the organization has no account plyaer)"},
		{"no such action", Request{Account: "player", Action: "GetObject"}, "Unknown FactsMissing Action (it has the form service:Name, for example s3:GetObject)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := s.Decide(&test.request)
			parts := []string{d.Answer.String(), string(d.Reason)}
			if d.Answer != Unknown {
				statement := "-"
				if d.Statement != nil {
					statement = d.Statement.String()
				}
				parts = append(parts, statement, d.Level)
			}
			for _, m := range d.Missing {
				parts = append(parts, m.String())
			}
			if got := strings.Join(parts, " "); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if e := s.Explain(&test.request); e.Answer != d.Answer || e.Reason != d.Reason || e.Statement != d.Statement {
				t.Errorf("the explanation decides otherwise: %s", e)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	s := load(t, zone(
		guardrail("regions", "ServiceControl", "{unit: Workloads}", denyRegions),
		guardrail("instances", "ServiceControl", "{unit: Workloads/Prod}", denyInstances),
	))
	got := s.Explain(&Request{Account: "player", Action: "ec2:RunInstances", Region: "eu-west-1", Resource: "arn:aws:ec2:eu-west-1:222222222222:instance/i-1"}).String()
	want := `ec2:RunInstances in player, eu-west-1 is unknown: it depends on ec2:InstanceType
  Deny regions/OnlyEurope at Workloads: does not apply (Condition StringNotEquals aws:RequestedRegion)
  Deny instances/SmallOnly at Workloads/Prod: may apply (Condition StringNotLike ec2:InstanceType)
  Allow FullAWSAccess[0] at the root: applies
  Allow FullAWSAccess[0] at Workloads: applies
  Allow FullAWSAccess[0] at Workloads/Prod: applies
  Allow FullAWSAccess[0] at the account: applies`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	got, _, _ = strings.Cut(s.Explain(&Request{Account: "player", Action: "sqs:SendMessage", Region: "us-east-1"}).String(), "\n")
	want = "sqs:SendMessage in player, us-east-1 is denied: regions/OnlyEurope, attached to Workloads, denies it (zone.yaml:23:51: $.spec.policy.Statement[0])"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What is wrong in a guardrail makes unknown what it concerns, and only that.
func TestBrokenGuardrails(t *testing.T) {
	files := zone(
		"apiVersion: landing.crossfade.dev/v1alpha1\nkind: Account\nmetadata: {name: sandbox}\nspec: {id: \"333333333333\"}\n",
		guardrail("logs", "ServiceControl", "{unit: Workloads/Prod}", `{"Effect": "Deny", "Action": "logs:Delete*", "Resource": "*", "Condition": {"StringEqual": {"aws:x": "y"}}}`),
		guardrail("all", "ServiceControl", "{account: player}", `{"Effect": "Deny", "Action": "sqs:*", "Resource": "*"}`),
	)
	documents, _ := source.Read(files)
	s, found := Load(documents, files, nil)
	if len(found) != 1 || found[0].Code != "policy/operator" {
		t.Fatalf("found %v", found)
	}
	for _, test := range []struct {
		account, action string
		want            Answer
	}{{"player", "s3:GetObject", Unknown}, {"player", "sqs:SendMessage", Denied}, {"sandbox", "s3:GetObject", Allowed}} {
		d := s.Decide(&Request{Account: test.account, Action: test.action})
		if d.Answer != test.want {
			t.Errorf("%s in %s is %s, want %s", test.action, test.account, d.Answer, test.want)
		}
		if d.Answer == Unknown && (len(d.Missing) != 1 || d.Missing[0].String() != "logs (it has errors)") {
			t.Errorf("missing are %v", d.Missing)
		}
	}
}

func TestResources(t *testing.T) {
	tests := []struct {
		pattern, resource string
		want              truth
	}{
		{"*", "arn:aws:s3:::b", yes},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/k/l:m", yes},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::bb/k", no},
		{"arn:aws:s3:::amzn-s3-demo-bucket/*/test/*", "arn:aws:s3:::amzn-s3-demo-bucket/1/2/test/3/o", yes},
		{"arn:aws:s3:::amzn-s3-demo-bucket/*/test/*", "arn:aws:s3:::amzn-s3-demo-bucket/test/o", no},
		{"arn:aws:sqs:*", "arn:aws:sqs:eu-west-1:1:q", yes},
		{"arn:aws:sqs:*:q", "arn:aws:sqs:eu-west-1:1:q", yes},
		{"arn:aws:sqs:e*1:q", "arn:aws:sqs:eu-west-1:1:q", no},
		{"arn:aws:sqs:eu-west-?:1:q", "arn:aws:sqs:eu-west-1:1:q", yes},
		{"arn:aws:sqs:eu-west-1?1:q", "arn:aws:sqs:eu-west-1:1:q", no},
		{"arn:aws:s3:::B", "arn:aws:s3:::b", no},
		{"arn:aws:s3:::${aws:username}", "arn:aws:s3:::ann", yes},
		{"arn:aws:s3:::${aws:PrincipalTag/x, 'b'}/*", "arn:aws:s3:::b/k", yes},
		{"arn:aws:s3:::${aws:PrincipalTag/x}/*", "arn:aws:s3:::b/k", no},
		{"arn:aws:s3:::b-${aws:PrincipalTag/y}/*", "arn:aws:s3:::b-c/k", unknown},
		{"arn:aws:s3:::b-${aws:PrincipalTag/y}/*", "arn:aws:s3:::c/k", no},
		{"arn:aws:s3:::${*}", "arn:aws:s3:::b", no},
		{"arn:aws:s3:::*", "*", no},
	}
	s := load(t, zone())
	for _, test := range tests {
		p := parse(t, landing.ServiceControl, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"`+test.pattern+`"},{"Effect":"Deny","Action":"*","NotResource":"`+test.pattern+`"}]}`)
		var x call
		action := "s3:GetObject"
		if test.resource == "*" {
			action = "s3:ListAllMyBuckets" // which is about no resource
		}
		x.start(s, &Request{Account: "player", Action: action, Resource: test.resource,
			Context: NewContext(map[string][]string{"aws:username": {"ann"}, "aws:PrincipalTag/x": nil})})
		if got := p.Statements[0].applies(&x); got != test.want {
			t.Errorf("%s matches %s is %d, want %d", test.pattern, test.resource, got, test.want)
		}
		if got := p.Statements[1].applies(&x); got != test.want.not() {
			t.Errorf("%s does not match %s is %d, want %d", test.pattern, test.resource, got, test.want.not())
		}
	}
}

// Where the request names no resource, the catalogue says what it can be.
func TestResourcesNotNamed(t *testing.T) {
	tests := []struct {
		pattern, action string
		want            truth
	}{
		{"arn:aws:s3:::*", "s3:GetBucketPolicy", unknown},           // a bucket; the action may be asked of other types too
		{"arn:aws:iam::*:role/*", "s3:GetObject", no},               // no object is a role
		{"arn:aws:iam::*:role/*", "iam:PassRole", yes},              // every role
		{"arn:aws:iam::*:role/admin", "iam:PassRole", unknown},      // some role
		{"arn:aws:iam::999999999999:role/*", "iam:PassRole", no},    // not in this account
		{"arn:aws:iam::222222222222:role/*", "iam:PassRole", yes},   // in this account
		{"arn:aws:iam::22222222222?:role/*", "iam:PassRole", yes},   // in this account
		{"arn:aws:iam::*:user/${aws:username}", "iam:PassRole", no}, // no role is a user
		{"arn:aws:ec2:*:*:instance/*", "ec2:DescribeInstances", no}, // about no resource
		{"arn:aws:ec2:*:*:instance/*", "ec2:NotYetThere", unknown},  // nobody knows
	}
	s := load(t, zone())
	for _, test := range tests {
		p := parse(t, landing.ServiceControl, `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"`+test.pattern+`"}]}`)
		var x call
		x.start(s, &Request{Account: "player", Action: test.action})
		if got := p.Statements[0].applies(&x); got != test.want {
			t.Errorf("%s for %s is %d, want %d", test.pattern, test.action, got, test.want)
		}
	}
}

// A resource that is named without an account may be anybody's.
func TestNobodySaysWhoOwnsTheResource(t *testing.T) {
	const stayInside = `{"Sid": "StayInside", "Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:ResourceOrgID": "o-a1b2c3d4e5"}}}`
	s := load(t, zone(
		guardrail("inside", "ServiceControl", "{unit: Workloads}", stayInside),
		guardrail("tls", "ResourceControl", "{root: true}", denyPlainHTTP),
	))
	plain := NewContext(map[string][]string{"aws:SecureTransport": {"false"}}).Complete()
	secure := NewContext(map[string][]string{"aws:SecureTransport": {"true"}}).Complete()
	tests := []struct {
		name    string
		request Request
		want    Answer
	}{
		{"a bucket of nobody knows whom", Request{Account: "player", Action: "s3:PutObject", Resource: "arn:aws:s3:::films/a", Context: secure}, Unknown},
		{"a bucket of the account", Request{Account: "player", Action: "s3:PutObject", Resource: "arn:aws:s3:::films/a", ResourceAccount: "player", Context: secure}, Allowed},
		{"a stranger's bucket", Request{Account: "player", Action: "s3:PutObject", Resource: "arn:aws:s3:::films/a", ResourceAccount: "999999999999",
			Context: NewContext(map[string][]string{"aws:ResourceOrgID": {"o-z9y8x7w6v5"}}).Complete()}, Denied},
		{"the owner's guardrails may deny", Request{Account: managerID, Action: "s3:PutObject", Resource: "arn:aws:s3:::films/a", Context: plain}, Unknown},
		{"no owner's guardrails deny", Request{Account: managerID, Action: "s3:PutObject", Resource: "arn:aws:s3:::films/a", Context: secure}, Allowed},
		{"no guardrail asks whose it is", Request{Account: "player", Action: "route53:GetHostedZone", Resource: "arn:aws:route53:::hostedzone/Z1", Context: secure}, Allowed},
		{"no resource is named", Request{Account: "player", Action: "s3:PutObject", Context: secure}, Allowed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if d := s.Decide(&test.request); d.Answer != test.want {
				t.Errorf("got %v %v, want %v", d.Answer, d.Missing, test.want)
			}
		})
	}
}

// An action that is about resources always is about one: * does not name it.
func TestStarNamesNoResource(t *testing.T) {
	s := load(t, zone(guardrail("secret", "ServiceControl", "{root: true}", `{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::secret/*"}`)))
	if d := s.Decide(&Request{Account: "player", Action: "s3:GetObject", Resource: "*"}); d.Answer != Unknown {
		t.Errorf("got %v, want Unknown", d.Answer)
	}
	if d := s.Decide(&Request{Account: "player", Action: "s3:ListAllMyBuckets", Resource: "*"}); d.Answer != Allowed {
		t.Errorf("an action about no resource: got %v, want Allowed", d.Answer)
	}
}

// Some requests do not carry who owns the resource; others carry the region where
// the only endpoint of the service stands.
func TestWhatRequestsCarry(t *testing.T) {
	const foreign = `{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"StringNotEquals": {"aws:ResourceAccount": "222222222222"}}}`
	s := load(t, zone(guardrail("foreign", "ServiceControl", "{root: true}", foreign), guardrail("regions", "ServiceControl", "{unit: Workloads}", denyRegions)))
	tests := []struct {
		action string
		want   Answer
	}{
		{"ec2:CopySnapshot", Unknown}, {"ebs:GetSnapshotBlock", Unknown}, {"ec2:StopInstances", Allowed},
		{"globalaccelerator:CreateAccelerator", Denied}, {"networkmanager:CreateCoreNetwork", Denied},
	}
	for _, test := range tests {
		if d := s.Decide(&Request{Account: "player", Action: test.action, Region: "eu-west-1"}); d.Answer != test.want {
			t.Errorf("%s is %v, want %v", test.action, d.Answer, test.want)
		}
	}
}
