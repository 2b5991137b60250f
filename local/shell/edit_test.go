package shell

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHistory(t *testing.T) {
	c := newConsole(t)
	c.types("echo one\necho two\n")
	c.sees("\r\ntwo\r\n" + ps1)
	c.types("\x1b[A\x1b[A\n") // twice up
	c.sees("\r\none\r\n" + ps1)
	c.types("!!\n")
	c.sees("\r\necho one\r\none\r\n" + ps1)
	c.types("echo last !$; echo 'not !!'\n")
	c.sees("\r\nlast one\r\nnot !!\r\n" + ps1)
	c.types("tw\x12\n") // ctrl-R
	c.sees("\r\ntwo\r\n" + ps1)
	pieces := func(keys ...string) { // as packets may bring them
		for _, key := range keys {
			c.types(key)
		}
	}
	pieces("cho split", "\x1b", "O", "H", "e\n")
	c.sees("\r\nsplit\r\n" + ps1)
	pieces("\x1b", "[", "A", "\x1b[", "1", "~\x1b[4", "~s\n")
	c.sees("\r\nsplits\r\n" + ps1)
	c.types("!nothing\n")
	c.sees("bash: !nothing: event not found\r\n" + ps1)
	c.types("for i in 1\ndo echo $i\ndone\nhistory 2\n")
	c.sees("for i in 1; do echo $i; done\r\n")
	c.sees("history 2\r\n" + ps1)
	c.types("history | grep -c echo; history x\n")
	c.sees("bash: history: x: numeric argument required\r\n" + ps1)
	c.types("exit\n")
	<-c.done
	text, err := os.ReadFile(filepath.Join(c.root, "home/vagrant/.bash_history"))
	if err != nil || !strings.Contains(string(text), "echo two\n") {
		t.Errorf("saved: %q, %v", text, err)
	}
}

func TestCompletion(t *testing.T) {
	c := newConsole(t)
	for _, name := range []string{"apple pie", "apricot", "dir/file"} {
		full := filepath.Join(c.root, "home/vagrant", name)
		os.MkdirAll(filepath.Dir(full), 0o755)
		os.WriteFile(full, []byte(name+"\n"), 0o644)
	}
	c.types("unam\t-s\n")
	c.sees("uname -s\r\nLinux\r\n" + ps1)
	c.types("cat apr\t\n")
	c.sees("cat apricot \r\napricot\r\n" + ps1)
	c.types("cat d\tf\t\n")
	c.sees("cat dir/file \r\ndir/file\r\n" + ps1)
	c.types("cat a\t\t\x15\n")
	c.sees("apple pie  apricot\r\n" + ps1)
	c.sees("\r\n" + ps1)
	c.types("cat ~/dir/\t\n")
	c.sees("\r\ndir/file\r\n" + ps1)
	c.types("sudo hostna\t\n")
	c.sees("hostname \r\nnode2\r\n" + ps1)
	c.types("cat nothing\t\x15echo ok\n")
	c.sees("\r\nok\r\n" + ps1)
}

func TestPrompts(t *testing.T) {
	c := newConsole(t)
	c.types("cd /etc\n")
	c.sees("vagrant@node2:/etc$ ")
	c.types("PS1='[\\W]\\$ '; PS2='more> '\n")
	c.sees("[etc]$ ")
	c.types("echo a \\\nb\n")
	c.sees("more> b\r\na b\r\n[etc]$ ")
	c.types("echo \"\x04")
	c.types("\x03")
	c.sees("^C\r\n[etc]$ ")
	c.types("echo a \\\\\n")
	c.sees("\r\na \\\r\n[etc]$ ")
	c.types("echo c # no \\\n")
	c.sees("\r\nc\r\n[etc]$ ")
	c.types("echo a \\\nb\n")
	c.sees("\r\na b\r\n[etc]$ ")
	c.types("\x1b[A\n")
	c.sees("echo a b\r\na b\r\n[etc]$ ")
	c.types("( echo\n\x04")
	c.sees("bash: syntax error: unexpected end of file\r\n[etc]$ ")
}
