package task

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
)

func TestSurplusEvensOutThenTakesTheYoungest(t *testing.T) {
	var ts []*Task
	for i, rack := range []string{"r1", "r2", "r1", "r1", "r2", "r3"} {
		ts = append(ts, &Task{ID: fmt.Sprint(i), Attributes: map[string]string{"rack": rack}, StagedAt: app.At(time.Unix(int64(i), 0))})
	}
	ids := func(ts []*Task) string {
		s := ""
		for _, t := range ts {
			s += t.ID
		}
		return s
	}
	plain, even := app.Default("/a"), app.Default("/a")
	even.Constraints = []app.Constraint{{"hostname", "UNIQUE"}, {"rack", "GROUP_BY"}}
	for _, c := range []struct {
		a    app.App
		n    int
		want string
	}{{plain, 2, "54"}, {plain, 0, ""}, {plain, -1, ""}, {plain, 9, "543210"}, {even, 1, "3"}, {even, 3, "342"}, {even, 4, "3425"}} {
		if got := ids(Surplus(c.a, ts, c.n)); got != c.want {
			t.Errorf("%d of %v: %s, want %s", c.n, c.a.Constraints, got, c.want)
		}
	}
	ts[0].KillAsked = time.Now()
	if got := Standing(ts); len(got) != 5 || slices.Contains(got, ts[0]) || len(ts) != 6 {
		t.Errorf("standing: %s", ids(got))
	}
}
