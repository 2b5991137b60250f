package shell

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func netCommands() map[string]Command {
	return map[string]Command{
		"curl": curl, "wget": wget, "scp": scp, "ping": ping, "nc": nc, "netcat": nc, "telnet": nc, "ss": ss, "netstat": ss, "ip": ip, "ifconfig": ifconfig,
	}
}

// request is what a curl command line asks for.
type request struct {
	method, url, out, format string
	body                     []byte
	header                   http.Header
	silent, showError        bool
	verbose                  bool
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
	// What may come several times is taken out first.
	var rest, data []string
	for args := p.Args[1:]; len(args) > 0; args = args[1:] {
		a, value := args[0], ""
		switch {
		case slices.Contains([]string{"-H", "--header", "-d", "--data", "--data-raw", "--data-binary", "--data-ascii", "--json"}, a) && len(args) > 1:
			value, args = args[1], args[1:]
		case len(a) > 2 && (strings.HasPrefix(a, "-H") || strings.HasPrefix(a, "-d")):
			a, value = a[:2], a[2:]
		default:
			rest = append(rest, a)
			continue
		}
		if a != "-H" && a != "--header" {
			if a == "--json" {
				r.header.Set("Content-Type", "application/json")
				r.header.Set("Accept", "application/json")
			}
			text, err := p.curlData(a, value)
			if err != nil {
				return r, err
			}
			data = append(data, text)
			continue
		}
		k, v, ok := strings.Cut(value, ":")
		if !ok {
			return r, fmt.Errorf("header %q has no colon", value)
		}
		r.header.Add(k, strings.TrimSpace(v))
	}
	o, urls, err := parseOptions(rest, "sSfvkLiIgNOGX:o:w:m:A:u:T:x: silent show-error fail verbose insecure location include head no-buffer compressed remote-name get "+
		"no-progress-meter request= output= write-out= max-time= connect-timeout= retry= retry-delay= user-agent= user= http1.1")
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
	if o.has("O", "remote-name") {
		if r.out = path.Base(r.url); r.out == "/" || r.out == "." || strings.HasSuffix(r.url, "/") {
			return r, errors.New("remote file name has no length")
		}
	}
	if user := o["u"] + o["user"]; user != "" {
		r.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user)))
	}
	r.verbose = o.has("v", "verbose")
	return r.complete(data, o), nil
}

// curlData is the text of one -d: @FILE without its line ends, unless it is
// binary.
func (p *Proc) curlData(flag, value string) (string, error) {
	name, isFile := strings.CutPrefix(value, "@")
	if !isFile || flag == "--data-raw" {
		return value, nil
	}
	f, err := p.open(name)
	if err != nil {
		return "", fmt.Errorf("(26) %s: %s", name, words(err))
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return "", fmt.Errorf("(26) %s: %s", name, words(err))
	}
	if flag == "--data-binary" || flag == "--json" {
		return string(text), nil
	}
	return strings.NewReplacer("\n", "", "\r", "").Replace(string(text)), nil
}

// complete fills in what follows from the rest.
func (r request) complete(data []string, o options) request {
	if !strings.Contains(r.url, "://") {
		r.url = "http://" + r.url
	}
	if o.has("G", "get") && len(data) > 0 {
		sep := "?"
		if strings.Contains(r.url, "?") {
			sep = "&"
		}
		r.url, data = r.url+sep+strings.Join(data, "&"), nil
	}
	r.body = []byte(strings.Join(data, "&"))
	if r.method == "" {
		switch {
		case r.head:
			r.method = "HEAD"
		case data != nil:
			r.method = "POST"
		default:
			r.method = "GET"
		}
	}
	if data != nil && r.header.Get("Content-Type") == "" {
		r.header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// wget fetches into a file, or to standard output with -O -.
func wget(ctx context.Context, p *Proc) int {
	o, urls, ok := p.options("qO:nvcT:t: quiet output-document= timeout= tries= no-verbose spider header=")
	if !ok || len(urls) != 1 {
		return p.errorf("usage: wget [-q] [-O FILE] URL")
	}
	args := []string{"curl", "-fL"}
	if o.has("q", "quiet") {
		args = append(args, "-s")
	}
	name := o["O"] + o["output-document"]
	if name == "" {
		if name = path.Base(urls[0]); strings.HasSuffix(urls[0], "/") || !strings.Contains(strings.TrimPrefix(urls[0], "http://"), "/") {
			name = "index.html"
		}
	}
	if o.has("spider") {
		name = "/dev/null"
	}
	p.Args = append(args, "-o", name, urls[0])
	status := curl(ctx, p)
	if status == 0 && name != "-" && !o.has("q", "quiet") {
		fmt.Fprintf(p.Stderr, "'%s' saved\n", name)
	}
	return status
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
	if r.verbose {
		p.curlHeaders(">", fmt.Sprintf("%s %s %s", req.Method, req.URL.RequestURI(), req.Proto), req.Header)
	}
	res, err := client.Do(req)
	if err != nil {
		p.curlFormat(r, 0, 0, start)
		return curlStatus(err, req.URL.Host)
	}
	defer res.Body.Close()
	if r.verbose {
		p.curlHeaders("<", res.Proto+" "+res.Status, res.Header)
	}
	return p.curlPrint(r, res, start)
}

// curlHeaders is what -v shows.
func (p *Proc) curlHeaders(sign, first string, h http.Header) {
	fmt.Fprintf(p.Stderr, "%s %s\n", sign, first)
	for _, k := range slices.Sorted(maps.Keys(h)) {
		for _, v := range h[k] {
			fmt.Fprintf(p.Stderr, "%s %s: %s\n", sign, k, v)
		}
	}
	fmt.Fprintf(p.Stderr, "%s\n", sign)
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
