// Package referee counts what users of an estate would have seen. It is an open
// loop load generator with clients of its own: it resolves names itself, keeps
// connections as users' programs do, numbers its writes and follows streams. It
// knows nothing of the engine that moves the estate, and imports none of it, so
// that the engine does not grade its own work.
//
// # What is counted
//
// Every request has a time at which it was scheduled, fixed before the load began.
// Latency is the end of its answer minus that time, so that a service which stops
// answering cannot make the referee ask less. A request is exactly one of
//
//   - ok: an answer with an expected status came in time;
//   - failed: anything else that the estate did. Nothing is tried again, with one
//     exception that is no retry: a kept connection that the server closed before
//     anything was written on it is dialled anew (and so counts as new);
//   - invalid: the referee itself was late or stood still by more than MaxSlip, or
//     ran out of ports or files. Such a sample says nothing about the estate: it is
//     never slow and never ok. An answer that is wrong whatever the referee's own
//     state (a refusal, a reset, a status) is failed nevertheless.
//
// The report states whether sent = ok + failed + invalid, in total and in every
// breakdown, and whether sent equals what the schedule asked for.
//
// # Who asks
//
// A lane is one name, one kind of request, one client and one way with connections:
// new for each request, or kept. No lane asks more than once in a second, so few
// names at a high rate have several alike. A client is one resolver address with a cache that
// honours TTLs to the moment, or the stale client, which resolves a name once, by
// the first resolver, and uses the first address of that answer for ever. Only A
// records are asked for. A query that stays unanswered over UDP is sent again after
// 1 s, 2 s and so on, as DNS wants it; the report counts these.
//
// # What a name may be asked (kinds)
//
//   - get: GET Path.
//   - write: POST WritePath with the JSON body {"id": ID}, answered by a 2xx status
//     once it is kept. After the load, GET WritePath/ID is answered by 200 and
//     {"id": ID, "count": N}, N being how often that ID was applied, or by 404 for
//     never. An acknowledged write of count 0 is lost; any write of more than 1 is
//     doubled. Only this reading back is tried again, and is no part of the requests.
//   - player: GET PlaylistPath every 500 ms; see below.
//   - slow: GET Path with the query delay=2s, one every 500 ms per name, so that
//     each pod has some under way when it ends. Their latency is reported apart.
//   - tcp: a connection is opened and closed.
//   - redis: PING, answered by +PONG.
//
// A playlist is an HLS media playlist (RFC 8216) whose segments are numbered,
// segment-<n>.ts, one every 500 ms, with the header line #EXT-X-ORIGIN-ID:<id>. A
// number that is left out, or whose one fetch fails, is a lost segment. A number
// that goes back, two contents under one number, or an origin's id that changes
// without the line #EXT-X-HANDOVER, means two origins at work: a doubled segment.
// A stall is more than 1.5 s without a new number.
//
// An answer's header X-Pod-Ip says which pod gave it; the report counts answers by
// name and network, also within the last answers of each name.
//
// # How it is driven
//
// Time is cut into periods by marks: lines appended to the marks file, or
// POST /mark?name=during at the control endpoint, which also has GET /report (the
// report so far; ?last=N narrows the last answers) and POST /stop. A sample belongs
// to the period in which it was scheduled. The first period is "before".
package referee
