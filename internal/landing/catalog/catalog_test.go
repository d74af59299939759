package catalog

import (
	"bytes"
	"compress/gzip"
	"slices"
	"strings"
	"testing"
)

func TestEmbeddedData(t *testing.T) {
	c := Default()
	if len(c.Actions()) < 22_000 || len(c.services) < 450 || c.Version == "" {
		t.Errorf("version %q: %d actions of %d services", c.Version, len(c.Actions()), len(c.services))
	}
	names := map[string]bool{}
	for _, a := range c.Actions() {
		lower := strings.ToLower(a.Name)
		if names[lower] {
			t.Errorf("%s is there twice", a.Name)
		}
		names[lower] = true
		if a.Level.String() == "unknown" {
			t.Errorf("%s has level %q", a.Name, a.Level)
		}
		for _, format := range a.Formats {
			if !strings.HasPrefix(format, "arn:") {
				t.Errorf("%s is about %q, which is no ARN", a.Name, format)
			}
		}
	}
}

func TestFind(t *testing.T) {
	c := Default()
	a, ok := c.Find("S3:getobject")
	if !ok || a.Name != "s3:GetObject" || a.Level != Read || !slices.Contains(a.Formats, "arn:${Partition}:s3:::${BucketName}/${ObjectName}") {
		t.Errorf("found %+v, %v", a, ok)
	}
	if a, ok := c.Find("ec2:DescribeInstances"); !ok || len(a.Formats) != 0 || a.Level != List {
		t.Errorf("found %+v, %v", a, ok)
	}
	if _, ok := c.Find("s3:Nothing"); ok {
		t.Error("found an action that is not there")
	}
	if !c.UnderResourceControl("s3") || c.UnderResourceControl("ec2") || !c.HasService("ec2") || c.HasService("ec3") {
		t.Error("services are not what the vendor says they are")
	}
	if !c.ManyValued("aws:tagkeys") || c.ManyValued("aws:sourceip") {
		t.Error("keys do not have the numbers of values that the vendor says they have")
	}
}

// Parsing never panics, and every action that it returns can be found.
func FuzzParse(f *testing.F) {
	f.Add("V1\nSs3\tR\nFarn:a\nAGetObject\tRo\t0\nMaws:x\n")
	f.Fuzz(func(t *testing.T, text string) {
		var zipped bytes.Buffer
		w := gzip.NewWriter(&zipped)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
		c, err := parse(zipped.Bytes())
		if err != nil {
			return
		}
		for _, a := range c.Actions() {
			if _, ok := c.Find(a.Name); !ok {
				t.Errorf("%q was read and cannot be found", a.Name)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
