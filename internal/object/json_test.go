package object_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"crossfade.dev/internal/object"
)

// FuzzJSON holds what is written against encoding/json.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"a":null,"b":[],"c":{},"d":[{"x":1},"y",2.5,true,false,null]}`, `{"b":1,"a":"<&>\u2028\u0001\u007f\\\"é\ufffd"}`,
		`{"n":-9007199254740993,"f":1e21,"g":0.000001,"h":1.0}`, "{\"\xff\":\"\xff\"}",
		`{"q":1,"w":2,"e":3,"r":4,"t":5,"y":6,"u":7,"i":8,"o":9,"p":10,"a":11,"s":12,"d":13,"f":14,"g":15,"h":16,"j":17,"k":18}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var fields map[string]any
		if json.Unmarshal(text, &fields) != nil || fields == nil {
			return
		}
		fields = whole(fields).(map[string]any)
		var want bytes.Buffer
		encoder := json.NewEncoder(&want)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(fields); err != nil {
			t.Fatal(err)
		}
		have, err := object.JSON(&unstructured.Unstructured{Object: fields})
		if err != nil || string(have)+"\n" != want.String() {
			t.Errorf("wrote %s, %v; want %s", have, err, want.Bytes())
		}
	})
}

// whole makes integers of floats that are whole, as API objects have them.
func whole(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key := range value {
			value[key] = whole(value[key])
		}
	case []any:
		for i := range value {
			value[i] = whole(value[i])
		}
	case float64:
		if n := int64(value); float64(n) == value {
			return n
		}
	}
	return value
}
