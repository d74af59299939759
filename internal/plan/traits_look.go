package plan

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"

	v1 "crossfade.dev/api/v1alpha1"
)

// A subject is a workload whose traits are looked for, with what stands around it.
type subject struct {
	shape
	w      Workload
	around context
	looks  []look
	looked bool
}

// A look is what one container shows of itself, taken apart once for every sign.
type look struct {
	corev1.Container
	// name is the last element of its image's path, without the tag; names are all by
	// which the image may be known, the nearest first.
	name  string
	names []string
	// words are how it is started, word by word; scripts are taken apart. All but
	// flags are in lower case.
	words    []string
	settings []setting
	does     does
	// idle holds if it only waits for people, or runs a client once.
	idle bool
	// said is what its settings tell, and vetoed what they switch off.
	said   map[v1.Trait]told
	vetoed map[v1.Trait]bool
}

// A setting is a variable, a flag or a system property of Java.
type setting struct {
	// text is its name as it is written; key is the name in capitals with _ between
	// words: --cluster.peer, Cluster__Peer and clusterPeer are all CLUSTER_PEER.
	text, key, value string
	flag             bool
}

// told is what settings tell of one trait: the evidence that holds in any case, that
// which holds only if nothing serves, and that of a role which a variable gives.
type told struct{ always, unserved, role string }

// containers are those of a workload's pods that run as long as the pod does.
func (s *subject) containers() []look {
	if s.looked {
		return s.looks
	}
	s.looked = true
	for _, c := range s.pod.Spec.Containers {
		s.looks = append(s.looks, lookAt(c))
	}
	for _, c := range s.pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			s.looks = append(s.looks, lookAt(c))
		}
	}
	return s.looks
}

func lookAt(c corev1.Container) look {
	l := look{Container: c, name: imageName(c.Image), names: imageNames(c.Image), words: wordsOf(c)}
	l.settings = settingsOf(c)
	l.idle = idle(l.words)
	l.does = whatItDoes(l)
	l.said, l.vetoed = readSettings(l.settings)
	return l
}

// lasting tells whether a workload's pods are there to stay, so that what they keep
// and whom they meet is its state, and not what passes through a job or a node.
func (s *subject) lasting() bool {
	return s.kind == "Deployment" || s.kind == "StatefulSet" || s.kind == "ReplicaSet"
}

// imageNames are the names by which an image may be known: path and name, the name,
// and the name without what tells only the edition, as redis-stack-server:7 is
// redis-stack and redis.
func imageNames(image string) []string {
	image, _, _ = strings.Cut(strings.ToLower(image), "@")
	slash := strings.LastIndex(image, "/")
	path, name := image[:max(slash, 0)], image[slash+1:]
	name, _, _ = strings.Cut(name, ":")
	var names []string
	if path != "" {
		names = append(names, path[strings.LastIndex(path, "/")+1:]+"/"+name)
	}
	names = append(names, name)
	for {
		cut := strings.LastIndexAny(name, "-_")
		switch last := name[cut+1:]; {
		case cut > 0 && (editions[last] || version.MatchString(last)):
			name = name[:cut]
		case strings.TrimRight(last, "0123456789") != last && len(strings.TrimRight(name, "0123456789")) > 2:
			name = strings.TrimRight(name, "0123456789")
		default:
			return names
		}
		names = append(names, name)
	}
}

var version = regexp.MustCompile(`^(v|pg|pg-|rhel|el|ubi|c|jdk|java|py|python)?[0-9][0-9.]*(s|\.x)?$`)

// in tells whether a set has one of the names of a look's image.
func (l look) in(set map[string]bool) bool {
	return slices.ContainsFunc(l.names, func(name string) bool { return set[name] })
}

// imageName is the last element of an image's path, without tag or digest.
func imageName(image string) string {
	image, _, _ = strings.Cut(strings.ToLower(image), "@")
	name, _, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return name
}

// set is the set of words of a text.
func set(text string) map[string]bool {
	out := map[string]bool{}
	for _, word := range strings.Fields(text) {
		out[word] = true
	}
	return out
}

// scriptMarks stand between words of shell scripts.
const scriptMarks = " \t\n;|&()'\"`$<>"

// naming are the flags whose value is a name that somebody gave: celery worker -Q beat
// is no beat.
var naming = set("-Q --queues -n --hostname --pidfile --logfile -s --name")

// wordsOf is how a container is started, word by word, without names that are given.
func wordsOf(c corev1.Container) []string {
	var out []string
	before := ""
	for _, text := range slices.Concat(c.Command, c.Args) {
		for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(scriptMarks, r) }) {
			if !naming[before] || strings.HasPrefix(word, "-") {
				out = append(out, word)
			}
			before = word
		}
	}
	for i, word := range out {
		if !strings.HasPrefix(word, "-") {
			out[i] = strings.ToLower(word)
		}
	}
	return out
}

// base is the last element of a path.
func base(word string) string { return word[strings.LastIndexByte(word, '/')+1:] }

// started tells whether words of a phrase come one after the other, perhaps with
// others between, among those by which a container is started.
func (l look) started(phrase []string) bool {
	for _, word := range l.words {
		if word == phrase[0] || base(word) == phrase[0] {
			if phrase = phrase[1:]; len(phrase) == 0 {
				return true
			}
		}
	}
	return false
}

// phrases are ways to start something, by their first word.
type phrases map[string][][]string

// phrasesOf reads phrases, one in a line or between commas.
func phrasesOf(text string) phrases {
	out := phrases{}
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == ',' }) {
		if words := strings.Fields(line); len(words) > 0 {
			out[words[0]] = append(out[words[0]], words)
		}
	}
	return out
}

// said is the phrase by which a container is started, "" if it is none of p.
func (p phrases) said(l look) string {
	for _, word := range l.words {
		for _, phrase := range p[base(word)] {
			if l.started(phrase) {
				return strings.Join(phrase, " ")
			}
		}
		for _, phrase := range p[word] {
			if l.started(phrase) {
				return strings.Join(phrase, " ")
			}
		}
	}
	return ""
}

// settingsOf are a container's variables, its flags, and the properties that its
// variables and words give to Java.
func settingsOf(c corev1.Container) []setting {
	var out []setting
	for _, e := range c.Env {
		out = append(out, setting{text: e.Name, key: keyOf(e.Name), value: e.Value})
		switch {
		case startsMore(e.Name):
			out = appendFlags(out, strings.Fields(e.Value), "-")
		case strings.Contains(e.Value, "-D"):
			out = appendFlags(out, strings.Fields(e.Value), "-D")
		}
	}
	started := slices.Concat(c.Command, c.Args)
	for i, text := range started {
		if strings.HasPrefix(text, "-") {
			out = appendFlag(out, "-", text, started[i+1:])
		} else {
			out = appendFlags(out, strings.Fields(text), "-")
		}
	}
	return out
}

// startsMore tells whether a variable holds flags for what is started.
func startsMore(name string) bool {
	for _, end := range []string{"ARGS", "OPTS", "FLAGS", "OPTIONS"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

func appendFlags(out []setting, words []string, prefix string) []setting {
	for i, word := range words {
		out = appendFlag(out, prefix, word, words[i+1:])
	}
	return out
}

// appendFlag reads --name=value, --name value, -name and -Dname=value.
func appendFlag(out []setting, prefix, word string, rest []string) []setting {
	if len(word) < 3 || !strings.HasPrefix(word, prefix) {
		return out
	}
	name, value, given := strings.Cut(word, "=")
	if !given && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
		value = rest[0]
	}
	if given && value == "" {
		value = "none"
	}
	return append(out, setting{text: name, key: keyOf(strings.TrimPrefix(strings.TrimLeft(name, "-"), "D")), value: value, flag: true})
}

// keyOf writes the name of a setting in capitals, with _ between its words.
func keyOf(name string) string {
	var out strings.Builder
	out.Grow(len(name) + 4)
	before := '_'
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			r = '_'
		case unicode.IsUpper(r) && unicode.IsLower(before):
			out.WriteByte('_')
		}
		if r != '_' || before != '_' {
			out.WriteRune(unicode.ToUpper(r))
		}
		before = r
	}
	return strings.TrimRight(out.String(), "_")
}

// off tells whether a setting switches something off.
func off(value string) bool {
	switch strings.ToLower(strings.Trim(value, " \t'\"")) {
	case "false", "0", "no", "off", "disabled", "disable", "none", "never", "-", "f", "n":
		return true
	}
	return false
}
