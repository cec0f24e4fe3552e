"""Every command and every code block of the docs works as it stands there.

Words behind a fence: `data` needs the open data sets, `long` takes more than ten minutes and runs when STEELYARD_LONG_DOCS is set.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib

import pytest
import yaml
from doc_pages import PAGES, blocks, is_slow, name, needs_demo, run_bash

from shared_data import shared_data
from steelyard.config import parse_settings

RUNNABLE = [page for page in PAGES if any(block.language in ("bash", "python") for block in blocks(page))]
KNOWN = {"bash", "python", "toml", "yaml", "json", "jsonl", "csv", "text", ""}


def marked(page):
    return pytest.param(page, id=name(page), marks=[pytest.mark.slow] if is_slow(page) else [])


@pytest.mark.parametrize("page", [marked(page) for page in RUNNABLE])
def test_code_of_a_page_runs_from_top_to_bottom(page, fresh, after_demo) -> None:
    folder = after_demo() if needs_demo(page) else fresh
    for block in blocks(page):
        if "long" in block.words and not os.environ.get("STEELYARD_LONG_DOCS"):
            continue
        if "data" in block.words:
            shared_data("banking77")
        if block.language == "bash":
            done = run_bash(block.content, folder)
        elif block.language == "python":
            done = subprocess.run(
                [sys.executable, "-c", block.content], cwd=folder, capture_output=True, text=True, check=False
            )
        else:
            continue
        assert done.returncode == 0, f"{name(page)} line {block.line}:\n{block.content}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_blocks_that_are_data_can_be_read(page) -> None:
    for block in blocks(page):
        assert block.language in KNOWN, f"{name(page)} line {block.line}: {block.language}"
        if block.language == "toml":
            parse_settings(tomllib.loads(block.content))
        elif block.language == "yaml":
            yaml.safe_load(block.content)
        elif block.language == "json":
            json.loads(block.content)
        elif block.language == "jsonl":
            for line in block.content.splitlines():
                json.loads(line)
