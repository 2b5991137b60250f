package shell

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mesoslab/lab/local/terminal"
)

func terminalCommands() map[string]Command {
	return map[string]Command{
		"tty": tty, "stty": stty, "clear": clearScreen, "reset": reset, "less": less, "more": less, "man": man, "watch": watch, "top": top, "htop": top,
	}
}

func tty(_ context.Context, p *Proc) int {
	if p.Keyboard() == nil {
		p.printf("not a tty\n")
		return 1
	}
	p.printf("/dev/tty\n")
	return 0
}

// clearCodes are what clear prints for an xterm: home, all of it, the lines
// that were scrolled away, too.
const clearCodes = "\x1b[H\x1b[2J\x1b[3J"

func clearScreen(_ context.Context, p *Proc) int {
	p.printf("%s", clearCodes)
	return 0
}

// reset brings a terminal back that a program has left in disorder.
func reset(_ context.Context, p *Proc) int {
	if t := p.Terminal(); t != nil {
		t.SetMode(terminal.Cooked())
	}
	p.printf("\x1bc" + clearCodes)
	return 0
}

// sttyModes are the settings that a terminal here has.
func sttyModes(m *terminal.Mode) map[string]*bool {
	return map[string]*bool{
		"icanon": &m.Canonical, "echo": &m.Echo, "isig": &m.Signals, "icrnl": &m.Enter, "ixon": &m.Flow, "opost": &m.Output, "onlcr": &m.Output,
	}
}

// sttyIgnored are settings that programs ask for and that change nothing.
const sttyIgnored = "echoe echok echonl echoctl echoke iexten iutf8 crtscts hup hupcl clocal cread parenb cstopb brkint ignbrk ignpar parmrk inpck istrip " +
	"inlcr igncr imaxbel ixany ixoff iuclc olcuc ocrnl onocr onlret ofill ofdel noflsh tostop echoprt xcase cs8 cs7"

// sttyWithValue are settings that are followed by one.
const sttyWithValue = "min time ispeed ospeed speed line intr quit erase kill eof eol eol2 swtch start stop susp rprnt werase lnext discard"

// stty shows and changes the terminal that its input is.
func stty(_ context.Context, p *Proc) int {
	t := p.Keyboard()
	if t == nil {
		return p.errorf("'standard input': Inappropriate ioctl for device")
	}
	args := p.Args[1:]
	if len(args) == 0 || len(args) == 1 && (args[0] == "-a" || args[0] == "--all") {
		p.showModes(t, len(args) > 0)
		return 0
	}
	oldSize, oldMode := t.Size(), t.Mode()
	size, mode := oldSize, oldMode
	for i := 0; i < len(args); i++ {
		value := ""
		if i+1 < len(args) {
			value = args[i+1]
		}
		used, err := p.sttySetting(args[i], value, &mode, &size)
		if err != nil {
			return p.errorf("%v", err)
		}
		i += used
	}
	// Only what was asked for: the window may have changed meanwhile.
	if size != oldSize {
		t.Resize(size)
	}
	if mode != oldMode {
		t.SetMode(mode)
	}
	return 0
}

// sttySetting takes one word and tells how many more it needed.
func (p *Proc) sttySetting(word, value string, mode *terminal.Mode, size *terminal.Size) (used int, err error) {
	bare, off := strings.CutPrefix(word, "-")
	modes := sttyModes(mode)
	switch {
	case word == "size":
		p.printf("%d %d\n", size.Rows, size.Columns)
	case word == "-g" || word == "--save":
		p.printf("%s\n", saveModes(*mode))
	case strings.HasPrefix(word, savedModes):
		return 0, restoreModes(word, mode)
	case word == "sane" || word == "cooked" || word == "-raw":
		*mode = terminal.Cooked()
	case word == "raw" || word == "-cooked":
		*mode = terminal.Raw()
	case word == "cbreak" || word == "-cbreak":
		mode.Canonical = off
	case modes[bare] != nil:
		*modes[bare] = !off
	case word == "rows" || word == "cols" || word == "columns":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 1000 {
			return 0, fmt.Errorf("invalid integer argument: '%s'", value)
		}
		if word == "rows" {
			size.Rows = n
		} else {
			size.Columns = n
		}
		return 1, nil
	case slices.Contains(strings.Fields(sttyIgnored), bare):
	case slices.Contains(strings.Fields(sttyWithValue), word):
		return 1, nil
	default:
		if _, err := strconv.Atoi(word); err == nil { // a speed
			return 0, nil
		}
		return 0, fmt.Errorf("invalid argument '%s'", word)
	}
	return 0, nil
}

// savedModes begins what stty -g prints.
const savedModes = "lab:"

func saveModes(m terminal.Mode) string {
	modes := sttyModes(&m)
	out := savedModes
	for _, name := range slices.Sorted(maps.Keys(modes)) {
		if *modes[name] {
			out += name + ":"
		}
	}
	return out
}

func restoreModes(text string, m *terminal.Mode) error {
	*m = terminal.Mode{}
	for name := range strings.SplitSeq(strings.Trim(strings.TrimPrefix(text, savedModes), ":"), ":") {
		set := sttyModes(m)[name]
		switch {
		case set != nil:
			*set = true
		case name != "":
			return fmt.Errorf("invalid argument '%s'", text)
		}
	}
	return nil
}

func (p *Proc) showModes(t *terminal.Terminal, all bool) {
	m, size := t.Mode(), t.Size()
	p.printf("speed 38400 baud;")
	if all {
		p.printf(" rows %d; columns %d; line = 0;\nintr = ^C; quit = ^\\; erase = ^?; kill = ^U; eof = ^D; start = ^Q; stop = ^S; susp = ^Z;\n"+
			"rprnt = ^R; werase = ^W; lnext = ^V;", size.Rows, size.Columns)
	}
	p.printf("\n")
	var words []string
	modes := sttyModes(&m)
	for _, name := range slices.Sorted(maps.Keys(modes)) {
		switch {
		case !*modes[name]:
			words = append(words, "-"+name)
		case all:
			words = append(words, name)
		}
	}
	if len(words) > 0 {
		p.printf("%s\n", strings.Join(words, " "))
	}
}

// help lists what there is, or says what bash's help says of a builtin.
func help(_ context.Context, p *Proc) int {
	if len(p.Args) > 1 {
		for _, name := range p.Args[1:] {
			switch {
			case isShellWord(name):
				p.printf("%s: a builtin of bash, as far as a script needs it\n", name)
			case p.session.cfg.Commands[name] != nil:
				p.printf("%s: a command of this embedded machine, with the commonest of its options\n", name)
			default:
				p.Args[0] = "bash: help"
				return p.errorf("no help topics match `%s'", name)
			}
		}
		return 0
	}
	p.printf("%s\n\nCommands:\n", helpText)
	p.wrapped(slices.Sorted(maps.Keys(p.session.cfg.Commands)))
	p.printf("\nBuilt into the shell:\n")
	p.wrapped(strings.Fields(shellWords))
	return 0
}

const helpText = `This is an embedded machine of a lab: a shell and small commands of its own, on a
disk of its own. It starts no program of your computer and sees none of its files.
Its containers run in a Docker engine of its own: docker ps. From outside: lab status.`

func (p *Proc) wrapped(words []string) {
	line := " "
	for _, w := range words {
		if len(line)+1+len(w) > p.columns()-1 {
			io.WriteString(p.Stdout, line+"\n")
			line = " "
		}
		line += " " + w
	}
	io.WriteString(p.Stdout, line+"\n")
}
