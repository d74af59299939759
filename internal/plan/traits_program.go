package plan

import (
	"slices"
	"strings"
)

// knownFor are the sets of images, with what those in them do.
var knownFor = []struct {
	images map[string]bool
	does   does
}{
	{stores, keeps}, {gates, passes}, {engines, computes}, {lookers, looksOn}, {gossipers, gossips}, {ownSchedulers, schedules}, {ownConsumers, consumes},
}

// whatItDoes tells what a container's program does, as far as it is known by its
// image and by how it is started.
func whatItDoes(l look) does {
	for _, p := range parts {
		if l.in(p.of) && (p.started.said(l) != "" || p.started.saidByFlag(l)) {
			return p.does | otherwise
		}
	}
	var known does
	for _, k := range knownFor {
		if l.in(k.images) {
			known |= k.does
		}
	}
	switch {
	case known&(passes|looksOn|computes) != 0:
		return known &^ keeps
	case known&keeps != 0 && otherWords.said(l) != "" && serverWords.said(l) == "":
		return otherwise
	case known != 0:
		return known
	case serverWords.said(l) != "" || endsLikeStore(l):
		return keeps
	}
	return beside(l)
}

// beside tells what an image does of which the name says that it is something beside
// a program: it keeps nothing, and may only look on.
func beside(l look) does {
	var out does
	words := subwords(l.name)
	for _, word := range words {
		switch {
		case onlookers[word],
			maybeOnlookers[word] && slices.ContainsFunc(words, func(other string) bool { return brokerWords[other] }):
			return passes | looksOn
		case besides[word]:
			out = passes
		}
	}
	return out
}

// endsLikeStore tells whether the name of an image ends in that of a kind of store,
// as those of teams' own do: orders-mysql.
func endsLikeStore(l look) bool {
	cut := strings.LastIndexByte(l.name, '-')
	return cut > 0 && storeEndings[l.name[cut+1:]] && !slices.ContainsFunc(subwords(l.name), func(word string) bool { return tools[word] })
}

// saidByFlag tells whether one of p is a flag by which a container is started, with
// one dash or two.
func (p phrases) saidByFlag(l look) bool {
	return slices.ContainsFunc(l.words, func(word string) bool {
		return strings.HasPrefix(word, "--") && p[word[1:]] != nil
	})
}
