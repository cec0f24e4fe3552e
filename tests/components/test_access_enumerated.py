"""No access check escapes: what decides over principals, rules, erasures or roles is broken by the mutation test, or named here."""

from __future__ import annotations

import re
from pathlib import Path

from access_words import WORDS, deciding
from test_access_mutants import CHECKED

import steelyard

BROKEN = {f"{module}:{name}" for module, names in CHECKED.items() for name in names}

ROOMS = {
    "cli": "prints what the workspace decided",
    "evaluation": "benchmarks, and the peers that they are held against",
    "models": "calls of models: the role there is that of a message",
    "stores.conformance": "checks of the access of stores",
    "stores.conformance_parts": "checks of the access of stores",
}
"""Rooms in which nothing is decided for an asker."""

SHOWN = "says in words what was decided elsewhere"
ROLE_OF_WORD = "another meaning of the word: the role of a message, a column, a split"
PHYSICAL = "removes bytes of what is closed already; tests/corpus/test_erasing.py searches the files"
ELSEWHERE = {
    "config.reading:_check_serve": "refuses settings that name a scope or a role that there is not",
    "corpus.control:Control.would_change": "the dry run of put_rules",
    "corpus.doctor_index:_checked": "compares the rows with the control plane; tests/workspace/test_doctor.py",
    "corpus.erasing:_doomed": PHYSICAL,
    "corpus.sidecar:_names": "refuses names of nobody in a rules file; tests/corpus/test_sidecar.py",
    "corpus.sources:SourceRule.access": "hands on two lists as they are",
    "corpus.staging:_content": "reads back two columns that may be empty",
    "registry.keys:_altered": "finds keys that were edited behind the history; tests/registry/test_keys.py",
    "schema.control:RuleStep.to_json": SHOWN,
    "server.bodies_chat:ChatBody.question": ROLE_OF_WORD,
    "server.documented:errors": "says in OpenAPI which routes need a key",
    "server.door:Door.__call__": "the ASGI scope: whether this is HTTP",
    "server.pages.ask_room:scope_said": SHOWN,
    "server.pages.corpus_room:context": SHOWN,
    "server.pages.rendering:Pages.show": "which rooms the page offers; the door decides who enters",
    "server.pages.rendering:Pages._is_stranger": "the ASGI scope: whether to show the sign-in",
    "server.pages.rendering:_here": "the ASGI scope: the address",
    "server.routes_chat:_add_chat": "hands the asker that a body names to asked_scope; tests/server/test_access_over_http.py",
    "server.routes_pages:_add_entrance": "which room comes first; the door decides who enters",
    "server.sessions:Sessions.cookie": "how long a browser keeps the cookie; read decides how long it counts",
    "stores.lance:LanceStore.purge": PHYSICAL,
    "stores.lance:LanceStore._followed": "whether what was read before may be extended; tests/stores/test_lance.py",
    "stores.rows:Rows.needed": PHYSICAL,
    "stores.rows:Rows.unlike": "which changes the table still lacks; an open store follows the control plane before it ranks",
    "stores.texts:Texts.passage": "takes a passage from memory only when its rule is still the same one",
    "workspace.answer_replay:_because": SHOWN,
    "workspace.checking:_source_findings": "warns of a source that nobody may see",
    "workspace.curves:Curves.target": ROLE_OF_WORD,
    "workspace.erasing:_runs_that_quote": PHYSICAL,
    "workspace.erasing:_models_that_quote": PHYSICAL,
    "workspace.granting:Granting.explain": SHOWN,
    "workspace.granting:Granting.reset": "refuses to take back a word of a name that nobody has",
    "workspace.granting:_because": SHOWN,
    "workspace.restoring:restore_backup": "takes over the erasures of a newer list; tests/workspace/test_backup.py",
    "workspace.restoring:_warning": SHOWN,
    "workspace.toolbox:Toolbox.any_passage": "a passage for measuring how fast an edit is indexed; nobody is shown it",
    "workspace.weighing:listed_candidate": ROLE_OF_WORD,
}
"""Functions over the same words that decide nothing for an asker, or are proven by tests of their own."""


def room_of(place: str) -> str | None:
    module = place.partition(":")[0]
    return next((room for room in ROOMS if module == room or module.startswith(room + ".")), None)


def test_every_function_that_decides_over_access_is_broken_by_the_mutation_test_or_has_a_reason_not_to_be() -> None:
    found = {place: words for place, words in deciding() if room_of(place) is None}
    new = {place: sorted(words) for place, words in found.items() if place not in BROKEN | ELSEWHERE.keys()}
    assert new == {}, (
        "add each to CHECKED in test_access_mutants.py with a check that notices it broken, or name it here"
    )
    assert ELSEWHERE.keys() <= found.keys(), ELSEWHERE.keys() - found.keys()
    assert not ELSEWHERE.keys() & BROKEN
    # The words are those of the code: most checks that are broken are found by them.
    assert len(found.keys() & BROKEN) > len(BROKEN) / 3
    assert len(WORDS) > 20


UNSCOPED = re.compile(
    r"library\.(?:version|versions|history|passages|resolve|access_now)\(|toolbox\.(?:passages|passage_texts|any_passage|stored_text|resolve)\b"
    r"|store\.(?:inner|stored)\b"
)
"""Reads of the corpus that do not ask who reads: for operators and for measuring."""

OPERATORS = {"server/pages/corpus_room.py", "server/routes_metrics.py", "components/enforcement.py"}
"""Files below the answering rooms that only operators reach, and the one that makes a store ask."""


def test_no_room_that_answers_reads_the_corpus_without_saying_who_asks() -> None:
    root = Path(steelyard.__file__).parent
    wrong = [
        f"{path.relative_to(root).as_posix()}:{number}: {line.strip()}"
        for room in ("server", "serving", "candidates", "components")
        for path in sorted((root / room).rglob("*.py"))
        if path.relative_to(root).as_posix() not in OPERATORS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if UNSCOPED.search(line)
    ]
    assert wrong == []
