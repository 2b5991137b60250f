package main

import (
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
)

func (a *app) openCommand() *cobra.Command {
	var only bool
	cmd := &cobra.Command{
		Use: "open [mesos|marathon|nginx|stats]", Short: "open a page of the lab in the browser", Args: argCount(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, _, err := a.theLab()
			if err != nil {
				return err
			}
			a.warnBroken(l)
			pages, err := a.pages(l)
			if err != nil {
				return err
			}
			word := "marathon"
			if len(args) > 0 {
				word = args[0]
			}
			url, ok := pages[word]
			if !ok {
				names := []string{"mesos", "marathon", "nginx", "stats"}
				return usage("no page %q: pages are %s%s", word, strings.Join(names, ", "), lab.DidYouMean(word, names))
			}
			if err := a.result(map[string]string{"url": url}, func(w io.Writer) { fmt.Fprintln(w, url) }); err != nil || only {
				return err
			}
			return a.browse(url)
		},
	}
	cmd.Flags().BoolVar(&only, "print", false, "print the address and open nothing")
	return cmd
}

// pages are the words for the lab's addresses.
func (a *app) pages(l *state.Lab) (map[string]string, error) {
	providers, err := a.providers()
	if err != nil {
		return nil, err
	}
	endpoints, err := (&flow.Flow{Providers: providers}).Endpoints(l)
	if err != nil {
		return nil, err
	}
	pages := map[string]string{}
	for _, e := range endpoints {
		pages[pageWord(e.Name)] = e.URL
	}
	return pages, nil
}

// pageWord is what people type for an endpoint.
func pageWord(name string) string {
	if strings.Contains(name, "balancer") || strings.Contains(name, "LB") {
		return "stats"
	}
	return strings.ToLower(name)
}

// browse starts the system's browser. Without one the printed address has to
// do.
func (a *app) browse(url string) error {
	command := map[string][]string{"darwin": {"open"}, "windows": {"rundll32", "url.dll,FileProtocolHandler"}}[runtime.GOOS]
	if command == nil {
		command = []string{"xdg-open"}
		if _, ok := a.getenv("DISPLAY"); !ok && !slices.ContainsFunc(a.environ, func(kv string) bool { return strings.HasPrefix(kv, "WAYLAND_DISPLAY=") }) {
			fmt.Fprintln(a.err, "no display here: open the address in a browser that can reach it")
			return nil
		}
	}
	path, err := exec.LookPath(command[0])
	if err != nil {
		fmt.Fprintf(a.err, "no %s here: open the address yourself\n", command[0])
		return nil
	}
	if err := exec.Command(path, append(command[1:], url)...).Start(); err != nil {
		return fmt.Errorf("start browser: %w", err)
	}
	return nil
}
