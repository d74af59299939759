package cli

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// misusedFlag is what is said of a flag that was not understood: in words, not in those
// of Go's parsers.
func misusedFlag(cmd *cobra.Command, err error) error {
	if rest := cmd.Flags().Args(); cmd.HasSubCommands() && len(rest) > 0 {
		return unknownCommand(cmd, rest[0]) // its flags are not those of the command above it
	}
	text := parserWords.ReplaceAllString(err.Error(), "")
	switch {
	case text == err.Error():
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	case strings.Contains(err.Error(), "duration"):
		return fmt.Errorf("%s want a number with its unit, as 90s, 30m or 2h; see %s --help", text, cmd.CommandPath())
	default:
		return fmt.Errorf("%s want a whole number; see %s --help", text, cmd.CommandPath())
	}
}

// parserWords are what the parsers of numbers and durations say.
var parserWords = regexp.MustCompile(` (?:strconv\.Parse|time: ).*$`)

// atMost refuses more arguments than a command takes.
func atMost(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= n {
			return nil
		}
		return fmt.Errorf("%q: it is one argument too many; see %s --help", args[n], cmd.CommandPath())
	}
}

// unknownCommand refuses a word that no command below cmd has, and names those that
// are like it.
func unknownCommand(cmd *cobra.Command, word string) error {
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	meant := "; see " + cmd.CommandPath() + " --help"
	if like := cmd.SuggestionsFor(word); len(like) > 0 {
		meant = "; did you mean " + either(like) + "?"
	}
	return fmt.Errorf("%q: %s has no such command%s", word, cmd.CommandPath(), meant)
}

// unknownWord is how cobra says that the program has no command of a name.
var unknownWord = regexp.MustCompile(`^unknown command ("[^"]*") for "([^"]*)"(?: Did you mean this\? (.*))?$`)

// misspelt says what cobra says of such a word as unknownCommand does.
func misspelt(text string) string {
	part := unknownWord.FindStringSubmatch(text)
	switch {
	case part == nil:
		return text
	case part[3] == "":
		return part[1] + ": " + part[2] + " has no such command; see " + part[2] + " --help"
	default:
		return part[1] + ": " + part[2] + " has no such command; did you mean " + either(strings.Fields(part[3])) + "?"
	}
}

// onlyCommands refuses any argument of a command that only groups others.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return unknownCommand(cmd, args[0])
}
