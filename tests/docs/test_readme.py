"""The README's own promises: two commands that do all set-up, a picture, short, and no measured number written by hand."""

from __future__ import annotations

import re

from doc_pages import PAGES, ROOT, blocks, name

from steelyard.dataset.rows import OPTIONAL, REQUIRED

README = ROOT / "README.md"
GENERATED = re.compile(r"<!-- numbers: .*?<!-- end -->", re.DOTALL)
MEASURED = re.compile(r"\d[\d.,]*\s?(?:%|ms\b|seconds\b|minutes\b|points\b|USD\b)")
DEFINITIONS = {"95 %", "5 %"}
"""The width of an interval and what counts as equally cheap: fixed in the code, measured by nothing."""


def text() -> str:
    return README.read_text(encoding="utf-8")


def test_readme_starts_with_the_two_commands_that_do_all_set_up() -> None:
    first = next(block for block in blocks(README) if block.language == "bash")

    assert first.content.split("\n")[:2] == ["make demo", "make test"]


def test_readme_shows_a_picture_that_loads_fast() -> None:
    found = re.search(r"!\[[^\]]+\]\(([^)]+)\)", text())

    assert found is not None
    assert (ROOT / found[1]).stat().st_size <= 200_000


def test_readme_is_short_and_says_what_it_is_at_once() -> None:
    lines = text().splitlines()

    assert len(lines) < 220
    assert "fine-tuning" in " ".join(lines[2:5])
    assert "retrieval" in " ".join(lines[2:5])


def test_measured_numbers_of_the_readme_come_from_runs() -> None:
    written = {re.sub(r"\s", " ", found) for found in MEASURED.findall(GENERATED.sub("", text()))}

    assert written <= DEFINITIONS


def test_every_make_target_that_the_docs_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        (name(page), target)
        for page in PAGES
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert {target for _, target in named} <= targets, named


def test_columns_of_the_data_files_stand_in_their_how_to() -> None:
    page = (ROOT / "docs" / "how-to" / "your-own-files.md").read_text(encoding="utf-8")
    for kind, columns in REQUIRED.items():
        row = next(line for line in page.splitlines() if line.startswith((f"| `{kind}`", "| whole")[kind == "system"]))
        named = set(re.findall(r"`(\w+)`", row)) - {kind}
        assert named == {*columns, *OPTIONAL[kind]}, kind
