package ui

import (
	"fmt"
	"strings"

	"github.com/mesoslab/lab"
)

// EventLine is an event as one line for people who look back: when, which
// command, where, and what.
//
//	15:04:05.123  scenario  ▸ kill victim
//	15:04:05.140  break     node2 ⚡ node2 loses power
func EventLine(e lab.Event) string {
	sign := map[lab.EventKind]string{lab.EventStart: "▸ ", lab.EventWait: "… ", lab.EventDone: "✔ ", lab.EventFail: "✘ "}[e.Kind]
	what := e.Step
	switch {
	case e.Kind == lab.EventFail && e.Err != "":
		what = strings.TrimPrefix(what+": "+firstLine(e.Err), ": ")
	case e.Text != "" && what != "" && e.Kind == lab.EventWait:
		what += ": " + e.Text
	case e.Text != "":
		what = e.Text
	}
	if s, ok := e.Data["seconds"].(float64); ok && e.Kind == lab.EventDone {
		what += fmt.Sprintf(" (%.2f s)", s)
	}
	node := e.Node
	if node != "" {
		node += " "
	}
	return strings.TrimRight(fmt.Sprintf("%s  %-9s %s%s%s", e.Time.Local().Format("15:04:05.000"), e.Op, node, sign, what), " ")
}
