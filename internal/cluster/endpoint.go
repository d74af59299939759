package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
)

// Endpoint is the host, without port, at which the API server is reached, and the
// authority by which it is verified, as PEM; empty if the configuration has none.
func (c *Cluster) Endpoint() (host string, authority []byte) {
	config := c.live.config
	host = config.Host
	if u, err := url.Parse(config.Host); err == nil && u.Hostname() != "" {
		host = u.Hostname()
	}
	authority = config.CAData
	if len(authority) == 0 && config.CAFile != "" {
		authority, _ = os.ReadFile(config.CAFile) // the connection stands, so it was read before
	}
	return host, authority
}

// Issuer asks who signs the tokens of the cluster's service accounts (OpenID Connect
// Discovery 1.0, section 3).
func (c *Cluster) Issuer(ctx context.Context) (string, error) {
	text, err := c.discovery.RESTClient().Get().AbsPath("/.well-known/openid-configuration").DoRaw(ctx)
	if err != nil {
		return "", fmt.Errorf("ask %s for its issuer: %w", c.live.config.Host, err)
	}
	var about struct {
		Issuer string `json:"issuer"`
	}
	if err := json.Unmarshal(text, &about); err != nil {
		return "", fmt.Errorf("ask %s for its issuer: %w", c.live.config.Host, err)
	}
	return about.Issuer, nil
}
