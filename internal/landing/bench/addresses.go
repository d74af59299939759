package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"crossfade.dev/internal/landing/ipam"
)

// goroutines are how many ask at once where many do.
const goroutines = 64

// Addresses measures how networks are given: how many a second, and how long one
// takes with 1,000 to 100,000 networks there; and with a trace of operations what is
// refused, what overlaps, and how many networks can double, by fill. peer is a
// command that replays a trace with go-ipam (tools/ipam-peer) without its argument;
// nil leaves out what is compared with it. Nothing else should run meanwhile.
func Addresses(ctx context.Context, w io.Writer, operations int, peer *exec.Cmd) error {
	fmt.Fprintf(w, "landing-ipam-cores %d cores\n", runtime.GOMAXPROCS(0))
	if err := speed(w); err != nil {
		return err
	}
	if peer != nil {
		if err := comparePeer(ctx, w, peer); err != nil {
			return err
		}
	}
	ops := trace(1, operations, 8, max(operations/10, 1000), 1)
	if err := alone(w, ops); err != nil {
		return err
	}
	return together(w, ops, 8)
}

// space returns a space with one pool from 10.0.0.0.
func space(pool int) (*ipam.Space, error) {
	s := ipam.NewSpace()
	return s, s.AddPool(ipam.Pool{Name: "pool", Scope: "private",
		Prefixes: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10}), pool)}})
}

func request(token string, length int) ipam.Request {
	return ipam.Request{Token: token, Pool: "pool", Family: ipam.IPv4, Length: length}
}

// tokens returns so many tokens, so that none is made while something is measured.
func tokens(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = "claim-" + strconv.Itoa(i)
	}
	return all
}

// quicker returns the shorter of two times of which the first may be none yet.
func quicker(fastest, spent time.Duration) time.Duration {
	if fastest == 0 || spent > 0 && spent < fastest {
		return spent
	}
	return fastest
}

// requestsOf counts the requests of a trace.
func requestsOf(ops []operation) int {
	n := 0
	for _, op := range ops {
		if !op.release {
			n++
		}
	}
	return n
}

// speed gives and gives back networks, with more and more of them there. The rate is
// that of the fastest tenth of the time: in the others, somebody else had the core
// more often.
func speed(w io.Writer) error {
	s, err := space(8)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(1, 0))
	const rounds, parts = 500_000, 10
	names, there := tokens(100_000+rounds), 0
	live := make([]string, 0, 100_000)
	for _, n := range []int{1_000, 10_000, 100_000} {
		for ; len(live) < n; there++ {
			if _, err := s.Allocate(request(names[there], int(pick(r))+4)); err != nil {
				return err
			}
			live = append(live, names[there])
		}
		took := make([]time.Duration, 0, rounds)
		var spent, fastest time.Duration
		for round := range rounds {
			if round%(rounds/parts) == 0 {
				fastest, spent = quicker(fastest, spent), 0
			}
			i := r.IntN(n)
			token := live[i]
			if _, err := s.Release(token); err != nil {
				return err
			}
			ask := request(token, int(pick(r))+4)
			start := time.Now()
			_, err := s.Allocate(ask)
			took = append(took, time.Since(start))
			spent += took[round]
			if err != nil {
				return fmt.Errorf("with %d networks there: %w", n, err)
			}
		}
		slices.Sort(took)
		fmt.Fprintf(w, "landing-ipam-allocations-%d %.0f 1/s\n", n, rounds/parts/quicker(fastest, spent).Seconds())
		fmt.Fprintf(w, "landing-ipam-median-%d %d ns\n", n, took[rounds/2].Nanoseconds())
		fmt.Fprintf(w, "landing-ipam-p99-%d %d ns\n", n, took[rounds/100*99].Nanoseconds())
	}
	return nil
}

// comparePeer replays a trace of a smaller pool with go-ipam and with ours.
func comparePeer(ctx context.Context, w io.Writer, peer *exec.Cmd) error {
	const pool, operations = 12, 20_000
	ops := trace(2, operations, pool, 5_000, 1)
	answers, spent, err := replayPeer(ctx, peer, ops, pool)
	if err != nil {
		return fmt.Errorf("the peer: %w", err)
	}
	model := newBestFit(24 - pool)
	requests, different, refused := 0, 0, 0
	for _, op := range ops {
		if op.release {
			model.release(op.id)
			continue
		}
		want := "-"
		if at, ok := model.allocate(op.id, int(op.length)-pool); ok {
			base := uint32(10)<<24 + at.index<<(32-op.length)
			want = fmt.Sprintf("%d.%d.%d.%d/%d", base>>24, base>>16&255, base>>8&255, base&255, op.length)
		}
		if want != answers[requests] {
			different++
		}
		if answers[requests] == "-" {
			refused++
		}
		requests++
	}
	s, err := space(pool)
	if err != nil {
		return err
	}
	names := tokens(requests)
	ours := 0
	start := time.Now()
	for _, op := range ops {
		if op.release {
			_, _ = s.Release(names[op.id]) // nothing if it was refused
		} else if _, err := s.Allocate(request(names[op.id], int(op.length))); err != nil {
			ours++
		}
	}
	mine := time.Since(start)
	fmt.Fprintf(w, "landing-ipam-same-trace %.0f 1/s\nlanding-ipam-same-trace-peer %.0f 1/s\n", operations/mine.Seconds(), operations/spent.Seconds())
	fmt.Fprintf(w, "landing-ipam-same-trace-ratio %.0f ratio\n", spent.Seconds()/mine.Seconds())
	fmt.Fprintf(w, "landing-ipam-same-trace-refused %d requests\nlanding-ipam-same-trace-refused-peer %d requests\n", ours, refused)
	fmt.Fprintf(w, "landing-ipam-model-differs %d answers\n", different)
	if different > 0 {
		return fmt.Errorf("%d of %d answers of go-ipam are not those of its model", different, requests)
	}
	return nil
}

// replayPeer returns the peer's answers to the requests of a trace, and the time
// that it took.
func replayPeer(ctx context.Context, peer *exec.Cmd, ops []operation, pool int) ([]string, time.Duration, error) {
	var in bytes.Buffer
	for _, op := range ops {
		if op.release {
			fmt.Fprintf(&in, "r %d\n", op.id)
		} else {
			fmt.Fprintf(&in, "a %d %d\n", op.id, op.length)
		}
	}
	cmd := exec.CommandContext(ctx, peer.Path, fmt.Sprintf("10.0.0.0/%d", pool))
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stderr = peer.Dir, peer.Env, &in, peer.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, 0, err
	}
	var lines []string
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		lines = append(lines, strings.TrimSpace(s.Text()))
	}
	last := len(lines) - 1
	if last < 0 {
		return nil, 0, io.ErrUnexpectedEOF
	}
	nanos, err := strconv.ParseInt(lines[last], 10, 64)
	return lines[:last], time.Duration(nanos), err
}

// A tally is what can double at a fill, over many looks.
type tally struct{ share, looks [11]float64 }

func (t *tally) add(can, networks int, fill float64) {
	if at := int(fill*10 + 0.5); networks > 0 {
		t.share[at] += float64(can) / float64(networks)
		t.looks[at]++
	}
}

func (t *tally) print(w io.Writer, suffix string) {
	for at := 1; at <= 9; at++ {
		if t.looks[at] > 0 {
			fmt.Fprintf(w, "landing-ipam-can-double-%d%s %.1f %%\n", at*10, suffix, 100*t.share[at]/t.looks[at])
		}
	}
}

// alone replays a trace one operation after the other, and the same with the model
// of go-ipam.
func alone(w io.Writer, ops []operation) error {
	s, err := space(8)
	if err != nil {
		return err
	}
	model := newBestFit(24 - 8)
	names := tokens(requestsOf(ops))
	var ours, theirs tally
	requests, refused, refusedModel := 0, 0, 0
	look := max(1, len(ops)/5_000)
	for i, op := range ops {
		if op.release {
			_, _ = s.Release(names[op.id]) // nothing if it was refused
			model.release(op.id)
		} else {
			requests++
			if _, err := s.Allocate(request(names[op.id], int(op.length))); err != nil {
				refused++
			}
			if _, ok := model.allocate(op.id, int(op.length)-8); !ok {
				refusedModel++
			}
		}
		if i%look == 0 {
			u := s.Usages()[0]
			ours.add(u.CanDouble, u.Networks, u.Given)
			can, fill := model.doubles()
			theirs.add(can, len(model.given), fill)
		}
	}
	fmt.Fprintf(w, "landing-ipam-operations %d operations\nlanding-ipam-requests %d requests\n", len(ops), requests)
	fmt.Fprintf(w, "landing-ipam-refused %d requests\nlanding-ipam-refused-peer %d requests\n", refused, refusedModel)
	fmt.Fprintf(w, "landing-ipam-refused-more %.4f %%\n", 100*float64(refused-refusedModel)/float64(requests))
	ours.print(w, "")
	theirs.print(w, "-peer")
	return nil
}

// together replays a trace with many goroutines, which wait for each other now and
// then so that all are in about the same part of it. Who has which addresses is kept
// beside the space, so that it does not grade itself.
func together(w io.Writer, ops []operation, pool int) error {
	s, err := space(pool)
	if err != nil {
		return err
	}
	const chunk = goroutines * 500
	names := tokens(requestsOf(ops))
	owners := make([]atomic.Uint32, 1<<(24-pool))
	given := make([]netip.Prefix, len(names))
	var refused, overlaps atomic.Int64
	start, before := time.Now(), processor()
	for part := range slices.Chunk(ops, chunk) {
		var wait sync.WaitGroup
		for g := range uint32(goroutines) {
			wait.Go(func() {
				for _, op := range part {
					switch {
					case op.id%goroutines != g:
					case op.release:
						overlaps.Add(mark(owners, given[op.id], op.id+1, 0))
						_, _ = s.Release(names[op.id]) // nothing if it was refused
					default:
						a, err := s.Allocate(request(names[op.id], int(op.length)))
						if err != nil {
							refused.Add(1)
							continue
						}
						given[op.id] = a.Prefix
						overlaps.Add(mark(owners, a.Prefix, 0, op.id+1))
					}
				}
			})
		}
		wait.Wait()
	}
	spent, used := time.Since(start), processor()-before
	fmt.Fprintf(w, "landing-ipam-together-processor %.0f 1/s\n", float64(len(ops))/used.Seconds())
	fmt.Fprintf(w, "landing-ipam-together-goroutines %d goroutines\nlanding-ipam-together-operations %.0f 1/s\n", goroutines, float64(len(ops))/spent.Seconds())
	fmt.Fprintf(w, "landing-ipam-together-refused %d requests\nlanding-ipam-together-overlaps %d blocks\n", refused.Load(), overlaps.Load())
	if n := overlaps.Load(); n > 0 {
		return fmt.Errorf("%d blocks were given twice", n)
	}
	return nil
}

// processor is how long the process had a core so far, over all cores.
func processor() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// mark passes the /24s of a network from one owner to another, and returns how many
// somebody else had.
func mark(owners []atomic.Uint32, network netip.Prefix, from, to uint32) int64 {
	if !network.IsValid() {
		return 0
	}
	b := network.Addr().As4()
	first, wrong := (int(b[1])<<8|int(b[2]))&(len(owners)-1), int64(0)
	for i := first; i < first+1<<(24-network.Bits()); i++ {
		if !owners[i].CompareAndSwap(from, to) {
			wrong++
		}
	}
	return wrong
}
