"""Pictures the first screen of a report for the README: `python scripts/make_screenshot.py WORKSPACE`.

Needs a Chromium (STEELYARD_CHROMIUM, or `chromium` or `google-chrome` on the path) and playwright, which `make install` brings.
"""

from __future__ import annotations

import base64
import os
import shutil
import sys
from pathlib import Path

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "report.webp"
WIDTH, HEIGHT = 1280, 860
MAX_BYTES = 200_000
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")


def main() -> int:
    """Write the picture; exit code 2 when there is no report or no browser."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    report = Path(sys.argv[1]) / "report.html"
    program = os.environ.get("STEELYARD_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not report.is_file() or program is None:
        print("no report.html there, or no Chromium here (set STEELYARD_CHROMIUM)", file=sys.stderr)
        return 2
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    for quality in (90, 80, 70, 50):
        picture = screenshot(report, program, quality)
        if len(picture) <= MAX_BYTES:
            break
    PICTURE.write_bytes(picture)
    print(f"written: {PICTURE.name}, {len(picture):,} bytes")
    return 0


def screenshot(report: Path, program: str, quality: int) -> bytes:
    """The first screen as WebP, at one and a half times the density so that text stays sharp when scaled."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=list(FLAGS))
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.5, color_scheme="light"
        )
        page.goto(report.resolve().as_uri())
        session = page.context.new_cdp_session(page)
        shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": quality})
        browser.close()
    return base64.b64decode(shot["data"])


if __name__ == "__main__":
    sys.exit(main())
