package detect

import (
	"strconv"

	"crossfade.dev/internal/landing/source"
)

// ParseResources reads snapshots from a JSON file: a list of objects with the fields
// type, id, account, region, tags, configuration and unknown. A snapshot that is
// wrong does not hide the others.
func ParseResources(file string, data []byte) ([]Resource, source.Findings) {
	root, found := source.ParseJSON(file, data)
	if root == nil {
		return nil, found
	}
	if root.Kind != source.List {
		found.Add(file, root, "$", "detect/resources", "expected a list of resources")
		return nil, found
	}
	var resources []Resource
	for i, item := range root.Items {
		r, wrong := parseResource(file, item, source.Item("$", i))
		found = append(found, wrong...)
		if len(wrong) == 0 {
			resources = append(resources, r)
		}
	}
	return resources, found
}

func parseResource(file string, n *source.Node, path string) (Resource, source.Findings) {
	var r Resource
	var found source.Findings
	if n.Kind != source.Map {
		found.Add(file, n, path, "detect/resources", "expected a resource with type and id")
		return r, found
	}
	texts := map[string]*string{"type": &r.Type, "id": &r.ID, "account": &r.Account, "region": &r.Region}
	for _, f := range n.Fields {
		where := source.Field(path, f.Name)
		switch to := texts[f.Name]; {
		case to != nil && f.Value.Kind == source.String:
			*to = f.Value.Text
		case to != nil:
			found.Add(file, f.Value, where, "detect/resources", "expected a string")
		case f.Name == "configuration":
			r.Configuration = plain(f.Value)
		case f.Name == "tags" && f.Value.Kind == source.Map:
			r.Tags = map[string]string{}
			for _, tag := range f.Value.Fields {
				r.Tags[tag.Name] = tag.Value.Text
			}
		case f.Name == "unknown" && f.Value.Kind == source.List:
			for _, part := range f.Value.Items {
				r.Unknown = append(r.Unknown, part.Text)
			}
		default:
			found.Add(file, f.Value, where, "detect/resources", "expected one of type, id, account, region, tags, configuration, unknown")
		}
	}
	if r.Type == "" || r.ID == "" {
		found.Add(file, n, path, "detect/resources", "expected a resource with type and id")
	}
	return r, found
}

// plain returns a value as CEL takes it.
func plain(n *source.Node) any {
	switch n.Kind {
	case source.Bool:
		return n.Text == "true"
	case source.Number:
		if i, err := strconv.ParseInt(n.Text, 10, 64); err == nil {
			return i
		}
		f, _ := strconv.ParseFloat(n.Text, 64) // JSON numbers parse; too large ones are infinite
		return f
	case source.String:
		return n.Text
	case source.List:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = plain(item)
		}
		return list
	case source.Map:
		table := make(map[string]any, len(n.Fields))
		for _, f := range n.Fields {
			table[f.Name] = plain(f.Value)
		}
		return table
	}
	return nil
}
