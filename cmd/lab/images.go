package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/flow"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision/images"
)

func (a *app) imagesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "images", Short: "list the images that the stack needs, save them into a file, or load your own", Args: argCount(cobra.NoArgs),
		Long: `List the images that this lab's stack needs, and which machine has them.

lab images save FILE writes them into a file, for a room without network:
lab create --images FILE takes them from there instead of a registry.
lab images load FILE puts images of your own onto the machines.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withImages("auto", func(f *flow.Flow, spec lab.Spec, l *state.Lab) error {
				list, err := f.ListImages(cmd.Context(), spec, l)
				if err != nil {
					return err
				}
				return a.result(list, func(w io.Writer) { printImages(w, list) })
			})
		},
	}
	cmd.AddCommand(a.imagesSaveCommand(), a.imagesLoadCommand())
	return cmd
}

func (a *app) imagesLoadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "load FILE", Short: "put images of your own onto the machines, for lab deploy", Args: argCount(cobra.ExactArgs(1)),
		Long: `Put the images of a file onto all machines of the lab, so that apps can be
made of them where no registry is. The file is what docker save writes:

  docker save -o shop.tar shop:2
  lab images load shop.tar
  lab deploy shop.json          # "image": "shop:2", without forcePullImage

For machines with a real Docker; embedded ones run lab's own programs only.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withFlow(func(f *flow.Flow, _ state.Store) error {
				l, _, err := a.theLab()
				if err != nil {
					return err
				}
				archive, err := readImages(cmd.Context(), "images", args[0], f.Report)
				if err != nil {
					return err
				}
				loaded, err := f.LoadImages(cmd.Context(), l, archive)
				if err != nil {
					return err
				}
				return a.result(loaded, func(w io.Writer) {
					fmt.Fprintf(w, "%s on %s.\n", strings.Join(loaded.Images, ", "), strings.Join(loaded.Machines, ", "))
					if len(loaded.Left) > 0 {
						fmt.Fprintf(w, "Not on %s: no answer. Run it again when lab status is whole.\n", strings.Join(loaded.Left, ", "))
					}
				})
			})
		},
	}
}

func (a *app) imagesSaveCommand() *cobra.Command {
	var stack, arch string
	cmd := &cobra.Command{
		Use: "save FILE", Short: "write the stack's images into a file for docker load", Args: argCount(cobra.ExactArgs(1)),
		Long: `Write the stack's images into a file for docker load and lab create --images.

Those of lab's own programs (--stack mini) are made here, without any engine.
The seed's are copied from a running lab's machines that have them.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if allowed := []string{"auto", "seed", "mini"}; !slices.Contains(allowed, stack) {
				return usage("--stack %q: must be one of %s%s", stack, strings.Join(allowed, ", "), lab.DidYouMean(stack, allowed))
			}
			if allowed := images.Architectures(); arch != "" && !slices.Contains(allowed, arch) {
				return usage("--arch %q: must be one of %s%s", arch, strings.Join(allowed, ", "), lab.DidYouMean(arch, allowed))
			}
			return a.withImages(stack, func(f *flow.Flow, spec lab.Spec, l *state.Lab) error {
				saved, err := f.SaveImages(cmd.Context(), spec, l, args[0], arch)
				if err != nil {
					return err
				}
				return a.result(saved, func(w io.Writer) {
					fmt.Fprintf(w, "%s: %d images for linux/%s, %.1f MB\n", saved.File, len(saved.Images), saved.Arch, float64(saved.Bytes)/1e6)
					fmt.Fprintf(w, "Where they are needed: lab create --images %s\n", saved.File)
				})
			})
		},
	}
	cmd.Flags().StringVar(&stack, "stack", "auto", "mini or seed; auto means this lab's")
	cmd.Flags().StringVar(&arch, "arch", "", "for machines of this kind: amd64, arm64, … (default: the lab's machines', or "+runtime.GOARCH+")")
	return cmd
}

// withImages runs fn with the spec that is given here and the lab that there
// is, or nil.
func (a *app) withImages(stack string, fn func(*flow.Flow, lab.Spec, *state.Lab) error) error {
	spec, _, err := a.spec()
	if err != nil {
		return err
	}
	if stack != "auto" {
		spec.Stack = stack
	}
	l, _, err := a.theLab()
	if errors.Is(err, lab.ErrNotFound) && a.name == "" {
		l, err = nil, nil
	}
	if err != nil {
		return err
	}
	return a.withFlow(func(f *flow.Flow, _ state.Store) error { return fn(f, spec, l) })
}

// readImages reads and checks the file of --images, before anything is made.
func readImages(ctx context.Context, op, file string, report lab.Report) (a *images.Archive, err error) {
	err = report.Step(op, "", "images file", func(wait func(string)) error {
		a, err = images.Open(ctx, file, wait)
		return err
	})
	return a, err
}

func printImages(w io.Writer, list *flow.Images) {
	where := "there is no lab yet"
	if list.Lab != "" {
		where = "lab " + list.Lab
	}
	fmt.Fprintf(w, "Stack %s · provider %s · %s\n\n", list.Stack, list.Provider, where)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "IMAGE\tNEEDED ON\tTHERE ON\tCOMES FROM")
	for _, i := range list.Images {
		var needed, there []string
		unknown := 0
		for _, m := range i.Machines {
			needed = append(needed, m.Machine)
			switch m.State {
			case flow.ImageThere:
				there = append(there, m.Machine)
			case flow.ImageUnknown:
				unknown++
			}
		}
		on := strings.Join(there, ", ")
		switch {
		case unknown == len(i.Machines):
			on = "not known"
		case unknown > 0:
			on += fmt.Sprintf(" (%d machines do not answer)", unknown)
		case on == "":
			on = "none"
		}
		from := "a registry"
		if i.Own {
			from = "lab itself"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", i.Name, strings.Join(needed, ", "), on, from)
	}
	t.Flush()
}
