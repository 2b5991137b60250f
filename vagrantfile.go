package lab

import _ "embed"

// VagrantfileTemplate is the text/template from which package vagrant renders
// a lab's Vagrantfile. It lies at the root, where people look for one.
//
//go:embed Vagrantfile.tmpl
var VagrantfileTemplate string
