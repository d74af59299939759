package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"crossfade.dev/examples/estate/internal/api"
	"crossfade.dev/examples/estate/internal/origin"
	"crossfade.dev/examples/estate/internal/pod"
	"crossfade.dev/examples/estate/internal/store"
	"crossfade.dev/examples/estate/internal/web"
)

const (
	storeAddress = "core-store.core.svc.cluster.local:6379"
	apiURL       = "http://core-api.core.svc.cluster.local:8080"
)

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "estate",
		Short:         "The services of a small streaming platform, and its manifests",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		service("origin", "Origin of a live stream (STREAM, STORE_ADDR)", runOrigin),
		service("api", "Core API over the key-value store (STORE_ADDR)", runAPI),
		service("store", "Key-value store by the Redis protocol (DATA_DIR)", runStore),
		service("web", "Front of the platform (API_URL)", runWeb),
		service("service", "A service that says its name (SERVICE_NAME)", runPlain),
		service("task", "A job that does its work and ends", runTask),
		manifestsCommand(),
		namesCommand(),
		imagesCommand(),
	)
	return root
}

func service(name, short string, run func(context.Context, pod.Pod) error) *cobra.Command {
	return &cobra.Command{
		Use:   name,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := pod.FromEnvironment(os.Getenv)
			if err != nil {
				return err
			}
			return run(cmd.Context(), p)
		},
	}
}

func runOrigin(ctx context.Context, p pod.Pod) error {
	client, err := store.Open(setting("STORE_ADDR", storeAddress), 2, os.Getenv)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // the process ends anyway
	live := origin.New(origin.Config{
		Stream: setting("STREAM", "live"),
		ID:     p.Name + "-" + strings.ToLower(rand.Text()[:6]),
		Store:  client,
		Every:  origin.SegmentDuration,
		Lease:  5 * time.Second,
		Log:    os.Stderr,
	})
	handedOver := make(chan error, 1)
	go func() { handedOver <- live.Run(ctx) }()
	if err := serve(ctx, p, live.Handler()); err != nil {
		return err
	}
	return <-handedOver
}

func runAPI(ctx context.Context, p pod.Pod) error {
	client, err := store.Open(setting("STORE_ADDR", storeAddress), api.Connections, os.Getenv)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // the process ends anyway
	return serve(ctx, p, api.Handler(client))
}

func runStore(ctx context.Context, p pod.Pod) error {
	port, err := port(6379)
	if err != nil {
		return err
	}
	server, err := store.Start(p.Address(port), setting("DATA_DIR", "/data"), os.Stderr)
	if err != nil {
		return err
	}
	<-ctx.Done()
	p.Drain()
	return server.Close()
}

func runWeb(ctx context.Context, p pod.Pod) error {
	return serve(ctx, p, web.Handler(setting("API_URL", apiURL)))
}

func runPlain(ctx context.Context, p pod.Pod) error {
	return serve(ctx, p, pod.Plain(setting("SERVICE_NAME", p.Name)))
}

func runTask(ctx context.Context, p pod.Pod) error {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	fmt.Printf("task %s/%s done\n", p.Namespace, p.Name)
	return nil
}

func serve(ctx context.Context, p pod.Pod, handler http.Handler) error {
	port, err := port(8080)
	if err != nil {
		return err
	}
	listener, err := p.Listen(ctx, port)
	if err != nil {
		return err
	}
	return p.Serve(ctx, listener, handler)
}

func port(otherwise int) (int, error) {
	text := setting("PORT", strconv.Itoa(otherwise))
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return 0, fmt.Errorf("PORT is %q: it must be a number from 1 to 65535", text)
	}
	return int(number), nil
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
