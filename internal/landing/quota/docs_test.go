package quota_test

import (
	"os"
	"strings"
	"testing"

	"crossfade.dev/internal/landing/quota"
)

// The page shows what the program says of the document on it.
func TestTheDocsShowWhatIsSaid(t *testing.T) {
	page, err := os.ReadFile("../../../docs/landing/quotas.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```yaml\n")
	text, _, _ = strings.Cut(text, "```")
	watches, wrong := load(t, text)
	if len(wrong) > 0 {
		t.Fatal(wrong)
	}
	var said []string
	for _, f := range quota.Check(watches, now).Findings {
		said = append(said, f.String())
	}
	if want := "```\n" + strings.Join(said, "\n") + "\n```"; !strings.Contains(string(page), want) {
		t.Errorf("the page does not show\n%s", want)
	}
}
