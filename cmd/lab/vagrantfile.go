package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/vagrant"
)

func (a *app) vagrantfileCommand() *cobra.Command {
	var flags createFlags
	cmd := &cobra.Command{
		Use: "vagrantfile", Short: "print the Vagrantfile for lab.yaml and flags, or of a lab", Args: argCount(cobra.NoArgs),
		Long: `Print the Vagrantfile that lab create --provider vagrant would write, and make
nothing. It is an ordinary Vagrantfile: vagrant up works with it, without lab.

For a lab that exists on Vagrant it is that lab's, with lab.yaml and the flags
laid over what it was made with.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.vagrantfile(cmd, flags) },
	}
	f := cmd.Flags()
	f.StringVarP(&a.specFile, "file", "f", "", "the lab's spec (default: lab.yaml, where there is one)")
	flags.defineAddresses(f)
	return cmd
}

func (a *app) vagrantfile(cmd *cobra.Command, flags createFlags) error {
	given, err := a.given(cmd, flags)
	if err != nil {
		return err
	}
	return a.withFlow(func(f *flow.Flow, _ state.Store) error {
		plan, err := f.Preview(given, "vagrant")
		if err != nil {
			return err
		}
		text, err := vagrant.Render(plan)
		if err != nil {
			return err
		}
		doc := struct {
			Vagrantfile string `json:"vagrantfile"`
		}{string(text)}
		return a.result(doc, func(w io.Writer) { w.Write(text) })
	})
}
