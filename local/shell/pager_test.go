package shell

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/mesoslab/lab/local/terminal"
)

func TestPager(t *testing.T) {
	c := newConsole(t)
	c.types("seq 100 | less\n")
	c.sees("\x1b[H1\x1b[K\r\n")
	c.sees("23\x1b[K\r\n")
	for _, x := range []struct{ key, first string }{
		{" ", "24"}, {"j", "25"}, {"k", "24"}, {"b", "1"}, {"G", "78"}, {"g", "1"}, {"/^5\n", "5"}, {"n", "50"}, {"N", "5"}, {"\x1b[6~", "28"}, {"\x1b[A", "27"},
	} {
		c.types(x.key)
		c.sees("\x1b[H" + x.first + "\x1b[K\r\n")
	}
	c.term.Resize(terminal.Size{Columns: 40, Rows: 5})
	c.sees("\x1b[H27\x1b[K\r\n28\x1b[K\r\n29\x1b[K\r\n30\x1b[K\r\n:\x1b[K")
	c.types("q")
	c.sees("\x1b[?1049l" + ps1)
	c.types("seq 3 | more\n ")
	c.sees("\x1b[?1049l" + ps1)
	c.types("printf 'a\\tb\\033[31mred\\n' > f; less f nothing\n")
	c.sees("a       bred\x1b[K\r\n")
	c.types("q")
	c.sees("less: nothing: No such file or directory\r\n" + ps1)
	c.types("less +F f\n")
	c.sees("Waiting for data")
	f, err := os.OpenFile(filepath.Join(c.root, "home/vagrant/f"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, "appended")
	c.sees("appended")
	c.types("\x03q")
	c.sees(ps1)
	c.types("less\n")
	c.sees("missing filename")
	c.types("seq 3 | less | cat; echo end\n")
	c.sees("\r\n1\r\n2\r\n3\r\nend\r\n")
}

func TestTopAndWatch(t *testing.T) {
	c := newConsole(t)
	c.types("top\n")
	c.sees("/lab mini zookeeper")
	c.types("q")
	c.sees(ps1)
	c.types("top -b -n 1 | head -1\n")
	c.sees("top - ")
	c.types("watch -n 1000 echo watched\n")
	c.sees("Every 1000.0s: echo watched")
	c.sees("watched")
	c.types("\x03")
	c.sees("^C\r\n" + ps1)
}
