package dns

import (
	"encoding/base64"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// transferBytes is how much of a zone goes into one message of a transfer.
const transferBytes = 16 << 10

// An authority is the name server at one address, with every zone it holds.
type authority struct {
	address netip.Addr
	zones   map[string]*heldZone
	keys    map[string]Key
	counts  *serverCounts
	log     *slog.Logger
	mu      sync.Mutex // guards order
	order   *rand.Rand
}

// ServeDNS answers one message.
func (a *authority) ServeDNS(w dns.ResponseWriter, request *dns.Msg) {
	reply := new(dns.Msg)
	reply.SetReply(request)
	if signed := request.IsTsig(); signed != nil && !a.verified(w, request, reply) {
		a.counts.note(w, request, reply)
		a.send(w, request, reply)
		return
	}
	switch {
	case len(request.Question) != 1:
		reply.Rcode = dns.RcodeFormatError
	case request.Opcode == dns.OpcodeUpdate:
		a.update(request, reply)
	case request.Opcode != dns.OpcodeQuery:
		reply.Rcode = dns.RcodeNotImplemented
	case request.Question[0].Qtype == dns.TypeAXFR || request.Question[0].Qtype == dns.TypeIXFR:
		if a.transfer(w, request, reply) {
			a.counts.note(w, request, reply)
			return
		}
	default:
		a.query(request.Question[0], reply)
	}
	a.counts.note(w, request, reply)
	a.send(w, request, reply)
}

// verified checks the signature; if it is bad, reply says why (RFC 8945 section 5.2).
func (a *authority) verified(w dns.ResponseWriter, request, reply *dns.Msg) bool {
	err := w.TsigStatus()
	signed := request.IsTsig()
	code := 0
	switch {
	case err == nil && a.keys[dns.CanonicalName(signed.Hdr.Name)].Algorithm == dns.CanonicalName(signed.Algorithm):
		return true
	case err == nil || errors.Is(err, dns.ErrSecret) || errors.Is(err, dns.ErrKeyAlg):
		code = dns.RcodeBadKey
	case errors.Is(err, dns.ErrTime):
		code = dns.RcodeBadTime
	default:
		code = dns.RcodeBadSig
	}
	reply.Rcode = dns.RcodeNotAuth
	reply.SetTsig(signed.Hdr.Name, signed.Algorithm, signed.Fudge, time.Now().Unix())
	reply.IsTsig().Error = uint16(code)
	return false
}

// zone returns the zone that answers for name here, nil if there is none. A DS
// record is the parent's, if the parent is here too.
func (a *authority) zone(name string, qtype uint16) *heldZone {
	name = dns.CanonicalName(name)
	var best *heldZone
	for apex, zone := range a.zones {
		if !dns.IsSubDomain(apex, name) || (best != nil && len(best.Name) > len(apex)) {
			continue
		}
		if qtype == dns.TypeDS && apex == name && apex != "." && a.zone(above(name), dns.TypeSOA) != nil {
			continue
		}
		best = zone
	}
	return best
}

func (a *authority) query(question dns.Question, reply *dns.Msg) {
	zone := a.zone(question.Name, question.Qtype)
	if zone == nil || question.Qclass != dns.ClassINET {
		reply.Rcode = dns.RcodeRefused
		return
	}
	zone.at(a.address).answer(reply, question, zone.AuthorityNS)
	a.shuffle(reply.Answer)
}

// shuffle puts the addresses of each set into another order for each answer, as
// most servers do: clients that take the first one then spread over all.
func (a *authority) shuffle(rrs []dns.RR) {
	a.mu.Lock()
	defer a.mu.Unlock()
	shuffleAddresses(rrs, a.order)
}

func shuffleAddresses(rrs []dns.RR, random *rand.Rand) {
	address := func(rr dns.RR) bool {
		return rr.Header().Rrtype == dns.TypeA || rr.Header().Rrtype == dns.TypeAAAA
	}
	from := slices.IndexFunc(rrs, address)
	if from < 0 || !address(rrs[len(rrs)-1]) {
		return
	}
	tail := rrs[from:]
	random.Shuffle(len(tail), func(i, j int) { tail[i], tail[j] = tail[j], tail[i] })
}

func (a *authority) update(request, reply *dns.Msg) {
	question := request.Question[0]
	if question.Qtype != dns.TypeSOA || question.Qclass != dns.ClassINET {
		reply.Rcode = dns.RcodeFormatError
		return
	}
	zone := a.zones[dns.CanonicalName(question.Name)]
	if zone == nil {
		reply.Rcode = dns.RcodeNotAuth
		return
	}
	if !permitted(request, zone.Update) {
		reply.Rcode = dns.RcodeRefused
		return
	}
	rcode, err := zone.update(request)
	if err != nil {
		a.log.Error("update was not stored", "zone", zone.ID, "error", err)
	}
	reply.Rcode = rcode
}

// permitted reports whether the message is signed with one of the keys. Its
// signature has been verified.
func permitted(request *dns.Msg, keys []string) bool {
	signed := request.IsTsig()
	return signed != nil && slices.Contains(keys, dns.CanonicalName(signed.Hdr.Name))
}

// transfer sends a whole zone (RFC 5936), over TCP, to who may have it. IXFR gets
// the whole zone, too (RFC 1995 section 4). If it returns false, reply is to be sent.
func (a *authority) transfer(w dns.ResponseWriter, request, reply *dns.Msg) bool {
	zone := a.zones[dns.CanonicalName(request.Question[0].Name)]
	switch {
	case zone == nil:
		reply.Rcode = dns.RcodeNotAuth
		return false
	case !permitted(request, zone.Transfer), w.RemoteAddr().Network() != "tcp":
		reply.Rcode = dns.RcodeRefused
		return false
	}
	records := zone.at(a.address).records()
	records = append(records, records[0]) // the SOA begins and ends a transfer
	envelopes := make(chan *dns.Envelope)
	done := make(chan error, 1)
	go func() {
		done <- new(dns.Transfer).Out(w, request, envelopes)
		for range envelopes { // after an error nobody else takes the rest
			continue
		}
	}()
	size := 0
	var part []dns.RR
	for _, rr := range records {
		if size += dns.Len(rr); size > transferBytes {
			envelopes <- &dns.Envelope{RR: part}
			part, size = nil, dns.Len(rr)
		}
		part = append(part, dns.Copy(rr))
	}
	envelopes <- &dns.Envelope{RR: part}
	close(envelopes)
	if err := <-done; err != nil {
		a.log.Warn("transfer was cut short", "zone", zone.ID, "to", w.RemoteAddr(), "error", err)
	}
	return true
}

// send signs the reply if the request was signed, and cuts it to what the client
// takes in one datagram.
func (a *authority) send(w dns.ResponseWriter, request, reply *dns.Msg) {
	fit(w, request, reply)
	if signed := request.IsTsig(); signed != nil && reply.IsTsig() == nil {
		reply.SetTsig(signed.Hdr.Name, signed.Algorithm, signed.Fudge, time.Now().Unix())
	}
	if err := w.WriteMsg(reply); err != nil {
		a.log.Debug("reply was not sent", "to", w.RemoteAddr(), "error", err)
	}
}

// maxDatagram is the largest answer over UDP, as agreed on DNS Flag Day 2020.
const maxDatagram = 1232

// fit adds EDNS0 (RFC 6891) if the request has it, and truncates a reply over UDP.
func fit(w dns.ResponseWriter, request, reply *dns.Msg) {
	size := dns.MinMsgSize
	if option := request.IsEdns0(); option != nil {
		size = max(size, min(maxDatagram, int(option.UDPSize())))
		if reply.IsTsig() == nil {
			reply.SetEdns0(maxDatagram, option.Do())
		}
		if option.Version() != 0 {
			reply.Rcode = dns.RcodeBadVers
			reply.Answer, reply.Ns = nil, nil
		}
	}
	reply.Compress = true
	if w.RemoteAddr().Network() != "tcp" && reply.IsTsig() == nil {
		reply.Truncate(size)
	}
}

// hashes lists the algorithms that a Key may have.
var hashes = map[string]bool{
	dns.HmacSHA224: true, dns.HmacSHA256: true, dns.HmacSHA384: true, dns.HmacSHA512: true,
}

// secrets returns the keys in the form that the library verifies and signs with.
func secrets(keys []Key) map[string]string {
	out := map[string]string{}
	for _, key := range keys {
		if secret, err := base64.StdEncoding.DecodeString(key.Secret); err == nil {
			out[key.Name] = base64.StdEncoding.EncodeToString(secret)
		}
	}
	return out
}
