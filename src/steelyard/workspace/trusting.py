"""May a language model decide? Its judgements beside those of the team's own people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steelyard.dataset.files import read_rows
from steelyard.evaluation.language_judge import Agreement, Case, LanguageJudge, case_of
from steelyard.models.metered_generator import spending_on
from steelyard.schema.errors import DataError, UserError
from steelyard.schema.findings import Finding
from steelyard.schema.items import Item

if TYPE_CHECKING:
    from steelyard.workspace.examples import Examples
    from steelyard.workspace.toolbox import Toolbox

YES, NO = frozenset({"true", "yes", "1", "right"}), frozenset({"false", "no", "0", "wrong"})
TEXT_KEYS = ("question", "text", "input")


def judge_of(examples: Examples, toolbox: Toolbox, component: str) -> tuple[LanguageJudge, Agreement]:
    """The judge of a component, and how it agrees with the outputs that people judged (`judged` in the settings).

    Raises:
        UserError: no generator is set, or no file of judged outputs is named.
        DataError: a row cannot be used; all such rows are listed.
    """
    generator = toolbox.generator
    if generator is None:
        raise UserError(
            "there is no generator that could judge.",
            where=f"component {component}",
            remedy="Set [models] generator in steelyard.toml.",
            code="judge.no_generator",
        )
    cases, right = judged_outputs(examples, component)
    judge = LanguageJudge(generator)
    with spending_on(f"judge {component}"):
        return judge, judge.agreement(cases, right, seed=toolbox.settings.measure.seed)


def trusted_judge(examples: Examples, toolbox: Toolbox, component: str) -> tuple[LanguageJudge, Agreement]:
    """As `judge_of`, for a judge that is to decide.

    Raises:
        UserError: it does not agree with people well enough, or it cannot be asked.
    """
    judge, agreement = judge_of(examples, toolbox, component)
    if not agreement.is_trusted:
        raise UserError(
            f"the judge is refused: {agreement.sentence}",
            where=f"steelyard.toml [components.{component}] headline",
            remedy='Write headline = "labels", judge more outputs, or take another model.',
            code="judge.distrusted",
        )
    return judge, agreement


def judged_outputs(examples: Examples, component: str) -> tuple[list[Case], list[bool]]:
    """The outputs of the file `judged`, and whether people called them right.

    Raises:
        UserError: the settings name no such file, or it is not there.
        DataError: a row lacks its text, its output, its judgement, or accepted texts; all such rows are listed.
    """
    name = examples.component(component).judged
    if name is None:
        raise UserError(
            "nobody judged any outputs yet, so nobody knows how far a judge may be believed.",
            where=f"steelyard.toml [components.{component}]",
            remedy='Name a file as judged = "judged.jsonl"; a row: {"question": "...", "output": "...", "right": true}.',
            code="judge.no_judgements",
        )
    known = {item.text: item for item in examples.dated(component)}
    read = read_rows(examples.path_of(name, f"[components.{component}] judged"), name)
    cases: list[Case] = []
    right: list[bool] = []
    found = [one for one in read.findings if one.severity == "error"]
    for row in read.rows:
        case, verdict = _case(row.values, known), _verdict(row.values.get("right"))
        if case is None or verdict is None:
            found.append(_unusable(name, row.row))
        else:
            cases.append(case)
            right.append(verdict)
    if found:
        raise DataError(
            f"{len(found)} problem{'s' if len(found) > 1 else ''} found; the first: {found[0].line()}",
            findings=found,
            where=name,
            remedy="Correct them.",
        )
    return cases, right


def _case(row: Any, known: dict[str, Item]) -> Case | None:
    text = next((str(row[key]) for key in TEXT_KEYS if row.get(key)), "")
    output, own = str(row.get("output") or ""), row.get("expected")
    if not text or not output:
        return None
    if own:
        return Case(asked=text, accepted=tuple(map(str, own)) if isinstance(own, list) else (str(own),), output=output)
    return case_of(known[text], output) if text in known else None


def _verdict(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    said = str(value).strip().lower()
    return True if said in YES else False if said in NO else None


def _unusable(file: str, row: int) -> Finding:
    return Finding(
        code="judge.bad_row",
        severity="error",
        message="the row has no text, no output, no judgement, or nothing that it is judged by.",
        remedy='Write {"question": "one of your questions", "output": "...", "right": true}, or give "expected" as well.',
        file=file,
        row=row,
    )
