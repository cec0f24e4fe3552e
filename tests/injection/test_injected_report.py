"""The report of a workspace full of injected documents, opened in a browser: nothing runs, nothing is loaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from attacks import EVIL, HOSTILE_NAMES, attacks

from steelyard.workspace import Workspace
from workspace.tiny import lay_out, slimmed

pytestmark = pytest.mark.slow

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = slimmed(lay_out(tmp_path_factory.mktemp("injected") / "tool-library"))
    for attack in attacks():
        (folder / "docs" / attack.file).write_bytes(attack.content)
    for name in HOSTILE_NAMES:
        (folder / "docs" / name).write_text("# Odd name\n\nA page.\n")
    # A document that cannot be read is named in what people see.
    (folder / "docs" / "<img src=x onerror=alert(2)>.txt").write_bytes(b"\0")
    Workspace(folder).weigh()
    return folder / "report.html"


def test_no_attack_stands_in_the_report_as_markup(report: Path) -> None:
    page = report.read_text(encoding="utf-8")
    for mark in ("onerror=alert", "<script>alert", "<svg/onload", f"src='{EVIL}", "javascript:fetch", "PWNED"):
        assert mark not in page
    for written in ("decision.md", "decision.json"):
        assert "PWNED" not in (report.parent / written).read_text(encoding="utf-8")


def test_a_browser_runs_and_loads_nothing_of_them(report: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = os.environ.get("STEELYARD_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium found (set STEELYARD_CHROMIUM to one)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page()
        said: list[str] = []
        asked: list[str] = []
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(report.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert said == []
        assert asked == [report.as_uri()]
        browser.close()
