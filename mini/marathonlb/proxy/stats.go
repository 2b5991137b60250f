package proxy

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// statColumns are the columns of HAProxy's statistics, in its order.
const statColumns = "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis," +
	"status,weight,act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate," +
	"rate_lim,rate_max,check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx," +
	"hrsp_other,hanafail,req_rate,req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp," +
	"lastsess,last_chk,last_agt,qtime,ctime,rtime,ttime"

// Stat is one row of the statistics: a value for a column of HAProxy's CSV.
// A column that does not apply to the row, or is not counted here, is absent.
type Stat map[string]string

// WriteCSV prints rows as HAProxy's ";csv" does.
func WriteCSV(w io.Writer, rows []Stat) error {
	columns := strings.Split(statColumns, ",")
	if _, err := fmt.Fprintf(w, "# %s,\n", statColumns); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	record := make([]string, len(columns)+1) // HAProxy ends lines with a comma
	for _, row := range rows {
		for i, c := range columns {
			record[i] = row[c]
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// Stats returns a row for each frontend, then for each backend one for each
// of its servers and one for itself, in the order of the configuration.
func (p *Proxy) Stats() []Stat {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	var rows []Stat
	id := 1 // 1 is the statistics' own listener
	for _, conf := range p.conf.Frontends {
		id++
		rows = append(rows, p.frontends[conf.Name].stat(id, now))
	}
	for _, conf := range p.conf.Backends {
		id++
		b := p.backends[conf.Name]
		up := 0
		for i, s := range b.servers {
			row := s.stat(now)
			row["pxname"], row["iid"], row["sid"] = b.name, strconv.Itoa(id), strconv.Itoa(i+1)
			if conf.Mode != HTTP {
				dropAnswers(row)
			}
			rows = append(rows, row)
			if s.usable() {
				up++
			}
		}
		rows = append(rows, b.stat(id, up, now))
	}
	return rows
}

type numbers map[string]int64

// row returns what all three kinds of row have.
func (c *counters) row(kind string, more numbers, now time.Time) Stat {
	perSecond, most := c.rate.read(now)
	n := numbers{
		"scur": c.cur.Load(), "smax": c.max.Load(), "stot": c.total.Load(),
		"bin": c.in.Load(), "bout": c.out.Load(), "pid": 1,
		"rate": perSecond, "rate_max": most,
	}
	for i, column := range []string{"hrsp_other", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx"} {
		n[column] = c.answers[i].Load()
	}
	row := Stat{"type": kind}
	for _, set := range []numbers{n, more} {
		for k, v := range set {
			row[k] = strconv.FormatInt(v, 10)
		}
	}
	return row
}

func dropAnswers(row Stat) {
	for k := range row {
		if strings.HasPrefix(k, "hrsp_") {
			delete(row, k)
		}
	}
}

func (f *frontend) stat(id int, now time.Time) Stat {
	perSecond, most := f.counters.requestRate.read(now)
	row := f.counters.row("0", numbers{
		"slim": int64(f.proxy.limits.MaxConnection), "iid": int64(id), "sid": 0,
		"dreq": 0, "dresp": 0, "rate_lim": 0, "ereq": f.counters.failedRequests.Load(),
		"req_rate": perSecond, "req_rate_max": most, "req_tot": f.counters.requests.Load(),
	}, now)
	row["pxname"], row["svname"], row["status"] = f.name, "FRONTEND", "OPEN"
	if f.mode != HTTP {
		dropAnswers(row)
	}
	return row
}

// served returns what servers and backends have beyond frontends.
func (c *counters) served(kind string, now time.Time) Stat {
	last := int64(-1)
	if at := c.last.Load(); at != 0 {
		last = int64(now.Sub(time.Unix(0, at)) / time.Second)
	}
	return c.row(kind, numbers{
		"qcur": 0, "qmax": 0, "dresp": 0, "econ": c.failedConns.Load(), "eresp": c.failedAnswers.Load(),
		"wretr": c.retries.Load(), "wredis": c.redispatch.Load(), "lbtot": c.balanced.Load(),
		"cli_abrt": c.clientAbort.Load(), "srv_abrt": c.srvAbrt.Load(), "lastsess": last, "weight": 1, "bck": 0,
	}, now)
}

func (s *server) stat(now time.Time) Stat {
	row := s.counters.served("2", now)
	conf := s.conf.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	row["svname"], row["act"] = conf.Name, "1"
	row["status"] = s.status(conf.Disabled)
	row["lastchg"] = seconds(now.Sub(s.state.changed))
	if s.check != nil {
		row["chkfail"], row["chkdown"] = strconv.FormatInt(s.failed, 10), strconv.FormatInt(s.state.downs, 10)
		row["downtime"], row["check_status"] = seconds(s.state.downtime(now)), s.seen.status
		if s.seen.code != 0 {
			row["check_code"] = strconv.Itoa(s.seen.code)
		}
		row["check_duration"] = strconv.FormatInt(s.seen.took.Milliseconds(), 10)
	}
	return row
}

// status is the word of the status column. The fractions are HAProxy's: how
// far a server is from the other state.
func (s *server) status(disabled bool) string {
	switch {
	case disabled:
		return "MAINT"
	case s.check == nil:
		return "no check"
	}
	rise := s.check.rise()
	switch {
	case s.health == s.check.full():
		return "UP"
	case s.health >= rise:
		return fmt.Sprintf("UP %d/%d", s.health-rise+1, s.check.Fall)
	case s.health > 0:
		return fmt.Sprintf("DOWN %d/%d", s.health, rise)
	}
	return "DOWN"
}

func (b *backend) stat(id, up int, now time.Time) Stat {
	row := b.counters.served("1", now)
	row["pxname"], row["svname"], row["iid"], row["sid"] = b.name, "BACKEND", strconv.Itoa(id), "0"
	row["status"] = "UP"
	if up == 0 {
		row["status"] = "DOWN"
	}
	row["act"], row["weight"] = strconv.Itoa(up), strconv.Itoa(up)
	row["slim"], row["dreq"] = strconv.Itoa(b.limits.MaxConnection/10), "0"
	b.mu.Lock()
	row["lastchg"], row["downtime"] = seconds(now.Sub(b.state.changed)), seconds(b.state.downtime(now))
	row["chkdown"] = strconv.FormatInt(b.state.downs, 10)
	b.mu.Unlock()
	if b.conf.Mode != HTTP {
		dropAnswers(row)
	}
	return row
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
