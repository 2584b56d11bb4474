"""Pages as a browser shows them: in a window and on a phone, in light and in dark, and what a keyboard reaches."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, which is not installed")

# A test's own script looks at the page in frames of two widths: it measures what a person would notice.
_LOOK = """
<script>
function rgb(colour, pen) {
  pen.clearRect(0, 0, 1, 1); pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
  return Array.from(pen.getImageData(0, 0, 1, 1).data);
}
function luminance(c) {
  const l = c.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * l[0] + .7152 * l[1] + .0722 * l[2];
}
function ground(element, view, pen) {
  if (element.matches('.number')) return rgb(view.getComputedStyle(element.previousElementSibling).fill, pen);
  for (let e = element; e; e = e.parentElement) {
    const c = rgb(view.getComputedStyle(e).backgroundColor, pen);
    if (c[3] > 250) return c;
  }
}
function look(frame) {
  const view = frame.contentWindow, page = view.document, pen = document.createElement('canvas').getContext('2d');
  page.querySelectorAll('details').forEach(d => d.open = true);
  const width = page.documentElement.clientWidth, outside = [], faint = [];
  for (const e of page.body.querySelectorAll('*')) {
    const box = e.getBoundingClientRect(), style = view.getComputedStyle(e);
    if (box.right > width + 1 && !e.closest('.wide')) outside.push(e.outerHTML.slice(0, 80));
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || e.closest('title')) continue;
    const ink = luminance(rgb(e.closest('svg') ? style.fill : style.color, pen));
    const under = luminance(ground(e, view, pen));
    const ratio = (Math.max(ink, under) + .05) / (Math.min(ink, under) + .05);
    if (ratio < 4.5) faint.push(ratio.toFixed(2) + ' ' + e.outerHTML.slice(0, 80));
  }
  return {
    width, outside, faint, scroll: page.documentElement.scrollWidth,
    dark: view.matchMedia('(prefers-color-scheme: dark)').matches,
    resources: view.performance.getEntriesByType('resource').length,
    broken: [...page.querySelectorAll('.axis span')].filter(e => {
      const card = e.closest('.card').getBoundingClientRect(), box = e.getBoundingClientRect();
      return box.height > 20 || box.left < card.left || box.right > card.right || box.bottom > card.bottom;
    }).map(e => e.outerHTML),
    axes: page.querySelectorAll('.axis').length,
    squares: [...page.querySelectorAll('.squared')].filter(e => e.getClientRects().length).length,
    pairs: [...page.querySelectorAll('.pairs')].filter(e => e.getClientRects().length).length,
    sideways: [...page.querySelectorAll('.wide:not([tabindex="0"])')].map(e => e.outerHTML.slice(0, 80)),
    unreached: [...page.querySelectorAll('summary, .wide')].filter(e => {
      if (!e.getClientRects().length) return false;
      e.focus();
      return page.activeElement !== e || view.getComputedStyle(e).outlineStyle === 'none';
    }).map(e => e.outerHTML.slice(0, 80)),
    headings: [...page.querySelectorAll('h2')].map(h => h.textContent),
    drawings: [...page.querySelectorAll('svg')].map(s => [s.getAttribute('role'), s.getAttribute('aria-label').length]),
    smallest: Math.min(...[...page.querySelectorAll('svg text:not(.number)')].map(
      t => parseFloat(view.getComputedStyle(t).fontSize) * t.getScreenCTM().a)),
  };
}
addEventListener('load', () => {
  const found = [...document.querySelectorAll('iframe')].map(look);
  document.body.innerHTML = '<pre>' + JSON.stringify(found).replaceAll('<', '&lt;') + '</pre>';
});
</script>
"""


def browser(tmp_path: Path, scheme: str, *words: str) -> str:
    """What chromium prints; offline, with a new profile."""
    assert CHROMIUM is not None
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --hide-scrollbars --host-resolver-rules=MAP * ~NOTFOUND"
    )
    command = [
        CHROMIUM,
        *re.split(r" (?=--)", flags),
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        *words,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def looked_at(page: Path, tmp_path: Path, scheme: str) -> list[dict[str, Any]]:
    """The page measured in a window of 1,200 pixels and on a phone of 360."""
    inside = escape(page.read_text(encoding="utf-8"))
    frames = "".join(
        f'<iframe srcdoc="{inside}" style="width:{width}px;height:900px;border:0"></iframe>'
        for width in (1200, 360)
    )
    around = tmp_path / "around.html"
    around.write_text(
        f'<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark"><body>{_LOOK}{frames}',
        encoding="utf-8",
    )
    dom = browser(tmp_path, scheme, "--window-size=1300,900", "--dump-dom", around.as_uri())
    found = re.search(r"<pre>(.*)</pre>", dom, re.DOTALL)
    assert found, dom[:2000]
    return list(json.loads(unescape(found[1])))
