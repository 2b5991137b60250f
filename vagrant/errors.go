package vagrant

import (
	"errors"
	"fmt"
	"strings"

	"github.com/mesoslab/lab"
)

// kindOfFailure is one of the failures that people can do something about.
type kindOfFailure struct {
	id, advice string
	classes    []string // the last word of Vagrant's error class, or its beginning and *
}

func kindsOfFailure() []kindOfFailure {
	return []kindOfFailure{
		{"vagrant-locked", "another vagrant works on these machines: wait for it, or end it",
			[]string{"MachineLocked", "MachineActionLockedError", "EnvironmentLockedError"}},
		{"box-missing", "the box at hand is not the one of the checksum: remove it (vagrant box remove) and its download, or mend vagrant.box_checksum",
			[]string{"DownloaderChecksumError", "BoxChecksum*"}},
		{"box-missing", "look at vagrant.box, box_url and box_version in the spec, and whether the box exists for this provider; any URL or file will do as box_url",
			[]string{"Box*", "DownloaderError", "DownloaderInterrupted", "NoBoxVolume", "BadBoxImage", "NoBoxVirtualSizeSet", "WrongBoxFormatSet"}},
		{"network-collision", "another network of this computer has these addresses (minikube's VirtualBox network is often the one): remove it, or give the lab another subnet",
			[]string{"NetworkCollision", "NetworkAddressInvalid", "NetworkNameAndAddressMismatch", "DHCPMismatch", "CreateNetworkError", "NetworkNotAvailableError", "ActivateNetworkError", "VirtualBoxInvalidHostSubnet"}},
		{"provider-unusable", "install or start the VM provider (VirtualBox, libvirt …), or name another as vagrant.provider, or use --provider local",
			[]string{"ProviderNot*", "ProviderCantInstall", "ProviderInstallFailed", "NoDefaultProvider", "VBoxManageNotFoundError", "VBoxManageLaunchError", "VirtualBoxNotDetected",
				"VirtualBoxKernelModuleNotLoaded", "VirtualBoxInstallIncomplete", "VirtualBoxInvalidVersion", "VirtualBoxBrokenVersion*", "VirtualBoxVersionEmpty", "HypervVirtualBoxError", "FogLibvirtConnectionError"}},
	}
}

// kindOf looks a class up: Vagrant::Errors::BoxNotFound is known by its last
// word, whatever language its message has.
func kindOf(class string) kindOfFailure {
	word := class[strings.LastIndex(class, ":")+1:]
	for _, k := range kindsOfFailure() {
		for _, c := range k.classes {
			if begin, star := strings.CutSuffix(c, "*"); c == word || (star && strings.HasPrefix(word, begin)) {
				return k
			}
		}
	}
	return kindOfFailure{id: "vagrant-failed", advice: "vagrant.log in the lab's folder has all that Vagrant said; lab create goes on from here"}
}

// failure makes an error of a vagrant run that failed: what Vagrant named, or
// the end of what it said.
func failure(op string, err error, t transcript) error {
	kind := kindOf(t.class)
	cause := errors.New(shorten(t.message))
	if t.class == "" {
		cause = fmt.Errorf("vagrant: %w: %s", err, strings.Join(t.tail[max(0, len(t.tail)-5):], " | "))
	} else if err != nil {
		cause = fmt.Errorf("%w (%s, %w)", cause, t.class, err)
	}
	return &lab.Error{ID: kind.id, Op: op, Err: cause, Advice: kind.advice}
}

// shorten makes one line of at most 600 letters of Vagrant's paragraphs.
func shorten(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 600 {
		s = string(r[:599]) + "…"
	}
	return s
}
