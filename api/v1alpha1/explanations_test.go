package v1alpha1

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"testing"
)

// Every reason that reasons.go declares is explained, in whole sentences.
func TestEveryReasonIsExplained(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok {
			return true
		}
		text, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		declared++
		e := Explanations[Reason(text)]
		for _, sentence := range []string{e.Cause, e.Fix} {
			if len(sentence) < 2 || sentence[len(sentence)-1] != '.' {
				t.Errorf("%s: %q is not a sentence", text, sentence)
			}
		}
		return true
	})
	if declared != len(Explanations) {
		t.Errorf("%d reasons are declared, %d explained", declared, len(Explanations))
	}
}
