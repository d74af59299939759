package app

import (
	"context"
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1 "crossfade.dev/api/v1alpha1"
	"crossfade.dev/internal/dns"
	"crossfade.dev/internal/dns/rfc2136"
	"crossfade.dev/internal/migration"
)

// zones opens the services that a migration names.
type zones struct {
	hub  client.Reader
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// open returns the services that hold the migration's zone and its parent.
func (z zones) open(ctx context.Context, m *v1.Migration) (migration.Zones, error) {
	var all migration.Zones
	for _, service := range []struct {
		field string
		spec  v1.DNSService
		into  *dns.Provider
	}{
		{"dns.old", m.Spec.DNS.Old, &all.Old},
		{"dns.new", m.Spec.DNS.New, &all.New},
		{"dns.parentService", m.Spec.DNS.ParentService, &all.Parent},
	} {
		provider, err := z.provider(ctx, m.Namespace, service.spec.RFC2136)
		if err != nil {
			return all, fmt.Errorf("%s: %w", service.field, err)
		}
		*service.into = provider
	}
	return all, nil
}

func (z zones) provider(ctx context.Context, namespace string, spec v1.RFC2136) (dns.Provider, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: namespace, Name: spec.KeySecret.Name}
	if err := z.hub.Get(ctx, key, secret); err != nil {
		return nil, fmt.Errorf("read the TSIG key: %w", err)
	}
	return rfc2136.New(rfc2136.Options{
		Address: spec.Server, Dial: z.dial,
		Key: &rfc2136.Key{Name: spec.KeyName, Secret: string(secret.Data[spec.KeySecret.Key])},
	})
}
