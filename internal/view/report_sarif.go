package view

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"crossfade.dev/internal/landing/source"
)

// ReportSARIF is a report as code scanning takes it: every item that has a code, as
// a result at its place. The format is SARIF 2.1.0 (OASIS standard, 27 March 2020).
func ReportSARIF(r Report, version string) string {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "crossfade", Version: strings.TrimPrefix(version, "v"), URI: "https://crossfade.dev", Rules: []sarifRule{}}
	var codes []string
	for _, section := range append([]Section{{Items: r.Scanned}}, r.Sections...) {
		for _, item := range section.Items {
			if item.Code == "" {
				continue
			}
			codes = append(codes, item.Code)
			run.Results = append(run.Results, resultOf(item))
		}
	}
	slices.Sort(codes)
	for _, code := range slices.Compact(codes) {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: code})
	}
	data, err := json.MarshalIndent(sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run},
	}, "", "  ")
	if err != nil {
		panic("view: " + err.Error()) // only strings and numbers
	}
	return string(data) + "\n"
}

func resultOf(item Item) sarifResult {
	result := sarifResult{Rule: item.Code, Level: map[Grade]string{Fine: "note", Doubtful: "warning", Bad: "error"}[item.Grade]}
	result.Message.Text = strings.Join(append([]string{item.Text}, item.More...), "\n")
	if item.Place != (source.Place{}) {
		result.Locations = []sarifLocation{locationOf(item.Place)}
	}
	return result
}

func locationOf(p source.Place) sarifLocation {
	var l sarifLocation
	if p.File != "" {
		l.Physical = &sarifPhysical{}
		l.Physical.Artifact.URI = (&url.URL{Path: p.File}).String()
		if p.Line > 0 {
			l.Physical.Region = &sarifRegion{Line: p.Line, Column: p.Column}
		}
	}
	if p.Path != "" {
		l.Logical = []sarifLogical{{Name: p.Path}}
	}
	return l
}

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver sarifDriver `json:"driver"`
	} `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifDriver struct {
	Name    string      `json:"name"`
	Version string      `json:"version"`
	URI     string      `json:"informationUri"`
	Rules   []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID      string        `json:"id"`
	Name    string        `json:"name,omitempty"`
	Short   *sarifText    `json:"shortDescription,omitempty"`
	Full    *sarifText    `json:"fullDescription,omitempty"`
	Help    *sarifText    `json:"help,omitempty"`
	Default *sarifDefault `json:"defaultConfiguration,omitempty"`
}

type sarifDefault struct {
	Level string `json:"level"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification"`
}

type sarifResult struct {
	Rule    string `json:"ruleId"`
	Level   string `json:"level"`
	Message struct {
		Text string `json:"text"`
	} `json:"message"`
	Locations    []sarifLocation    `json:"locations,omitempty"`
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
}

type sarifLocation struct {
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifPhysical struct {
	Artifact struct {
		URI string `json:"uri"`
	} `json:"artifactLocation"`
	Region *sarifRegion `json:"region,omitempty"`
}

type sarifRegion struct {
	Line   int `json:"startLine"`
	Column int `json:"startColumn,omitempty"`
}

type sarifLogical struct {
	Name string `json:"fullyQualifiedName"`
}
