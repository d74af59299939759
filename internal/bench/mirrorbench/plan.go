package mirrorbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"crossfade.dev/internal/bench"
)

// planned is how many objects the planned estate has.
const planned = 35000

// PlanRows are the bars of the plan, which is measured on the estate and the control
// planes that the mirror is measured on.
func PlanRows() []bench.Row {
	return []bench.Row{{Part: "plan", Name: "plan", Measure: measurePlan}}
}

// measurePlan plans 1,600 apps, 35,000 objects, live and from what kubectl would have
// dumped of them. The times are those of the whole command, as a person waits for it.
func measurePlan(ctx context.Context, s *bench.Sheet) error {
	b, err := start(ctx, s.Narration)
	if err != nil {
		return err
	}
	defer b.end()
	objects := estate(1600)
	objects = append(objects, secrets("filler", planned-len(objects))...)
	if _, err := b.source.post(ctx, objects); err != nil {
		return err
	}
	wrote, err := b.source.writes(ctx)
	if err != nil {
		return err
	}
	kubeconfig, err := b.contexts()
	if err != nil {
		return err
	}
	if err := b.command(ctx, s, "live", "--kubeconfig", kubeconfig, "--source-context", "source", "--target-context", "target"); err != nil {
		return err
	}
	now, err := b.source.writes(ctx)
	if err != nil {
		return err
	}
	s.Record("plan-objects", float64(len(objects)), "objects")
	s.Record("plan-live-writes", float64(now-wrote), "writes")
	if err := b.dump(ctx, objects); err != nil {
		return err
	}
	for _, format := range []string{"json", "yaml"} {
		if err := b.command(ctx, s, format, "--from", filepath.Join(b.dir, "dump."+format)); err != nil {
			return err
		}
	}
	return nil
}

// command runs `crossfade plan`, and records how long it took and how much memory it
// had at most. That a plan finds something (exit code 1) is no error.
func (b *benchmark) command(ctx context.Context, s *bench.Sheet, name string, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"plan"}, args...)...)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return fmt.Errorf("plan %s: %w: %s", name, err, out)
	}
	s.Record("plan-"+name+"-seconds", time.Since(began).Seconds(), "s")
	// A process starts with its parent's peak, so that this is an upper bound, and says
	// something only before the dumps are made.
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && name == "live" {
		s.Record("plan-"+name+"-memory", float64(usage.Maxrss)/1024, "MiB")
	}
	return nil
}

// contexts writes a kubeconfig with the contexts source and target.
func (b *benchmark) contexts() (string, error) {
	merged, err := clientcmd.LoadFromFile(b.source.kubeconfig)
	if err != nil {
		return "", err
	}
	other, err := clientcmd.LoadFromFile(b.target.kubeconfig)
	if err != nil {
		return "", err
	}
	source := merged.Contexts[merged.CurrentContext]
	target := other.Contexts[other.CurrentContext]
	merged.Clusters["target"], merged.AuthInfos["target"] = other.Clusters[target.Cluster], other.AuthInfos[target.AuthInfo]
	target.Cluster, target.AuthInfo = "target", "target"
	merged.Contexts["source"], merged.Contexts["target"] = source, target
	file := filepath.Join(b.dir, "contexts")
	return file, clientcmd.WriteToFile(*merged, file)
}

// dump writes what the source holds of the objects' kinds as kubectl get -A would, as
// JSON and as YAML.
func (b *benchmark) dump(ctx context.Context, objects []*unstructured.Unstructured) error {
	all := &unstructured.UnstructuredList{}
	all.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "List"})
	seen := map[schema.GroupVersionKind]bool{}
	for _, obj := range objects {
		gvk := obj.GroupVersionKind()
		if seen[gvk] {
			continue
		}
		seen[gvk] = true
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		if err := b.source.client.List(ctx, list, client.InNamespace("")); err != nil {
			return err
		}
		for i := range list.Items {
			list.Items[i].SetManagedFields(nil) // kubectl does not show them
			all.Items = append(all.Items, list.Items[i])
		}
	}
	text, err := json.MarshalIndent(all.UnstructuredContent(), "", "    ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.dir, "dump.json"), text, 0o600); err != nil {
		return err
	}
	if text, err = yaml.JSONToYAML(text); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "dump.yaml"), text, 0o600)
}
