package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"crossfade.dev/examples/estate"
)

// Clusters of the demo, by the number that decides their addresses.
const (
	sourceNumber = iota + 1
	targetNumber
	hubNumber
	rehearsalNumber
)

var clusterNames = map[int]string{
	sourceNumber: "source", targetNumber: "target", hubNumber: "hub", rehearsalNumber: "rehearsal",
}

// starting is how long a process may take to be ready, on a slow machine.
const starting = 90 * time.Second

// build starts the sandbox and the estate, and waits until the estate serves. What
// is needed later starts while the estate's pods and balancers take their time.
func (s *show) build(ctx context.Context) error {
	e, err := s.choose(ctx)
	if err != nil {
		return err
	}
	s.controls = map[string]*process{}
	if s.Source == nil {
		s.say("starting two clusters, a hub, and a cluster to rehearse in")
		if err := s.startControlPlanes(ctx, sourceNumber, targetNumber); err != nil {
			return err
		}
		if err := s.startNodes(ctx); err != nil {
			return err
		}
	}
	if s.world, err = newWorld(s.Options, s.translation, e); err != nil {
		return err
	}
	w := s.world
	if !s.asFound() {
		s.say("the source gets an estate of %d objects", len(e.Objects))
		if err := w.populate(ctx); err != nil {
			return err
		}
	}
	if err := s.startHub(ctx); err != nil {
		return err
	}
	s.say("waiting until all of it serves: pods take up to 20 s to start, balancers up to 30 s to get an address")
	if err := w.awaitEstate(ctx); err != nil {
		return err
	}
	if len(w.moving) == 0 {
		return fmt.Errorf("none of the %d apps moves by itself: there is nothing to show", w.apps)
	}
	if len(w.asked) == 0 {
		return fmt.Errorf("no Ingress or balancer of the estate leads to a name in %s that could be asked", demoZone)
	}
	if err := w.checkEntries(ctx); err != nil {
		return err
	}
	return s.startDNS(ctx)
}

// startHub starts the hub and the cluster to rehearse in, and gives the hub what
// the engine needs to know.
func (s *show) startHub(ctx context.Context) error {
	if err := s.startControlPlanes(ctx, hubNumber, rehearsalNumber); err != nil {
		return err
	}
	var err error
	if s.world.hub, err = openOwn(s.Dir, clusterNames[hubNumber]); err != nil {
		return err
	}
	if err := s.openProxies(ctx); err != nil {
		return err
	}
	return s.world.installHub(ctx, s.proxies)
}

// asFound is true if what stands in the source is the estate.
func (s *show) asFound() bool { return s.Source != nil && s.Estate == "" && s.Apps == 0 }

// choose takes the estate that is to be moved.
func (s *show) choose(ctx context.Context) (estate.Estate, error) {
	if s.asFound() {
		return standing(ctx, s.Source)
	}
	if s.Estate == "" {
		return estate.Generate(estate.Options{Apps: s.Apps, Zone: demoZone, Seed: int64(s.Seed)}), nil
	}
	e, err := estate.Load(s.Estate, demoZone)
	if err != nil {
		return e, fmt.Errorf("--estate: %w", err)
	}
	return e, nil
}

func (s *show) startControlPlanes(ctx context.Context, numbers ...int) error {
	var group errgroup.Group
	for _, number := range numbers {
		name := clusterNames[number]
		args := []string{"control", "--cluster", strconv.Itoa(number), "--name", name,
			"--dir", filepath.Join(s.Dir, name), "--ca", filepath.Join(s.Dir, "ca"), "--san", apiName}
		if number == hubNumber || number == rehearsalNumber {
			args = append(args, "--small")
		}
		p, err := s.sandbox("control-"+name, args...)
		if err != nil {
			return err
		}
		s.controls[name] = p
		group.Go(func() error { return p.await(ctx, starting) })
	}
	return group.Wait()
}

// startNodes starts a node and an ingress controller for source and target.
func (s *show) startNodes(ctx context.Context) error {
	images := filepath.Join(s.Dir, "images.yaml")
	if err := os.WriteFile(images, estate.ImageTable(filepath.Join(s.Binaries, "estate")), 0o644); err != nil {
		return fmt.Errorf("write the table of images: %w", err)
	}
	seed := strconv.FormatUint(s.Seed, 10)
	for _, number := range []int{sourceNumber, targetNumber} {
		name, cluster := clusterNames[number], strconv.Itoa(number)
		server := fmt.Sprintf("https://127.%d.0.1:6443", number)
		kubelet, controller := filepath.Join(s.Dir, "node-"+name+".kubeconfig"), filepath.Join(s.Dir, "ingress-"+name+".kubeconfig")
		if err := mint(ctx, s.Binaries, s.Dir, "system:node:"+name+"-node-1", server, kubelet, "system:nodes"); err != nil {
			return err
		}
		if err := mint(ctx, s.Binaries, s.Dir, "system:serviceaccount:kube-system:ingress", server, controller, "system:serviceaccounts:kube-system"); err != nil {
			return err
		}
		if _, err := s.sandbox("node-"+name, "node", "--cluster", cluster, "--kubeconfig", kubelet,
			"--name", name+"-node-1", "--dir", filepath.Join(s.Dir, "node-"+name), "--images", images, "--seed", seed); err != nil {
			return err
		}
		if _, err := s.sandbox("ingress-"+name, "ingress", "--cluster", cluster, "--kubeconfig", controller,
			"--dir", filepath.Join(s.Dir, "ingress-"+name), "--seed", seed); err != nil {
			return err
		}
	}
	return nil
}

// startDNS serves the names of the estate, which now has addresses to lead to.
func (s *show) startDNS(ctx context.Context) error {
	records, err := s.world.records(ctx)
	if err != nil {
		return err
	}
	config, err := dnsConfig(s.Seed, records)
	if err != nil {
		return fmt.Errorf("configure DNS: %w", err)
	}
	file := filepath.Join(s.Dir, "dns.yaml")
	if err := os.WriteFile(file, config, 0o644); err != nil {
		return fmt.Errorf("configure DNS: %w", err)
	}
	if _, err := s.sandbox("dns", "dns", "--config", file, "--dir", filepath.Join(s.Dir, "dns")); err != nil {
		return err
	}
	if err := s.world.awaitName(ctx, apiName); err != nil {
		return err
	}
	return s.world.awaitAnswers(ctx)
}

func (s *show) sandbox(name string, args ...string) (*process, error) {
	return s.children.run(s.Dir, name, filepath.Join(s.Binaries, "sandbox"), args...)
}

// startReferee lets the independent load begin.
func (s *show) startReferee(ctx context.Context) error {
	targets, err := s.world.targets()
	if err != nil {
		return err
	}
	file := filepath.Join(s.Dir, "targets.yaml")
	if err := os.WriteFile(file, targets, 0o644); err != nil {
		return fmt.Errorf("write the referee's targets: %w", err)
	}
	args := append([]string{"load", "--targets", file, "--listen", refereeAddress, "--seed", strconv.FormatUint(s.Seed, 10),
		"--report", filepath.Join(s.Dir, "referee.json")}, s.route.flags()...)
	for _, r := range resolvers {
		args = append(args, "--resolver", r)
	}
	s.referee, err = s.children.run(s.Dir, "referee", filepath.Join(s.Binaries, "crossfade"), args...)
	if err != nil {
		return err
	}
	return s.awaitReferee(ctx)
}

// startController starts the engine, and starts it again whenever it ends.
func (s *show) startController(ctx context.Context) error {
	hub, err := s.world.engineKubeconfig(ctx, hubNumber, s.proxies["hub"])
	if err != nil {
		return err
	}
	args := append([]string{"controller", "--kubeconfig", hub, "--namespace", hubNamespace, "--lease-duration", "4s",
		"--metrics-bind-address", "127.3.0.9:9090", "--health-probe-bind-address", "127.3.0.9:9091"}, s.route.flags()...)
	p := s.children.add(s.Dir, "controller", filepath.Join(s.Binaries, "crossfade"), args...)
	p.supervised = true
	if err := p.begin(); err != nil {
		return err
	}
	s.controller = p
	go s.supervise(ctx, p)
	return nil
}

// mostCrashes is how often the controller may end by itself before the demo gives up.
const mostCrashes = 10

// supervise starts a process again when it ends, as a Deployment would. An end that
// nobody meant is a crash all the same, and is said at once and in the report.
func (s *show) supervise(ctx context.Context, p *process) {
	said := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.exit():
		}
		if crashes := s.children.crashed(); len(crashes) > said {
			s.say("! %s", crashes[len(crashes)-1].text)
			said = len(crashes)
			if said >= mostCrashes {
				s.abort(fmt.Errorf("gave up after %d crashes: %s", said, crashes[said-1].text))
				return
			}
		}
		if s.retired.Load() || pause(ctx, 200*time.Millisecond) != nil {
			return
		}
		if err := p.begin(); err != nil {
			s.abort(fmt.Errorf("%s does not start again: %w", p.name, err))
			return
		}
	}
}

// openProxies puts a proxy between the controller and each cluster if chaos wants
// to strike there, or if the cluster is given and knows the engine only by somebody
// who acts in its name.
func (s *show) openProxies(ctx context.Context) error {
	s.proxies = map[string]*proxy{}
	for number, name := range clusterNames {
		if number == rehearsalNumber || s.Chaos == 0 && s.world.given(number) == nil {
			continue
		}
		config, err := s.world.engineConfig(ctx, number)
		if err != nil {
			return err
		}
		if s.proxies[name], err = newProxy(ctx, config, fmt.Sprintf("127.%d.0.7:8001", number)); err != nil {
			return err
		}
	}
	return nil
}

// mint writes a kubeconfig for a user, signed by the sandbox's authority. Everybody
// in the sandbox may do everything, beside what the groups tell of them.
func mint(ctx context.Context, binaries, dir, user, server, out string, groups ...string) error {
	args := []string{"control", "kubeconfig", "--ca", filepath.Join(dir, "ca"), "--user", user, "--group", "system:masters",
		"--server", server, "--out", out}
	for _, g := range groups {
		args = append(args, "--group", g)
	}
	if text, err := exec.CommandContext(ctx, filepath.Join(binaries, "sandbox"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("mint a kubeconfig for %s: %w: %s", user, err, text)
	}
	return nil
}
