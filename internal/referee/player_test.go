package referee

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func list(origin string, handover bool, numbers ...int64) playlist {
	p := playlist{origin: origin, handover: handover}
	for _, n := range numbers {
		p.segments = append(p.segments, segment{n, fmt.Sprintf("/segment-%d.ts", n)})
	}
	return p
}

func TestPlayerSeesWhatViewersSee(t *testing.T) {
	type poll struct {
		list playlist
		// blind: the referee could not ask before this one.
		blind bool
	}
	for _, test := range []struct {
		name    string
		polls   []poll
		fetched []int64
		want    Segments
	}{
		{"begins at the live edge", []poll{{list: list("a", false, 4, 5, 6)}}, []int64{6}, Segments{}},
		{"follows", []poll{{list: list("a", false, 5, 6)}, {list: list("a", false, 6, 7)}, {list: list("a", false, 7, 8, 9)}}, []int64{6, 7, 8, 9}, Segments{}},
		{"the same list again", []poll{{list: list("a", false, 6)}, {list: list("a", false, 6)}}, []int64{6}, Segments{}},
		{"a gap between lists", []poll{{list: list("a", false, 6)}, {list: list("a", false, 9, 10)}}, []int64{6, 9, 10}, Segments{Lost: 2}},
		{"a gap within a list", []poll{{list: list("a", false, 6)}, {list: list("a", false, 6, 8)}}, []int64{6, 8}, Segments{Lost: 1}},
		{"a gap while the referee was blind", []poll{{list: list("a", false, 6)}, {list: list("a", false, 9), blind: true}}, []int64{6, 9}, Segments{Invalid: 2}},
		{"another origin", []poll{{list: list("a", false, 6)}, {list: list("b", false, 7)}}, []int64{6, 7}, Segments{Doubled: 1}},
		{"another origin that was handed over to", []poll{{list: list("a", false, 6)}, {list: list("b", true, 7)}, {list: list("b", false, 8)}}, []int64{6, 7, 8}, Segments{}},
		{"two origins in turn", []poll{{list: list("a", false, 6)}, {list: list("b", false, 7)}, {list: list("a", false, 8)}}, []int64{6, 7, 8}, Segments{Doubled: 2}},
		{"number goes back", []poll{{list: list("a", false, 6)}, {list: list("a", false, 4)}, {list: list("a", false, 5, 6)}, {list: list("a", false, 7)}}, []int64{6, 7}, Segments{Doubled: 1}},
		{"a handover is no licence to go back", []poll{{list: list("a", false, 6)}, {list: list("b", true, 2)}}, []int64{6}, Segments{Doubled: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := player{}
			var fetched []int64
			var got Segments
			now := time.Unix(0, 0)
			for _, poll := range test.polls {
				p.blind = p.blind || poll.blind
				now = now.Add(playlistPeriod)
				fetch, seen := p.observe(poll.list, now)
				got.add(seen)
				for _, segment := range fetch {
					fetched = append(fetched, segment.number)
				}
			}
			if !reflect.DeepEqual(fetched, test.fetched) || got != test.want {
				t.Errorf("fetched %v, %+v; want %v, %+v", fetched, got, test.fetched, test.want)
			}
		})
	}
}

func TestStallIsCountedOnceAndMeasured(t *testing.T) {
	p := player{}
	start := time.Unix(0, 0)
	var got Segments
	for half := range int64(10) { // 4.5 s, in which the stream stands still after the first
		_, seen := p.observe(list("a", false, 6), start.Add(time.Duration(half)*playlistPeriod))
		got.add(seen)
	}
	if want := (Segments{Stalls: 1, LongestStallMillis: 4500}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, seen := p.observe(list("a", false, 7), start.Add(5*time.Second)); seen != (Segments{}) {
		t.Errorf("%+v once it goes on, want nothing", seen)
	}
	if seen := p.stall(start.Add(7 * time.Second)); seen.Stalls != 1 {
		t.Errorf("%+v, want a second stall", seen)
	}
}

// liveStream is a stream of numbered segments, one every 500 ms since start.
func liveStream(start time.Time, origin string, withhold int64) func(string) (string, bool) {
	return func(path string) (string, bool) {
		newest := int64(time.Since(start)/playlistPeriod) + 10
		if path == "/playlist.m3u8" {
			var out strings.Builder
			fmt.Fprintf(&out, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n%s%s\n", originTag, origin)
			for n := newest - 5; n <= newest; n++ {
				fmt.Fprintf(&out, "#EXTINF:0.5,\nsegment-%d.ts\n", n)
			}
			return out.String(), true
		}
		var number int64
		if _, err := fmt.Sscanf(path, "/segment-%d.ts", &number); err != nil || number > newest {
			return "", false
		}
		return fmt.Sprintf("%s %d", "content of", number), withhold == 0 || number%withhold != 0
	}
}

func TestPlayersFollowALiveStream(t *testing.T) {
	for _, test := range []struct {
		name     string
		withhold int64
		lost     int64
	}{{"whole", 0, 0}, {"every tenth segment is missing", 10, 2}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork()
				defer n.close()
				e := newEstate()
				e.stream = liveStream(time.Now(), "a", test.withhold)
				n.serve("10.1.240.1:80", e)
				n.resolve = nil
				report := mustRun(t, Config{Targets: Targets{{Name: "live", Host: "10.1.240.1", Kinds: []Kind{KindPlayer}}}, Dial: n.dial, Duration: 10*time.Second - 1})
				got := report.Segments
				if got.Seen+got.Lost != 20 || got.Lost != test.lost || got.Doubled != 0 || got.Stalls != 0 || got.Invalid != 0 {
					t.Errorf("%+v; want 20 seen or lost, %d lost", got, test.lost)
				}
				if report.SegmentFetches != 20 || report.Failed != test.lost || report.Requests != 40 {
					t.Errorf("%d requests, %d fetches, %d failed; want 40, 20, %d", report.Requests, report.SegmentFetches, report.Failed, test.lost)
				}
			})
		})
	}
}

// Two origins that both publish one stream give two contents under one number.
func TestTwoContentsUnderOneNumberAreDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		defer n.close()
		for i, address := range []string{"10.1.240.1", "10.2.240.1"} {
			stream, origin := liveStream(time.Now(), "a", 0), fmt.Sprint(i)
			e := newEstate()
			e.stream = func(path string) (string, bool) {
				body, found := stream(path)
				if strings.HasPrefix(path, "/segment") {
					body += origin
				}
				return body, found
			}
			n.serve(address+":80", e)
		}
		live := func(host string) Target {
			return Target{Name: "live", Host: host, Kinds: []Kind{KindPlayer}}
		}
		config, err := Config{Targets: Targets{live("10.1.240.1")}, Dial: n.dial, Duration: 10*time.Second - 1}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		l, err := newLoad(config)
		if err != nil {
			t.Fatal(err)
		}
		// A second player of the same stream is led to the other origin.
		elsewhere := live("10.2.240.1")
		if err := elsewhere.complete(); err != nil {
			t.Fatal(err)
		}
		second := *l.lanes[0]
		second.target, second.player = &elsewhere, &player{broadcast: l.lanes[0].player.broadcast}
		l.lanes = append(l.lanes, &second)
		go l.pulse.Run(l.stopping)
		l.offer(t.Context())
		if got := l.report(1).Segments; got.Seen != 40 || got.Doubled != 20 {
			t.Errorf("%+v; want 40 seen, 20 doubled", got)
		}
	})
}

func TestPlaylistsAreReadStrictly(t *testing.T) {
	for _, test := range []struct {
		name, body string
		want       playlist
		wrong      string
	}{
		{name: "whole", body: "#EXTM3U\r\n#EXT-X-ORIGIN-ID:a-1\r\n#EXTINF:0.5,\r\nsegment-08.ts\r\n#EXT-X-HANDOVER\r\n\r\nhd/segment-9.ts?k=v\r\n",
			want: playlist{"a-1", true, []segment{{8, "/tv/segment-08.ts"}, {9, "/tv/hd/segment-9.ts?k=v"}}}},
		{name: "absolute path", body: "#EXTM3U\n/x/segment-1.ts\n", want: playlist{segments: []segment{{1, "/x/segment-1.ts"}}}},
		{name: "not a playlist", body: "<html>", wrong: "does not begin with #EXTM3U"},
		{name: "empty", body: "", wrong: "does not begin with #EXTM3U"},
		{name: "no segment", body: "#EXTM3U\n#EXT-X-ENDLIST\n", wrong: "lists no segment"},
		{name: "another name", body: "#EXTM3U\nvideo.ts\n", wrong: `"video.ts"`},
		{name: "number goes back within", body: "#EXTM3U\nsegment-2.ts\nsegment-1.ts\n", wrong: "segment 1 after 2"},
		{name: "number twice", body: "#EXTM3U\nsegment-2.ts\nsegment-2.ts\n", wrong: "segment 2 after 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parsePlaylist([]byte(test.body), "/tv/playlist.m3u8")
			switch {
			case test.wrong == "" && (err != nil || !reflect.DeepEqual(got, test.want)):
				t.Errorf("parsePlaylist = %+v, %v; want %+v", got, err, test.want)
			case test.wrong != "" && (err == nil || !strings.Contains(err.Error(), test.wrong)):
				t.Errorf("parsePlaylist = %v; want %q in it", err, test.wrong)
			}
		})
	}
}

// Whatever a server sends, a playlist that is accepted has ascending numbers, and
// paths that can stand in a request line.
func FuzzPlaylist(f *testing.F) {
	f.Add([]byte("#EXTM3U\n#EXT-X-ORIGIN-ID:a\nsegment-1.ts\nsegment-2.ts\n"))
	f.Add([]byte("#EXTM3U\nhttp://elsewhere/segment-1.ts?a b#c\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := parsePlaylist(body, "/tv/playlist.m3u8")
		if err != nil {
			return
		}
		last := int64(-1)
		for _, segment := range list.segments {
			if segment.number <= last {
				t.Errorf("segment %d after %d", segment.number, last)
			}
			last = segment.number
			if !validPath.MatchString(segment.path) {
				t.Errorf("path %q breaks a request line", segment.path)
			}
		}
	})
}
