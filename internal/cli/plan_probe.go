package cli

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/spf13/cobra"
)

// probeFlags say whether and how plan measures that networks reach each other.
type probeFlags struct {
	pods           bool
	image          string
	source, target []string
}

func (f *probeFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.pods, "probe-pods", false,
		"Make short-lived pods in both clusters, which measure whether the networks reach each other, and remove them again")
	cmd.Flags().StringVar(&f.image, "probe-image", "", "Image of those pods, if not the Kubernetes project's agnhost")
	cmd.Flags().StringArrayVar(&f.source, "source-address", nil, "Ask this address too, as IP:PORT, from the target (may be repeated; with --probe-pods)")
	cmd.Flags().StringArrayVar(&f.target, "target-address", nil, "Ask this address too, as IP:PORT, from the source (may be repeated; with --probe-pods)")
}

// check refuses what cannot be measured.
func (f *probeFlags) check(from string) error {
	if f.pods && from != "" {
		return fmt.Errorf("--probe-pods: --from %q is files, and pods need both clusters", from)
	}
	if !f.pods && f.image != "" {
		return fmt.Errorf("--probe-image %q: it needs --probe-pods", f.image)
	}
	for _, flag := range []struct {
		name      string
		addresses []string
	}{{"--source-address", f.source}, {"--target-address", f.target}} {
		for _, a := range flag.addresses {
			if !f.pods {
				return fmt.Errorf("%s %q: it is asked from within the other cluster, which needs --probe-pods", flag.name, a)
			}
			if err := checkAddress(a); err != nil {
				return fmt.Errorf("%s %q: %w", flag.name, a, err)
			}
		}
	}
	return nil
}

func checkAddress(a string) error {
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return errors.New("want IP:PORT")
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("%q is not an IP address: which one a name leads to differs by side", host)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not a port from 1 to 65535", port)
	}
	return nil
}
