package dns

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// BenchmarkUpdate measures signed updates of one record set, each on disk before it
// is acknowledged, in a zone of 1,600 names.
func BenchmarkUpdate(b *testing.B) {
	_, at := startExample(b, b.TempDir())
	client := &dns.Client{Net: "tcp", TsigSecret: map[string]string{"crossfade.": testSecret}}
	swap := func(name string, from, to int) error {
		update := new(dns.Msg)
		update.SetUpdate("live.demo.test.")
		if from >= 0 {
			update.Used(records(b, fmt.Sprintf("%s 5 IN A 10.1.0.%d", name, from)))
			update.RemoveRRset(records(b, name+" 5 IN A 10.1.0.1"))
		}
		update.Insert(records(b, fmt.Sprintf("%s 5 IN A 10.1.0.%d", name, to)))
		update.SetTsig("crossfade.", dns.HmacSHA256, 300, time.Now().Unix())
		reply, _, err := client.Exchange(update, at("3"))
		if err == nil && reply.Rcode != dns.RcodeSuccess {
			err = fmt.Errorf("%s", dns.RcodeToString[reply.Rcode])
		}
		return err
	}
	for i := range 1600 {
		if err := swap(fmt.Sprintf("app-%d.live.demo.test.", i), -1, 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	for i := range b.N {
		if err := swap(fmt.Sprintf("app-%d.live.demo.test.", i%1600), i/1600%200, (i/1600+1)%200); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkResolve measures questions to a resolver that knows the answers.
func BenchmarkResolve(b *testing.B) {
	_, at := startExample(b, "")
	var failed atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		conn, err := dns.DialTimeout("udp", at("11"), time.Second)
		if err != nil {
			b.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		client := new(dns.Client)
		for pb.Next() {
			query := new(dns.Msg)
			query.SetQuestion("api.live.demo.test.", dns.TypeA)
			if reply, _, err := client.ExchangeWithConn(query, conn); err != nil || len(reply.Answer) != 1 {
				failed.Add(1)
			}
		}
	})
	if failed.Load() > 0 {
		b.Errorf("%d of %d questions failed", failed.Load(), b.N)
	}
}
