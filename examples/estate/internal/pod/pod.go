// Package pod is what every service of the estate has in common: where it
// listens, how it names itself in each answer, and how it ends without losing a
// request.
//
// A pod that is told to stop goes on answering for a while, because those that
// lead traffic to it hear of its end later than it does. Each answer of that time
// says `Connection: close`, so that clients leave; then the pod stops accepting
// and finishes what is in flight.
package pod

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"
)

const (
	defaultGrace = 30 * time.Second // Kubernetes' own default
	longestDrain = 10 * time.Second
	// killMargin is kept free at the end of the grace period: a pod that is
	// killed has lost what was in flight.
	killMargin = time.Second
)

// A Pod is the place that a service runs in.
type Pod struct {
	Name      string
	Namespace string
	IP        string // as the cluster knows it
	// BindAddress is the address to listen on; empty means all of the machine's.
	BindAddress string
	// Grace is the time from the order to stop until the pod is killed.
	Grace time.Duration
}

// FromEnvironment reads POD_NAME, POD_NAMESPACE, POD_IP, BIND_ADDRESS and
// GRACE_SECONDS.
func FromEnvironment(getenv func(string) string) (Pod, error) {
	p := Pod{
		Name:        getenv("POD_NAME"),
		Namespace:   getenv("POD_NAMESPACE"),
		IP:          getenv("POD_IP"),
		BindAddress: getenv("BIND_ADDRESS"),
		Grace:       defaultGrace,
	}
	if text := getenv("GRACE_SECONDS"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 0 {
			return Pod{}, fmt.Errorf("GRACE_SECONDS is %q: it must be a whole number of seconds", text)
		}
		p.Grace = time.Duration(seconds) * time.Second
	}
	return p, nil
}

// Listen opens the pod's port.
func (p Pod) Listen(ctx context.Context, port int) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", p.Address(port))
	if err != nil {
		return nil, fmt.Errorf("listen for %s/%s: %w", p.Namespace, p.Name, err)
	}
	return listener, nil
}

// Address is where the pod listens for port.
func (p Pod) Address(port int) string {
	return net.JoinHostPort(p.BindAddress, strconv.Itoa(port))
}

// Serve answers on listener until ctx ends, which is the order to stop, and
// returns when the last answer is out. It takes no longer than the pod's grace.
func (p Pod) Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           p.answering(ctx, handler),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than any client's, so that clients are the ones to leave
	}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()

	select {
	case err := <-stopped:
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}

	p.Drain()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(p.Grace-p.drain(), killMargin/2))
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return fmt.Errorf("finish the requests in flight: %w", err)
	}
	if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	}
	return nil
}

// Drain waits for as long as a stopping pod goes on accepting.
func (p Pod) Drain() {
	<-time.After(p.drain())
}

func (p Pod) drain() time.Duration {
	return max(0, min(p.Grace-killMargin, longestDrain))
}
