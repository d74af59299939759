package referee

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A player follows one stream: it reads the playlist at its lane's times and
// fetches each new segment once. It begins at the newest segment, as viewers do.
type player struct {
	broadcast *broadcast

	began    bool
	origin   string
	newest   int64 // of the last playlist
	wanted   int64 // the number that follows the highest one seen
	advanced time.Time
	stalled  bool
	// blind is true when a playlist could not be asked for by the referee's own
	// fault, so that numbers left out now may have been listed.
	blind bool
}

// stallAfter is three segments' time without a new one.
const stallAfter = 3 * playlistPeriod

// A playlist is what a player reads in one.
type playlist struct {
	origin   string
	handover bool
	segments []segment // ascending, at least one
}

type segment struct {
	number int64
	path   string
}

func (s playlist) newest() int64 { return s.segments[len(s.segments)-1].number }

// play is one turn of a player's lane: the playlist, then what is new in it.
func (l *lane) play(c *connection, id string, due time.Time, slip time.Duration) {
	var list playlist
	s := l.send(c, request{
		id: id, method: http.MethodGet, path: l.target.PlaylistPath, keep: true, expect: success,
		check: func(a answer) *fault {
			var err error
			if list, err = parsePlaylist(a.body, l.target.PlaylistPath); err != nil {
				return faultOf(ClassContent, err)
			}
			return nil
		},
	}, due, slip)

	var seen Segments
	switch {
	case len(list.segments) > 0 && s.fault == nil:
		var fetch []segment
		fetch, seen = l.player.observe(list, s.ended)
		for _, segment := range fetch {
			seen.add(l.fetch(c, fmt.Sprintf("%s-s%d", id, segment.number), segment))
		}
	case s.invalid != "":
		l.player.blind = true
	default:
		seen = l.player.stall(s.ended)
	}
	l.tally.segments(seen)
}

// observe says which segments are new and what is wrong with the list.
func (p *player) observe(list playlist, now time.Time) ([]segment, Segments) {
	newest := list.newest()
	if !p.began {
		p.began, p.origin, p.newest, p.wanted, p.advanced = true, list.origin, newest, newest, now
	}
	var seen Segments
	if list.origin != p.origin && !list.handover {
		seen.Doubled++
	}
	if newest < p.newest {
		seen.Doubled++
	}
	p.origin, p.newest = list.origin, newest

	var fetch []segment
	for _, segment := range list.segments {
		if segment.number < p.wanted {
			continue
		}
		if gap := segment.number - p.wanted; p.blind {
			seen.Invalid += gap
		} else {
			seen.Lost += gap
		}
		p.wanted = segment.number + 1
		fetch = append(fetch, segment)
	}
	p.blind = false
	if len(fetch) > 0 {
		p.advanced, p.stalled = now, false
		return fetch, seen
	}
	seen.add(p.stall(now))
	return nil, seen
}

// stall counts a standstill of the stream once, and how long the longest lasted.
func (p *player) stall(now time.Time) Segments {
	still := now.Sub(p.advanced)
	if !p.began || still <= stallAfter {
		return Segments{}
	}
	seen := Segments{LongestStallMillis: millis(still)}
	if !p.stalled {
		p.stalled = true
		seen.Stalls = 1
	}
	return seen
}

func (l *lane) fetch(c *connection, id string, segment segment) Segments {
	l.tally.fetches.Add(1)
	s := l.send(c, request{id: id, method: http.MethodGet, path: segment.path, keep: true, expect: success}, time.Now(), 0)
	switch {
	case s.fault == nil && l.player.broadcast.same(segment.number, s.answer.body):
		return Segments{Seen: 1}
	case s.fault == nil:
		return Segments{Seen: 1, Doubled: 1}
	case s.invalid != "":
		return Segments{Invalid: 1}
	default:
		return Segments{Lost: 1}
	}
}

// A broadcast compares the contents that the players of one stream were given.
type broadcast struct {
	seed   maphash.Seed
	mu     sync.Mutex
	hashes map[int64]uint64
}

// remembered segments: with one every 500 ms, players may be minutes apart.
const remembered = 1024

func newBroadcast() *broadcast {
	return &broadcast{seed: maphash.MakeSeed(), hashes: map[int64]uint64{}}
}

// same reports whether all players that fetched that number got the same content.
func (b *broadcast) same(number int64, content []byte) bool {
	hash := maphash.Bytes(b.seed, content)
	b.mu.Lock()
	defer b.mu.Unlock()
	if first, found := b.hashes[number]; found {
		return first == hash
	}
	b.hashes[number] = hash
	delete(b.hashes, number-remembered)
	return true
}

const (
	originTag   = "#EXT-X-ORIGIN-ID:"
	handoverTag = "#EXT-X-HANDOVER"
)

var segmentName = regexp.MustCompile(`(?:^|/)segment-([0-9]{1,18})\.ts(?:\?|$)`)

// parsePlaylist reads a media playlist (RFC 8216, 4.3) whose path is base.
func parsePlaylist(body []byte, base string) (playlist, error) {
	at, err := url.Parse(base)
	if err != nil {
		return playlist{}, err
	}
	lines := bufio.NewScanner(bytes.NewReader(body))
	if !lines.Scan() || strings.TrimSpace(lines.Text()) != "#EXTM3U" {
		return playlist{}, errors.New("playlist does not begin with #EXTM3U")
	}
	var list playlist
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch origin, isOrigin := strings.CutPrefix(line, originTag); {
		case isOrigin:
			list.origin = origin
		case line == handoverTag || strings.HasPrefix(line, handoverTag+":"):
			list.handover = true
		case line == "" || line[0] == '#':
		default:
			next, err := readSegment(line, at)
			if err != nil {
				return playlist{}, err
			}
			if len(list.segments) > 0 && next.number <= list.newest() {
				return playlist{}, fmt.Errorf("playlist lists segment %d after %d", next.number, list.newest())
			}
			list.segments = append(list.segments, next)
		}
	}
	if err := lines.Err(); err != nil {
		return playlist{}, fmt.Errorf("playlist: %w", err)
	}
	if len(list.segments) == 0 {
		return playlist{}, errors.New("playlist lists no segment")
	}
	return list, nil
}

func readSegment(line string, at *url.URL) (segment, error) {
	found := segmentName.FindStringSubmatch(line)
	reference, err := at.Parse(line)
	if found == nil || err != nil || !validPath.MatchString(reference.RequestURI()) {
		return segment{}, fmt.Errorf("playlist lists %q, which is no segment-<n>.ts", line)
	}
	number, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		return segment{}, fmt.Errorf("segment number: %w", err)
	}
	return segment{number, reference.RequestURI()}, nil
}
