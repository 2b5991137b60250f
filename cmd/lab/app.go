package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/internal/ui"
)

// app is one run of the command line.
type app struct {
	environ  []string
	in       io.Reader
	out, err io.Writer

	name     string
	stateDir string
	specFile string
	output   string

	force  bool    // render a Vagrantfile anew that was changed by hand
	killer *killer // told what the second Ctrl-C has to end first
}

const longHelp = `lab: three machines, Mesos and Marathon on them, and a way to break them.

  lab create               build the lab, or repair what is missing
  lab scenario failover    kill a slave, watch Marathon replace its tasks
  lab destroy              remove everything this lab made

Exit codes: 0 done, 1 failed, 2 usage or spec, 3 expectation failed, 4 inconclusive, 130 interrupted.
Every flag can also be set by the environment: --state-dir as LAB_STATE_DIR, and so on.`

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "lab", Short: "three machines, Mesos and Marathon on them, and a way to break them", Long: longHelp,
		SilenceErrors: true, SilenceUsage: true, Args: cobra.ArbitraryArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.prepare(cmd) },
	}
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return unknownSubcommand(root, args[0])
	}
	f := root.PersistentFlags()
	f.StringVarP(&a.name, "name", "n", "", `name of the lab (default: the name in lab.yaml, else "lab")`)
	f.StringVar(&a.stateDir, "state-dir", "", "where labs are remembered (default: $XDG_STATE_HOME/lab)")
	f.StringVar(&a.specFile, "file", "", "the lab's spec (default: lab.yaml, where there is one)")
	f.StringVarP(&a.output, "output", "o", "text", "text, json (one document) or jsonl (events, then the document)")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		err = wrongValue(err)
		var flags []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { flags = append(flags, "--"+f.Name) })
		word, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "unknown flag: "), "=")
		return usage("%v%s (see lab %s --help)", err, lab.DidYouMean(word, flags), strings.TrimPrefix(cmd.CommandPath(), "lab "))
	})
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetIn(a.in)
	root.AddCommand(a.createCommand(), a.destroyCommand(), a.statusCommand(), a.listCommand(), a.scenarioCommand(), a.replayCommand(), a.watchCommand(), a.breakCommand(), a.eventsCommand(), a.healCommand(), a.resetCommand(),
		a.suspendCommand(), a.resumeCommand(), a.snapshotCommand(),
		a.sshCommand(), a.imagesCommand(), a.logsCommand(), a.deployCommand(), a.openCommand(), a.vagrantfileCommand(), a.boxCommand(), a.doctorCommand(), a.versionCommand())
	return root
}

// wrongValue says what a flag takes, where the library tells how a value was
// parsed.
func wrongValue(err error) error {
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok || errors.Is(err, strconv.ErrRange) {
		return err
	}
	takes := map[string]string{"int": "a whole number", "float64": "a number", "bool": "true or false", "duration": "a length of time such as 30s or 2m"}
	want, ok := takes[wrong.GetFlag().Value.Type()]
	if !ok {
		return err // the flag's own words
	}
	return fmt.Errorf("--%s: %q must be %s", wrong.GetFlag().Name, wrong.GetValue(), want)
}

// unknownSubcommand names the commands that there are.
func unknownSubcommand(cmd *cobra.Command, word string) error {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	path := strings.TrimPrefix(cmd.CommandPath()+" ", "lab ")
	return usage("no command %q: commands are %s%s", path+word, strings.Join(names, ", "), lab.DidYouMean(word, names))
}

func usage(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{lab.ErrUsage}, args...)...)
}

// noArgs and friends give cobra's findings the right exit code.
func argCount(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage("%v (usage: %s)", err, cmd.UseLine())
		}
		return nil
	}
}

// prepare reads the environment for every flag that was not given and checks
// the global ones. This is the only place where LAB_* variables are read.
func (a *app) prepare(cmd *cobra.Command) error {
	var problem error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		key := "LAB_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := a.getenv(key)
		if f.Changed || !ok || value == "" || f.Name == "help" {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			problem = errors.Join(problem, usage("environment %s=%q: %v", key, value, err))
		}
	})
	if problem != nil {
		return problem
	}
	if formats := []string{"text", "json", "jsonl"}; !slices.Contains(formats, a.output) {
		return usage("--output %q: must be one of %s%s", a.output, strings.Join(formats, ", "), lab.DidYouMean(a.output, formats))
	}
	if a.name != "" && !lab.ValidName(a.name) {
		return usage("--name %q: must start with a small letter and have at most 20 of a-z, 0-9 and -", a.name)
	}
	return nil
}

func (a *app) getenv(key string) (string, bool) {
	for i := len(a.environ) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(a.environ[i], "="); ok && k == key {
			return v, true
		}
	}
	return "", false
}

// store finds the state folder.
func (a *app) store() (state.Store, error) {
	dir := a.stateDir
	if dir == "" {
		if base, ok := a.getenv("XDG_STATE_HOME"); ok && filepath.IsAbs(base) {
			dir = filepath.Join(base, "lab")
		} else if home, ok := a.getenv("HOME"); ok && home != "" {
			dir = filepath.Join(home, ".local", "state", "lab")
		} else {
			return state.Store{}, usage("no place for state: neither XDG_STATE_HOME nor HOME is set; give --state-dir")
		}
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return state.Store{}, fmt.Errorf("find state folder: %w", err)
	}
	return state.NewStore(abs), nil
}

// spec reads lab.yaml: the file named by -f, else ./lab.yaml where there is
// one.
func (a *app) spec() (spec lab.Spec, file string, err error) {
	file = a.specFile
	if file == "" {
		if _, err := os.Stat("lab.yaml"); err != nil {
			return lab.Spec{}, "", nil
		}
		file = "lab.yaml"
	}
	f, err := os.Open(file)
	if err != nil {
		return lab.Spec{}, file, usage("read spec: %v", err)
	}
	defer f.Close()
	spec, err = lab.LoadSpec(file, f)
	return spec, file, err
}

// theLab loads the lab that a command means: by --name, by the name in the
// spec, else "lab", else the only one there is. A broken or missing lab.yaml
// never stands in the way of a lab that exists.
func (a *app) theLab() (*state.Lab, state.Store, error) {
	store, err := a.store()
	if err != nil {
		return nil, store, err
	}
	name := a.name
	if name == "" {
		if spec, _, err := a.spec(); err == nil {
			name = spec.Name
		} else if a.specFile != "" {
			return nil, store, err
		}
	}
	if name == "" {
		name = "lab"
		if _, err := store.Load(name); errors.Is(err, lab.ErrNotFound) {
			if all, err := store.Labs(); err == nil && len(all) == 1 {
				name = all[0].Spec.Name
			}
		}
	}
	l, err := store.Load(name)
	return l, store, err
}

// progress returns the report for a command that works, and a function that
// ends it. Text goes to stderr; with -o jsonl, events go to stdout.
func (a *app) progress() (lab.Report, func()) {
	if a.output == "jsonl" {
		return ui.JSONLines(a.out), func() {}
	}
	if a.output == "json" {
		return func(lab.Event) {}, func() {}
	}
	var r *ui.Renderer
	if f, ok := a.err.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		r = ui.NewTerminal(a.err)
		if v, _ := a.getenv("NO_COLOR"); v == "" { // no-color.org
			r.Colors()
		}
	} else {
		r = ui.NewPlain(a.err)
	}
	return r.Report, r.Close
}

// result prints a command's result: text by the function, JSON otherwise.
func (a *app) result(doc any, text func(w io.Writer)) error {
	if a.output == "text" {
		text(a.out)
		return nil
	}
	enc := json.NewEncoder(a.out)
	if a.output == "json" {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(doc)
}

// quiet reports whether err was told already.
func (a *app) quiet(err error) bool {
	var code codeError
	return errors.As(err, &code) || errors.Is(err, errTold)
}

// errTold marks errors whose story is on the screen already (a verdict).
var errTold = errors.New("told")
