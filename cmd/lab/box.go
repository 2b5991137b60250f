package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/vagrant/box"
)

func (a *app) boxCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "box", Short: "make a Vagrant box from Debian's packages", Args: argCount(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownSubcommand(cmd, args[0])
		},
	}
	var opt box.Options
	build := &cobra.Command{
		Use: "build", Short: "make a libvirt box of Debian 12, without any box hosting", Args: argCount(cobra.NoArgs),
		Long: `Make a libvirt box of Debian 12 with Docker inside, from Debian's packages: no box
hosting, no virtual machine, no loop device. It takes some minutes and 3 GiB
beside the box while it is made. A box of the same recipe that is there already
is kept.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.buildBox(cmd, opt) },
	}
	build.Flags().StringVar(&opt.Out, "out", "", "the box's file (default: lab-debian-12-RECIPE.box here)")
	build.Flags().BoolVar(&opt.Anew, "anew", false, "make it anew, with Debian's packages of today")
	cmd.AddCommand(build)
	return cmd
}

func (a *app) buildBox(cmd *cobra.Command, opt box.Options) error {
	report, end := a.progress()
	opt.Report = report
	b, err := box.Build(cmd.Context(), opt)
	end()
	if err != nil {
		return err
	}
	if _, err := os.Stat("/dev/kvm"); os.IsNotExist(err) {
		b.Vagrant.Emulate = true
	}
	lines, err := specLines(b.Vagrant)
	if err != nil {
		return err
	}
	return a.result(b, func(w io.Writer) {
		if b.Built {
			fmt.Fprintf(w, "%s is made: %d MiB (%.0f s).\n", b.Path, b.Bytes>>20, b.Seconds)
		} else {
			fmt.Fprintf(w, "%s is there, and of this recipe; --anew makes it anew.\n", b.Path)
		}
		fmt.Fprintf(w, "In lab.yaml:\n\n%s\nThen: lab create --provider vagrant\n", lines)
		if b.Vagrant.Emulate {
			fmt.Fprintln(w, "(This computer has no KVM: with emulate, a machine takes minutes to boot.)")
		}
	})
}

// specLines are the lines of lab.yaml that use a box.
func specLines(v lab.VagrantSpec) (string, error) {
	keys := yaml.Node{Kind: yaml.MappingNode}
	add := func(key string, value any) error {
		var k, n yaml.Node
		if err := n.Encode(value); err != nil {
			return err
		}
		k.SetString(key)
		keys.Content = append(keys.Content, &k, &n)
		return nil
	}
	for _, kv := range []struct{ key, value string }{{"provider", v.Provider}, {"box_url", v.BoxURL}, {"box_checksum", v.BoxChecksum}} {
		if err := add(kv.key, kv.value); err != nil {
			return "", err
		}
	}
	if v.Emulate {
		if err := add("emulate", true); err != nil {
			return "", err
		}
	}
	out, err := yaml.Marshal(map[string]*yaml.Node{"vagrant": &keys})
	return string(out), err
}
