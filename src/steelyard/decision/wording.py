"""Numbers, names and verdicts as a reader says them; shared by the report and the decision record."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from steelyard.schema.statistics import Interval

SPACE = "\u00a0"
"""Between a number and its unit, so that a line never breaks there."""

VERDICT_NAMES: Mapping[str, str] = {
    "rag": "retrieval",
    "fine_tune": "fine-tuned",
    "hybrid": "hybrid",
    "prompt": "prompt",
    "either": "either",
    "not_enough_evidence": "not enough evidence",
}

VERDICT_ACTIONS: Mapping[str, str] = {
    "rag": "retrieve",
    "fine_tune": "fine-tune",
    "hybrid": "combine both",
    "prompt": "prompt",
    "either": "take either",
}
"""What a verdict tells a team to do."""

METRIC_NAMES: Mapping[str, str] = {
    "accuracy": "right",
    "fitting": "fitting",
    "chrf": "chrF, 0 where invalid",
    "handled_right": "handled right",
    "macro_f1": "macro-F1",
    "token_f1": "token F1",
    "ndcg": "nDCG",
    "answer_accuracy": "right",
    "style": "house style",
    "judged": "right, by the judge",
    "well_formed": "of the form asked for",
    "grounded": "sentences supported",
}

TASK_NAMES: Mapping[str, str] = {
    "classify": "labels messages",
    "answer": "answers questions",
    "write": "writes replies",
}

ROW_NAMES: Mapping[str, str] = {"classify": "messages", "answer": "questions", "write": "replies"}

SYSTEM_NAMES: Mapping[str, str] = {"pure_rag": "pure retrieval", "pure_fine_tune": "pure fine-tuned"}

CRITERION_NAMES: Mapping[str, str] = {
    "wrong_answer_cost": "quality",
    "total_cost": "total cost",
    "no_difference": "no difference shown",
    "baseline_as_good": "baseline as good",
    "do_not_tune": "do not tune the encoder",
    "tuning_pays": "tuning the encoder pays",
    "provenance": "citations and audit",
    "scoping": "who may see what",
    "update_rate": "how often it changes",
}

INPUT_NAMES: Mapping[str, str] = {
    "queries_per_month": "queries a month",
    "growth_per_month": "growth a month",
    "updates_per_year": "changes a year",
    "wrong_answer_usd": "cost of a wrong answer",
    "handoff_usd": "cost of a handoff",
    "hour_usd": "cost of an hour",
    "label_usd": "cost of a label",
    "cpu_hour_usd": "cost of a core for an hour",
    "horizon_months": "horizon in months",
    "p95_ms": "latency limit (p95)",
    "citations": "citations required",
    "audit": "audit trail required",
    "scoping": "scoping to the asker required",
}

LABOUR_NAMES: Mapping[str, str] = {
    "setup": "hours to set up",
    "operations": "hours a month to operate",
    "update": "hours for an update",
    "retrain": "hours to train again",
    "retrains_per_year": "trainings a year",
}


def verdict_name(verdict: str) -> str:
    """A verdict or approach in words.

    >>> verdict_name("rag")
    'retrieval'
    """
    return VERDICT_NAMES.get(verdict, verdict.replace("_", " "))


def argues_for(side: str) -> str:
    """What a reason argues for, in words.

    >>> argues_for("against fine_tune"), argues_for("against closed-book")
    ('against fine-tuned', 'against closed-book')
    """
    head, _, rest = side.partition("against ")
    return f"against {verdict_name(rest)}" if rest and not head else verdict_name(side)


def criterion_name(criterion: str) -> str:
    """A criterion in words."""
    return CRITERION_NAMES.get(criterion, criterion.replace("_", " "))


def metric_name(metric: str) -> str:
    """A metric in words."""
    return METRIC_NAMES.get(metric, metric.replace("_", " "))


def system_name(system: str) -> str:
    """A whole system in words."""
    return SYSTEM_NAMES.get(system, system.replace("_", " "))


def input_name(path: str) -> str:
    """An input of the scenario in words.

    >>> input_name("labour.rag.setup"), input_name("knn.error_rate"), input_name("hour_usd")
    ('hours to set up (retrieval)', 'knn: error rate', 'cost of an hour')
    """
    path = path.removeprefix("requirements.")
    if path in INPUT_NAMES:
        return INPUT_NAMES[path]
    labour = re.fullmatch(r"labour\.(\w+)\.(\w+)", path)
    if labour:
        approach, job = labour.groups()
        return f"{LABOUR_NAMES.get(job, job.replace('_', ' '))} ({verdict_name(approach)})"
    own = re.fullmatch(r"updates_per_year_(.+)", path)
    if own:
        return f"{INPUT_NAMES['updates_per_year']} ({own.group(1)})"
    option, dot, field = path.rpartition(".")
    return f"{option}: {field.replace('_', ' ')}" if dot else path.replace("_", " ")


def input_value(path: str, value: Any) -> str:
    r"""An input's value with its unit.

    >>> input_value("wrong_answer_usd", 0.5), input_value("p95_ms", 800.0), input_value("citations", True)
    ('$0.50', '800\xa0ms', 'yes')
    """
    if isinstance(value, float | int) and not isinstance(value, bool):
        if path.endswith("_usd"):
            return usd(float(value)) if value >= 0.01 or value == 0 else usd_fine(float(value))
        if path.endswith("_ms"):
            return milliseconds(float(value))
        if path.endswith("growth_per_month"):
            return percent(float(value), 1)
    return number(value)


def percent(value: float | None, digits: int = 1) -> str:
    r"""A share as a percentage; a dash for None.

    >>> percent(0.9312)
    '93.1\xa0%'
    """
    return "–" if value is None or math.isnan(value) else f"{100 * value:.{digits}f}{SPACE}%"


def probability(value: float | None) -> str:
    r"""A probability in whole per cent; never 0 or 100 for what is only near.

    >>> probability(0.93), probability(0.9991)
    ('93\xa0%', 'over\xa099\xa0%')
    """
    if value is None:
        return "–"
    if 0.995 <= value < 1:
        return f"over{SPACE}99{SPACE}%"
    if 0 < value < 0.005:
        return f"under{SPACE}1{SPACE}%"
    return percent(value, 0)


def points(value: float) -> str:
    """A difference of shares in percentage points.

    >>> points(0.061)
    '6.1 points'
    """
    return f"{100 * value:.1f} points"


def signed_points(value: float) -> str:
    """A difference of shares with its sign, in percentage points.

    >>> signed_points(-0.081)
    '−8.1'
    """
    return f"{100 * value:+.1f}".replace("-", "−")


def interval_text(interval: Interval | None, digits: int = 1) -> str:
    r"""A mean with its interval, in per cent.

    >>> interval_text(Interval(mean=0.909, low=0.868, high=0.95, n=186))
    '90.9\xa0% (86.8\xa0to\xa095.0)'
    """
    return "–" if interval is None or not interval.n else f"{percent(interval.mean, digits)} ({ends(interval, digits)})"


def refusals_text(refusals: Mapping[str, Interval]) -> str:
    """Recall and precision of refusals, in whole per cent; a dash where the rows show neither.

    >>> half = Interval(mean=0.5, low=0.4, high=0.6, n=10)
    >>> refusals_text({"recall": half, "precision": half}), refusals_text({"recall": half}), refusals_text({})
    ('50/50', '50/–', '–')
    """
    if "recall" not in refusals and "precision" not in refusals:
        return "–"
    ends_ = [f"{100 * refusals[kind].mean:.0f}" if kind in refusals else "–" for kind in ("recall", "precision")]
    return "/".join(ends_)


REFUSALS_NOTE = "refusals: of what it should decline, the per cent that it declines / of what it declines, the per cent that it should"


def ends(interval: Interval, digits: int = 1) -> str:
    """The two ends of an interval, in per cent without the sign; empty where no item was scored."""
    if math.isnan(interval.mean):
        return ""
    return f"{100 * interval.low:.{digits}f}{SPACE}to{SPACE}{100 * interval.high:.{digits}f}"


def usd(value: float | None) -> str:
    """Money in whole dollars, with thousands separators; cents below 100 USD.

    >>> usd(12345.6), usd(0.5)
    ('$12,346', '$0.50')
    """
    if value is None:
        return "–"
    return f"${value:,.2f}" if 0 < abs(value) < 100 else f"${value:,.0f}"


def usd_short(value: float | None) -> str:
    """Money to the three digits that an estimate deserves.

    >>> usd_short(2_134_619.0), usd_short(501_379.2), usd_short(9_120.0)
    ('$2.13M', '$501k', '$9,120')
    """
    if value is None:
        return "–"
    size = abs(value)
    # 999.5 thousand would round to 1,000k.
    for unit, sign in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if size >= 0.9995 * unit and size >= 1e4:
            scaled = value / unit
            digits = max(0, 2 - math.floor(math.log10(max(abs(scaled), 1.0))))
            return f"${scaled:.{digits}f}{sign}"
    return f"${value:,.0f}" if size >= 10 else usd(value)


def usd_fine(value: float | None) -> str:
    """Money down to fractions of a cent, to three significant digits.

    >>> usd_fine(0.2134), usd_fine(9.4), usd_fine(132.4)
    ('$0.213', '$9.40', '$132')
    """
    if value is None:
        return "–"
    return usd(value) if abs(value) >= 1 or value == 0 else f"${value:.3g}"


def milliseconds(value: float | None) -> str:
    r"""A latency, with more digits where it is small.

    >>> milliseconds(58.2), milliseconds(9.4), milliseconds(0.0123)
    ('58\xa0ms', '9.4\xa0ms', '0.012\xa0ms')
    """
    if value is None:
        return "–"
    if value >= 10:
        return f"{value:,.0f}{SPACE}ms"
    return f"{value:.1f}{SPACE}ms" if value >= 1 else f"{value:.2g}{SPACE}ms"


def seconds(value: float | None) -> str:
    r"""A duration.

    >>> seconds(212.0), seconds(4.13), seconds(0.004)
    ('212\xa0s', '4.1\xa0s', 'under\xa00.1\xa0s')
    """
    if value is None:
        return "–"
    if value >= 10:
        return f"{value:,.0f}{SPACE}s"
    if value == 0:
        return f"0{SPACE}s"
    return f"{value:.1f}{SPACE}s" if value >= 0.1 else f"under{SPACE}0.1{SPACE}s"


def number(value: Any) -> str:
    """Any input's value as a reader writes it.

    >>> number(120_000.0), number(0.02), number(True), number(["citations", "audit"])
    ('120,000', '0.02', 'yes', 'citations, audit')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{input_name(str(key))} {number(one)}" for key, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(number(one) for one in value) or "none"
    return str(value)


def joined(parts: list[str]) -> str:
    """A list in a sentence.

    >>> joined(["a", "b", "c"])
    'a, b and c'
    """
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def capitalised(text: str) -> str:
    """The text with its first letter large, the rest as it is."""
    return text[:1].upper() + text[1:]


def cell(text: Any) -> str:
    r"""Text that stays one piece of plain text in Markdown, also inside a table.

    >>> cell("a | b <i>\n# c")
    'a \\| b &lt;i> # c'
    """
    flat = " ".join(str(text).split())
    return re.sub(r"([\\`*\[\]|])", r"\\\1", flat).replace("<", "&lt;")
