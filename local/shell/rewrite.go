package shell

import (
	"fmt"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// rewrite prepares a parsed script for the interpreter: it refuses process
// substitution, resolves ~user (the interpreter would ask the computer where
// an environment was copied: in pipes and in the background), gives commands
// in the background an empty input, and turns select into commands of ours,
// which can read a terminal.
func rewrite(file *syntax.File) error {
	var refused error
	documents := map[*syntax.Word]bool{} // where a tilde is a tilde
	syntax.Walk(file, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.ProcSubst:
			refused = fmt.Errorf("line %d: process substitution is not available on this machine", n.Pos().Line())
		case *syntax.Redirect:
			documents[n.Hdoc] = true
		case *syntax.Word:
			if documents[n] {
				break
			}
			for i, part := range n.Parts {
				if lit, ok := part.(*syntax.Lit); ok {
					lit.Value = homesIn(lit.Value, i == 0)
				}
			}
			plainTilde(n)
		case *syntax.Stmt:
			if n.Background {
				null := &syntax.Redirect{Op: syntax.RdrIn, Word: word("/dev/null")}
				n.Redirs = append([]*syntax.Redirect{null}, n.Redirs...)
			}
			menu(n)
		}
		return refused == nil
	})
	return refused
}

// plainTilde puts a tilde at the start of a word that stands for nobody's home
// in quotes: in an assignment a backslash would stay.
func plainTilde(w *syntax.Word) {
	if len(w.Parts) == 0 {
		return
	}
	if lit, ok := w.Parts[0].(*syntax.Lit); ok && strings.HasPrefix(lit.Value, `\~`) {
		lit.Value = lit.Value[2:]
		w.Parts = append([]syntax.WordPart{&syntax.SglQuoted{Value: "~"}}, w.Parts...)
	}
}

var tilde = regexp.MustCompile(`(^|[{,])~([A-Za-z_][A-Za-z0-9_.-]*)`)

// homesIn writes the home directories of ~user, and \~user for users that
// there are not. A tilde counts at the start of a word and in braces.
func homesIn(text string, start bool) string {
	return tilde.ReplaceAllStringFunc(text, func(s string) string {
		m := tilde.FindStringSubmatch(s)
		switch home, known := homes[m[2]]; {
		case m[1] == "" && !start:
			return s
		case known:
			return m[1] + home
		}
		return m[1] + `\~` + m[2]
	})
}

// aliasTilde finds ~user in the text of an alias, which the interpreter parses
// by itself.
var aliasTilde = regexp.MustCompile(`(^|[\s={,;|&(])~([A-Za-z_][A-Za-z0-9_.-]*)`)

func homesInAlias(text string) string { return aliasTilde.ReplaceAllString(text, `$1\~$2`) }

func word(text string) *syntax.Word {
	return &syntax.Word{Parts: []syntax.WordPart{&syntax.Lit{Value: text}}}
}
