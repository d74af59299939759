package origin

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"crossfade.dev/examples/estate/internal/pod"
)

// Handler serves the playlist, the segments and the probes.
func (o *Origin) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /live/playlist.m3u8", o.servePlaylist)
	mux.HandleFunc("GET /live/{segment}", o.serveSegment)
	mux.HandleFunc("GET /healthz", pod.Healthy)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if !o.Owns() {
			pod.NotReady(w, errOwned.Error())
			return
		}
		pod.Healthy(w, r)
	})
	return mux
}

// Owns reports whether the stream is ours now.
func (o *Origin) Owns() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.owns(time.Now())
}

func (o *Origin) servePlaylist(w http.ResponseWriter, _ *http.Request) {
	list, ok := o.playlist()
	if !ok {
		pod.NotReady(w, errOwned.Error())
		return
	}
	w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(list) // fails only when the client has gone
}

// playlist follows RFC 8216, with two tags of our own: EXT-X-ORIGIN-ID names the
// process, and EXT-X-HANDOVER says that it took the numbering over from another.
func (o *Origin) playlist() ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.serves() {
		return nil, false
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n")
	fmt.Fprintf(&b, "#EXT-X-MEDIA-SEQUENCE:%d\n", o.next-int64(len(o.segments)))
	fmt.Fprintf(&b, "#EXT-X-ORIGIN-ID:%s\n", o.config.ID)
	if o.taken {
		fmt.Fprintln(&b, "#EXT-X-HANDOVER")
	}
	for _, s := range o.segments {
		fmt.Fprintf(&b, "#EXTINF:%.3f,\nsegment-%d.ts\n", SegmentDuration.Seconds(), s.Number)
	}
	return b.Bytes(), true
}

func (o *Origin) serveSegment(w http.ResponseWriter, r *http.Request) {
	text, isSegment := strings.CutPrefix(r.PathValue("segment"), "segment-")
	number, err := strconv.ParseInt(strings.TrimSuffix(text, ".ts"), 10, 64)
	if !isSegment || err != nil {
		http.NotFound(w, r)
		return
	}
	o.mu.Lock()
	serves := o.serves()
	data := o.segment(number)
	o.mu.Unlock()

	switch {
	case !serves:
		pod.NotReady(w, errOwned.Error())
	case data == nil:
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", "video/mp2t")
		_, _ = w.Write(data) // fails only when the client has gone
	}
}

// serves needs o.mu. What was handed over is still true, and still served.
func (o *Origin) serves() bool {
	return o.stopped || o.owns(time.Now())
}

// segment needs o.mu. It returns nil for one that is not kept.
func (o *Origin) segment(number int64) []byte {
	first := o.next - int64(len(o.segments))
	if number < first || number >= o.next {
		return nil
	}
	return o.segments[number-first].Data
}

const (
	packetSize = 188 // bytes of an MPEG transport stream packet, ISO/IEC 13818-1
	packets    = 10  // in a segment
)

// content is a segment of null packets (PID 0x1FFF, which players skip) whose
// payload says which segment of which origin it is.
func content(stream, id string, number int64) []byte {
	label := fmt.Sprintf("%s segment %d by %s\n", stream, number, id)
	data := bytes.Repeat([]byte{0xff}, packetSize*packets)
	for at := 0; at < len(data); at += packetSize {
		copy(data[at:], []byte{0x47, 0x1f, 0xff, 0x10})
		copy(data[at+4:at+packetSize], label)
	}
	return data
}
