package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asEntry makes the test binary an entry instead, so that what the prober costs can
// be told apart from what its answers cost.
const asEntry = "CROSSFADE_PROBE_BENCH_ENTRY"

func TestMain(m *testing.M) {
	if os.Getenv(asEntry) != "" {
		serveEntry()
		return
	}
	os.Exit(m.Run())
}

// serveEntry prints its address and answers until its input ends.
func serveEntry() {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr())
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answerAll(conn)
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func answerAll(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 1024)
	last := false
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		last = last || strings.HasPrefix(line, "Connection: close")
		if line != "\r\n" {
			continue
		}
		if _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Pod-Name: shop/cart-1\r\nContent-Length: 5\r\n\r\nhello")); err != nil || last {
			return
		}
	}
}

// One iteration is a second of asking 1,600 names ten times on either side.
func BenchmarkProber1600(b *testing.B) {
	entry := exec.CommandContext(b.Context(), os.Args[0])
	entry.Env = append(os.Environ(), asEntry+"=1")
	input, err := entry.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	output, err := entry.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := entry.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = input.Close(); _ = entry.Wait() }()
	address, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	address = strings.TrimSpace(address)

	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	var dialer net.Dialer
	p := New(ctx, Options{Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, address)
	}})
	var names []Name
	for i := range 1600 {
		names = append(names, named(fmt.Sprintf("%04d.test", i)))
	}
	since := time.Now()
	p.Ask(key, names, 10)
	<-time.After(2 * time.Second) // all are connected

	before, used := p.Counts(), processTime(b)
	b.ResetTimer()
	for b.Loop() {
		for range 2 {
			<-time.After(500 * time.Millisecond)
			p.Ask(key, names, 10)
			p.Evidence(key, since)
		}
	}
	b.StopTimer()
	after := p.Counts()
	seconds := b.Elapsed().Seconds()
	b.ReportMetric((processTime(b)-used).Seconds()/seconds, "cores")
	b.ReportMetric(float64(after.Slots-before.Slots)/seconds, "requests/s")
	b.ReportMetric(float64(after.Failed-before.Failed), "failed")
	b.ReportMetric(100*float64(after.Invalid-before.Invalid)/float64(after.Slots-before.Slots), "%invalid")
	b.ReportMetric(float64(after.SlipP99.Microseconds())/1000, "slip-p99-ms")
}

func processTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
