package source

// Locate follows field names (string) and positions in lists (int) from the root
// of a document, and returns the value there and its path. If it is not there, what
// is returned has no value and stands where the nearest value around it begins.
func (d *Document) Locate(steps ...any) (*Node, string) {
	n, path, missing := d.Root, "$", false
	for _, step := range steps {
		var next *Node
		switch step := step.(type) {
		case string:
			path = Field(path, step)
			next = n.Get(step)
		case int:
			path = Item(path, step)
			if step < len(n.Items) {
				next = n.Items[step]
			}
		}
		if missing = missing || next == nil; !missing {
			n = next
		}
	}
	if missing {
		n = &Node{Line: n.Line, Column: n.Column}
	}
	return n, path
}

// Place returns where the value that Locate finds stands.
func (d *Document) Place(steps ...any) Place {
	n, path := d.Locate(steps...)
	return Place{File: d.File, Line: n.Line, Column: n.Column, Path: path}
}
