package ingress

import (
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics is what the ingress tells of itself. Label host is that of the rule that
// matched ("_" if none did); class is 2xx to 5xx, "gone" if the client left before
// an answer, "aborted" if the answer broke off.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec   // host, class
	latency  *prometheus.HistogramVec // host
	active   *prometheus.GaugeVec     // host
	served   *prometheus.CounterVec   // host, network: which cluster's pods
	refused  *prometheus.CounterVec   // host: attempts that found no connection
	pods     *prometheus.CounterVec   // network: connections opened to pods
	accepted *prometheus.CounterVec   // entry: new connections of clients
	open     *prometheus.GaugeVec     // entry: open connections of clients
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sandbox_ingress_" + name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sandbox_ingress_" + name, Help: help}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: counter("requests_total", "Requests by host and status class.", "host", "class"),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "sandbox_ingress_request_duration_seconds", Help: "From the request's head to the answer's end.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"host"}),
		active:   gauge("active_requests", "Requests under way.", "host"),
		served:   counter("pod_requests_total", "Requests sent to pods, by host and the pods' network (10.1 is cluster 1).", "host", "network"),
		refused:  counter("pod_connect_errors_total", "Connections that a pod did not take.", "host"),
		pods:     counter("pod_connections_total", "Connections opened to pods, by their network.", "network"),
		accepted: counter("connections_total", "Connections of clients, by entry: http, https, or a Service and its port.", "entry"),
		open:     gauge("open_connections", "Open connections of clients, by entry.", "entry"),
	}
	m.registry.MustRegister(
		m.requests, m.latency, m.active, m.served, m.refused, m.pods, m.accepted, m.open,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// answered counts a request that is over.
func (m *metrics) answered(v *visit, class string, took time.Duration) {
	m.requests.WithLabelValues(v.host, class).Inc()
	m.latency.WithLabelValues(v.host).Observe(took.Seconds())
	if v.pod.IsValid() {
		m.served.WithLabelValues(v.host, network(v.pod.Addr().AsSlice())).Inc()
	}
}

// network is the part of a pod's address that names its cluster: "10.2".
func network(ip net.IP) string {
	if ip = ip.To4(); ip == nil {
		return "other"
	}
	return strconv.Itoa(int(ip[0])) + "." + strconv.Itoa(int(ip[1]))
}

// counted wraps a listener whose connections are counted under entry.
func (m *metrics) counted(listener net.Listener, entry string) net.Listener {
	return &countedListener{Listener: listener, metrics: m, entry: entry}
}

type countedListener struct {
	net.Listener
	metrics *metrics
	entry   string
}

// Accept counts a connection until it is closed.
func (l *countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.metrics.accepted.WithLabelValues(l.entry).Inc()
	l.metrics.open.WithLabelValues(l.entry).Inc()
	closed := sync.OnceFunc(func() { l.metrics.open.WithLabelValues(l.entry).Dec() })
	return &countedConn{conn.(*net.TCPConn), closed}, nil
}

type countedConn struct {
	*net.TCPConn
	closed func()
}

// Close counts the connection out, once.
func (c *countedConn) Close() error {
	c.closed()
	return c.TCPConn.Close()
}
