package docker

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"text/template"
	"time"

	"github.com/docker/go-units"
)

// functions are those of docker's --format.
var functions = template.FuncMap{
	"json": func(v any) (string, error) { b, err := json.Marshal(v); return string(b), err },
	"join": func(list []any, sep string) string {
		words := make([]string, len(list))
		for i, v := range list {
			words[i] = fmt.Sprint(v)
		}
		return strings.Join(words, sep)
	},
	"lower": strings.ToLower, "upper": strings.ToUpper, "title": strings.ToUpper,
	"split": strings.Split, "println": fmt.Sprintln,
	"truncate": func(s string, n int) string { return s[:max(0, min(n, len(s)))] },
}

// rows prints what --format makes of a list: "", "table", "table TEMPLATE",
// "json" or a template. heads are the columns of the plain table.
func rows(w io.Writer, format string, heads []string, columns map[string]string, list []map[string]string) error {
	layout, isTable := strings.CutPrefix(format, "table")
	switch {
	case format == "json":
		for _, row := range list {
			if err := json.NewEncoder(w).Encode(row); err != nil {
				return err
			}
		}
		return nil
	case format == "" || isTable:
		layout = strings.TrimSpace(strings.ReplaceAll(layout, `\t`, "\t"))
		if layout == "" {
			for _, h := range heads {
				layout += "\t{{." + h + "}}"
			}
			layout = layout[1:]
		}
		return table(w, layout, columns, list)
	}
	t, err := compile(format)
	if err != nil {
		return err
	}
	for _, row := range list {
		if err := execute(w, t, row); err != nil {
			return err
		}
	}
	return nil
}

func table(w io.Writer, layout string, columns map[string]string, list []map[string]string) error {
	t, err := compile(layout)
	if err != nil {
		return err
	}
	tabs := tabwriter.NewWriter(w, 10, 1, 3, ' ', 0)
	if err := execute(tabs, t, columns); err != nil {
		return err
	}
	for _, row := range list {
		if err := execute(tabs, t, row); err != nil {
			return err
		}
	}
	return tabs.Flush()
}

func compile(text string) (*template.Template, error) {
	t, err := template.New("").Funcs(functions).Option("missingkey=error").Parse(strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(text))
	if err != nil {
		return nil, usage("invalid format %q: %v", text, err)
	}
	return t, nil
}

func execute(w io.Writer, t *template.Template, data any) error {
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return usage("template parsing error: %v", err)
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

// ago is how long something is past.
func ago(t time.Time) string { return units.HumanDuration(time.Since(t)) + " ago" }

// size writes bytes as docker does.
func size(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }

func short(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(12, len(id))]
}

// clip shortens a text to n characters.
func clip(text string, n int) string {
	r := []rune(text)
	if len(r) <= n {
		return text
	}
	return string(r[:n-1]) + "…"
}
