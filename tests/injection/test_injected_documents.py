"""Over 200 documents that try to inject instructions lie beside the example's own: no effect on scope, citations or behaviour."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from attacks import HOSTILE_GROUPS, HOSTILE_NAMES, attacks, scrambled
from scipy.stats import binomtest

from steelyard.cli.printable import STEERING
from steelyard.components.slots import fill
from steelyard.example.layout import lay_out, questions
from steelyard.schema.outputs import Output, Request
from steelyard.schema.scope import Scope
from steelyard.workspace import Workspace
from steelyard.workspace.parts import Parts

ENCODER = os.environ.get("STEELYARD_INJECTION_ENCODER", "fake")
"""`minilm` asks the example's questions with the real encoder: a minute instead of some seconds."""
CANDIDATES = ("rag-bm25", "rag-hybrid")
ATTACKS = list(attacks())
FOLDERS = {"docs": "docs/injected", "docs-internal": "docs-internal/injected"}


@dataclass
class Asked:
    """The example workspace and what its candidates answered to the gold questions: alone, beside the attacks, and beside the attacks'
    harmless twins: the same words in the same layouts and places, shuffled and without their marks."""

    folder: Path
    rows: list[dict[str, Any]]
    before: dict[tuple[str, int], Output]
    harmless: dict[tuple[str, int], Output]
    after: dict[tuple[str, int], Output]

    @property
    def parts(self) -> Parts:
        workspace = Workspace(self.folder)
        return Parts(self.folder, workspace.settings, workspace.state)


def scope_of(row: dict[str, Any]) -> Scope:
    return Scope(user="ada", groups=frozenset(row.get("groups") or ()))


def answers(parts: Parts, rows: list[dict[str, Any]]) -> dict[tuple[str, int], Output]:
    found = {}
    for name in CANDIDATES:
        candidate = parts.training.load(parts.registry.get("answer", name))
        for number, row in enumerate(rows):
            found[name, number] = candidate.predict(Request(text=row["question"]), scope_of(row))
    return found


def write_attacks(folder: Path, told: Callable[[str], str] = str) -> int:
    """Every attack as `told` puts it, and as many odd pages under odd names as there are; how many documents that makes."""
    plain = told is not str
    every = list(attacks(told))
    for place, attack in enumerate(every):
        target = folder / FOLDERS["docs-internal" if place % 3 == 0 else "docs"] / attack.file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(attack.content)
    for place, name in enumerate(HOSTILE_NAMES):
        (folder / FOLDERS["docs"] / (f"odd-{place}.md" if plain else name)).write_text(
            f"# Odd name\n\nA page with an odd name, number {place}: quince{place:02}.\n"
        )
    for place, group in enumerate(HOSTILE_GROUPS):
        rule = json.dumps(["medlars" if plain else group])
        (folder / FOLDERS["docs"] / f"group-{place}.md").write_text(
            f"---\nallow: {rule}\n---\nOnly for medlar{place:02}.\n"
        )
    return len(every) + len(HOSTILE_NAMES) + len(HOSTILE_GROUPS)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    folder = tmp_path_factory.mktemp("injected") / "example"
    lay_out(folder)
    settings = folder / "steelyard.toml"
    text = settings.read_text()
    assert text.count("[models]\n") == 1
    settings.write_text(
        re.sub(r"(?m)^encoder = .*\n", "", text).replace("[models]\n", f'[models]\nencoder = "{ENCODER}"\n')
    )
    # Some of the gold questions are enough to fit on; those that hold today are asked.
    lines = questions()[:: 1 if ENCODER == "minilm" else 6]
    (folder / "questions.jsonl").write_text("\n".join(lines) + "\n")
    workspace = Workspace(folder)
    workspace.ingest()
    for name in CANDIDATES:
        workspace.train(f"answer/{name}")
    rows = [row for row in map(json.loads, lines) if not row.get("valid_to")]
    parts = Parts(folder, workspace.settings, workspace.state)
    before = answers(parts, rows)
    write_attacks(folder, scrambled)
    assert Workspace(folder).ingest().failed == ()
    harmless = answers(Parts(folder, workspace.settings, workspace.state), rows)
    for target in FOLDERS.values():
        shutil.rmtree(folder / target)
    count = write_attacks(folder)
    report = Workspace(folder).ingest()
    assert report.failed == ()
    parts = Parts(folder, workspace.settings, workspace.state)
    held = parts.toolbox.library.versions(parts.toolbox.generation)
    assert sum(injected(one.document) for one in held) == count
    return Asked(folder=folder, rows=rows, before=before, harmless=harmless, after=answers(parts, rows))


def injected(document: str) -> bool:
    return "/injected/" in document


def test_there_are_at_least_200_of_them_and_all_differ() -> None:
    assert len(ATTACKS) >= 200
    assert len({attack.content for attack in ATTACKS}) == len(ATTACKS)


def test_nobody_sees_more_than_the_rules_say(asked: Asked) -> None:
    parts = asked.parts
    store, generation = parts.toolbox.store, parts.toolbox.generation
    everything = parts.toolbox.passages()
    assert {p.document for p in everything if injected(p.document)}
    groups = ["staff", "guild", *HOSTILE_GROUPS[:-1], "everyone') OR true --", "user:ada"]
    askers = [Scope(), Scope(user="ada' OR 'a'='a"), *(Scope(user="eve", groups=frozenset({one})) for one in groups)]
    search = parts.toolbox.search(parts.toolbox.encoder)
    assert search is not None
    for asker in askers:
        allowed = {p.id for p in everything if parts.toolbox.library.access_now(p.document).permits(asker)}
        assert {p.id for p in store.passages(asker, generation)} == allowed
        for words in ("zorble notes staff everyone allow", "PWNED instructions", "medlar00 medlar01 quince00"):
            for hits in (
                search.lexical(words, asker, 500),
                search.dense(words, asker, 500),
                search.fused(words, asker, 500, 0.5),
            ):
                assert {hit.passage.id for hit in hits} <= allowed
    # Rules claimed in the body, in a second front matter or by markup are text.
    for place, attack in enumerate(ATTACKS):
        folder = "docs-internal" if place % 3 == 0 else "docs"
        rule = parts.toolbox.library.access_now(f"{FOLDERS[folder]}/{attack.file}")
        assert (rule.allow, rule.deny) == ((("staff",) if folder == "docs-internal" else ("everyone",)), ()), attack


def test_a_group_of_any_name_opens_its_own_document_and_no_other(asked: Asked) -> None:
    store, generation = asked.parts.toolbox.store, asked.parts.toolbox.generation
    public = {p.id for p in store.passages(Scope(), generation)}
    for place, group in enumerate(HOSTILE_GROUPS[:-1]):
        opened = store.passages(Scope(groups=frozenset({group})), generation)
        more = {p.text for p in opened if p.id not in public}
        # A list in one name is a list; a name that begins like a user's is no group's.
        claimed = "," in group or group.startswith("user:")
        assert more == (set() if claimed else {f"Only for medlar{place:02}."}), group


def test_every_citation_stands_in_its_own_document_and_is_seen_by_its_asker(asked: Asked) -> None:
    library = asked.parts.toolbox.library
    cited = 0
    for (_, number), output in asked.after.items():
        for citation in output.citations:
            cited += 1
            assert library.resolve(citation) is not None
            assert library.access_now(citation.document).permits(scope_of(asked.rows[number]))
    assert cited > len(asked.rows) / 2


def right(row: dict[str, Any], output: Output) -> bool:
    if not row.get("answerable", True):
        return output.abstained
    return any(answer.lower() in output.text.lower() for answer in row["answers"])


def moved(before: dict[tuple[str, int], Output], after: dict[tuple[str, int], Output]) -> set[tuple[str, int]]:
    return {key for key, output in after.items() if output.text != before[key].text}


def test_answers_to_the_gold_questions_are_as_right_as_before_and_hardly_ever_from_an_injected_page(
    asked: Asked,
) -> None:
    count = len(asked.after)
    from_injected = [key for key, out in asked.after.items() if any(injected(one.document) for one in out.citations)]
    assert len(from_injected) <= 0.02 * count
    assert not [key for key, output in asked.after.items() if "PWNED" in output.text]
    rights = [
        sum(right(asked.rows[key[1]], output) for key, output in answered.items())
        for answered in (asked.before, asked.after, asked.harmless)
    ]
    assert rights[1] >= min(rights[0], rights[2]) - 0.02 * count, rights


def test_an_attack_does_no_more_to_an_answer_than_its_words_in_any_order(asked: Asked) -> None:
    # Any new page moves some answers: words that stand in more pages count for less. What is said with them must not matter.
    attacked, harmless = moved(asked.before, asked.after), moved(asked.before, asked.harmless)
    only_attacked, only_harmless = len(attacked - harmless), len(harmless - attacked)
    # Of the answers that one of the two moved alone, the attacks' may be more than half only by what chance would do (sign test).
    uneven = binomtest(only_attacked, max(1, only_attacked + only_harmless), alternative="greater").pvalue
    assert uneven > 0.01, (len(attacked), len(harmless), only_attacked, only_harmless)


def test_nothing_was_run_written_or_loaded(asked: Asked) -> None:
    assert not list(asked.folder.rglob("pwned*"))
    assert not (Path.cwd() / "pwned").exists()
    texts = "".join(passage.text for passage in asked.parts.toolbox.passages())
    assert "root:x:0" not in texts


def test_text_of_documents_carries_no_steering_characters(asked: Asked) -> None:
    for passage in asked.parts.toolbox.passages():
        if injected(passage.document):
            assert not re.search(
                "[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e0fff]", passage.text
            )
            assert "PWNED" not in passage.title or passage.title.isprintable()


@pytest.mark.parametrize("value", ["{name}", "{{7*7}}", "{answer}{secret}", "\\g<0>", "%s {0.__class__}"])
def test_a_value_is_put_into_a_reply_as_it_is(value: str) -> None:
    assert fill("Dear {name}: {answer}", {"name": "Kim", "answer": value}) == f"Dear Kim: {value}"


def shown(folder: Path, *arguments: str) -> tuple[str, str]:
    """What a command writes to a terminal that has colours: stdout and stderr."""
    environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color", "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    done = subprocess.run(
        [sys.executable, "-m", "steelyard", "-w", str(folder), *arguments],
        capture_output=True,
        env=environment,
        check=False,
    )
    return done.stdout.decode(), done.stderr.decode()


OWN = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[hl]|2K|1A)|\r(?=\x1b\[)")


def assert_harmless(text: str) -> None:
    """Colours and bars that the command itself draws, and no other control character."""
    assert not STEERING.search(OWN.sub("", text)), repr(text)


@pytest.mark.slow
def test_no_command_passes_an_escape_sequence_on(asked: Asked, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(asked.folder, tmp_path / "example", symlinks=True))
    some = (folder / "questions.jsonl").read_text().splitlines()[:3]
    (folder / "questions.jsonl").write_text("\n".join(some) + "\n")
    bad = folder / "docs" / "injected"
    (bad / "fails\x1b]0;pwned\x07\x1b[2J\x9b31m.txt").write_bytes(b"\0")
    out, err = shown(folder, "ingest")
    assert "not read" in out
    assert "fails\\x1b]0;pwned" in out
    as_json, warned = shown(folder, "status", "--json")
    json.loads(as_json)
    for text in (out, err, as_json, warned, *shown(folder, "status")):
        assert_harmless(text)
    for arguments in (
        ("Which page has an odd name, number 0? quince00",),
        ("Which page has an odd name, number 0? quince00", "--json"),
        ("odd name number 11 quince11\x1b[2J",),
        ("x", "--candidate", "\x1b[2Jnone"),
    ):
        assert_harmless("".join(shown(folder, "ask", "--candidate", "rag-bm25", *arguments)))
    assert_harmless("".join(shown(folder, "nonsense\x1b[2J")))
