// Package bench measures the proofs of a landing zone. Each function prints lines
// of the form `name value unit`.
package bench

import (
	"fmt"
	"io"
	"time"

	"crossfade.dev/internal/landing/catalog"
	"crossfade.dev/internal/landing/policy"
)

// Policy measures decisions about guardrails: how many a second on one core, with
// and without explanation, and how long the difference of two states takes for 500
// accounts, every action and 20 regions. Nothing else should run meanwhile.
func Policy(w io.Writer) error {
	before, err := Load(Zone(500, 40, false))
	if err != nil {
		return err
	}
	after, err := Load(Zone(500, 40, true))
	if err != nil {
		return err
	}
	calls := Calls(before)
	fmt.Fprintf(w, "landing-decisions %.0f 1/s\n", rate(calls, func(r *policy.Request) { before.Decide(r) }))
	fmt.Fprintf(w, "landing-explanations %.0f 1/s\n", rate(calls, func(r *policy.Request) { before.Explain(r) }))
	diff(w, "landing-diff", before, after)
	if before, err = Load(OwnZone(500, 40, false)); err != nil {
		return err
	}
	if after, err = Load(OwnZone(500, 40, true)); err != nil {
		return err
	}
	diff(w, "landing-diff-worst", before, after)
	start := time.Now()
	if _, err := Load(Zone(1000, 40, false)); err != nil {
		return err
	}
	fmt.Fprintf(w, "landing-load-1000-accounts %.3f s\n", time.Since(start).Seconds())
	return nil
}

// diff compares two states for a role of the teams, in 20 regions.
func diff(w io.Writer, name string, before, after *policy.State) {
	start := time.Now()
	d := policy.Diff(before, after, policy.Scope{Regions: catalog.Regions[:20], Role: "app", Workers: 4})
	fmt.Fprintf(w, "%s %.3f s\n", name, time.Since(start).Seconds())
	fmt.Fprintf(w, "%s-cells %d count\n", name, d.Cells)
	fmt.Fprintf(w, "%s-turned %d count\n", name, d.Turned)
	fmt.Fprintf(w, "%s-changes %d count\n", name, len(d.Changes))
	fmt.Fprintf(w, "%s-decisions %d count\n", name, d.Decisions)
}

// rate returns how many calls a second answer answers, one after the other.
func rate(calls []policy.Request, answer func(*policy.Request)) float64 {
	const least = time.Second
	start := time.Now()
	for n := 1; ; n++ {
		for i := range calls {
			answer(&calls[i])
		}
		if spent := time.Since(start); spent >= least {
			return float64(n*len(calls)) / spent.Seconds()
		}
	}
}

// Calls returns requests of which everything is known that the guardrails ask for:
// of every service that they name, from accounts of every kind.
func Calls(s *policy.State) []policy.Request {
	actions := []struct{ name, resource string }{
		{"ec2:RunInstances", "arn:aws:ec2:eu-west-1:200000000004:instance/*"},
		{"ec2:DescribeInstances", "*"},
		{"s3:GetObject", "arn:aws:s3:::films/reel-1.mp4"},
		{"s3:PutObject", "arn:aws:s3:::films/reel-2.mp4"},
		{"sqs:SendMessage", "arn:aws:sqs:eu-west-1:200000000004:orders"},
		{"sns:Publish", "arn:aws:sns:eu-west-1:200000000004:team05-news"},
		{"iam:PutRolePolicy", "arn:aws:iam::200000000004:role/platform/deployer"},
		{"iam:CreateRole", "arn:aws:iam::200000000004:role/encoder"},
		{"dynamodb:DeleteTable", "arn:aws:dynamodb:eu-west-1:200000000004:table/users"},
		{"cloudtrail:StopLogging", "arn:aws:cloudtrail:eu-west-1:200000000004:trail/all"},
		{"lambda:InvokeFunction", "arn:aws:lambda:eu-west-1:200000000004:function:encode"},
		{"logs:PutLogEvents", "arn:aws:logs:eu-west-1:200000000004:log-group:app:log-stream:1"},
	}
	contexts := []policy.Context{
		policy.NewContext(map[string][]string{
			"aws:PrincipalTag/team": {"team05"}, "aws:SecureTransport": {"true"}, "ec2:MetadataHttpTokens": {"required"},
			"aws:RequestTag/cost-center": {"1234"}, "aws:SourceIp": {"10.1.2.3"}, "aws:TagKeys": {"cost-center"},
		}).Complete(),
		policy.NewContext(map[string][]string{"aws:SecureTransport": {"true"}, "aws:MultiFactorAuthPresent": {"true"}}).Complete(),
	}
	regions := []string{"eu-west-1", "us-east-1", "ap-south-1"}
	var calls []policy.Request
	for i, account := range s.Accounts {
		if i >= 100 {
			break
		}
		for j, a := range actions {
			calls = append(calls, policy.Request{Account: account.Name, Action: a.name, Resource: a.resource, ResourceAccount: account.Name,
				Region: regions[(i+j)%len(regions)], Principal: "arn:aws:iam::" + account.Spec.ID + ":role/app-" + fmt.Sprint(i%7),
				Context: contexts[(i+j)%len(contexts)]})
		}
	}
	return calls
}
