"""Small worlds whose right verdict is known beforehand, replayed with real candidates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from steelyard.config import EconomicsSettings, TrafficSettings
from steelyard.corpus.ingest import IngestSettings
from steelyard.corpus.past import read_past
from steelyard.corpus.replay import moments
from steelyard.corpus.sources import SourceRule
from steelyard.evaluation.ageing import AnswerFile, Replayed, Way, replay
from steelyard.evaluation.backtest import Replaying, backtest
from steelyard.evaluation.dated import DatedFact, facts_of
from steelyard.evaluation.hindsight import Judged, Prices, update_rate
from steelyard.evaluation.past_documents import PastDocuments, document_days
from steelyard.models.loading import load_encoder
from steelyard.models.vector_cache import CachedEncoder
from steelyard.schema.ageing import Backtest
from steelyard.schema.items import Item
from steelyard.schema.progress import silent

TOWNS = (
    "Basel",
    "Cairo",
    "Delhi",
    "Essen",
    "Fargo",
    "Genoa",
    "Hanoi",
    "Izmir",
    "Jaffa",
    "Kyoto",
    "Lagos",
    "Malmo",
    "Nairobi",
    "Oslo",
    "Porto",
    "Quito",
    "Riga",
    "Sofia",
    "Turin",
    "Ulm",
    "Vaduz",
    "Wuhan",
)
"""One fact each."""


@dataclass(frozen=True)
class World:
    """`moved(step, place)` counts how often a town's fee changed by a step; `news(step)` is what nobody asks for on the news page.

    In a `muddled` world the pages bury the fee among fees of other kinds, so that quoting finds the wrong one now and then.
    """

    steps: int
    moved: Callable[[int, int], int]
    news: Callable[[int], str] = lambda step: "Nothing new."
    muddled: bool = False


def fee(place: int, moved: int) -> int:
    return 100 + 7 * place + 1000 * moved


def page(world: World, step: int, place: int) -> str:
    town = TOWNS[place]
    said = f"The annual fee of the {town} branch is {fee(place, world.moved(step, place))} crowns."
    if world.muddled:
        others = [
            f"What is the annual fee of the {town} branch? Members of the {town} branch ask this often; the fee of the branch in "
            f"{TOWNS[(place + 3) % len(TOWNS)]} is another.",
            f"The late fee, the annual key fee and the entry fee of the {town} branch are {place + 2}, {place + 4} and {place + 6} crowns.",
        ]
        said = f"Members in {town} pay {fee(place, world.moved(step, place))} crowns a year."
        return f"# {town} branch\n\n" + "\n\n".join([*others, said]) + "\n"
    return f"# {town} branch\n\n{said}\n"


def replayed(world: World, folder: Path, *, verdict: str = "rag") -> Backtest:
    """The backtest of a world at high volume, with retrieval by words and an answerer in weights."""
    found, facts = replay_of(world, folder, ("rag-bm25",))
    steps = found.moments
    economics = EconomicsSettings(wrong_answer_usd=0.5, handoff_usd=2.0)
    prices = Prices(economics=economics, traffic=TrafficSettings(queries_per_month=1_000_000))
    days = document_days({"docs": read_past(folder / "log.jsonl")}, steps[0], steps[-1])
    about = Replaying(
        component="answer",
        every="month",
        questions_from="planted",
        approaches={"rag-bm25": "rag"},
        verdict=verdict,
        rate=update_rate(facts, days, steps[0], steps[-1]),
    )
    return backtest(Judged(facts, found, prices), about)


def replay_of(
    world: World,
    folder: Path,
    following: Sequence[str],
    *,
    threads: int = 1,
    alike: Mapping[str, str] | None = None,
    plain: bool = False,
) -> tuple[Replayed, list[DatedFact]]:
    """The answers of a world's candidates, and its facts; see `evaluation.ageing.Way`."""
    folder.mkdir(exist_ok=True)
    months = [datetime(2024 + month // 12, month % 12 + 1, 1, tzinfo=UTC) for month in range(world.steps)]
    _write_log(world, folder / "log.jsonl", months)
    facts = facts_of(_questions(world, months))
    encoder = CachedEncoder(load_encoder("minilm", threads=1), folder / "vectors.sqlite")
    corpus = PastDocuments(
        folder,
        [SourceRule(path="docs", allow=("everyone",))],
        {"docs": read_past(folder / "log.jsonl")},
        encoder,
        settings=IngestSettings(workers=1),
        seed=0,
        threads=threads,
    )
    found = replay(
        facts,
        moments(months[0], months[-1], "month"),
        corpus,
        following,
        {"closed-book": partial(corpus.learner, "closed-book")},
        AnswerFile(folder / "answers"),
        way=Way(threads=threads, alike=alike or {}, plain=plain),
        report=silent,
    )
    corpus.close()
    return found, facts


def _write_log(world: World, file: Path, months: Sequence[datetime]) -> None:
    rows = []
    before: dict[str, str] = {}
    for step, at in enumerate(months):
        pages = {f"{town.lower()}.md": page(world, step, place) for place, town in enumerate(TOWNS)}
        pages["news.md"] = f"# News\n\n{world.news(step)}\n"
        for name, text in pages.items():
            if before.get(name) != text:
                rows.append({"date": at.isoformat(), "op": "modify", "path": name, "text": text})
        before = pages
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _questions(world: World, months: Sequence[datetime]) -> list[Item]:
    questions = []
    for place, town in enumerate(TOWNS):
        counts = [world.moved(step, place) for step in range(world.steps)]
        begins = [0, *[step for step in range(1, world.steps) if counts[step] != counts[step - 1]]]
        for begin, end in zip(begins, [*begins[1:], None], strict=True):
            questions.append(
                Item(
                    id=f"{town}-{begin}",
                    task="answer",
                    text=f"What is the annual fee of the {town} branch?",
                    answers=(str(fee(place, counts[begin])),),
                    source=f"docs/{town.lower()}.md",
                    valid_from=months[begin],
                    valid_to=None if end is None else months[end],
                    group=town,
                )
            )
    return questions
