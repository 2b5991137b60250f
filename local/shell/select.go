package shell

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// choose is the condition of the loop that stands for select: it asks, and
// sets REPLY and the loop's variable.
func (s *Session) choose(ctx context.Context, args []string) []string {
	hc := interp.HandlerCtx(ctx)
	name, items := args[1], args[2:]
	ps3 := "#? "
	if v := hc.Env.Get("PS3"); v.IsSet() {
		ps3 = v.String()
	}
	screen := output{ctx, hc.Stderr}
	for {
		io.WriteString(screen, ps3)
		line, err := s.readLine(ctx, hc, readOptions{raw: true, delimiter: '\n', limit: -1})
		if err != nil {
			io.WriteString(screen, "\n")
			return []string{"false"}
		}
		if line == "" {
			showMenu(screen, items)
			continue
		}
		chosen := ""
		if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && n >= 1 && n <= len(items) {
			chosen = items[n-1]
		}
		return []string{"eval", "REPLY=" + quote(line) + "\n" + name + "=" + quote(chosen)}
	}
}

func showMenu(w io.Writer, items []string) {
	for i, item := range items {
		fmt.Fprintf(w, "%d) %s\n", i+1, item)
	}
}

// menu turns "select x in a b; do …; done" into a block of two of our own
// builtins: one shows the menu, the other is the condition of a loop.
func menu(stmt *syntax.Stmt) {
	f, ok := stmt.Cmd.(*syntax.ForClause)
	if !ok || !f.Select {
		return
	}
	iter, ok := f.Loop.(*syntax.WordIter)
	if !ok {
		return
	}
	items := iter.Items
	if !iter.InPos.IsValid() { // the parameters
		at := &syntax.ParamExp{Short: true, Param: &syntax.Lit{Value: "@"}}
		items = []*syntax.Word{{Parts: []syntax.WordPart{&syntax.DblQuoted{Parts: []syntax.WordPart{at}}}}}
	}
	call := func(first ...string) *syntax.Stmt {
		c := &syntax.CallExpr{}
		for _, w := range first {
			c.Args = append(c.Args, word(w))
		}
		c.Args = append(c.Args, items...)
		return &syntax.Stmt{Cmd: c}
	}
	loop := &syntax.WhileClause{Cond: []*syntax.Stmt{call(builtinPrefix+"choose", iter.Name.Value)}, Do: f.Do}
	stmt.Cmd = &syntax.Block{Stmts: []*syntax.Stmt{call(builtinPrefix + "menu"), {Cmd: loop}}}
}
