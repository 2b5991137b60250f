package scenarios

import _ "embed"

// Example is a commented scenario for those who write their first one. It
// passes Check, and it runs.
//
//go:embed example/example.txt
var Example string
