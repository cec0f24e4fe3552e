"""`backtest`: replay the documents' past with the team's dated questions, and keep what came out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from steelyard.candidates import CANDIDATES
from steelyard.candidates.interface import Tools
from steelyard.corpus.past import Past
from steelyard.corpus.replay import Every, moments
from steelyard.decision.recommend import recommend
from steelyard.evaluation.ageing import AnswerFile, Way, replay
from steelyard.evaluation.backtest import Replaying, backtest
from steelyard.evaluation.dated import DatedFact, facts_of
from steelyard.evaluation.hindsight import Judged, Prices, update_rate
from steelyard.evaluation.past_documents import PastDocuments, document_days, first_and_last
from steelyard.models.metered_generator import spending_on
from steelyard.schema.ageing import Backtest
from steelyard.schema.decision import Facts
from steelyard.schema.errors import NotFoundError, UserError
from steelyard.schema.items import Approach
from steelyard.schema.progress import Report
from steelyard.workspace.aged import kept_path
from steelyard.workspace.fingerprint import PARTS_OF_A_REPLAY, code_fingerprint
from steelyard.workspace.ingesting import ingest_settings, source_rules
from steelyard.workspace.one_thread import one_blas_thread
from steelyard.workspace.pasts import pasts_of
from steelyard.workspace.paths import write_whole
from steelyard.workspace.probing import PROBES_FILE, probe_facts

if TYPE_CHECKING:
    from steelyard.workspace.parts import Parts

MOST_FACTS = 300
CALIBRATION_EVERY = 3
"""Each third fact calibrates what retrieves, and is not asked: a threshold must not be measured on what it was chosen on."""
FOLLOWING = ("rag-bm25", "rag-hybrid", "rag-tuned")
LEARNING = ("closed-book",)
ASKING = ("rag-generator", "whole-corpus", "no-context")
"""Candidates that join where a generator is set."""
ALIKE = {"rag-tuned": "rag-hybrid"}
"""Candidates that are another one where tuning them did not pay."""
FEWEST_FACTS = 20


@dataclass(frozen=True, kw_only=True)
class BacktestPlan:
    """What to replay. `histories` says where a source keeps its past, by source path; `limit` is the most facts asked.

    `probes` is a file of probes to ask instead of the component's dated questions; without it and without dated questions, the workspace's
    probes.jsonl. `unreviewed` counts probes that nobody has reviewed, and the result says so. `candidates` are those to replay; none named:
    the usual ones, and those that ask a generator where one is set.
    """

    component: str | None = None
    every: Every = "month"
    begin: datetime | None = None
    end: datetime | None = None
    histories: Mapping[str, Path] = field(default_factory=dict)
    lag: timedelta = timedelta(0)
    limit: int = MOST_FACTS
    probes: Path | None = None
    unreviewed: bool = False
    candidates: tuple[str, ...] = ()


def run_backtest(parts: Parts, plan: BacktestPlan, report: Report) -> Backtest:
    """Replay, judge and keep; a replay cut short goes on where it was, and one of unchanged inputs is read again.

    Raises:
        UserError: no past, no dated questions, or nothing to replay in the span.
        DataError: a change log or the questions are wrong.
    """
    component = parts.component_for("answer", plan.component)
    pasts = pasts_of(parts.folder, parts.settings, plan.histories)
    begin, end = first_and_last(pasts, plan.begin, plan.end)
    asked, calibrating, origin = _questions(parts, component, plan)
    steps = moments(begin, end, plan.every)
    following, learning = _candidates(parts, plan)
    folder = parts.state.root / "backtest" / component / _key(parts, plan, steps, asked, calibrating, pasts)
    threads, corpus = _corpus(parts, component, plan, pasts, folder, report)
    at_once = {
        name: parts.settings.models.generator.concurrency
        for name in (*following, *learning)
        if CANDIDATES.part(name).needs == "generator"
    }
    try:
        with one_blas_thread(), spending_on(f"backtest {component}"):
            replayed = replay(
                asked,
                steps,
                corpus,
                following,
                {name: partial(corpus.learner, name) for name in learning},
                AnswerFile(folder / "answers"),
                calibrating=calibrating,
                way=Way(threads=threads, at_once=at_once, alike=ALIKE),
                report=report,
            )
    finally:
        corpus.close()
    prices = Prices(economics=parts.settings.economics, traffic=parts.settings.traffic)
    about = Replaying(
        component=component,
        every=plan.every,
        questions_from=origin,
        approaches={name: _approach(name) for name in following},
        verdict=_first_verdict(parts, component),
        rate=update_rate(asked, document_days(pasts, begin, end), begin, end),
    )
    found = backtest(Judged(asked, replayed, prices), about)
    write_whole(kept_path(parts.toolbox, component), json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n")
    return found


def _corpus(
    parts: Parts, component: str, plan: BacktestPlan, pasts: Mapping[str, Past], folder: Path, report: Report
) -> tuple[int, PastDocuments]:
    """How many questions are asked at the same time, and the documents as they were."""
    threads, asking = parts.toolbox.asking_encoder
    tools = Tools(
        encoder=asking,
        generator=parts.toolbox.generator,
        base_model=parts.toolbox.base_model,
        unsupported=parts.examples.component(component).unsupported,
    )
    return threads, PastDocuments(
        folder,
        source_rules(parts.settings),
        pasts,
        parts.toolbox.cached_encoder,
        settings=ingest_settings(parts.settings),
        seed=parts.settings.measure.seed,
        lag=plan.lag,
        asking=asking,
        threads=threads,
        prefer_newer=parts.settings.corpus.prefer_newer,
        tools=tools,
        report=report,
    )


def _candidates(parts: Parts, plan: BacktestPlan) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Candidates that follow the documents, and those that learn the answers.

    Raises:
        UserError: one named cannot be replayed here.
    """
    able = parts.toolbox.generator is not None
    names = plan.candidates or (*FOLLOWING, *(ASKING if able else ()), *LEARNING)
    for name in names:
        part = CANDIDATES.part(name)
        reason = parts.toolbox.lacks(part)
        if part.task != "answer":
            reason = f"the task 'answer' (it is for '{part.task}')"
        elif part.hosted:
            reason = "weights of your own (a provider would be paid for a tuning at every step)"
        if reason is not None:
            raise UserError(
                f"'{name}' cannot be replayed; it needs {reason}.",
                where="--candidate",
                remedy=f"Usual ones: {', '.join((*FOLLOWING, *LEARNING))}.",
                code="backtest.candidate",
            )
    learning = tuple(name for name in names if _approach(name) == "fine_tune")
    return tuple(name for name in names if name not in learning), learning


def _questions(parts: Parts, component: str, plan: BacktestPlan) -> tuple[list[DatedFact], list[DatedFact], str]:
    """Facts to ask, facts to calibrate on, and where they come from.

    Raises:
        UserError: too few questions, or none of them is dated.
    """
    facts, origin = _facts(parts, component, plan)
    # By hash, whatever order the file has: the share of facts that change stays what it is.
    drawn = sorted(facts, key=lambda fact: hashlib.sha256(fact.name.encode()).hexdigest())[: plan.limit * 3 // 2]
    calibrating = drawn[::CALIBRATION_EVERY]
    asked = [fact for place, fact in enumerate(drawn) if place % CALIBRATION_EVERY]
    reworded = [fact for fact in asked if fact.others]
    if 2 * len(reworded) >= len(asked):
        # The rest can be asked only as it was taught; it still teaches and calibrates.
        calibrating += [fact for fact in asked if not fact.others]
        asked = reworded
    if len(asked) < FEWEST_FACTS:
        raise UserError(
            f"{len(asked)} questions are too few to see anything age; {FEWEST_FACTS} are the fewest.",
            where=origin,
            remedy="Add dated questions, or derive some from the documents: `steelyard probes`.",
            code="backtest.too_few",
        )
    return asked, calibrating, origin


def _facts(parts: Parts, component: str, plan: BacktestPlan) -> tuple[list[DatedFact], str]:
    """The component's own questions where one of them changed, else the workspace's probes."""
    beside = parts.folder / PROBES_FILE
    if plan.probes is None:
        facts = facts_of(item for item in parts.examples.dated(component) if item.answers or not item.answerable)
        if any(fact.changes() for fact in facts):
            return facts, parts.examples.file_of(component)
        if not beside.is_file():
            raise UserError(
                "no question of this component has an answer that changed.",
                where=parts.examples.file_of(component),
                remedy="Give valid_from and valid_to to answers that changed, or derive questions from the documents: "
                "`steelyard probes`.",
                code="backtest.nothing_dated",
            )
    file = plan.probes or beside
    origin = f"{file.name}, derived from the documents" + (", not reviewed" if plan.unreviewed else " and reviewed")
    return probe_facts(parts.settings, file, unreviewed=plan.unreviewed), origin


def _key(
    parts: Parts,
    plan: BacktestPlan,
    steps: Sequence[datetime],
    asked: Sequence[DatedFact],
    calibrating: Sequence[DatedFact],
    pasts: Mapping[str, object],
) -> str:
    """What the answers of a replay depend on, as a folder's name."""
    digest = hashlib.sha256()
    for part in (asked, calibrating):
        for fact in part:
            rows = [
                (row.text, row.answers, row.answerable, str(row.valid_from), str(row.valid_to)) for row in fact.rows
            ]
            digest.update(repr((fact.name, fact.text, fact.others, sorted(fact.groups), rows)).encode())
    settings = parts.settings
    digest.update(repr((settings.corpus, settings.models, settings.sources, settings.measure.seed)).encode())
    code = code_fingerprint(*PARTS_OF_A_REPLAY)
    digest.update(repr((plan.lag, plan.every, steps[0], code, parts.toolbox.encoder.name)).encode())
    for path, past in sorted(pasts.items()):
        digest.update(repr((path, getattr(past, "changes", ()))).encode())
    return digest.hexdigest()[:16]


def _approach(name: str) -> Approach:
    return cast(Approach, CANDIDATES.part(name).approach)


def _first_verdict(parts: Parts, component: str) -> str:
    """What the criteria alone say on the first day: the settings are known, how often facts will change is not."""
    settings = parts.settings
    own = settings.components.get(component)
    if own is None:
        raise NotFoundError(f"there is no component '{component}'.", code="workspace.unknown_component")
    needs = settings.requirements
    facts = Facts(
        name=component,
        queries_per_month=settings.traffic.queries_per_month,
        knowledge_update_per_year=settings.traffic.updates_per_year,
        needs_citations=needs.citations,
        needs_audit=needs.audit,
        per_user_scoping=needs.scoping,
        behaviour="facts",
        latency_budget_ms=needs.p95_ms,
        wrong_answer_usd=settings.economics.wrong_answer_usd,
        horizon_months=settings.economics.horizon_months,
    )
    return str(recommend(facts).recommendation)


def moment_of(text: str | None, name: str) -> datetime | None:
    """A date of the command line as a moment in UTC, None for None.

    Raises:
        UserError: it is no date.
    """
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(
            f"'{text}' is no date.", where=name, remedy="Write it like 2026-01-31.", code="backtest.bad_date"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
