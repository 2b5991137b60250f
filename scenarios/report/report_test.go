package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/scenarios"
)

// recorded is a failover of a real embedded lab.
func recorded(t testing.TB) *scenarios.Recording {
	t.Helper()
	rec, err := Read(filepath.Join("testdata", "failover.json"))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func rendered(t testing.TB, rec *scenarios.Recording) string {
	t.Helper()
	var out bytes.Buffer
	if err := Page(&out, rec); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestPageShowsWhatWasRecorded(t *testing.T) {
	rec := recorded(t)
	page := rendered(t, rec)
	for _, want := range []string{
		`<div class="verdict pass">PASS</div>`, "Kill a slave and watch Marathon start its tasks elsewhere.", "loses power", "TASK_LOST", "restored",
		"mesos.slave_ping_timeout 1s × 2", "slave_ping_timeout × max_slave_ping_timeouts</td><td>1s × 2", "How many requests will fail meanwhile?",
		`<span class="chapter"># The fault: a power cut, silent to everyone</span>`, "a1 on node2", "c3 on node3",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, c := range rec.Result.Criteria {
		if !strings.Contains(page, c.Detail) {
			t.Errorf("the page lacks the criterion %+v", c)
		}
	}
	for _, m := range rec.Result.Timeline {
		if !strings.Contains(page, m.Text) {
			t.Errorf("the page lacks the moment %+v", m)
		}
	}
}

// TestPageStandsAlone makes sure that the page loads nothing and that nothing
// in a recording can change that.
func TestPageStandsAlone(t *testing.T) {
	rec := recorded(t)
	evil := `</title></script><script>alert(1)</script><img src=x onerror="alert(1)">`
	rec.Summary, rec.Script, rec.Result.Why, rec.Result.Scenario = evil, evil, evil, evil
	rec.Tasks[0].Name, rec.Tasks[0].ID, rec.Faults[0].Text = evil, evil, evil
	rec.Result.Timeline[0].Text, rec.Result.Criteria[0].Detail = evil, evil
	for _, page := range []string{rendered(t, rec), rendered(t, recorded(t))} {
		for _, bad := range []string{"<script", "<img", "<link", "@import", "url(", "src="} {
			if i := strings.Index(strings.ReplaceAll(page, "img src=x onerror", ""), bad); i >= 0 {
				t.Errorf("the page has %q: …%s", bad, page[i:min(len(page), i+80)])
			}
		}
	}
}

func TestChartsDrawEveryRequest(t *testing.T) {
	rec := recorded(t)
	rec.Requests[10].Error, rec.Requests[10].Task = "timed out", ""
	chart := requests(rec)
	dots := 0
	for _, s := range chart.Series {
		if n := strings.Count(s.Path, "M"); n != s.Requests {
			t.Errorf("%s: %d dots for %d requests", s.Name, n, s.Requests)
		}
		dots += s.Requests
	}
	if crosses := strings.Count(chart.Failed, "M"); crosses != 1 || dots+1 != len(rec.Requests) {
		t.Errorf("%d dots and %d crosses for %d requests", dots, crosses, len(rec.Requests))
	}
	for _, p := range regexp.MustCompile(`M(-?[0-9.]+) (-?[0-9.]+)`).FindAllStringSubmatch(chart.Series[0].Path, -1) {
		var x, y float64
		fmt.Sscan(p[1], &x)
		fmt.Sscan(p[2], &y)
		if x < chart.Left || x > chart.Right || y < chart.Top || y > chart.Bottom {
			t.Fatalf("a dot lies outside the chart: %s", p[0])
		}
	}
}

func TestChartOfInstances(t *testing.T) {
	rec := recorded(t)
	p := instances(rec)
	if len(p.Lanes) != 2 {
		t.Fatalf("%d lanes, want one for each slave: %+v", len(p.Lanes), p.Lanes)
	}
	victim, other := p.Lanes[0], p.Lanes[1]
	if victim.Name != "node2" || victim.Counts != "1 → 0" || len(victim.Down) != 1 || other.Counts != "1 → 2" || len(other.Down) != 0 {
		t.Errorf("lanes %+v", p.Lanes)
	}
	if b := victim.Bars[0]; b.Label != "a1" || b.X+b.Width <= victim.Down[0].X || b.X+b.Width >= victim.Down[0].X+victim.Down[0].Width {
		t.Errorf("a1 has to end while node2 is down: %+v, down %+v", b, victim.Down)
	}
	for _, l := range p.Lanes {
		for i, b := range l.Bars {
			if b.ServingX < b.X || b.ServingX+b.ServingWid > b.X+b.Width+0.11 {
				t.Errorf("%s serves outside its life: %+v", b.Label, b)
			}
			for _, o := range l.Bars[:i] {
				if o.Y == b.Y && o.X+o.Width > b.X {
					t.Errorf("%s lies over %s", b.Label, o.Label)
				}
			}
		}
	}
}

func TestTicksAreRound(t *testing.T) {
	for _, c := range []struct {
		from, to float64
		want     string
	}{
		{-2.3, 11, "[-2 -1 0 1 2 3 4 5 6 7 8 9 10 11]"}, {0, 1, "[0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1]"}, {-5, 120, "[0 10 20 30 40 50 60 70 80 90 100 110 120]"}, {3, 3, "[]"},
	} {
		var labels []string
		for _, tick := range (axis{from: c.from, to: c.to, a: 0, b: 100}).ticks(14, "") {
			labels = append(labels, tick.Label)
		}
		if got := fmt.Sprint(labels); got != c.want {
			t.Errorf("%g to %g: %s, want %s", c.from, c.to, got, c.want)
		}
	}
}

func TestJUnit(t *testing.T) {
	rec := recorded(t)
	bad := *rec
	res := *rec.Result
	res.Verdict, res.Why = scenarios.Fail, "lost: too late"
	res.Criteria = slices.Clone(res.Criteria)
	res.Criteria[3].State, res.Criteria[3].Detail = scenarios.Broken, "too <late>"
	res.Criteria[4].State = scenarios.Unseen
	bad.Result = &res
	var out bytes.Buffer
	if err := JUnit(&out, rec, &bad); err != nil {
		t.Fatal(err)
	}
	var doc junitSuites
	if err := xml.Unmarshal(out.Bytes(), &doc); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	good, wrong := doc.Suites[0], doc.Suites[1]
	if good.Tests != 9 || good.Failures+good.Errors != 0 || good.Name != "failover" || good.Time <= 0 {
		t.Errorf("the good run: %+v", good)
	}
	if wrong.Failures != 2 || wrong.Errors != 1 || wrong.Cases[3].Failure.Message != "too <late>" || wrong.Cases[8].Failure.Message != "lost: too late" {
		t.Errorf("the bad run: %+v", wrong)
	}
	if _, err := time.Parse(time.RFC3339, good.Timestamp); err != nil {
		t.Error(err)
	}
}

func TestWriteAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	if err := Prepare(dir); err != nil {
		t.Fatal(err)
	}
	rec := recorded(t)
	for range 2 { // an earlier report is replaced
		if err := Write(dir, rec); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Read(dir)
	if err != nil || !reflect.DeepEqual(rec, again) {
		t.Errorf("what was read is not what was written: %v", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("files %v, %v", files, err)
	}
	for name, content := range map[string]string{"none.json": "{}", "old.json": `{"format": 99}`, "broken.json": `{"format": `, "empty.json": `{"format": 1}`} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(file); lab.ErrorID(err) != "no-recording" || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(t.TempDir()); lab.ErrorID(err) != "no-recording" {
		t.Errorf("a folder without a recording: %v", err)
	}
	if err := Prepare(filepath.Join(dir, PageFile)); lab.ErrorID(err) != "report-folder" {
		t.Errorf("a file instead of a folder: %v", err)
	}
}

// TestSchemaIsDocumented compares docs/report.md with the types that are
// written, and both with a document that was.
func TestSchemaIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.\\[\\]]+)` \\| ([a-z, ]+) \\|").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = m[2]
	}
	written := map[string]string{}
	describe(written, "", reflect.TypeFor[scenarios.Recording](), false)
	for path, kind := range written {
		if documented[path] != kind {
			t.Errorf("%s is %q, documented as %q", path, kind, documented[path])
		}
	}
	for path := range documented {
		if written[path] == "" {
			t.Errorf("%s is documented, but never written", path)
		}
	}
	data, err := os.ReadFile(filepath.Join("testdata", "failover.json"))
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	conform(t, documented, "", doc)
}

// TestPhasesAreDocumented: docs/report.md lists every phase that a run can have.
func TestPhasesAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := regexp.MustCompile("(?m)^\\| `result.phases\\[\\].name` .*$").FindString(string(text))
	phases := 0
	for _, file := range []string{"phases.go", "control_phases.go"} {
		code, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^\tphase\w+ += "(.+?)"`).FindAllStringSubmatch(string(code), -1) {
			phases++
			if !regexp.MustCompile(`[ ,]` + m[1] + `[ ,]`).MatchString(listed) {
				t.Errorf("phase %s is not in %s", m[1], listed)
			}
		}
	}
	if phases < 15 {
		t.Errorf("only %d phases were found", phases)
	}
}

// describe lists the leaves of a type by their path in JSON.
func describe(out map[string]string, path string, typ reflect.Type, optional bool) {
	word := map[reflect.Kind]string{reflect.String: "string", reflect.Int: "number", reflect.Int64: "number", reflect.Float64: "number", reflect.Map: "object"}
	suffix := ""
	if optional {
		suffix = ", optional"
	}
	switch {
	case typ == reflect.TypeFor[time.Time]():
		out[path] = "string" + suffix
	case typ.Kind() == reflect.Pointer && typ.Elem().Kind() == reflect.Struct:
		describe(out, path, typ.Elem(), optional)
	case typ.Kind() == reflect.Pointer:
		if out[path] = word[typ.Elem().Kind()] + suffix; !optional {
			out[path] += " or null"
		}
	case typ.Kind() == reflect.Slice:
		describe(out, path+"[]", typ.Elem(), false)
	case typ.Kind() == reflect.Struct:
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Anonymous && name == "" {
				describe(out, path, f.Type, false)
			} else if name != "-" {
				describe(out, strings.TrimPrefix(path+"."+name, "."), f.Type, strings.Contains(opts, "omitempty"))
			}
		}
	default:
		out[path] = word[typ.Kind()] + suffix
	}
}

// conform checks a document against the table.
func conform(t *testing.T, documented map[string]string, path string, v any) {
	t.Helper()
	kind := documented[path]
	if strings.HasPrefix(kind, "object") {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			conform(t, documented, strings.TrimPrefix(path+"."+name, "."), e)
		}
	case []any:
		for _, e := range v {
			conform(t, documented, path+"[]", e)
		}
	case nil:
		if !strings.Contains(kind, "or null") {
			t.Errorf("%s is null, documented as %q", path, kind)
		}
	default:
		if got := map[bool]string{true: "number", false: "string"}[reflect.TypeOf(v).Kind() == reflect.Float64]; !strings.HasPrefix(kind, got) {
			t.Errorf("%s is %v, documented as %q", path, v, kind)
		}
	}
}

// FuzzRead draws whatever is taken for a recording.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"format":1,"result":{"seconds":-1},"requests":[{"due":1e300,"took":-1e300}],"tasks":[{"name":"","seen":null},{"seen":5,"node":"n"}],"machines":[{"name":"n"}],"faults":[{"at":-1e308,"until":1e308,"nodes":["n"]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := parse(data)
		if err != nil {
			return
		}
		page := rendered(t, rec)
		if math.IsNaN(newFrame(rec, 100).Width) || !strings.HasSuffix(strings.TrimSpace(page), "</html>") {
			t.Error("half a page")
		}
		if err := JUnit(&bytes.Buffer{}, rec); err != nil {
			t.Error(err)
		}
	})
}
