package shell

import "testing"

// TestWhatIsNotThereIsRefused: what a command of the machine does not know it
// says, and does nothing: a flag that is accepted and ignored would be a lie.
func TestWhatIsNotThereIsRefused(t *testing.T) {
	for script, want := range map[string]string{
		`awk '{print > "out"}' n`:     "awk: run: Can't write to file due to NoFileWrites\n[exit 2]\n",
		`awk '{getline x < "n"}' n`:   "awk: run: Can't read from file due to NoFileReads\n[exit 2]\n",
		"ls -i":                       "ls: invalid option -- 'i'\n[exit 2]\n",
		"ls --nosuch":                 "ls: unrecognized option '--nosuch'\n[exit 2]\n",
		"find d -name f -o -name g":   "find: unknown predicate `-o'\n[exit 1]\n",
		"find d -printf x":            "find: unknown predicate `-printf'\n[exit 1]\n",
		"find d -mtime 1":             "find: unknown predicate `-mtime'\n[exit 1]\n",
		"find d -perm 644":            "find: unknown predicate `-perm'\n[exit 1]\n",
		`find d \( -name f \)`:        "find: unknown predicate `('\n[exit 1]\n",
		"grep -P x n":                 "grep: invalid option -- 'P'\n[exit 2]\n",
		"grep -z x n":                 "grep: invalid option -- 'z'\n[exit 2]\n",
		"grep '[' n":                  "grep: invalid pattern: error parsing regexp: missing closing ]: `[`\n[exit 2]\n",
		"sed '/t/{p}' n":              "sed: -e expression #1: unknown command: `{' (this sed knows s y d p q a i c =)\n[exit 1]\n",
		"sed N n":                     "sed: -e expression #1: unknown command: `N' (this sed knows s y d p q a i c =)\n[exit 1]\n",
		"sed 's/a/b/w out' n":         "sed: -e expression #1: extra characters after command\n[exit 1]\n",
		`sed 's/a/\U&/' n`:            "sed: -e expression #1: this sed does not change case: \\U\n[exit 1]\n",
		"sed 0,/o/d n":                "sed: -e expression #1: the address 0 is not known to this sed: 1 is\n[exit 1]\n",
		"sed -z p n":                  "sed: invalid option -- 'z'\n[exit 1]\n",
		"sed -f x n":                  "sed: invalid option -- 'f'\n[exit 1]\n",
		"sed 99999999999999999999p n": "sed: -e expression #1: the number 99999999999999999999 is too large\n[exit 1]\n",
		"sort -V n":                   "sort: invalid option -- 'V'\n[exit 2]\n",
		"uniq -f 1 n":                 "uniq: invalid option -- 'f'\n[exit 1]\n",
		"wc -L n":                     "wc: invalid option -- 'L'\n[exit 1]\n",
		"seq 0.5 2":                   "seq: invalid argument: '0.5'\n[exit 1]\n",
		"nl -b x n":                   "nl: invalid body numbering style: 'x'\n[exit 1]\n",
		"ln -r -s n x; ls x":          "ln: invalid option -- 'r'\nls: cannot access 'x': No such file or directory\n[exit 2]\n",
		"rm -i n; cat nn":             "rm: invalid option -- 'i'\nno newline\n[no newline]\n",
		"touch -t 2001010000 n":       "touch: invalid option -- 't'\n[exit 1]\n",
		"date -d 'next week'":         "date: invalid date 'next week'\n[exit 1]\n",
		"date -Iweeks":                "date: invalid argument 'weeks': date, hours, minutes, seconds and ns are known\n[exit 1]\n",
		"date -s 12:00":               "date: invalid option -- 's'\n[exit 1]\n",
		"truncate n":                  "truncate: you must specify '--size'\n[exit 1]\n",
		"timeout --verbose 1 true":    "timeout: unrecognized option '--verbose'\n[exit 125]\n",
		"timeout -s NOSUCH 1 true":    "timeout: 'NOSUCH': invalid signal\n[exit 125]\n",
		"cut -d '::' -f1 n":           "cut: the delimiter must be a single character\n[exit 1]\n",
		"xargs -a n":                  "xargs: invalid option -a\n[exit 1]\n",
		"cat <(echo x)":               "bash: process substitution is not available on this machine\n[exit 2]\n",
		"apt-get install x":           "bash: apt-get: command not found\n(nothing is installed on this machine: its Docker is built in)\n[exit 127]\n",
	} {
		if got := ourOutput(t, script); got != want {
			t.Errorf("$ %s\n%swant\n%s", script, got, want)
		}
	}
}
