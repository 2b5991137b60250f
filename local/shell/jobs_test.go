package shell

import (
	"testing"
)

func TestJobs(t *testing.T) {
	c := newConsole(t)
	c.types("sleep 1000 & sleep 2000 & cat &\n")
	c.sees("[1] 5000001\r\n[2] 5000002\r\n[3] 5000003\r\n")
	c.types("while kill -0 %3 2>/dev/null; do sleep 0.01; done\n") // it has no keyboard
	c.sees("[3]  Done                    cat\r\n" + ps1)           // after this line, or before it
	c.types("jobs\n")
	c.sees("[1]  Running                 sleep 1000 &\r\n[2]  Running                 sleep 2000 &\r\n")
	c.types("kill %1; wait %1; echo $?; echo last $!\n")
	c.sees("143\r\nlast 5000003\r\n")
	c.types("kill -9 5000002; wait 5000002; echo $?; kill %7; echo $?\n")
	c.sees("137\r\nbash: kill: %7: no such job\r\n1\r\n")
	c.types("(exit 5) & wait $!; echo \"code $?\"\n")
	c.sees("code 5\r\n")
	c.types("sleep 3000 &\n")
	c.sees("[1] 5000005\r\n" + ps1)
	c.types("fg\n")
	c.sees("\r\nsleep 3000\r\n")
	c.types("\x03")
	c.sees("^C\r\n" + ps1)
	c.types("for i in 1 2; do sleep 0.01 & done; wait; echo waited; jobs; echo none\n")
	c.sees("waited\r\nnone\r\n" + ps1)
	c.types("for i in 1 2; do sleep 1000 & done\n")
	c.sees("done\r\n" + ps1)
	c.runs("wait")
	c.types("\x03")
	c.sees("^C\r\n" + ps1)
	c.types("bg; fg %9; sleep 5000 & disown; jobs; echo end\n")
	c.sees("bash: bg: current: no such job\r\nbash: fg: %9: no such job\r\n")
	c.sees("end\r\n" + ps1)
}
