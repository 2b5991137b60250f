package vagrant

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/mesoslab/lab"
)

func TestParse(t *testing.T) {
	r := parse(`1700000000,node1,ui,info,==> node1: a%!(VAGRANT_COMMA) b\n    node1: c`)
	if r.Target != "node1" || r.Kind != "ui" || r.data(1) != "==> node1: a, b\n    node1: c" || r.progress() != "a, b c" {
		t.Errorf("%+v %q", r, r.progress())
	}
	for _, plain := range []string{"", "a,b,c,d", ",,,", "/usr/lib/ruby: warning, x, y, z", "1700000000,node1,ui"} {
		if r := parse(plain); r.Kind != "" || r.Text != plain {
			t.Errorf("%q: %+v", plain, r)
		}
	}
}

func TestReadLines(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	var got []string
	err := readLines(strings.NewReader("a\r\n"+long+"\n10%\r20%\r30%\nend"), func(l string) { got = append(got, l) })
	want := []string{"a", long[:maxLine], "30%", "end"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %d lines", err, len(got))
	}
}

func TestSSHConfig(t *testing.T) {
	e := parseSSHConfig("Host node1\n  HostName 127.0.0.1\n  User vagrant\n  Port 2200\n  IdentityFile \"/a b/c\"\n  IdentityFile /second\n")
	if e != (lab.SSHEndpoint{Addr: "127.0.0.1:2200", User: "vagrant", KeyFile: "/a b/c"}) {
		t.Errorf("%+v", e)
	}
	if e := parseSSHConfig("HostName h\nPort 99999\n"); e.Addr != "" {
		t.Errorf("%+v", e)
	}
}

func FuzzOutput(f *testing.F) {
	f.Add("1700000000,node1,ui,info,x\n")
	f.Add("1,,error-exit,A::B,c\r\n\xff,\x1b[0m")
	f.Fuzz(func(t *testing.T, text string) {
		err := readLines(strings.NewReader(text), func(line string) {
			r := parse(line)
			if p := r.progress(); !utf8.ValidString(p) || strings.ContainsFunc(p, unicode.IsControl) || utf8.RuneCountInString(p) > 160 {
				t.Errorf("progress %q of %q", p, line)
			}
			parseSSHConfig(strings.Join(r.Data, ","))
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestEveryFailureHasIDAndAdvice(t *testing.T) {
	for class, id := range map[string]string{
		"Vagrant::Errors::MachineLocked":                                     "vagrant-locked",
		"Vagrant::Errors::BoxAddShortNotFound":                               "box-missing",
		"Vagrant::Errors::BoxChecksumMismatch":                               "box-missing",
		"Vagrant::Errors::NetworkCollision":                                  "network-collision",
		"VagrantPlugins::ProviderLibvirt::Errors::CreateNetworkError":        "network-collision",
		"Vagrant::Errors::ProviderNotUsable":                                 "provider-unusable",
		"VagrantPlugins::ProviderLibvirt::Errors::FogLibvirtConnectionError": "provider-unusable",
		"Vagrant::Errors::VMBootTimeout":                                     "vagrant-failed",
		"":                                                                   "vagrant-failed",
	} {
		if k := kindOf(class); k.id != id || k.advice == "" {
			t.Errorf("%s is %+v", class, k)
		}
	}
}
