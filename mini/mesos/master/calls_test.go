package master

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// exchange is a request in a captured transcript and its answer.
type exchange struct{ label, request, answer string }

// exchanges reads those that were answered at once with something else than
// 202: refusals, mostly. Those of agents are left out.
func exchanges(t *testing.T, name string) (list []exchange) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(labtest.Contracts(t), "captures-mesos", "1.3.2", "streams", name))
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(b), "\n##### ")
	for i := range len(sections) - 1 {
		label, request, ok := strings.Cut(sections[i], "\n")
		head, answer, ok2 := strings.Cut(sections[i+1], "\n")
		if !ok || !ok2 || !strings.Contains(label, ">>>") || !strings.Contains(head, "<<<") || !strings.HasPrefix(answer, "HTTP/1.1 ") ||
			strings.Contains(label, ">>> agent ") || strings.HasPrefix(answer, "HTTP/1.1 202") || strings.Contains(answer, "chunked") {
			continue
		}
		_, label, _ = strings.Cut(label, ">>> ")
		list = append(list, exchange{label, request, answer})
	}
	return list
}

// TestReplayCalls sends the very bytes that a real 1.3.2 refused, and compares
// status, headers and text.
func TestReplayCalls(t *testing.T) {
	list := exchanges(t, "1.3.2-v1sched-A-main.txt")
	if len(list) < 25 {
		t.Fatalf("only %d exchanges in the capture", len(list))
	}
	realFramework := regexp.MustCompile(`91d5ea63-a034-46c8-80ad-bc45d2e112d4-0000`)
	realStream := regexp.MustCompile(`b7a56597-c206-490e-8a9c-de889d5dadd1`)
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.realMaster()
		r.twoAgents()
		s := r.scheduler(capA())
		for _, x := range list {
			request := realFramework.ReplaceAllString(x.request, s.id)
			request = realStream.ReplaceAllString(request, "11111111-2222-3333-4444-555555555555")
			request = strings.ReplaceAll(request, "Host: 127.0.0.1:5050", "Host: "+masterAddr)
			head, body, _ := strings.Cut(request, "\n\n")
			body = strings.TrimSuffix(body, "\n")
			req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n")))
			if err != nil {
				t.Errorf("%s: %v", x.label, err)
				continue
			}
			header := map[string]string{"Content-Type": "", "Accept": ""}
			for k := range req.Header {
				header[k] = req.Header.Get(k)
			}
			resp, text := r.at(masterAddr, req.Method, req.URL.RequestURI(), body, header)
			real, err := http.ReadResponse(bufio.NewReader(strings.NewReader(strings.ReplaceAll(x.answer, "\n", "\r\n"))), req)
			if err != nil {
				t.Errorf("%s: %v", x.label, err)
				continue
			}
			said, _ := io.ReadAll(real.Body)
			want := strings.TrimSpace(realFramework.ReplaceAllString(string(bytes.ReplaceAll(said, []byte("\r\n"), []byte("\n"))), s.id))
			want = realStream.ReplaceAllString(want, "11111111-2222-3333-4444-555555555555")
			json := real.Header.Get("Content-Type") == "application/json" || real.Header.Get("Content-Type") == "text/javascript"
			same := resp.StatusCode == real.StatusCode && resp.Header.Get("Allow") == real.Header.Get("Allow") &&
				resp.Header.Get("Content-Type") == real.Header.Get("Content-Type") && (json || strings.TrimSpace(text) == want)
			if !same {
				t.Errorf("%s: %d %v %.200q\nthe real one: %d %v %.200q", x.label, resp.StatusCode, resp.Header, text, real.StatusCode, real.Header, want)
			}
		}
	})
	t.Logf("%d exchanges", len(list))
}
