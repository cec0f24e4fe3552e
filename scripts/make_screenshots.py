"""Pictures the rooms of the page for the docs: `python scripts/make_screenshots.py WORKSPACE`.

WORKSPACE is a weighed example workspace; it is copied, released, asked and changed in the copy, so that every room has something to show.
Needs a Chromium (STEELYARD_CHROMIUM, or `chromium` or `google-chrome` on the path) and playwright, which `make install` brings.
"""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PICTURES = Path(__file__).parents[1] / "docs" / "images"
SIZES = {"desktop": (1280, 860, 1.5), "phone": (390, 844, 2.0)}
MAX_BYTES = 130_000
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
START_S = 180.0

KEYS = shutil.ignore_patterns(".steelyard-private")
"""What nobody copies: the keys of whoever uses that workspace."""

QUESTIONS = (
    (
        "We put the account on pause for the winter and there was still a debit in December. How much should it be while we're paused?",
        "name=Mabel, agent=Ines",
    ),
    ("Moved two appointments in my Outlook this morning. How often do you look there?", "name=Noemi, agent=Callum"),
    ("Can you write me a poem about geese?", ""),
)
"""Messages with what their replies may say of the asker."""

MOVED = "/decision?queries_per_month=400000"
SHOTS = (
    ("decision", "/decision", "light"),
    ("decision-moved", MOVED, "light"),
    ("decision-dark", MOVED, "dark"),
    ("corpus", "/corpus", "light"),
    ("models", "/models", "light"),
    ("quality", "/quality", "light"),
    ("audit", "/audit", "light"),
)
"""Name, address and scheme; *Ask* and a source come besides, because a form must be filled for them."""

SERVER = """
import sys, uvicorn
from steelyard.server.app import make_app
uvicorn.run(make_app(sys.argv[1]), fd=int(sys.argv[2]), log_level="warning")
"""


def main() -> int:
    """Write the pictures; exit code 2 when there is no decision or no browser."""
    program = os.environ.get("STEELYARD_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if len(sys.argv) != 2 or program is None or not (Path(sys.argv[1]) / "decision.json").is_file():
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as made:
        folder = Path(shutil.copytree(sys.argv[1], Path(made) / "larkfield", ignore=KEYS))
        key = furnish(folder)
        with serving(folder) as address:
            picture(address, key, program)
    return 0


def furnish(folder: Path) -> str:
    """Let the copy have lived a little: two releases, a change of the documents; returns a key that opens every room."""
    from steelyard.workspace import Workspace

    settings = folder / "steelyard.toml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(
        text + "\n[releases]\nkeep_questions = true\n\n[serve]\nrequests_per_minute = 0\n", encoding="utf-8"
    )
    workspace = Workspace(folder)
    if not workspace.releases():
        workspace.release(why="as weighed")
        workspace.release(["intent/cascade@1"], force=True, why="try the cascade for a day")
        workspace.rollback(1, why="linear is enough")
    page = next(one for one in sorted((folder / "docs").rglob("*.md")) if one.is_file())
    page.write_text(
        page.read_text(encoding="utf-8") + "\n\nOn public holidays the desk answers within a day.\n", encoding="utf-8"
    )
    workspace.ingest()
    return workspace.keys().create("Mira Lang", user="mira", groups=("staff",), roles=("ask", "operate"))[1]


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a server over the folder."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.set_inheritable(True)
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    command = [sys.executable, "-c", SERVER, str(folder), str(listening.fileno())]
    process = subprocess.Popen(command, pass_fds=[listening.fileno()])
    listening.close()
    until = time.monotonic() + START_S
    try:
        while time.monotonic() < until and process.poll() is None:
            try:
                with urllib.request.urlopen(f"{address}/readyz", timeout=5):
                    break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def picture(address: str, key: str, program: str) -> None:
    """Sign in, ask, and write every picture at both widths."""
    from playwright.sync_api import sync_playwright

    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=list(FLAGS))
        for size, (width, height, density) in SIZES.items():
            for scheme in ("light", "dark"):
                page = browser.new_context(
                    viewport={"width": width, "height": height}, device_scale_factor=density, color_scheme=scheme
                ).new_page()
                page.set_default_timeout(120_000)
                page.goto(f"{address}/sign-in")
                page.fill("#key", key)
                page.click("button.main")
                page.wait_for_url("**/decision")
                if scheme == "light":
                    ask(page, address, size)
                for name, path, wanted in SHOTS:
                    if wanted == scheme:
                        page.goto(address + path, wait_until="networkidle")
                        write(page, f"page-{name}-{size}")
                page.context.close()
        browser.close()


def ask(page: Any, address: str, size: str) -> None:
    """A few questions, the first of them last, so that its answer and its source are pictured."""
    for question, slots in reversed(QUESTIONS):
        page.goto(f"{address}/ask")
        page.fill("#text", question)
        page.fill("#slots", slots)
        page.click("button.main")
        page.wait_for_selector(".answer")
    page.evaluate("document.querySelector('.answer').scrollIntoView()")
    page.evaluate("scrollBy(0, -90)")
    write(page, f"page-ask-{size}")
    source = page.locator(".cites a").first.get_attribute("href")
    if source is not None:
        page.goto(address + source)
        page.wait_for_timeout(500)
        write(page, f"page-source-{size}")


def write(page: Any, name: str) -> None:
    """What the window shows as WebP, as good as fits the size."""
    session = page.context.new_cdp_session(page)
    for quality in (88, 75, 60, 45):
        shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
        data = base64.b64decode(shot["data"])
        if len(data) <= MAX_BYTES:
            break
    (PICTURES / f"{name}.webp").write_bytes(data)
    print(f"written: {name}.webp, {len(data):,} bytes")


if __name__ == "__main__":
    sys.exit(main())
