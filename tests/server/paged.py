"""A served workspace in a process of its own, and a browser that visits it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

START_S = 120.0

SERVE = """
import sys, uvicorn
from steelyard.server.app import make_app
uvicorn.run(make_app(sys.argv[1]), fd=int(sys.argv[2]), log_level="warning")
"""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server process over the folder; it is gone afterwards."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)
    listening.set_inheritable(True)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    command = [sys.executable, "-c", SERVE, str(folder), str(listening.fileno())]
    process = subprocess.Popen(command, pass_fds=[listening.fileno()], stdout=subprocess.DEVNULL)
    listening.close()
    try:
        _wait(address, process)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


@contextmanager
def chromium() -> Iterator[object]:
    """A headless browser; skips where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get("STEELYARD_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium found (set STEELYARD_CHROMIUM to one)")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


CHECKS = """
() => {
  const found = [];
  const seen = (e) => { const s = getComputedStyle(e); const r = e.getBoundingClientRect();
    return s.visibility !== 'hidden' && s.display !== 'none' && r.width > 0 && r.height > 0; };
  const name = (e) => (e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') || '').split(' ').map((i) =>
    document.getElementById(i)?.textContent || '').join(' ').trim() || [...(e.labels || [])].map((l) => l.textContent).join(' ').trim()
    || e.textContent || e.title || '').trim();
  for (const e of document.querySelectorAll('input:not([type=hidden]), select, textarea'))
    if (!e.hidden && !(e.labels && e.labels.length) && !e.getAttribute('aria-label')) found.push('no label: ' + e.outerHTML.slice(0, 90));
  for (const e of document.querySelectorAll('a, button'))
    if (seen(e) && !name(e)) found.push('no name: ' + e.outerHTML.slice(0, 90));
  for (const e of document.querySelectorAll('img'))
    if (!e.hasAttribute('alt')) found.push('no alt: ' + e.outerHTML.slice(0, 90));
  for (const e of document.querySelectorAll('svg'))
    if (e.getAttribute('aria-hidden') !== 'true' && !name(e)) found.push('a picture without words');
  for (const e of document.querySelectorAll('[role=img]')) if (!name(e)) found.push('a chart without words');
  for (const e of document.querySelectorAll('table')) {
    if (!e.caption || !e.caption.textContent.trim()) found.push('a table without a caption');
    if (!e.querySelector('th[scope]')) found.push('a table without headers');
  }
  let last = 0;
  for (const e of document.querySelectorAll('h1, h2, h3, h4')) {
    const level = Number(e.tagName[1]);
    if (level > last + 1) found.push(`h${level} after h${last}: ${e.textContent.slice(0, 40)}`);
    last = level;
  }
  if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
  for (const one of ['header', 'main', 'footer']) if (document.querySelectorAll(one).length !== 1) found.push('not one ' + one);
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  if (new Set(ids).size !== ids.length) found.push('an id twice: ' + ids.filter((i, at) => ids.indexOf(i) !== at));
  for (const e of document.querySelectorAll('[aria-labelledby], [aria-describedby]'))
    for (const at of ['aria-labelledby', 'aria-describedby'])
      for (const id of (e.getAttribute(at) || '').split(' ').filter(Boolean))
        if (!document.getElementById(id)) found.push(`${at} names nothing: ${id}`);
  if (!document.documentElement.lang) found.push('no language');
  return found;
}
"""
"""What a page must have for who does not see it, or does not use a mouse; gives a list of what is missing."""

CONTRASTS = """
() => {
  const parse = (text) => { const canvas = parse.canvas ||= document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
  const light = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const behind = (e) => { const layers = []; for (let at = e; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c[3] > 0) layers.push(c); if (c[3] === 1) break; }
    let base = [255, 255, 255]; for (const c of layers.reverse()) base = base.map((v, i) => v * (1 - c[3]) + c[i] * c[3]); return base; };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e || e.closest('.hidden, [hidden], .skip, option')) continue;
    const box = e.getBoundingClientRect(), style = getComputedStyle(e);
    if (!box.width || style.visibility === 'hidden') continue;
    const svg = e.closest('svg');
    const ink = parse(svg ? style.fill : style.color), paper = behind(svg ? svg.parentElement : e);
    const mixed = ink.slice(0, 3).map((v, i) => v * ink[3] + paper[i] * (1 - ink[3]));
    const [a, b] = [light(mixed), light(paper)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5))
      found.push(`${ratio.toFixed(2)}: ${walk.currentNode.data.trim().slice(0, 40)} (${e.className?.baseVal ?? e.className})`);
  }
  return [...new Set(found)];
}
"""
"""Texts whose contrast with what lies behind them is under 4.5 (3 where they are large)."""
