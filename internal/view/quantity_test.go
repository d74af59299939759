package view

import "testing"

func TestQuantitiesAreRoundedUpForPeople(t *testing.T) {
	for text, want := range map[string]string{
		"200m": "200m", "9500m": "9500m", "26755m": "27", "1210": "1,210",
		"1Gi": "1Gi", "912Mi": "912Mi", "53784Mi": "53Gi", "2000000000Ki": "1,908Gi", "no": "no",
	} {
		if got := quantity(text); got != want {
			t.Errorf("%s is written %s, want %s", text, got, want)
		}
	}
}
