package referee

import "time"

// A Report is what the referee found; during the load, what it has found so far.
// The package documentation says what the words mean.
type Report struct {
	Seed    uint64    `json:"seed"`
	RunID   string    `json:"runID"` // begins the ids of all requests and writes
	Names   int       `json:"names"`
	Rate    float64   `json:"rate"`
	Started time.Time `json:"started"`
	// DurationSeconds is from the start to the stop; it does not hold the reading back.
	DurationSeconds float64 `json:"durationSeconds"`
	Running         bool    `json:"running"`

	// Requests are all that were begun: ok, failed, invalid and still under way.
	Requests int64 `json:"requests"`
	OK       int64 `json:"ok"`
	Failed   int64 `json:"failed"`
	Invalid  int64 `json:"invalid"`
	UnderWay int64 `json:"underWay"`
	// Requests are what the schedule asked for and the segments that playlists led to.
	Scheduled      int64 `json:"scheduled"`
	SegmentFetches int64 `json:"segmentFetches"`
	// Accounted is true in a final report in which every sum holds.
	Accounted bool `json:"accounted"`

	Writes   Writes   `json:"writes"`
	Segments Segments `json:"segments"`
	Latency  Latency  `json:"latency"`
	// Slip is how late the referee was itself.
	Slip    Quantiles `json:"slip"`
	Periods []Period  `json:"periods"`

	Connections    Connections       `json:"connections"`
	Kinds          []KindCounts      `json:"kinds"`
	Clients        []ClientCounts    `json:"clients"`
	DNS            DNS               `json:"dns"`
	FailedByClass  map[Class]int64   `json:"failedByClass"`
	InvalidBecause map[Invalid]int64 `json:"invalidBecause"`
	ByName         []NameCounts      `json:"byName"`

	// Failures are the first ones; FailuresOmitted is how many more there were.
	Failures        []Failure `json:"failures"`
	FailuresOmitted int64     `json:"failuresOmitted"`
}

// maxFailures bounds the lists of failures and of faulty writes.
const maxFailures = 200

// Counts are requests that have ended; Requests is the sum of the others.
type Counts struct {
	Requests int64 `json:"requests"`
	OK       int64 `json:"ok"`
	Failed   int64 `json:"failed"`
	Invalid  int64 `json:"invalid"`
}

// Quantiles are in milliseconds, with a relative error of 1 %, all 0 without a sample.
type Quantiles struct {
	Count      int64   `json:"count"`
	P50Millis  float64 `json:"p50Millis"`
	P99Millis  float64 `json:"p99Millis"`
	P995Millis float64 `json:"p995Millis"`
	MaxMillis  float64 `json:"maxMillis"`
}

// Latency is of ok requests, from the scheduled time, without the kind slow.
type Latency struct {
	Overall Quantiles `json:"overall"`
	New     Quantiles `json:"new"`
	Reused  Quantiles `json:"reused"`
}

// A Period is the time under one mark. Its counts hold all kinds.
type Period struct {
	Name    string    `json:"name"`
	From    time.Time `json:"from"`
	Seconds float64   `json:"seconds"`
	Counts
	Latency Latency `json:"latency"`
}

// Connections tells requests that opened a connection from those that found one.
type Connections struct {
	New    Counts `json:"new"`
	Reused Counts `json:"reused"`
	// ClosedIdle were closed by the other side while nothing was under way on them.
	ClosedIdle int64 `json:"closedIdle"`
}

// KindCounts are the requests of one kind.
type KindCounts struct {
	Kind Kind `json:"kind"`
	Counts
	Latency Quantiles `json:"latency"`
}

// ClientCounts are the requests of one client.
type ClientCounts struct {
	Client   string `json:"client"`
	Resolver string `json:"resolver"`
	Counts
}

// NameCounts are the requests to one target.
type NameCounts struct {
	Name string `json:"name"`
	Counts
	ServedBy []Served `json:"servedBy"`
	// Unnamed answers carried no pod's address.
	Unnamed int64 `json:"unnamed"`
}

// Served is how often pods of one network (/16, for IPv6 /48) answered.
type Served struct {
	Network string    `json:"network"`
	Answers int64     `json:"answers"`
	Last    int64     `json:"last"` // within the name's last answers
	LastAt  time.Time `json:"lastAt"`
}

// DNS is what resolving took: queries in all, those sent again because no answer
// came over UDP, and those asked again over TCP because the answer was too long.
type DNS struct {
	Queries   int64 `json:"queries"`
	Resent    int64 `json:"resent"`
	Truncated int64 `json:"truncated"`
}

// Writes are numbered writes that may have reached the estate. All but Acknowledged
// are known after the load only, when each was read back.
type Writes struct {
	Sent            int64        `json:"sent"`
	Acknowledged    int64        `json:"acknowledged"`
	Lost            int64        `json:"lost"`
	Doubled         int64        `json:"doubled"`
	NotReadBack     int64        `json:"notReadBack"`
	ReadBackRetries int64        `json:"readBackRetries"`
	Faults          []WriteFault `json:"faults,omitempty"` // the first ones
}

// A WriteFault is one write that is not as it should be.
type WriteFault struct {
	What   string    `json:"what"` // lost, doubled, not read back
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	Client string    `json:"client"`
	At     time.Time `json:"at"` // scheduled
	Count  int64     `json:"count"`
	Text   string    `json:"text,omitempty"`
}

// Segments are summed over all players.
type Segments struct {
	Seen               int64   `json:"seen"`
	Lost               int64   `json:"lost"`
	Doubled            int64   `json:"doubled"`
	Invalid            int64   `json:"invalid"` // missed by the referee's own fault
	Stalls             int64   `json:"stalls"`
	LongestStallMillis float64 `json:"longestStallMillis"`
}

func (s *Segments) add(more Segments) {
	s.Seen += more.Seen
	s.Lost += more.Lost
	s.Doubled += more.Doubled
	s.Invalid += more.Invalid
	s.Stalls += more.Stalls
	s.LongestStallMillis = max(s.LongestStallMillis, more.LongestStallMillis)
}

// A Failure is one failed request, with what a person needs to find the cause.
type Failure struct {
	At          time.Time `json:"at"` // scheduled
	AfterMillis float64   `json:"afterMillis"`
	Name        string    `json:"name"`
	Kind        Kind      `json:"kind"`
	Client      string    `json:"client"`
	Reused      bool      `json:"reused"`
	Address     string    `json:"address"`
	PodIP       string    `json:"podIP,omitempty"`
	RequestID   string    `json:"requestID"`
	Class       Class     `json:"class"`
	Text        string    `json:"text"`
}
