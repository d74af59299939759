package dns

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func openTestZone(t *testing.T, dir string) *heldZone {
	t.Helper()
	config := Config{Zones: movingZones(60, 60)}
	config.setDefaults()
	z, err := openZone(config.Zones[2], dir, 1, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func closeZone(t *testing.T, z *heldZone) {
	t.Helper()
	if err := z.close(); err != nil {
		t.Fatal(err)
	}
}

func insert(t *testing.T, z *heldZone, line string) {
	t.Helper()
	message := new(dns.Msg)
	message.SetUpdate(z.Name)
	message.Insert(records(t, line))
	if rcode, err := z.update(onWire(t, message)); rcode != dns.RcodeSuccess || err != nil {
		t.Fatalf("%s, %v", dns.RcodeToString[rcode], err)
	}
}

func TestJournalBringsTheZoneBack(t *testing.T) {
	dir := t.TempDir()
	z := openTestZone(t, dir)
	insert(t, z, `a.live.demo.test. 5 IN TXT "one; \"two\"" "three"`)
	insert(t, z, "b.live.demo.test. 5 IN A 10.0.0.1")
	insert(t, z, `c.live.demo.test. 5 IN TYPE65400 \# 2 abcd`)
	closeZone(t, z)
	want := zoneText(z.newest)
	for range 2 { // from the journal, and from the snapshot that the start made of it
		again := openTestZone(t, dir)
		if got := zoneText(again.newest); got != want || again.newest.soa().Serial != 4 || again.newest.number != 3 {
			t.Fatalf("serial %d, change %d, zone:\n%s\nwant:\n%s", again.newest.soa().Serial, again.newest.number, got, want)
		}
		closeZone(t, again)
	}
}

func TestTornLineIsDroppedAndDamageIsNot(t *testing.T) {
	dir := t.TempDir()
	z := openTestZone(t, dir)
	insert(t, z, "a.live.demo.test. 5 IN A 10.0.0.1")
	kept := zoneText(z.newest)
	insert(t, z, "b.live.demo.test. 5 IN A 10.0.0.2")
	closeZone(t, z)
	path := filepath.Join(dir, "old.journal")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first := strings.IndexByte(string(whole), '\n') + 1
	for end := first; end < len(whole); end += 7 {
		if err := os.WriteFile(path, whole[:end], 0o644); err != nil {
			t.Fatal(err)
		}
		snapshot, err := os.ReadFile(filepath.Join(dir, "old.zone"))
		if err != nil {
			t.Fatal(err)
		}
		again := openTestZone(t, dir)
		if got := zoneText(again.newest); got != kept {
			t.Fatalf("cut at byte %d:\n%s\nwant:\n%s", end, got, kept)
		}
		closeZone(t, again)
		if err := os.WriteFile(filepath.Join(dir, "old.zone"), snapshot, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	damaged := append([]byte{}, whole...)
	damaged[20] ^= 1
	if err := os.WriteFile(path, damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	config := Config{Zones: movingZones(60, 60)}
	config.setDefaults()
	if _, err := openZone(config.Zones[2], dir, 1, time.Now); err == nil || !strings.Contains(err.Error(), "line 1: checksum") {
		t.Errorf("a damaged line before the last: %v", err)
	}
}

func TestOldJournalBesideANewSnapshotIsSkipped(t *testing.T) {
	dir := t.TempDir()
	z := openTestZone(t, dir)
	insert(t, z, "a.live.demo.test. 5 IN A 10.0.0.1")
	journal, err := os.ReadFile(filepath.Join(dir, "old.journal"))
	if err != nil {
		t.Fatal(err)
	}
	message := new(dns.Msg)
	message.SetUpdate(z.Name)
	message.RemoveName(records(t, "a.live.demo.test. 0 IN A 10.0.0.1"))
	if _, err := z.update(onWire(t, message)); err != nil {
		t.Fatal(err)
	}
	want := zoneText(z.newest)
	if err := z.journal.compact(z.newest); err != nil {
		t.Fatal(err)
	}
	closeZone(t, z)
	// Killed after the snapshot was renamed and before the journal was begun anew:
	if err := os.WriteFile(filepath.Join(dir, "old.journal"), journal, 0o644); err != nil {
		t.Fatal(err)
	}
	again := openTestZone(t, dir)
	defer closeZone(t, again)
	if got := zoneText(again.newest); got != want {
		t.Errorf("%s\nwant:\n%s", got, want)
	}
}

func TestCompaction(t *testing.T) {
	dir := t.TempDir()
	z := openTestZone(t, dir)
	z.journal.held = compactAfter - 2
	for i := range 5 {
		insert(t, z, fmt.Sprintf("n%d.live.demo.test. 5 IN A 10.0.0.1", i))
	}
	if z.journal.held != 2 {
		t.Errorf("%d lines since the snapshot, want 2", z.journal.held)
	}
	want := zoneText(z.newest)
	closeZone(t, z)
	again := openTestZone(t, dir)
	defer closeZone(t, again)
	if got := zoneText(again.newest); got != want {
		t.Errorf("%s\nwant:\n%s", got, want)
	}
}

func TestUpdateAfterOneThatTheDiskDidNotTake(t *testing.T) {
	dir := t.TempDir()
	z := openTestZone(t, dir)
	insert(t, z, "a.live.demo.test. 5 IN A 10.0.0.1")
	// A full disk takes the beginning of a line.
	writable := z.journal.file
	if _, err := writable.WriteString("00000000 {"); err != nil {
		t.Fatal(err)
	}
	full, err := os.Open(writable.Name())
	if err != nil {
		t.Fatal(err)
	}
	z.journal.file = full
	message := new(dns.Msg)
	message.SetUpdate(z.Name)
	message.Insert(records(t, "b.live.demo.test. 5 IN A 10.0.0.1"))
	if rcode, err := z.update(onWire(t, message)); rcode != dns.RcodeServerFailure || err == nil {
		t.Fatalf("an update that was not written: %s, %v", dns.RcodeToString[rcode], err)
	}
	z.journal.file = writable
	insert(t, z, "c.live.demo.test. 5 IN A 10.0.0.1")
	closeZone(t, z)
	again := openTestZone(t, dir)
	defer closeZone(t, again)
	for name, want := range map[string]bool{"a": true, "b": false, "c": true} {
		if got := again.newest.inUse(name + ".live.demo.test."); got != want {
			t.Errorf("after a restart the zone has %s: %t, want %t", name, got, want)
		}
	}
}

// TestKilledServer is the process that TestKillLosesNoAcknowledgedUpdate kills.
func TestKilledServer(t *testing.T) {
	dir := os.Getenv("DNS_TEST_DIR")
	if dir == "" {
		t.Skip("is run by TestKillLosesNoAcknowledgedUpdate")
	}
	config, err := Load(filepath.Join(dir, "dns.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(config, filepath.Join(dir, "state"), slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	fmt.Println("serving")
	select {}
}

func TestKillLosesNoAcknowledgedUpdate(t *testing.T) {
	dir := t.TempDir()
	text, at := exampleElsewhere()
	if err := os.WriteFile(filepath.Join(dir, "dns.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for round := range 3 {
		server := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledServer$")
		server.Env = append(os.Environ(), "DNS_TEST_DIR="+dir)
		out, err := server.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "serving\n" {
			t.Fatalf("server said %q, %v", line, err)
		}
		client := &dns.Client{Net: "tcp", TsigSecret: map[string]string{"crossfade.": testSecret}}
		for i := range acknowledged {
			query := new(dns.Msg)
			query.SetQuestion(fmt.Sprintf("n%d.live.demo.test.", i), dns.TypeA)
			reply, _, err := client.Exchange(query, at("3"))
			if err != nil || len(reply.Answer) != 1 {
				t.Fatalf("round %d: update %d of %d is lost: %v, %v", round, i, acknowledged, reply, err)
			}
		}
		kill := time.AfterFunc(100*time.Millisecond, func() { _ = server.Process.Kill() })
		for {
			update := new(dns.Msg)
			update.SetUpdate("live.demo.test.")
			update.Insert(records(t, fmt.Sprintf("n%d.live.demo.test. 5 IN A 10.0.0.1", acknowledged)))
			update.SetTsig("crossfade.", dns.HmacSHA256, 300, time.Now().Unix())
			reply, _, err := client.Exchange(update, at("3"))
			if err != nil {
				break
			}
			if reply.Rcode != dns.RcodeSuccess {
				t.Fatal(reply)
			}
			acknowledged++
		}
		kill.Stop()
		_ = server.Process.Kill()
		_ = server.Wait()
	}
	if acknowledged == 0 {
		t.Error("no update was acknowledged")
	}
	t.Logf("%d updates", acknowledged)
}
