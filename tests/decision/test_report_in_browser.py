from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from weigh_report import hostile_report, open_report, weigh_report

from steelyard.decision.report import render_report

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get("STEELYARD_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium found (set STEELYARD_CHROMIUM to one)")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for name, report in (("decided", weigh_report()), ("open", open_report()), ("hostile", hostile_report())):
        made[name] = folder / f"{name}.html"
        made[name].write_text(render_report(report), encoding="utf-8")
    return made


@pytest.mark.parametrize("width", [320, 390, 768, 901, 1280])
@pytest.mark.parametrize("name", ["decided", "open", "hostile"])
def test_the_page_never_scrolls_sideways_and_says_nothing_to_the_console(browser, pages, name, width) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844})
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages[name].as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert said == []
    assert asked == [pages[name].as_uri()]
    page.close()


def test_the_recommendations_stand_on_the_first_screen(browser, pages) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(pages["decided"].as_uri())
    bottoms = page.evaluate("[...document.querySelectorAll('.card')].map(one => one.getBoundingClientRect().bottom)")
    assert len(bottoms) == 3
    assert max(bottoms) <= 800
    page.close()


def test_everything_that_acts_is_reached_with_the_tab_key(browser, pages) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.goto(pages["decided"].as_uri())
    wanted = page.evaluate("document.querySelectorAll('a, summary').length")
    reached = 0
    for _ in range(wanted + 40):
        page.keyboard.press("Tab")
        reached += page.evaluate("document.activeElement.matches('a, summary') ? 1 : 0")
    assert reached >= wanted
    page.keyboard.press("Enter")
    page.close()
