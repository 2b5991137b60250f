package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func netCommands() map[string]Command {
	return map[string]Command{"curl": curl, "wget": notHere("not on this machine: use curl"), "scp": scp, "ping": notHere("not on this machine: use curl")}
}

// request is what a curl command line asks for.
type request struct {
	method, url, out, format string
	body                     []byte
	header                   http.Header
	silent, showError        bool
	include, head, fail      bool
	follow                   bool
	limit                    time.Duration
}

// curl speaks HTTP within the lab: it dials as the machine does.
func curl(ctx context.Context, p *Proc) int {
	r, err := p.curlRequest()
	if err != nil {
		fmt.Fprintf(p.Stderr, "curl: %v\n", err)
		return 2
	}
	if p.Machine() == nil {
		return p.errorf("(7) there is no network here")
	}
	if r.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.limit)
		defer cancel()
	}
	status, err := p.fetch(ctx, r)
	if err != nil && (!r.silent || r.showError) {
		fmt.Fprintf(p.Stderr, "curl: (%d) %s\n", status, words(err))
	}
	return status
}

func (p *Proc) curlRequest() (request, error) {
	r := request{header: http.Header{}}
	// Headers may come several times, so they are taken out first.
	var rest []string
	for args := p.Args[1:]; len(args) > 0; args = args[1:] {
		value := ""
		switch a := args[0]; {
		case (a == "-H" || a == "--header") && len(args) > 1:
			value, args = args[1], args[1:]
		case strings.HasPrefix(a, "-H") && len(a) > 2:
			value = a[2:]
		default:
			rest = append(rest, a)
			continue
		}
		k, v, ok := strings.Cut(value, ":")
		if !ok {
			return r, fmt.Errorf("header %q has no colon", value)
		}
		r.header.Add(k, strings.TrimSpace(v))
	}
	o, urls, err := parseOptions(rest, "sSfvkLiIgNX:d:o:w:m:A:u: silent show-error fail verbose insecure location include head no-buffer compressed "+
		"request= data= data-binary= data-raw= output= write-out= max-time= connect-timeout= retry= user-agent=")
	if err != nil {
		return r, err
	}
	if len(urls) != 1 {
		return r, errors.New("one URL is needed")
	}
	r.url, r.method, r.out, r.format = urls[0], o["X"]+o["request"], o["o"]+o["output"], o["w"]+o["write-out"]
	r.silent, r.showError = o.has("s", "silent"), o.has("S", "show-error")
	r.include, r.head, r.fail, r.follow = o.has("i", "include"), o.has("I", "head"), o.has("f", "fail"), o.has("L", "location")
	if text := o["m"] + o["max-time"]; text != "" {
		if r.limit, err = duration(text); err != nil {
			return r, err
		}
	}
	return p.curlBody(r, o)
}

func (p *Proc) curlBody(r request, o options) (request, error) {
	if !strings.Contains(r.url, "://") {
		r.url = "http://" + r.url
	}
	if r.method == "" {
		r.method = "GET"
		if r.head {
			r.method = "HEAD"
		}
	}
	if !o.has("d", "data", "data-binary", "data-raw") {
		return r, nil
	}
	text := o["d"] + o["data"] + o["data-binary"] + o["data-raw"]
	r.body = []byte(text)
	if name, isFile := strings.CutPrefix(text, "@"); isFile && !o.has("data-raw") {
		f, err := p.open(name)
		if err != nil {
			return r, fmt.Errorf("(26) %s: %s", name, words(err))
		}
		defer f.Close()
		if r.body, err = io.ReadAll(f); err != nil {
			return r, err
		}
	}
	if r.method == "GET" {
		r.method = "POST"
	}
	if r.header.Get("Content-Type") == "" {
		r.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r, nil
}

// fetch does the request and returns curl's exit status.
func (p *Proc) fetch(ctx context.Context, r request) (int, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, bytes.NewReader(r.body))
	if err != nil {
		return 3, errors.New("malformed URL")
	}
	if req.URL.Scheme != "http" {
		return 1, fmt.Errorf("protocol %q not supported", req.URL.Scheme)
	}
	req.Header = r.header
	if h := r.header.Get("Host"); h != "" {
		req.Host = h
	}
	if r.header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "curl/7.35.0")
	}
	if r.header.Get("Accept") == "" {
		req.Header.Set("Accept", "*/*")
	}
	client := http.Client{Transport: &http.Transport{DialContext: p.Machine().Dial, DisableKeepAlives: true, DisableCompression: true}}
	if !r.follow {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	start := time.Now()
	res, err := client.Do(req)
	if err != nil {
		p.curlFormat(r, 0, 0, start)
		return curlStatus(err, req.URL.Host)
	}
	defer res.Body.Close()
	return p.curlPrint(r, res, start)
}

func curlStatus(err error, host string) (int, error) {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return 28, errors.New("operation timed out")
	case errors.Is(err, syscall.ECONNREFUSED):
		return 7, fmt.Errorf("failed to connect to %s: Connection refused", host)
	case strings.Contains(err.Error(), "no machine of this lab"):
		return 6, fmt.Errorf("could not resolve host: %s", host)
	}
	return 7, fmt.Errorf("failed to connect to %s: %w", host, err)
}

func (p *Proc) curlPrint(r request, res *http.Response, start time.Time) (int, error) {
	out := p.Stdout
	if r.out != "" && r.out != "-" {
		f, err := p.create(r.out, os.O_TRUNC)
		if err != nil {
			return 23, errors.New(words(err))
		}
		defer f.Close()
		out = f
	}
	if r.include || r.head {
		fmt.Fprintf(out, "%s %s\r\n", res.Proto, res.Status)
		if err := res.Header.Write(out); err != nil {
			return 23, err
		}
		io.WriteString(out, "\r\n")
	}
	failed := r.fail && res.StatusCode >= 400
	var size int64
	var err error
	if !failed {
		size, err = io.Copy(out, res.Body)
	}
	p.curlFormat(r, res.StatusCode, size, start)
	switch {
	case failed:
		return 22, fmt.Errorf("the requested URL returned error: %d", res.StatusCode)
	case err != nil:
		return 18, err
	}
	return 0, nil
}

// curlFormat prints what -w asks for.
func (p *Proc) curlFormat(r request, status int, size int64, start time.Time) {
	p.printf("%s", strings.NewReplacer(`\n`, "\n", "%{http_code}", fmt.Sprintf("%03d", status), "%{size_download}", strconv.FormatInt(size, 10),
		"%{time_total}", fmt.Sprintf("%.6f", time.Since(start).Seconds())).Replace(r.format))
}
