package cli

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes. They are a promise: scripts branch on them.
const (
	codeYes         = 0
	codeNo          = 1
	codeError       = 2
	codeApproval    = 3
	codeTimeout     = 4
	codeRolledBack  = 5
	codeInterrupted = 130
)

const exitCodesTable = `    0  yes: it is done, it holds, nothing differs
    1  no: a gate has failed, objects differ, a write would be refused, or what was
       asked for does not exist
       (for plan, also a gate that is held: the migration could not begin)
    2  error: the command was not understood, or something did not answer
    3  the migration waits for approval
    4  the time given by --timeout has run out
    5  the migration was rolled back
    130  interrupted; what was begun in the clusters goes on
`

const exitCodesNote = `status tells by its exit code how a migration stands: 0 too while it is under way,
waits or is on hold. With --wait, so do run and rollback: how it stands once it has
come to an end, has failed or waits for approval. A gate that is only held, and a
hold, are waited for, so give a --timeout. When the way back has ended, "rollback
--wait" answers 0: that is what was asked for.
With --dry-run=step a command answers 0 if the step would write anything, and else
as status would then.
`

// exitCodes is a help topic: it has no command to run.
func exitCodes() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodesTable + "\n" + exitCodesNote}
}

// ErrNo is wrapped by errors that answer the question asked with no: something
// failed, or differs. The exit code is 1.
var ErrNo = errors.New("no")

// A coded error ends the program with its code; what is said is err's, if any.
type coded struct {
	code int
	err  error
}

func (c coded) Error() string {
	if c.err == nil {
		return ""
	}
	return c.err.Error()
}

func (c coded) Unwrap() error { return c.err }

// ended is the error that ends the program with a code and says nothing: what
// there is to say was said. For 0 it is nil.
func ended(code int) error {
	if code == codeYes {
		return nil
	}
	return coded{code: code}
}

// no is an error that answers no.
func no(err error) error { return coded{codeNo, err} }

// verdict is the exit code for what a command returned, and the last line that it
// has to say.
func verdict(ctx context.Context, err error) (code int, said string) {
	var c coded
	switch {
	case err == nil:
		return codeYes, ""
	case errors.As(err, &c):
		code = c.code
		if c.err == nil {
			return code, ""
		}
	case ctx.Err() != nil:
		return codeInterrupted, "interrupted"
	case errors.Is(err, ErrNo):
		code = codeNo
	default:
		code = codeError
	}
	return code, "error: " + strings.TrimPrefix(sentence(err), ErrNo.Error()+": ")
}
