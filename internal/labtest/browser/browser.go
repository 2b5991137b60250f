// Package browser drives web pages in a headless Chromium, for tests.
//
// A Page is one tab of a browser of its own. Its methods look for what people
// see (texts, buttons, fields) and wait for it; none sleeps, and Patience
// bounds each wait without measuring anything. The test fails at its end if
// the page threw an error, wrote one to the console, broke its own
// Content-Security-Policy, or asked any computer but this one. Readable checks
// the contrast of texts; See shows a page as with another vision of colours.
//
// The browser resolves no names and reaches loopback addresses only. It is
// Debian's package chromium; where that is missing the test skips
// (labtest.NeedProgram). LAB_TEST_SHOTS names a folder for Shoot's pictures.
package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

// Patience bounds every wait.
const Patience = 2 * time.Minute

// Page is one tab.
type Page struct {
	tb  testing.TB
	ctx context.Context

	mu      sync.Mutex
	outside []string
}

// Open starts a browser with a window of 1280×800 and loads an address.
func Open(tb testing.TB, address string) *Page {
	tb.Helper()
	path := labtest.NeedProgram(tb, "chromium")
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.WindowSize(1280, 800),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.*"),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("no-proxy-server", true), chromedp.DisableGPU)
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium has none for root
	}
	allocator, end := chromedp.NewExecAllocator(context.WithoutCancel(tb.Context()), opts...)
	ctx, cancel := chromedp.NewContext(allocator)
	p := &Page{tb: tb, ctx: ctx}
	tb.Cleanup(end)
	tb.Cleanup(cancel)
	if err := chromedp.Listen(ctx, p.requested); err != nil {
		tb.Fatalf("start chromium: %v", err)
	}
	p.watchConsole()
	p.Go(address)
	return p
}

// watchConsole fails the test on what the page complains about.
func (p *Page) watchConsole() {
	messages := chromedp.Console(p.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for m, err := range messages {
			if err != nil {
				return // the browser has ended
			}
			p.tb.Logf("console: %s %s %s", m.Type, m.Source, m.Text)
			if m.IsException() || m.Source == "security" || m.Type == chromedp.ConsoleError && m.Source != "network" {
				p.tb.Errorf("the page says: %s (%s)", m.Text, m.URL)
			}
		}
	})
	p.tb.Cleanup(func() {
		if err := chromedp.Cancel(p.ctx); err != nil {
			p.tb.Logf("end of the browser: %v", err)
		}
		wg.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, u := range p.outside {
			p.tb.Errorf("the page asked %s", u)
		}
	})
}

// requested notes requests that leave this computer.
func (p *Page) requested(ev any) {
	r, ok := ev.(*network.EventRequestWillBeSent)
	if !ok {
		return
	}
	if strings.HasPrefix(r.Request.URL, "data:") {
		return // asks nobody: Chromium's own, for See
	}
	u, err := url.Parse(r.Request.URL)
	if err == nil {
		if a, err := netip.ParseAddr(u.Hostname()); err == nil && a.IsLoopback() {
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outside = append(p.outside, r.Request.URL)
}

func (p *Page) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.tb.Fatalf("%s: %v\n%s", what, err, p.seen())
	}
}

// Go loads an address.
func (p *Page) Go(address string) {
	p.tb.Helper()
	p.do("load "+address, chromedp.Navigate(address))
}

// Is evaluates a JavaScript expression to a truth.
func (p *Page) Is(js string) (bool, error) {
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+js+")"))
}

// Text evaluates a JavaScript expression to a text.
func (p *Page) Text(js string) string {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string]("String("+js+")"))
	if err != nil {
		p.tb.Fatalf("%s: %v", js, err)
	}
	return s
}

// Await waits until a JavaScript expression is true.
func (p *Page) Await(what, js string) {
	p.tb.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	err := lab.Until(ctx, 50*time.Millisecond, what, func(context.Context) error {
		ok, err := p.Is(js)
		if err == nil && !ok {
			err = errors.New("not seen")
		}
		return err
	})
	if err != nil {
		p.tb.Fatalf("%v\n%s", err, p.seen())
	}
}

// AwaitText waits until all of these texts are seen below a CSS selector.
func (p *Page) AwaitText(selector string, texts ...string) {
	p.tb.Helper()
	list, err := json.Marshal(texts)
	if err != nil {
		p.tb.Fatal(err)
	}
	p.Await(fmt.Sprintf("%q in %s", texts, selector),
		fmt.Sprintf(`%s.every((t) => [...document.querySelectorAll(%s)].some((e) => e.innerText.replace(/\s+/g, " ").includes(t)))`, list, quote(selector)))
}

// Click clicks, with the mouse, on what a CSS selector finds, once that stands
// still: pages move while they fill.
func (p *Page) Click(selector string) {
	p.tb.Helper()
	p.do("find "+selector, chromedp.WaitVisible(selector), chromedp.ScrollIntoView(selector))
	p.Await(selector+" to stand still", fmt.Sprintf(`((was) => {
		const r = document.querySelector(%s)?.getBoundingClientRect();
		window.stood = r && [r.x, r.y, r.width, r.height].join(" ");
		return was !== undefined && was === window.stood;
	})(window.stood)`, quote(selector)))
	p.do("click "+selector, chromedp.Click(selector, chromedp.NodeVisible))
}

// Fill replaces the text of a field.
func (p *Page) Fill(selector, text string) {
	p.tb.Helper()
	p.do("fill "+selector, chromedp.WaitVisible(selector), chromedp.SetValue(selector, text))
}

// Press presses keys (package kb names them) wherever the focus is.
func (p *Page) Press(keys string, opts ...chromedp.KeyOption) {
	p.tb.Helper()
	p.do("press keys", chromedp.KeyEvent(keys, opts...))
}

// Look sets what the browser shows the page on: the window's size and whether
// the system prefers dark.
func (p *Page) Look(width, height int, dark bool) {
	p.tb.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	p.do("look", chromedp.EmulateViewport(int64(width), int64(height)), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	}))
}

// Shoot writes a picture of what is seen, if LAB_TEST_SHOTS names a folder.
func (p *Page) Shoot(name string) {
	p.tb.Helper()
	dir := os.Getenv("LAB_TEST_SHOTS")
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, Patience)
	defer cancel()
	data, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), data, 0o644)
	}
	if err != nil {
		p.tb.Errorf("picture %s: %v", name, err)
	}
}

// seen is the text of the page, for failures.
func (p *Page) seen() string {
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return "the page shows:\n" + strings.TrimSpace(s)
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string can be printed
	return string(b)
}
