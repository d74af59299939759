// Command ipam-peer replays a trace of requests for networks with
// github.com/metal-stack/go-ipam in memory, to compare answers and speed with. It
// is a tool of measurements and is never shipped: hence a module of its own.
//
// The argument is the pool's prefix. Each line of standard input is "a ID LENGTH",
// a request, or "r ID", its release, which does nothing if the request was refused.
// For each request the answer is a line with the prefix, or "-" if it was refused;
// the last line is how many nanoseconds everything took.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/metal-stack/go-ipam"
)

type operation struct {
	id      int
	length  uint8
	release bool
}

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, pool string) error {
	trace, err := read()
	if err != nil {
		return err
	}
	peer := ipam.New(ctx)
	if _, err := peer.NewPrefix(ctx, pool); err != nil {
		return err
	}
	given := map[int]*ipam.Prefix{}
	var answers []string
	start := time.Now()
	for _, op := range trace {
		if op.release {
			if p := given[op.id]; p != nil {
				if err := peer.ReleaseChildPrefix(ctx, p); err != nil {
					return err
				}
				delete(given, op.id)
			}
			continue
		}
		p, err := peer.AcquireChildPrefix(ctx, pool, op.length)
		if err != nil { // the trace asks for nothing that is not sound: it is full
			answers = append(answers, "-")
			continue
		}
		given[op.id] = p
		answers = append(answers, p.Cidr)
	}
	spent := time.Since(start)
	out := bufio.NewWriter(os.Stdout)
	for _, a := range answers {
		fmt.Fprintln(out, a)
	}
	fmt.Fprintln(out, spent.Nanoseconds())
	return out.Flush()
}

func read() ([]operation, error) {
	var trace []operation
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var op operation
		var kind string
		if n, err := fmt.Sscan(lines.Text(), &kind, &op.id, &op.length); n < 2 || kind == "a" && err != nil {
			return nil, fmt.Errorf("%q: want a ID LENGTH or r ID", lines.Text())
		}
		op.release = kind == "r"
		trace = append(trace, op)
	}
	return trace, lines.Err()
}
