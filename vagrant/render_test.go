package vagrant

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

var update = flag.Bool("update", false, "write the golden Vagrantfiles anew")

func specCases() map[string]lab.Spec {
	return map[string]lab.Spec{
		"default":  {},
		"libvirt":  {Vagrant: lab.VagrantSpec{Provider: "libvirt"}},
		"emulated": {Vagrant: lab.VagrantSpec{Provider: "libvirt", BoxURL: "file:///srv/boxes/lab.box", Emulate: true}},
		"parallels": {Name: "class-7", Subnet: "10.20.30.0/24", Slaves: 4, Machine: lab.MachineSpec{CPUs: 4, Memory: 3 * lab.GiB},
			Vagrant: lab.VagrantSpec{Provider: "parallels"}},
		"vmware": {IPs: []string{"172.16.5.10", "172.16.5.254"}, Vagrant: lab.VagrantSpec{Provider: "vmware_desktop"}},
		"own-box": {IPs: []string{"192.168.56.254", "192.168.56.253", "192.168.56.3"}, Vagrant: lab.VagrantSpec{
			Box: `o'brien\box #{x}`, BoxURL: "http://boxes.example/a'b.box", BoxVersion: ">= 1.0, < 2", BoxChecksum: strings.Repeat("A1", 32)}},
	}
}

func casePlan(t testing.TB, spec lab.Spec) lab.Plan {
	t.Helper()
	if spec.Subnet == "" && len(spec.IPs) == 0 {
		spec.Subnet = lab.ArticleSubnet
	}
	if p := spec.Validate(); len(p) > 0 {
		t.Fatal(p)
	}
	plan := lab.Plan{ID: "0000002a", Spec: spec.WithDefaults()}
	var err error
	if plan.Nodes, err = plan.Spec.Nodes(); err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestRenderGolden(t *testing.T) {
	for name, spec := range specCases() {
		t.Run(name, func(t *testing.T) {
			got, err := Render(casePlan(t, spec))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".Vagrantfile")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("not as %s (-update writes it anew):\n%s", file, diff(string(want), string(got)))
			}
		})
	}
}

func TestRenderedIsRuby(t *testing.T) {
	t.Parallel()
	ruby := labtest.NeedProgram(t, "ruby")
	for name, spec := range specCases() {
		text, err := Render(casePlan(t, spec))
		if err != nil {
			t.Fatal(err)
		}
		rubyAccepts(t, ruby, name, text)
	}
}

func rubyAccepts(t *testing.T, ruby, name string, text []byte) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), ruby, "-wc")
	cmd.Stdin = bytes.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "Syntax OK" {
		t.Errorf("%s: ruby says %v: %s\n%s", name, err, out, text)
	}
}

// TestVagrantValidates asks the real Vagrant, as far as its plugins are here.
func TestVagrantValidates(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Vagrant")
	}
	t.Parallel()
	vagrant := realVagrant(t)
	for name, spec := range specCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			text, err := Render(casePlan(t, spec))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "Vagrantfile"), text, 0o600); err != nil {
				t.Fatal(err)
			}
			args, provider := []string{"validate"}, "libvirt"
			if vmProvider(spec) != provider {
				// VirtualBox itself is seldom on test computers, and the plugins
				// for VMware and Parallels are not Debian's: all but their own
				// blocks is looked at.
				args, provider = append(args, "--ignore-provider"), "virtualbox"
			}
			cmd := exec.CommandContext(t.Context(), vagrant, args...)
			cmd.Dir = dir
			cmd.Env = append(environment(dir, provider), "VAGRANT_HOME="+filepath.Join(dir, "home"), "HOME="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// realVagrant finds the vagrant behind the fake one.
func realVagrant(t *testing.T) string {
	t.Helper()
	for _, dir := range filepath.SplitList(os.Getenv("PATH"))[1:] {
		if path, err := exec.LookPath(filepath.Join(dir, "vagrant")); err == nil {
			return path
		}
	}
	return labtest.NeedProgram(t, "vagrant (the real one)")
}

func TestRenderRefuses(t *testing.T) {
	plan := func(change func(*lab.Plan)) lab.Plan {
		p := casePlan(t, lab.Spec{})
		change(&p)
		return p
	}
	for id, p := range map[string]lab.Plan{
		"spec-unquotable":     plan(func(p *lab.Plan) { p.Spec.Vagrant.Box = "a\nsystem 'x'" }),
		"provider-unknown":    plan(func(p *lab.Plan) { p.Spec.Vagrant.Provider = "virtualbux" }),
		"emulate-unsupported": plan(func(p *lab.Plan) { p.Spec.Vagrant.Emulate = true }),
		"box-unverified":      plan(func(p *lab.Plan) { p.Spec.Vagrant.BoxURL = "HTTP://example/b.box" }),
		"box-checksum-form":   plan(func(p *lab.Plan) { p.Spec.Vagrant.BoxChecksum = "sha256:beef" }),
		"no-machines":         plan(func(p *lab.Plan) { p.Nodes = nil }),
		"machine-name":        plan(func(p *lab.Plan) { p.Nodes[0].Name = "a' + `id`" }),
		"subnet-not-private":  plan(func(p *lab.Plan) { p.Nodes[0].IP = netip.MustParseAddr("127.0.0.2") }),
		"address-twice":       plan(func(p *lab.Plan) { p.Nodes[1].IP = p.Nodes[0].IP }),
		"subnets-differ":      plan(func(p *lab.Plan) { p.Nodes[1].IP = netip.MustParseAddr("10.0.0.9") }),
		"address-taken":       plan(func(p *lab.Plan) { p.Spec.Vagrant.Provider = "vmware_desktop" }),
	} {
		text, err := Render(p)
		if lab.ErrorID(err) != id || !errors.Is(err, lab.ErrUsage) || text != nil {
			t.Errorf("want %s, got %v", id, err)
		}
	}
}

// rubyStrings reads the strings in single quotes out of Ruby text, as Ruby
// does; what stands between them is returned with ” for each.
func rubyStrings(text string) (code string, values []string, err error) {
	var out, value strings.Builder
	in, comment := false, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case comment:
			comment = c != '\n'
			out.WriteByte(c)
		case in && c == '\\' && i+1 < len(text) && (text[i+1] == '\\' || text[i+1] == '\''):
			i++
			value.WriteByte(text[i])
		case in && c == '\'':
			in = false
			values = append(values, value.String())
			value.Reset()
			out.WriteString("”")
		case in:
			value.WriteByte(c)
		case c == '\'':
			in = true
		default:
			comment = c == '#'
			out.WriteByte(c)
		}
	}
	if in {
		err = fmt.Errorf("a string does not end")
	}
	return out.String(), values, err
}

// FuzzRender: whatever the spec says, the code is that of a harmless spec and
// the strings are the spec's own.
func FuzzRender(f *testing.F) {
	for _, s := range []string{"box", `'; system('id') #`, `\`, `\\'`, "#{`id`}", "%q(", "<<X", "__END__", "é\u2028", "\x00", "a\nb"} {
		f.Add("lab", s, s, s)
		f.Add(s, "box", "https://example/"+s, "1."+s)
	}
	ruby, _ := exec.LookPath("ruby")
	f.Fuzz(func(t *testing.T, name, box, url, version string) {
		if box == "" || url == "" || version == "" || name == "" || strings.HasPrefix(strings.ToLower(url), "http:") {
			return
		}
		render := func(name, box, url, version string) ([]byte, error) {
			p := casePlan(t, lab.Spec{})
			p.Spec.Name, p.Spec.Vagrant = name, lab.VagrantSpec{Box: box, BoxURL: url, BoxVersion: version}
			return Render(p)
		}
		got, err := render(name, box, url, version)
		if err != nil {
			if lab.ErrorID(err) != "spec-unquotable" {
				t.Fatal(err)
			}
			return
		}
		plain, err := render("n", "b", "u", "v")
		if err != nil {
			t.Fatal(err)
		}
		wantCode, wantValues, _ := rubyStrings(string(plain))
		code, values, err := rubyStrings(string(got))
		if err != nil || code != wantCode {
			t.Fatalf("%v: the code differs:\n%s", err, diff(wantCode, code))
		}
		for i, v := range wantValues {
			switch v {
			case "n-0000002a-":
				wantValues[i] = name + "-0000002a-"
			case "b":
				wantValues[i] = box
			case "u":
				wantValues[i] = url
			case "v":
				wantValues[i] = version
			}
		}
		if !slices.Equal(values, wantValues) {
			t.Fatalf("strings %q, want %q", values, wantValues)
		}
		if ruby != "" && flag.Lookup("test.fuzz").Value.String() == "" {
			rubyAccepts(t, ruby, box, got)
		}
	})
}
