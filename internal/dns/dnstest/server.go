package dnstest

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	wire "github.com/miekg/dns"

	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/zone"
)

// A Fault is what a Server does in place of its duty.
type Fault int

const (
	// None lets the server do its duty.
	None Fault = iota
	// Ignore neither does nor answers anything.
	Ignore
	// LoseReply does what was asked and does not answer.
	LoseReply
	// ServerFailure answers SERVFAIL and does nothing else.
	ServerFailure
	// Refuse answers REFUSED and does nothing else.
	Refuse
	// Unsigned does what was asked and leaves the signature out of the answer.
	Unsigned
	// Pretend answers success and does nothing else.
	Pretend
)

// A Server is an authoritative DNS server on a loopback port, over UDP and TCP, with
// transfers (RFC 5936), updates (RFC 2136) and TSIG (RFC 8945).
type Server struct {
	// Address is its host and port.
	Address string
	// KeyName and Secret are the TSIG key that transfers and updates need; an empty
	// name lets everybody in. They are set before Hold.
	KeyName, Secret string
	// SerialShift is added to each serial number that is shown, as servers with
	// inline signing do; prerequisites compare with the number that is not shown.
	// It is set before Hold.
	SerialShift uint32

	mu    sync.Mutex
	zones map[string]contents
	hook  func(network string, request *wire.Msg) Fault
}

// NewServer starts a server that stops with the test.
func NewServer(t testing.TB) *Server {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	packets, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", listener.Addr().String())
	if err != nil {
		_ = listener.Close()
		t.Fatal(err)
	}
	s := &Server{
		Address: listener.Addr().String(),
		KeyName: "crossfade.",
		Secret:  "c2VjcmV0IGZvciB0ZXN0cyBvbmx5",
		zones:   map[string]contents{},
	}
	for _, server := range []*wire.Server{{Listener: listener}, {PacketConn: packets}} {
		server.Handler = wire.HandlerFunc(s.serve)
		server.MsgAcceptFunc = func(wire.Header) wire.MsgAcceptAction { return wire.MsgAccept }
		server.TsigSecret = map[string]string{s.KeyName: s.Secret}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.ActivateAndServe() // ends with Shutdown
		}()
		t.Cleanup(func() {
			_ = listener.Close()
			_ = packets.Close()
			<-done
		})
	}
	return s
}

// Hold makes the server hold zoneName with these sets and no others. It adds a SOA
// and a NS set at the apex where sets has none.
func (s *Server) Hold(t testing.TB, zoneName string, sets ...dns.RecordSet) {
	t.Helper()
	zoneName = zone.CanonicalName(zoneName)
	held := contents{}
	for _, set := range append(Apex(t, zoneName), sets...) {
		set, err := set.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		held[set.Key] = set
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zones[zoneName] = held
}

// OnRequest makes hook see every request before it is answered, and say what goes
// wrong. It may change the server's zones.
func (s *Server) OnRequest(hook func(network string, request *wire.Msg) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// fault asks the hook.
func (s *Server) fault(network string, request *wire.Msg) Fault {
	s.mu.Lock()
	hook := s.hook
	s.mu.Unlock()
	if hook == nil {
		return None
	}
	return hook(network, request)
}

// RecordSets returns what the server holds, ordered by Key.
func (s *Server) RecordSets(zoneName string) []dns.RecordSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.zones[zone.CanonicalName(zoneName)].sorted()
}

// Put writes sets as somebody else would.
func (s *Server) Put(zoneName string, sets ...dns.RecordSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.zones[zone.CanonicalName(zoneName)]
	for _, set := range sets {
		held[set.Key] = set
	}
	held.advance(zone.CanonicalName(zoneName))
}

// Apex returns the two sets that every zone has.
func Apex(t testing.TB, zoneName string) []dns.RecordSet {
	t.Helper()
	soa := fmt.Sprintf("ns1.servers.test. hostmaster.%s. 7 3600 600 86400 300", zoneName)
	return []dns.RecordSet{
		Set(t, zoneName, "SOA", 900, soa),
		Set(t, zoneName, "NS", 3600, "ns1.servers.test.", "ns2.servers.test."),
	}
}

// Set returns a canonical record set, or ends the test.
func Set(t testing.TB, name, typ string, ttl uint32, data ...string) dns.RecordSet {
	t.Helper()
	set, err := zone.NewRecordSet(name, typ, ttl, data...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func (s *Server) serve(w wire.ResponseWriter, request *wire.Msg) {
	network := w.LocalAddr().Network()
	fault := s.fault(network, request)
	reply := new(wire.Msg)
	switch fault {
	case Ignore:
		return
	case ServerFailure:
		reply.SetRcode(request, wire.RcodeServerFailure)
	case Refuse:
		reply.SetRcode(request, wire.RcodeRefused)
	case Pretend:
		reply.SetReply(request)
	default:
		if isTransfer(request) && s.mayChange(w, request) && fault != LoseReply {
			s.transfer(w, request)
			return
		}
		reply = s.answer(w, request)
	}
	if fault == LoseReply {
		return
	}
	if fault != Unsigned {
		sign(w, request, reply)
	}
	if network == "udp" {
		reply.Truncate(wire.MinMsgSize)
	}
	_ = w.WriteMsg(reply) // a client that is gone is no concern of ours
}

func isTransfer(request *wire.Msg) bool {
	return len(request.Question) == 1 && request.Question[0].Qtype == wire.TypeAXFR
}

// mayChange reports whether request is signed with the server's key, if it has one.
func (s *Server) mayChange(w wire.ResponseWriter, request *wire.Msg) bool {
	return s.KeyName == "" || request.IsTsig() != nil && w.TsigStatus() == nil
}

// sign signs reply if request was signed, or says in the signature's place what was
// wrong with the request's (RFC 8945, section 5.2).
func sign(w wire.ResponseWriter, request, reply *wire.Msg) {
	signature := request.IsTsig()
	if signature == nil {
		return
	}
	reply.SetTsig(signature.Hdr.Name, signature.Algorithm, 300, time.Now().Unix())
	switch err := w.TsigStatus(); {
	case errors.Is(err, wire.ErrSecret):
		reply.IsTsig().Error = wire.RcodeBadKey
	case err != nil:
		reply.IsTsig().Error = wire.RcodeBadSig
	}
}

func (s *Server) answer(w wire.ResponseWriter, request *wire.Msg) *wire.Msg {
	reply := new(wire.Msg)
	if len(request.Question) != 1 {
		return reply.SetRcode(request, wire.RcodeFormatError)
	}
	if request.IsTsig() != nil && w.TsigStatus() != nil {
		return reply.SetRcode(request, wire.RcodeNotAuth)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if request.Opcode == wire.OpcodeUpdate {
		if !s.mayChange(w, request) {
			return reply.SetRcode(request, wire.RcodeRefused)
		}
		return reply.SetRcode(request, s.update(request))
	}
	if isTransfer(request) {
		return reply.SetRcode(request, wire.RcodeRefused)
	}
	s.query(request, reply)
	return reply
}

// transfer streams the zone, several messages if it is large.
func (s *Server) transfer(w wire.ResponseWriter, request *wire.Msg) {
	s.mu.Lock()
	zoneName := zone.CanonicalName(request.Question[0].Name)
	held, ok := s.zones[zoneName]
	var records []wire.RR
	if ok {
		soa := s.shown(held.records(zone.Key{Name: zoneName, Type: "SOA"}))
		records = append(records, soa...)
		for _, set := range held.sorted() {
			if set.Key != (zone.Key{Name: zoneName, Type: "SOA"}) {
				records = append(records, held.records(set.Key)...)
			}
		}
		records = append(records, soa...)
	}
	s.mu.Unlock()
	if !ok {
		reply := new(wire.Msg).SetRcode(request, wire.RcodeNotAuth)
		sign(w, request, reply)
		_ = w.WriteMsg(reply)
		return
	}
	envelopes := make(chan *wire.Envelope, len(records))
	for part := range slices.Chunk(records, 200) {
		envelopes <- &wire.Envelope{RR: part}
	}
	close(envelopes)
	_ = new(wire.Transfer).Out(w, request, envelopes)
}

// query answers from the closest zone that the server holds (RFC 1034, section
// 4.3.2): data, alias, wildcard, referral or nothing.
func (s *Server) query(request, reply *wire.Msg) {
	reply.SetReply(request)
	name := zone.CanonicalName(request.Question[0].Name)
	typ := wire.Type(request.Question[0].Qtype).String()
	zoneName, held := s.closest(name)
	if held == nil {
		reply.Rcode = wire.RcodeRefused
		return
	}
	if cut := held.cut(zoneName, name); cut != "" && (typ != "DS" || cut != name) {
		reply.Ns = held.records(zone.Key{Name: cut, Type: "NS"})
		for _, server := range reply.Ns {
			glue := zone.CanonicalName(server.(*wire.NS).Ns)
			reply.Extra = append(reply.Extra, held.records(zone.Key{Name: glue, Type: "A"})...)
		}
		return
	}
	reply.Authoritative = true
	source, exists := held.source(zoneName, name)
	answer := held.records(zone.Key{Name: source, Type: typ})
	if len(answer) == 0 {
		answer = held.records(zone.Key{Name: source, Type: "CNAME"})
	}
	for _, record := range answer {
		record.Header().Name = request.Question[0].Name
	}
	reply.Answer = s.shown(answer)
	if len(answer) == 0 {
		reply.Ns = s.shown(held.records(zone.Key{Name: zoneName, Type: "SOA"}))
		if !exists {
			reply.Rcode = wire.RcodeNameError
		}
	}
}

// closest returns the zone that encloses name most tightly.
func (s *Server) closest(name string) (string, contents) {
	best := ""
	var held contents
	for zoneName, c := range s.zones {
		if zone.Within(zoneName, name) && (held == nil || len(zoneName) > len(best)) {
			best, held = zoneName, c
		}
	}
	return best, held
}

// shown shifts the serial numbers of SOA records.
func (s *Server) shown(records []wire.RR) []wire.RR {
	for _, record := range records {
		if soa, ok := record.(*wire.SOA); ok {
			soa.Serial += s.SerialShift
		}
	}
	return records
}

// contents are a zone's sets.
type contents map[zone.Key]dns.RecordSet

func (c contents) sorted() []dns.RecordSet {
	sets := make([]dns.RecordSet, 0, len(c))
	for _, set := range c {
		sets = append(sets, set.Clone())
	}
	return zone.Sorted(sets)
}

// records returns new records of the set, none if there is no such set.
func (c contents) records(key zone.Key) []wire.RR {
	set, ok := c[key]
	if !ok {
		return nil
	}
	records, err := set.Records()
	if err != nil {
		panic(err) // only canonical sets are put in
	}
	return records
}

// cut returns the highest delegated name above or at name, or "".
func (c contents) cut(zoneName, name string) string {
	cut := ""
	for at := name; at != zoneName && at != "."; at = above(at) {
		if _, ok := c[zone.Key{Name: at, Type: "NS"}]; ok {
			cut = at
		}
	}
	return cut
}

// source returns the name whose sets answer for name: itself or the wildcard that
// covers it (RFC 4592), and whether there is one.
func (c contents) source(zoneName, name string) (string, bool) {
	if _, ok := c[zone.Key{Name: name, Type: "A"}]; ok {
		return name, true // no need to look through the zone
	}
	exists := func(name string) bool {
		for key := range c {
			if zone.Within(name, key.Name) {
				return true
			}
		}
		return false
	}
	if exists(name) {
		return name, true
	}
	for at := above(name); ; at = above(at) {
		if wildcard := "*." + at; exists(wildcard) {
			return wildcard, true
		}
		if at == zoneName || exists(at) || at == "." {
			return name, false
		}
	}
}

func above(name string) string {
	if _, rest, found := strings.Cut(name, "."); found && rest != "" {
		return rest
	}
	return "."
}

// advance moves the zone's serial number on.
func (c contents) advance(zoneName string) {
	key := zone.Key{Name: zoneName, Type: "SOA"}
	next, err := zone.NextSOA(c[key], c[key])
	if err != nil {
		panic(err) // Hold put a SOA in
	}
	c[key] = next
}
