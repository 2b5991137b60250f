package scenarios

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/mesoslab/lab"
)

// speaking are the verbs for the people in the room. What ends their lines is
// taken as it is.
func speaking() []verb {
	return []verb{
		{name: "rules", summary: "say which settings rule the times", do: verbRules},
		{name: "say", summary: "say something", rest: "text", sane: needsText, do: verbSay("")},
		{name: "explain", summary: "say what happens inside", rest: "text", sane: needsText, do: verbSay("    ")},
		{name: "step", summary: "with --step: wait for Enter, so that the room can look", rest: "text", do: verbStep},
		{name: "ask", summary: "let the room predict something that is then measured",
			args: []param{{name: "quantity", kind: kindQuantity}}, rest: "question", sane: needsQuestion, do: verbAsk},
		{name: "answer", summary: "tell what has been measured by now of something that was asked; without it, the end counts",
			args: []param{{name: "quantity", kind: kindQuantity}}, sane: wasAsked, do: verbAnswer},
		{name: "let", summary: "give a word a value, for $NAME in later lines",
			args: []param{{name: "name", kind: kindWord}}, rest: "value", sane: needsName, do: func(context.Context, *run, arguments) error { return nil }},
	}
}

func needsText(a arguments, _ *knowledge) error {
	if a["text"] == "" {
		return fmt.Errorf("there is nothing to say")
	}
	return nil
}

func needsQuestion(a arguments, _ *knowledge) error {
	if a["question"] == "" {
		return fmt.Errorf("ask %s: the question is missing", a["quantity"])
	}
	return nil
}

func wasAsked(a arguments, k *knowledge) error {
	if !k.asked[a["quantity"]] {
		return fmt.Errorf("answer %s: it was not asked before", a["quantity"])
	}
	return nil
}

var varName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z]\w*$`) })

func needsName(a arguments, _ *knowledge) error {
	switch {
	case !varName().MatchString(a["name"]):
		return fmt.Errorf("let %q: a name is made of letters and digits, as in \"let app nginx\"", a["name"])
	case a["value"] == "":
		return fmt.Errorf("let %s: the value is missing", a["name"])
	}
	return nil
}

func verbRules(_ context.Context, r *run, _ arguments) error {
	s := r.lab.Settings()
	early, late := s.Law()
	r.note(fmt.Sprintf("Rules   pings %s × %d: a silent slave is lost after %s–%s (Mesos' own: 75–90 s) · back-off 1 s (Marathon's first)",
		s.PingTimeout, s.PingTimeouts, seconds(early), seconds(late)))
	return nil
}

func verbSay(indent string) func(context.Context, *run, arguments) error {
	return func(_ context.Context, r *run, a arguments) error {
		r.note(indent + a["text"])
		return nil
	}
}

func verbStep(ctx context.Context, r *run, a arguments) error {
	if r.opt.Prompt == nil {
		if a["text"] != "" {
			r.note(a["text"])
		}
		return nil
	}
	_, err := r.opt.Prompt(ctx, strings.TrimSpace(a["text"]+"  [Enter]"))
	return err
}

// Question is one that the script asked the room.
type Question struct {
	Quantity   string `json:"quantity"`
	Text       string `json:"question"`
	Prediction string `json:"prediction,omitempty"` // as typed; "" if nobody was asked
	Measured   string `json:"measured,omitempty"`   // "" if it was not seen
}

func (q Question) String() string {
	answer := "not seen"
	if q.Measured != "" {
		answer = q.Measured
	}
	if q.Prediction != "" {
		return fmt.Sprintf("%s  predicted %s · measured %s", q.Text, q.Prediction, answer)
	}
	return fmt.Sprintf("%s  measured %s", q.Text, answer)
}

func verbAsk(ctx context.Context, r *run, a arguments) error {
	q := &Question{Quantity: a["quantity"], Text: a["question"]}
	if r.opt.Prompt == nil {
		r.note("?  " + q.Text)
	} else {
		var err error
		if q.Prediction, err = r.opt.Prompt(ctx, "?  "+q.Text); err != nil {
			return err
		}
	}
	r.asked = append(r.asked, q)
	return nil
}

func verbAnswer(_ context.Context, r *run, a arguments) error {
	r.answerAsked(false, a["quantity"])
	return nil
}

// answerAsked tells the measured values of what was asked, as soon as they
// stand. Those that grow stand at the end, or when the script says so.
func (r *run) answerAsked(atEnd bool, now string) {
	for _, q := range r.asked {
		if q.Measured != "" {
			continue
		}
		m := quantities()[q.Quantity]
		if m.final && !atEnd && q.Quantity != now {
			continue
		}
		if text, ok := m.measure(r); ok {
			q.Measured = text
			r.opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventNote, Text: "=  " + q.String(), Data: map[string]any{"asked": q.Quantity}})
		}
	}
}
