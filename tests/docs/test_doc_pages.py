"""What the docs say of themselves: generated parts are current, links lead somewhere, nothing of one machine stands in them."""

from __future__ import annotations

import re
import sys

import pytest
from doc_pages import PAGES, ROOT, name

sys.path.insert(0, str(ROOT / "scripts"))

import docs_commands
import make_docs

LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
MACHINE = re.compile(
    r"/(work|home|root|tmp|Users)/|\b(pypi|files\.pythonhosted)\.org|\blocalhost:\d|npmjs|artifactory", re.IGNORECASE
)


def anchors(page) -> set[str]:
    """The anchors of a page's headings, as the usual renderers make them."""
    found = set()
    for heading in HEADING.findall(
        CODE.sub(lambda code: code[0].strip("`") if "\n" not in code[0] else "", page.read_text())
    ):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-"))
    return found


def test_generated_pages_and_figures_are_up_to_date() -> None:
    assert list(make_docs.stale()) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_inside_the_docs_lead_somewhere(page) -> None:
    for found in LINK.finditer(CODE.sub("", page.read_text(encoding="utf-8"))):
        target = found["target"] or found["image"]
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        wanted = (page.parent / path).resolve() if path else page
        assert wanted.exists(), f"{name(page)}: {target}"
        if anchor:
            assert anchor in anchors(wanted), f"{name(page)}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_nothing_of_one_machine_stands_in_a_page(page) -> None:
    assert MACHINE.findall(page.read_text(encoding="utf-8")) == []


def test_every_page_is_reachable_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {
        (index.parent / (found["target"] or "").partition("#")[0]).resolve()
        for found in LINK.finditer(index.read_text(encoding="utf-8"))
        if found["target"]
    }
    missing = [name(page) for page in PAGES if page.parent != ROOT and page != index and page.resolve() not in linked]
    assert missing == []


def test_every_command_and_option_stands_in_the_reference() -> None:
    from typer.main import get_command

    from steelyard.cli.app import app

    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    root = get_command(app)
    for command, parts in docs_commands.commands(root):
        section = page.partition(f"\n## `{command}`\n")[2].partition("\n## ")[0]
        assert section, command
        for option in parts.params:
            for word in (*option.opts, *option.secondary_opts) if option.param_type_name == "option" else ():
                assert f"`{word}`" in section, f"{command} {word}"


def test_figures_hold_no_paths_of_one_machine() -> None:
    for path in sorted((ROOT / "docs" / "figures").glob("*.json")):
        assert MACHINE.findall(path.read_text(encoding="utf-8")) == [], path.name
