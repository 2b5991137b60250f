package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Incomplete reports whether src is the beginning of something that goes on
// in the next line.
func Incomplete(src string) bool {
	_, err := parse(src, "")
	return syntax.IsIncomplete(err) || err == nil && joinsNext(src)
}

// joinsNext reports whether a whole command ends with a backslash that takes
// away the end of the line.
func joinsNext(src string) bool {
	line := strings.TrimSuffix(src, "\n")
	if (len(line)-len(strings.TrimRight(line, `\`)))%2 == 0 {
		return false
	}
	// Not in a comment, and not in a here document.
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.KeepComments(true)).Parse(strings.NewReader(line+"\n"), "")
	if err != nil {
		return false
	}
	comment := false
	syntax.Walk(file, func(n syntax.Node) bool {
		c, ok := n.(*syntax.Comment)
		comment = comment || ok && int(c.End().Offset()) >= len(line)
		return !comment
	})
	return !comment
}

// parse reads a script and prepares it for the interpreter.
func parse(src, name string) (*syntax.File, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(src), name)
	if err != nil {
		return nil, err
	}
	return file, rewrite(file)
}
