package browser

import (
	"context"
	"strings"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Visions are the ways of seeing colours that Chromium can show a page in,
// besides the usual one.
var Visions = []string{"protanopia", "deuteranopia", "tritanopia", "achromatopsia"}

// See shows the page as somebody sees it with one of Visions, or with "none",
// the usual one.
func (p *Page) See(vision string) {
	p.tb.Helper()
	p.do("see with "+vision, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedVisionDeficiency,
			emulation.SetEmulatedVisionDeficiencyParams{Type: emulation.SetEmulatedVisionDeficiencyType(vision)})
		return err
	}))
}

// pale lists visible texts whose contrast with what is behind them is less than
// WCAG 2.1 asks of normal text (1.4.3, level AA: 4.5), one in a line. What is
// painted behind a text of an SVG is not known: those have an outline, or stand
// on the page.
const pale = `(() => {
	const parse = (c) => {
		const m = c.match(/^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/);
		if (!m) throw new Error("colour " + c);
		return [+m[1], +m[2], +m[3], m[4] === undefined ? 1 : +m[4]];
	};
	const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
	const behind = (e) => {
		const layers = [];
		for (; e; e = e.parentElement) {
			const c = parse(getComputedStyle(e).backgroundColor);
			layers.push(c);
			if (c[3] === 1) break;
		}
		return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
	};
	const light = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, f, i) => {
		const x = c[i] / 255;
		return sum + f * (x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
	}, 0);
	const found = [];
	let seen = 0;
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let n = walker.nextNode(); n; n = walker.nextNode()) {
		const e = n.parentElement;
		if (n.data.trim() === "" || e.closest("script, style, noscript, option") || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
		const style = getComputedStyle(e), svg = e.closest("svg");
		if (svg && style.stroke !== "none") continue; // an outlined text
		const below = behind(svg ? svg.parentElement : e), ink = over(parse(svg ? style.fill : style.color), below);
		const [a, b] = [light(ink), light(below)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
		seen++;
		if (ratio < 4.5) found.push(n.data.trim().slice(0, 40) + ": " + ratio.toFixed(2) + ", " + ink + " on " + below);
	}
	if (seen < 10) found.push("only " + seen + " texts were seen");
	return found.join("\n");
})()`

// Readable fails the test for texts that are too pale for what is behind them.
func (p *Page) Readable(what string) {
	p.tb.Helper()
	if found := p.Text(pale); found != "" {
		p.tb.Errorf("%s: too pale (less than 4.5):\n%s", what, indent(found))
	}
}

func indent(s string) string { return "  " + strings.ReplaceAll(s, "\n", "\n  ") }
