package zookeeper

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// wchs, wchc and wchp print who watches what: a summary, by session, by path.

func (s *server) wchs(_ *conn, b *strings.Builder) {
	conns, paths := s.watchers()
	fmt.Fprintf(b, "%d connections watching %d paths\nTotal watches:%d\n", len(conns), len(paths), s.watches.len())
}

func (s *server) wchc(_ *conn, b *strings.Builder) {
	conns, _ := s.watchers()
	printSets(b, conns)
}

func (s *server) wchp(_ *conn, b *strings.Builder) {
	_, paths := s.watchers()
	printSets(b, paths)
}

// watchers returns the watched paths of each session and the sessions that
// watch each path.
func (s *server) watchers() (bySession, byPath map[string]map[string]struct{}) {
	bySession, byPath = make(map[string]map[string]struct{}), make(map[string]map[string]struct{})
	add := func(m map[string]map[string]struct{}, k, v string) {
		if m[k] == nil {
			m[k] = make(map[string]struct{})
		}
		m[k][v] = struct{}{}
	}
	for _, t := range []watchTable{s.watches.data, s.watches.child} {
		for c, paths := range t.byConn {
			id := fmt.Sprintf("0x%x", c.session.id)
			for p := range paths {
				add(bySession, id, p)
				add(byPath, p, id)
			}
		}
	}
	return bySession, byPath
}

func printSets(b *strings.Builder, sets map[string]map[string]struct{}) {
	for _, k := range slices.Sorted(maps.Keys(sets)) {
		fmt.Fprintf(b, "%s\n", k)
		for _, v := range slices.Sorted(maps.Keys(sets[k])) {
			fmt.Fprintf(b, "\t%s\n", v)
		}
	}
	b.WriteString("\n")
}
