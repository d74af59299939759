package referee

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// roleVariable makes this test binary another process of a test.
const roleVariable = "REFEREE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "estate":
		serveEstate()
	case "referee":
		runReferee()
	default:
		os.Exit(m.Run())
	}
}

// serveEstate answers HTTP and DNS until its input ends, and prints where.
func serveEstate() {
	ctx, listen := context.Background(), new(net.ListenConfig)
	web, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { _ = http.Serve(web, newEstate()) }()
	packets, err := listen.ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	resolver := dns.Server{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		response := answerA(query.Question[0].Name, 5, "10.1.240.1")
		_ = w.WriteMsg(response.SetRcode(query, dns.RcodeSuccess))
	})}
	go func() { _ = resolver.ActivateAndServe() }()
	fmt.Println(web.Addr(), packets.LocalAddr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startEstate starts the estate as a process of its own, so that the referee's
// processor time can be told from it, and returns a dialler that leads there.
func startEstate(t testing.TB) DialFunc {
	t.Helper()
	process := exec.CommandContext(context.Background(), os.Args[0]) // ends with its input
	process.Env = append(os.Environ(), roleVariable+"=estate")
	process.Stderr = os.Stderr
	input, errIn := process.StdinPipe()
	output, errOut := process.StdoutPipe()
	if err := process.Start(); err != nil || errIn != nil || errOut != nil {
		t.Fatal(err, errIn, errOut)
	}
	t.Cleanup(func() {
		_ = input.Close()
		_ = process.Wait()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	web, resolver, _ := strings.Cut(strings.TrimSpace(line), " ")
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		address := web
		if network == "udp" {
			address = resolver
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
}

// BenchmarkLoad runs a load of fixed rate for as long as b.N requests take, and
// shows what it costs the referee and how late that made it.
func BenchmarkLoad(b *testing.B) {
	for _, size := range []struct {
		names int
		rate  float64
	}{{40, 400}, {1600, 3200}} {
		b.Run(fmt.Sprintf("names=%d/rate=%.0f", size.names, size.rate), func(b *testing.B) {
			config := Config{
				Dial: startEstate(b), Rate: size.rate,
				Duration:  max(seconds(float64(b.N)/size.rate), time.Second),
				Resolvers: []string{"10.53.1.1", "10.53.1.2", "10.53.1.3", "10.53.1.4"},
			}
			for i := range size.names {
				name := fmt.Sprintf("app-%d", i)
				config.Targets = append(config.Targets, Target{Name: name, Host: name + ".live.demo.test", Kinds: []Kind{KindGet}})
			}
			b.ResetTimer()
			before, began := processorTime(b), time.Now()
			report := mustRun(b, config)
			used, lasted := processorTime(b)-before, time.Since(began)
			b.ReportMetric(used.Seconds()/lasted.Seconds(), "cores")
			b.ReportMetric(peakMemory(b), "peak-MiB")
			b.ReportMetric(report.Slip.P99Millis, "slip-p99-ms")
			b.ReportMetric(report.Latency.Overall.P99Millis, "p99-ms")
			b.ReportMetric(float64(report.Failed), "failed")
			b.ReportMetric(float64(report.Invalid), "invalid")
			b.ReportMetric(float64(report.Requests)/report.DurationSeconds, "requests/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func ownUsage(t testing.TB) (usage syscall.Rusage) {
	t.Helper()
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return usage
}

// peakMemory is of this process, so of the largest load so far.
func peakMemory(t testing.TB) float64 { return float64(ownUsage(t).Maxrss) / 1024 }

func processorTime(t testing.TB) time.Duration {
	usage := ownUsage(t)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// runReferee is the whole of a referee's process.
func runReferee() {
	address := netip.MustParseAddrPort(os.Getenv("ADDRESS"))
	report, err := Run(context.Background(), Config{
		Targets: Targets{{Name: "web", Host: address.Addr().String(), Port: address.Port()}},
		Rate:    200, Duration: 5 * time.Second, ReportFile: os.Getenv("REPORT"),
	})
	if err != nil {
		panic(fmt.Sprint(err, report.Text()))
	}
}
