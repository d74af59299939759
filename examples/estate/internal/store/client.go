package store

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/net/proxy"
)

// callTimeout bounds one call to the store, its connection included.
const callTimeout = 2 * time.Second

// Open returns a client of the store at address, a host and port, with at most
// connections open at once. It connects when it is first used, through the SOCKS5
// proxy that ALL_PROXY names, if any.
//
// A command is sent once: a retry could double a write whose answer was lost.
// Connecting is tried several times, because nothing has been sent by then.
func Open(address string, connections int, getenv func(string) string) (*redis.Client, error) {
	dial, err := dialer(getenv("ALL_PROXY"))
	if err != nil {
		return nil, err
	}
	return redis.NewClient(&redis.Options{
		Addr:                     address,
		Dialer:                   dial,
		PoolSize:                 connections,
		MinIdleConns:             1,
		MaxRetries:               -1,
		DialTimeout:              callTimeout,
		ReadTimeout:              callTimeout,
		WriteTimeout:             callTimeout,
		ContextTimeoutEnabled:    true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}), nil
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// dialer returns direct's dial, or one that goes through proxyURL when it is not
// empty. The proxy resolves the names.
func dialer(proxyURL string) (dialFunc, error) {
	direct := &net.Dialer{Timeout: callTimeout, KeepAlive: 15 * time.Second}
	if proxyURL == "" {
		return direct.DialContext, nil
	}
	at, err := url.Parse(proxyURL)
	if err != nil || (at.Scheme != "socks5" && at.Scheme != "socks5h") || at.Host == "" {
		return nil, fmt.Errorf("ALL_PROXY is %q: it must be a URL like socks5h://127.0.0.1:1080", proxyURL)
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return dialThrough(ctx, direct, at, network, address)
	}, nil
}

// dialThrough returns the bare connection rather than the proxy's wrapping of it:
// the client can ask the bare one whether it is still alive before it uses it again.
func dialThrough(ctx context.Context, direct *net.Dialer, at *url.URL, network, address string) (net.Conn, error) {
	kept := &keeping{direct: direct}
	through, err := proxy.FromURL(at, kept)
	if err != nil {
		return nil, fmt.Errorf("use the proxy %s: %w", at.Redacted(), err)
	}
	if _, err := through.(proxy.ContextDialer).DialContext(ctx, network, address); err != nil {
		return nil, err
	}
	return kept.conn, nil
}

// keeping dials the proxy itself and remembers the connection.
type keeping struct {
	direct *net.Dialer
	conn   net.Conn
}

func (k *keeping) Dial(network, address string) (net.Conn, error) {
	return k.DialContext(context.Background(), network, address)
}

func (k *keeping) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := k.direct.DialContext(ctx, network, address)
	k.conn = conn
	return conn, err
}
