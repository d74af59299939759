package estate

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Ports that usually speak HTTP.
var httpPorts = []int32{80, 8080, 3000, 8000, 9090}

// Ports of databases, queues and coordination services: a request there is at best
// noise in their logs.
var dataPorts = []int32{
	1433, 1521, 2181, 2379, 3306, 4222, 5432, 5671, 5672, 6379, 8086, 9042,
	9092, 9093, 9094, 9160, 9200, 9300, 11211, 26257, 26379, 27017, 28015, 33060, 61616,
}

// Beginnings of the names of such ports.
var dataNames = []string{
	"amqp", "cassandra", "cql", "etcd", "kafka", "memcache", "mongo", "mysql", "nats",
	"postgres", "pgsql", "rabbit", "redis", "sql", "stomp", "mqtt", "zookeeper", "tcp-", "db",
}

// httpPort returns the first port of service that looks like HTTP.
func httpPort(service *corev1.Service) (corev1.ServicePort, bool) {
	i := slices.IndexFunc(service.Spec.Ports, looksLikeHTTP)
	if i < 0 {
		return corev1.ServicePort{}, false
	}
	return service.Spec.Ports[i], true
}

func looksLikeHTTP(port corev1.ServicePort) bool {
	if isData(port) || isGRPC(port) || isTLS(port) || (port.Protocol != "" && port.Protocol != corev1.ProtocolTCP) {
		return false
	}
	return slices.Contains(httpPorts, port.Port) ||
		strings.HasPrefix(port.Name, "http") || strings.HasPrefix(port.Name, "web") ||
		strings.HasPrefix(protocol(port), "http") || protocol(port) == "kubernetes.io/ws"
}

// hasData holds when any port of service is a database's or a queue's: then its
// other ports are that database's too.
func hasData(service *corev1.Service) bool {
	return slices.ContainsFunc(service.Spec.Ports, isData)
}

func isData(port corev1.ServicePort) bool {
	if slices.Contains(dataPorts, port.Port) || slices.Contains(dataPorts, port.TargetPort.IntVal) {
		return true
	}
	for _, name := range []string{port.Name, port.TargetPort.StrVal, protocol(port)} {
		if slices.ContainsFunc(dataNames, func(d string) bool { return strings.HasPrefix(name, d) }) {
			return true
		}
	}
	return false
}

func isGRPC(port corev1.ServicePort) bool {
	return strings.HasPrefix(port.Name, "grpc") || strings.HasPrefix(protocol(port), "grpc") ||
		protocol(port) == "kubernetes.io/h2c"
}

func isTLS(port corev1.ServicePort) bool {
	return port.Port == 443 || strings.HasPrefix(port.Name, "https") || protocol(port) == "https"
}

func protocol(port corev1.ServicePort) string {
	if port.AppProtocol == nil {
		return ""
	}
	return strings.ToLower(*port.AppProtocol)
}
