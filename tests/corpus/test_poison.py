"""Files made to hurt: each is read or refused with its reason, within bounds, and the rest of the corpus completes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from poison import BOUNDED, POISON, READ, Poison

from steelyard.corpus.ingest import IngestSettings
from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing import format_of
from steelyard.corpus.parsing.limits import Limits, ParseError
from steelyard.corpus.parsing.pool import ParseWorker
from steelyard.corpus.passages import SplitSettings, spans
from steelyard.corpus.scanning import scan
from steelyard.schema.corpus import DocumentVersion
from steelyard.schema.scope import Access

LIMITS = Limits(seconds=10.0)
SLACK_S = 30.0
"""Starting a process and ending it, on a busy machine."""
PEAK_BYTES = LIMITS.memory_bytes


@pytest.fixture(scope="module")
def worker():
    made = ParseWorker()
    yield made
    made.close()


def peak(process: subprocess.Popen[bytes] | None) -> int:
    """The most memory in bytes that a running process held; 0 where it has ended or the system does not say."""
    if process is None or process.poll() is not None:
        return 0
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


@pytest.mark.parametrize("poison", POISON, ids=lambda poison: poison.file)
def test_a_poison_file_is_bounded_and_its_outcome_named(worker: ParseWorker, poison: Poison) -> None:
    content = poison.make()
    # Some would work on for as long as they may.
    limits = replace(LIMITS, seconds=2.0) if poison.reason.startswith(BOUNDED) else LIMITS
    begun = time.monotonic()
    outcome: Parsed | ParseError
    try:
        outcome = worker.parse(str(format_of(poison.file)), content, limits)
    except ParseError as error:
        outcome = error
    assert time.monotonic() - begun < limits.seconds + SLACK_S
    assert peak(worker._process) < PEAK_BYTES
    if poison.reason == READ:
        assert isinstance(outcome, Parsed), outcome
        # What the parent does with it, outside of any worker, has to be quick as well.
        begun = time.monotonic()
        cut = spans(version(outcome), SplitSettings())
        assert time.monotonic() - begun < SLACK_S
        assert len(cut) <= len(outcome.text)
    else:
        assert isinstance(outcome, ParseError), outcome
        assert re.search(poison.reason, outcome.message), outcome.message
    assert worker.parse("txt", b"the next file", LIMITS).text == "the next file"


def version(parsed: Parsed) -> DocumentVersion:
    return DocumentVersion(
        document="docs/x",
        version="0" * 64,
        source="docs",
        media_type="text/plain",
        title=parsed.title,
        text=parsed.text,
        access=Access(),
        valid_from=datetime.now(UTC),
        headings=parsed.headings,
        page_starts=parsed.page_starts,
        blocks=parsed.blocks,
    )


def test_words_of_harmless_oddities_are_kept(worker: ParseWorker) -> None:
    made = {poison.file: poison.make for poison in POISON}

    def text(name: str) -> str:
        return worker.parse(str(format_of(name)), made[name](), LIMITS).text

    assert text("utf16.txt").startswith("Opening hours are nine to five.")
    assert text("utf16-big.txt").startswith("Opening hours are nine to five.")
    assert text("controls.txt") == "[31mred[0m  word ›31m"
    assert "Straße" in text("mixed.txt")
    assert "Words before it." in text("form-recursion.pdf")
    assert text("nested-archive.docx") == "The outer words."


@pytest.mark.slow
def test_a_corpus_with_all_of_them_completes_and_names_each(bench) -> None:
    bench.settings = IngestSettings(workers=2, limits=Limits(seconds=4.0))
    for poison in POISON:
        bench.write(f"poison/{poison.file}", poison.make())
    for number in range(50):
        bench.write(f"good/{number}.md", f"# Page {number}\n\nThe good page {number}.")
    report = bench.ingest()
    failed = dict(report.failed)
    refused = {f"docs/poison/{poison.file}" for poison in POISON if poison.reason != READ}
    assert refused <= set(failed)
    assert all(reason.strip() for reason in failed.values())
    assert report.added == len(POISON) + 50 - len(failed)
    held = {one.document for one in bench.library.versions(report.generation)}
    assert {f"docs/good/{number}.md" for number in range(50)} <= held
    assert held.isdisjoint(failed)


def test_200_mb_in_one_line_is_not_even_read_and_costs_little_when_it_is(bench, worker: ParseWorker) -> None:
    bench.write("good.md", "A good page.")
    bench.write("line.txt", b"word " * (40 * 2**20))
    report = bench.ingest()
    assert (report.added, dict(report.failed)["docs/line.txt"]) == (
        1,
        "the file is too large (200 MiB; the limit is 50 MiB)",
    )
    bench.settings = IngestSettings(workers=1, limits=Limits(file_bytes=300 * 2**20))
    report = bench.ingest()
    assert "the text is too long" in dict(report.failed)["docs/line.txt"]
    assert report.generation == 1


def test_links_pipes_and_devices_are_passed_over_without_waiting(bench) -> None:
    bench.write("good.md", "A good page.")
    (bench.docs / "self.md").symlink_to("self.md")
    (bench.docs / "ping.md").symlink_to("pong.md")
    (bench.docs / "pong.md").symlink_to("ping.md")
    (bench.docs / "tree").symlink_to(bench.docs)
    (bench.docs / "up").symlink_to("/")
    (bench.docs / "passwd.txt").symlink_to("/etc/passwd")
    (bench.docs / "zero.txt").symlink_to("/dev/zero")
    os.mkfifo(bench.docs / "pipe.md")
    if os.geteuid() == 0:
        with contextlib.suppress(OSError):
            os.mknod(bench.docs / "device.txt", 0o20666, os.makedev(1, 5))
    report = bench.ingest()
    assert (report.added, report.failed) == (1, ())


def test_names_with_line_breaks_and_undecodable_bytes_are_documents_or_named(bench) -> None:
    bench.write("a\nb.md", "A name in two lines.")
    bench.write("c\x1b[31m.md", "A name that colours terminals.")
    bench.write("-rf *.md", "A name like an option.")
    bench.write("'; DROP TABLE member; --.md", "A name like a statement.")
    with open(os.fsencode(bench.docs) + b"/bad\xff\xfe.md", "w") as file:
        file.write("Bytes that are no UTF-8.")
    os.mkdir(os.fsencode(bench.docs) + b"/bad\xff")
    with open(os.fsencode(bench.docs) + b"/bad\xff/x.md", "w") as file:
        file.write("In a folder of such a name.")
    report = bench.ingest()
    assert report.added == 4
    assert [reason for _, reason in report.failed] == ["the file name is not valid UTF-8"] * 2
    documents = [one.document for one in bench.library.versions(1)]
    assert "docs/a\nb.md" in documents
    assert bench.library.history("docs/'; DROP TABLE member; --.md")
    bench.check()


UNREADABLE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from corpus_bench import Bench
bench = Bench(Path(sys.argv[2]))
bench.write("good.md", "Good.")
bench.write("was-readable.md", "The last good version.")
bench.write("folder/in.md", "In a folder.")
bench.ingest()
(bench.docs / "was-readable.md").chmod(0)
(bench.docs / "folder").chmod(0)
bench.write("never.md", "x").chmod(0)
report = bench.ingest()
print(sorted(report.failed))
print(sorted(v.document for v in bench.library.versions(bench.library.in_force())))
"""


def test_what_may_not_be_read_is_named_and_its_last_version_answers(tmp_path: Path) -> None:
    command = [sys.executable, "-c", UNREADABLE, str(Path(__file__).parent), str(tmp_path)]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("the administrator may read everything, and setpriv is not there to take that away")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    for unreadable in (tmp_path / "docs" / "folder", tmp_path / "docs" / "never.md"):
        unreadable.chmod(0o700)
    assert done.returncode == 0, done.stderr
    failed, held = done.stdout.splitlines()
    assert failed == str(
        [
            ("docs/folder/", "the folder cannot be read (Permission denied)"),
            ("docs/never.md", "the file cannot be read (Permission denied)"),
            ("docs/was-readable.md", "the file cannot be read (Permission denied)"),
        ]
    )
    assert held == str(["docs/folder/in.md", "docs/good.md", "docs/was-readable.md"])


def test_a_file_that_is_swapped_for_a_pipe_after_the_scan_is_named(bench) -> None:
    path = bench.write("a.md", "Text.")
    listing = scan(bench.rules, bench.root)
    path.unlink()
    os.mkfifo(path)
    [(_, content)] = listing.contents(listing.files)
    assert isinstance(content, OSError)
