package ipam

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

var tshirts = []Size{{"S", 28, 64}, {"M", 26, 60}, {"L", 25, 56}, {"XL", 23, 52}}

func prefixes(texts ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

func spaceOf(t testing.TB, pools ...Pool) *Space {
	t.Helper()
	s := NewSpace()
	for _, p := range pools {
		if err := s.AddPool(p); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func ask(token, pool, size string) Request {
	return Request{Token: token, Pool: pool, Family: IPv4, Size: size}
}

func must(t testing.TB) func(Allocation, error) netip.Prefix {
	return func(a Allocation, err error) netip.Prefix {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a.Prefix
	}
}

func TestTheSameTokenIsGivenTheSameNetwork(t *testing.T) {
	s := spaceOf(t, Pool{Name: "p", Scope: "x", Prefixes: prefixes("10.0.0.0/20"), Sizes: tshirts})
	first := must(t)(s.Allocate(ask("a", "p", "M")))
	if again := must(t)(s.Allocate(ask("a", "p", "M"))); again != first {
		t.Errorf("again %s, first %s", again, first)
	}
	_, err := s.Allocate(ask("a", "p", "L"))
	if !errors.Is(err, ErrToken) {
		t.Errorf("another size: %v", err)
	}
	for _, part := range []string{"claim a", "size L", "pool p", "it was given 10.0.0.0/26, size M"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if _, err := s.Release("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Release("a"); !errors.Is(err, ErrNone) {
		t.Errorf("released twice: %v", err)
	}
	must(t)(s.Allocate(ask("a", "p", "L")))
}

func TestRefusalsSayWhatWasFree(t *testing.T) {
	s := spaceOf(t, Pool{Name: "p", Scope: "x", Prefixes: prefixes("10.0.0.0/24"), Sizes: tshirts})
	must(t)(s.Allocate(ask("a", "p", "S")))
	_, err := s.Allocate(ask("b", "p", "XL"))
	if !errors.Is(err, ErrFull) {
		t.Fatalf("XL in a /24: %v", err)
	}
	want := "claim b: size XL (IPv4 /23) in pool p of scope x: no block of that size is free: free are 1 × /25, 1 × /26, 1 × /27, 1 × /28"
	if err.Error() != want {
		t.Errorf("%s\nwant %s", err, want)
	}
	if _, err := s.Allocate(ask("b", "p", "XXL")); !errors.Is(err, ErrSize) || !strings.Contains(err.Error(), "S (/28)") {
		t.Errorf("a size that is not there: %v", err)
	}
	if _, err := s.Allocate(ask("b", "q", "S")); !errors.Is(err, ErrPool) {
		t.Errorf("a pool that is not there: %v", err)
	}
}

func TestNetworksGrowAndShrinkInPlace(t *testing.T) {
	s := spaceOf(t, Pool{Name: "p", Scope: "x", Prefixes: prefixes("10.0.0.0/24"), Sizes: tshirts})
	must(t)(s.Allocate(ask("a", "p", "S")))
	if got := must(t)(s.Grow("a")); got.String() != "10.0.0.0/27" {
		t.Errorf("doubled: %s", got)
	}
	if got := must(t)(s.Resize("a", "L", 0)); got.String() != "10.0.0.0/25" {
		t.Errorf("L: %s", got)
	}
	must(t)(s.Allocate(ask("b", "p", "S")))
	_, err := s.Grow("a")
	var room *RoomError
	if !errors.As(err, &room) || room.Possible != 25 || !errors.Is(err, ErrRoom) {
		t.Errorf("growth into another network: %v", err)
	}
	if got, _ := s.Given("a"); got.Prefix.String() != "10.0.0.0/25" || got.Size != "L" {
		t.Errorf("after a refused growth: %+v", got)
	}
	if got := must(t)(s.Resize("a", "", 30)); got.String() != "10.0.0.0/30" {
		t.Errorf("shrunk: %s", got)
	}
	if got := must(t)(s.Allocate(ask("c", "p", "M"))); got.Overlaps(netip.MustParsePrefix("10.0.0.0/30")) {
		t.Errorf("%s", got)
	}
}

func TestPoolsDoNotOverlapInAScope(t *testing.T) {
	s := spaceOf(t, Pool{Name: "world", Scope: "x", Prefixes: prefixes("10.0.0.0/8", "fd00::/32"), Sizes: tshirts},
		Pool{Name: "eu", Parent: "world", Region: "eu-west-1", Prefixes: prefixes("10.0.0.0/12", "fd00::/40")},
		Pool{Name: "eu-prod", Parent: "eu", Environment: "prod", Prefixes: prefixes("10.0.0.0/14")},
		Pool{Name: "elsewhere", Scope: "y", Prefixes: prefixes("10.0.0.0/8")})
	for _, p := range []Pool{
		{Name: "us", Parent: "world", Prefixes: prefixes("10.8.0.0/13")},
		{Name: "us", Scope: "x", Prefixes: prefixes("10.128.0.0/9")},
		{Name: "us", Parent: "eu", Prefixes: prefixes("10.16.0.0/16")},
		{Name: "us", Parent: "world", Prefixes: prefixes("10.64.0.0/16", "10.64.128.0/17")},
	} {
		if err := s.AddPool(p); !errors.Is(err, ErrTaken) {
			t.Errorf("%v: %v", p.Prefixes, err)
		}
	}
	if err := s.AddPool(Pool{Name: "us", Parent: "world", Prefixes: prefixes("10.16.0.0/12", "10.8.0.0/14")}); err == nil {
		t.Error("a pool with a prefix of another")
	}
	if err := s.AddPool(Pool{Name: "us", Parent: "world", Prefixes: prefixes("10.16.0.0/12")}); err != nil {
		t.Errorf("after a refused pool, what it would have had is not free: %v", err)
	}
	if err := s.Foreign("x", netip.MustParsePrefix("10.0.0.0/13")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Allocate(ask("a", "eu-prod", "S")); !errors.Is(err, ErrFull) {
		t.Errorf("of a pool that others have: %v", err)
	}
	if got := must(t)(s.Allocate(ask("b", "eu", "S"))); !netip.MustParsePrefix("10.8.0.0/13").Contains(got.Addr()) {
		t.Errorf("%s", got)
	}
	got := must(t)(s.Allocate(Request{Token: "six", Pool: "eu", Family: IPv6, Size: "L"}))
	if !netip.MustParsePrefix("fd00::/40").Contains(got.Addr()) || got.Bits() != 56 {
		t.Errorf("%s", got)
	}
	if err := s.Foreign("x", netip.MustParsePrefix("10.8.0.0/13")); !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), "eu") {
		t.Errorf("a foreign range where networks are: %v", err)
	}
}

// walk is a run of operations on a pool of 256 S, beside a map of what is taken.
type walk struct {
	space *Space
	used  [256]string
	given map[string]netip.Prefix
	order []string
}

var walked = prefixes("10.0.0.0/21", "10.0.8.0/21")

func newWalk(t testing.TB) *walk {
	return &walk{space: spaceOf(t, Pool{Name: "p", Scope: "x", Prefixes: walked, Sizes: tshirts}), given: map[string]netip.Prefix{}}
}

func units(p netip.Prefix) (from, to int) {
	b := p.Addr().As4()
	from = (int(b[2])<<8 | int(b[3])) >> 4
	return from, from + 1<<(28-p.Bits())
}

func (w *walk) fits(length int) bool {
	size := 1 << (28 - length)
	for at := 0; at+size <= 256; at += size {
		if w.empty(at, at+size) {
			return true
		}
	}
	return false
}

func (w *walk) empty(from, to int) bool {
	for _, who := range w.used[from:to] {
		if who != "" {
			return false
		}
	}
	return true
}

func (w *walk) mark(p netip.Prefix, who string) {
	from, to := units(p)
	for i := from; i < to; i++ {
		w.used[i] = who
	}
}

// step does one operation and says what is wrong with its answer.
func (w *walk) step(op, argument byte) error {
	switch {
	case op%8 < 4 || len(w.order) == 0:
		size := tshirts[argument%4]
		token := fmt.Sprintf("t%d", len(w.given)+len(w.order)*1000+int(argument)*1000000)
		if _, known := w.given[token]; known {
			return nil
		}
		a, err := w.space.Allocate(ask(token, "p", size.Name))
		if err != nil {
			if !errors.Is(err, ErrFull) || w.fits(size.IPv4) {
				return fmt.Errorf("%s is refused: %w", size.Name, err)
			}
			return nil
		}
		from, to := units(a.Prefix)
		if !contains(walked[0], a.Prefix) && !contains(walked[1], a.Prefix) || a.Prefix.Bits() != size.IPv4 || !w.empty(from, to) {
			return fmt.Errorf("%s was given %s: %v", size.Name, a.Prefix, w.used[from:to])
		}
		w.mark(a.Prefix, token)
		w.given[token], w.order = a.Prefix, append(w.order, token)
	case op%8 < 6:
		i := int(argument) % len(w.order)
		token := w.order[i]
		if _, err := w.space.Release(token); err != nil {
			return err
		}
		w.mark(w.given[token], "")
		delete(w.given, token)
		w.order = append(w.order[:i], w.order[i+1:]...)
	default:
		return w.resize(w.order[int(argument)%len(w.order)], 21+int(op/8)%8)
	}
	return nil
}

func (w *walk) resize(token string, length int) error {
	was := w.given[token]
	a, err := w.space.Resize(token, "", length)
	w.mark(was, "")
	want := netip.PrefixFrom(was.Addr(), length)
	from, to := units(want)
	possible := want == want.Masked() && w.empty(from, to)
	w.mark(was, token)
	switch {
	case err == nil && (!possible || a.Prefix != want):
		return fmt.Errorf("%s became %s, want %s (possible: %v)", was, a.Prefix, want, possible)
	case err != nil && (possible || !errors.Is(err, ErrRoom)):
		return fmt.Errorf("%s to /%d: %w", was, length, err)
	case err == nil:
		w.mark(was, "")
		w.mark(want, token)
		w.given[token] = want
	}
	return nil
}

// check compares everything that the space says with the map.
func (w *walk) check(t testing.TB) error {
	u := w.space.Usages()[0]
	used, doubles := 0, 0
	for token, p := range w.given {
		from, to := units(p)
		used += to - from
		if size := to - from; from%(2*size) == 0 && size < 128 && w.empty(to, to+size) {
			doubles++
		}
		if a, _ := w.space.Given(token); a.Prefix != p {
			return fmt.Errorf("%s has %s, want %s", token, a.Prefix, p)
		}
	}
	if free := u.Blocks.Fits(28); free != uint64(256-used) {
		return fmt.Errorf("%d units are free, want %d", free, 256-used)
	}
	if u.CanDouble != doubles || u.Networks != len(w.given) {
		return fmt.Errorf("%d of %d networks can double, want %d of %d", u.CanDouble, u.Networks, doubles, len(w.given))
	}
	return w.rebuild(t)
}

// rebuild reads the state back into another space, which must go on in the same way.
func (w *walk) rebuild(t testing.TB) error {
	other := newWalk(t).space
	for _, a := range w.space.Allocations() {
		if err := other.Take(a.Request, a.Prefix); err != nil {
			return err
		}
	}
	if a, b := w.space.Usages()[0], other.Usages()[0]; a.Blocks != b.Blocks || a.CanDouble != b.CanDouble {
		return fmt.Errorf("read back, %s are free, not %s", b.Blocks, a.Blocks)
	}
	for _, size := range tshirts {
		a, errA := w.space.Allocate(ask("next", "p", size.Name))
		b, errB := other.Allocate(ask("next", "p", size.Name))
		if a != b || (errA == nil) != (errB == nil) {
			return fmt.Errorf("read back, %s is given %v, not %v", size.Name, b, a)
		}
		if errA == nil {
			if _, err := w.space.Release("next"); err != nil {
				return err
			}
			if _, err := other.Release("next"); err != nil {
				return err
			}
		}
	}
	return nil
}

// Whatever is asked: nothing overlaps, everything lies in the pool, what would fit
// is not refused, growth keeps the first address, and a state that is read back
// goes on in the same way.
func TestEveryWalkKeepsThePromises(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 0))
		w := newWalk(t)
		for i := range 300 {
			if err := w.step(byte(r.Uint32()), byte(r.Uint32())); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, i, err)
			}
			if i%10 == 0 {
				if err := w.check(t); err != nil {
					t.Fatalf("seed %d, step %d: %v", seed, i, err)
				}
			}
		}
		for len(w.order) > 0 {
			if err := w.step(4, 0); err != nil {
				t.Fatal(err)
			}
		}
		if u := w.space.Usages()[0]; u.Blocks[21] != 2 || u.Free != 1 {
			t.Fatalf("seed %d: after everything was released, %s are free", seed, u.Blocks)
		}
	}
}

func FuzzWalk(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1, 0, 2, 0, 3, 6, 0, 4, 1})
	f.Add([]byte{0, 3, 0, 3, 0, 3, 0, 3, 0, 3, 0, 3, 0, 3, 0, 3, 0, 3, 4, 2, 0, 0, 14, 3, 30, 3})
	f.Fuzz(func(t *testing.T, ops []byte) {
		w := newWalk(t)
		for i := 0; i+1 < len(ops); i += 2 {
			if err := w.step(ops[i], ops[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.check(t); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNothingOverlapsAmongManyGoroutines(t *testing.T) {
	s := spaceOf(t, Pool{Name: "p", Scope: "x", Prefixes: prefixes("10.0.0.0/16"), Sizes: tshirts},
		Pool{Name: "q", Scope: "x", Prefixes: prefixes("10.1.0.0/16"), Sizes: tshirts})
	var wait sync.WaitGroup
	for g := range 64 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 0))
			var mine []string
			for i := range 500 {
				token := fmt.Sprintf("%d-%d", g, i)
				switch {
				case r.IntN(3) > 0 || len(mine) == 0:
					if _, err := s.Allocate(ask(token, []string{"p", "q"}[r.IntN(2)], tshirts[r.IntN(4)].Name)); err == nil {
						mine = append(mine, token)
					}
				case r.IntN(2) == 0:
					_, _ = s.Grow(mine[r.IntN(len(mine))])
				default:
					if _, err := s.Release(mine[len(mine)-1]); err != nil {
						t.Error(err)
					}
					mine = mine[:len(mine)-1]
				}
			}
		})
	}
	wait.Wait()
	all := s.Allocations()
	for i := range all[1:] {
		if all[i].Prefix.Overlaps(all[i+1].Prefix) {
			t.Errorf("%v and %v overlap", all[i], all[i+1])
		}
	}
}
