package quota_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"crossfade.dev/internal/landing/finding"
	"crossfade.dev/internal/landing/quota"
	"crossfade.dev/internal/landing/source"
)

// now is a Monday.
var now = time.Date(2026, time.May, 4, 9, 0, 0, 0, time.UTC)

const head = `apiVersion: landing.crossfade.dev/v1alpha1
kind: QuotaWatch
metadata: {name: vpcs}
spec:
  service: vpc
  quota: VPCs
  region: eu-west-1
`

const growing = head + `  value: 100
  samples:
  - {on: 2026-03-02, used: 60}
  - {on: 2026-03-16, used: 67}
  - {on: 2026-03-30, used: 74}
  - {on: 2026-04-13, used: 81}
  - {on: 2026-04-27, used: 88}
`

func load(t *testing.T, text string) ([]*quota.Watch, source.Findings) {
	t.Helper()
	documents, unread := source.Read([]source.File{{Name: "q.yaml", Data: []byte(text)}})
	watches, found := quota.Load(documents, unread)
	return watches, append(unread, found...)
}

func TestFindings(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"a raise comes too late", growing + "  increase: {businessDays: 15}\n", []string{
			"LZ-QUOTA-001 fail QuotaWatch/vpcs: vpc VPCs in eu-west-1: 88 of 100 used on 2026-04-27, 0.5 a day more (90 % interval 0.5 to 0.5, 5 samples over 56 days): " +
				"at 0.5 a day it is used up on 2026-05-21, in 16 days; a raise takes 15 business days (until 2026-05-26) and 14 days of margin are wanted: 16 - 22 - 14 = -20 days; " +
				"fix: ask for a raise now, and use less until it is there"}},
		{"there is time", strings.Replace(growing, "value: 100", "value: 120", 1) + "  increase: {calendarDays: 20}\n", []string{
			"LZ-QUOTA-004 note QuotaWatch/vpcs: vpc VPCs in eu-west-1: 88 of 120 used on 2026-04-27, 0.5 a day more (90 % interval 0.5 to 0.5, 5 samples over 56 days): " +
				"at 0.5 a day it is used up on 2026-06-30, in 56 days; fix: ask for a raise by 2026-05-26"}},
		{"the finals come before the raise", strings.Replace(growing, "value: 100", "value: 200", 1) + "  increase: {calendarDays: 20}\n  events:\n  - {name: finals night, from: 2026-05-30, to: 2026-05-31, multiplier: 3}\n", []string{
			"LZ-QUOTA-002 fail QuotaWatch/vpcs: vpc VPCs in eu-west-1: 88 of 200 used on 2026-04-27, 0.5 a day more (90 % interval 0.5 to 0.5, 5 samples over 56 days): " +
				"finals night multiplies the use by 3, which uses the quota up on 2026-05-30, in 25 days; a raise takes 20 calendar days (until 2026-05-24) and 14 days of margin are wanted: 25 - 20 - 14 = -9 days; " +
				"fix: ask now for what finals night needs, or use less of it"}},
		{"nothing is known", head, []string{
			"LZ-QUOTA-003 unknown QuotaWatch/vpcs: vpc VPCs in eu-west-1: not known: the value of the quota (spec.value); how much is used (spec.samples): without it nobody can say whether the quota lasts; fix: write it into the document"}},
		{"too few samples", head + "  value: 100\n  increase: {businessDays: 5}\n  samples:\n  - {on: 2026-05-01, used: 3}\n", []string{
			"LZ-QUOTA-003 unknown QuotaWatch/vpcs: vpc VPCs in eu-west-1: not known: how use grows: 1 samples outside of events, where at least 5 over 7 days are needed (spec.samples): without it nobody can say whether the quota lasts; fix: write it into the document"}},
		{"samples of tomorrow", growing + "  - {on: 2026-05-05, used: 90}\n  increase: {businessDays: 0}\n  marginDays: 0\n", []string{
			"LZ-QUOTA-003 unknown QuotaWatch/vpcs: vpc VPCs in eu-west-1: not known: the use on 1 days of spec.samples that have not come yet: without it nobody can say whether the quota lasts; fix: write it into the document"}},
		{"no lead time", growing + "  marginDays: 0\n", []string{
			"LZ-QUOTA-003 unknown QuotaWatch/vpcs: vpc VPCs in eu-west-1: not known: how long a raise takes (spec.increase): without it nobody can say whether the quota lasts; fix: write it into the document"}},
		{"used up, whatever is not known", head + "  value: 100\n  samples:\n  - {on: 2026-05-01, used: 100}\n", []string{
			"LZ-QUOTA-001 fail QuotaWatch/vpcs: vpc VPCs in eu-west-1: 100 of 100 used on 2026-05-01: it is used up on 2026-05-04, in 0 days; 14 days of margin are wanted; fix: ask for a raise now, and use less until it is there"}},
		{"a trigger is too slow", strings.Replace(growing, "value: 100", "value: 10000", 1) + `  increase: {calendarDays: 20}
  triggers:
  - name: packagers
    metric: cpu
    thresholdPercent: 60
    reaction: [{name: metric period, takes: 60s}, {name: three periods to be sure, takes: 120s}, {name: start, takes: 60s}]
    loadGrowth: {points: 40, within: 90s}
    addsPercent: 50
`, []string{
			"LZ-QUOTA-005 fail QuotaWatch/vpcs (packagers): load can grow from 60 % to 100 % in 90 s, the trigger needs 240 s (60 s metric period + 120 s three periods to be sure + 60 s start): " +
				"150 s long there is more load than capacity; fix: no threshold is low enough: react within 90 s, or have the capacity ready before the load comes",
			"LZ-QUOTA-006 fail QuotaWatch/vpcs (packagers): load can grow by 106.7 points in the 240 s of one reaction, which adds 50: while load grows, each reaction leaves less room than the one before; fix: add at least 106.7 % at once, or react faster"}},
		{"a trigger of which nothing is known", strings.Replace(growing, "value: 100", "value: 10000", 1) + "  increase: {calendarDays: 20}\n  triggers:\n  - {name: a, metric: cpu, thresholdPercent: 60}\n", []string{
			"LZ-QUOTA-007 unknown QuotaWatch/vpcs (a): trigger a on cpu: not known: how long it takes until new capacity serves (reaction): without it nobody can say whether it is fast enough; fix: measure it and write it into the document"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			watches, wrong := load(t, test.text)
			if len(wrong) > 0 {
				t.Fatal(wrong)
			}
			var got []string
			for _, f := range quota.Check(watches, now).Findings {
				got = append(got, f.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestAWaiverStopsCountingOnItsDay(t *testing.T) {
	watches, wrong := load(t, growing+"  increase: {businessDays: 15}\n  waivers:\n  - {finding: LZ-QUOTA-001, reason: asked for, owner: Ada, expires: 2026-06-01}\n")
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	if found := finding.Blocking(quota.Check(watches, now).Findings); len(found) != 0 {
		t.Errorf("a waived finding blocks: %v", found)
	}
	r := quota.Check(watches, now)
	if len(r.Findings) != 1 || r.Findings[0].Waiver == nil || !strings.HasSuffix(r.Findings[0].String(), "[waived by Ada until 2026-06-01: asked for]") {
		t.Errorf("a waived finding is not shown with its waiver: %v", r.Findings)
	}
	if found := finding.Blocking(quota.Check(watches, time.Date(2026, time.June, 1, 0, 0, 0, 0, time.UTC)).Findings); len(found) != 1 || found[0].Severity != finding.Fail {
		t.Errorf("an expired waiver lets %v pass", found)
	}
}

// What an event was seen to take counts, where it is more than was planned.
func TestAnEventThatTakesMoreThanPlanned(t *testing.T) {
	text := head + `  value: 100
  marginDays: 0
  samples:
  - {on: 2026-04-01, used: 30}
  - {on: 2026-04-06, used: 30}
  - {on: 2026-04-11, used: 30}
  - {on: 2026-04-16, used: 30}
  - {on: 2026-04-21, used: 30}
  - {on: 2026-05-03, used: USED}
  events:
  - {name: season, from: 2026-05-01, to: 2026-06-30, multiplier: 1.5}
  - {name: finals, from: 2026-05-10, to: 2026-05-10, multiplier: 2}
  increase: {calendarDays: 10}
`
	for used, want := range map[string]string{"45": "", "60": "LZ-QUOTA-002"} {
		watches, wrong := load(t, strings.Replace(text, "USED", used, 1))
		if len(wrong) > 0 {
			t.Fatal(wrong)
		}
		got := ""
		for _, f := range quota.Check(watches, now).Findings {
			got += f.ID
		}
		if got != want {
			t.Errorf("with %s used during the season: got %q, want %q", used, got, want)
		}
	}
}
