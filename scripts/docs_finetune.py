"""The tables of the benchmark of tuned routers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def finetune(rows: Sequence[Row]) -> list[Table]:
    """Accuracy of heads and tuned encoders on the same test rows, what the tuned ones gained, calibration, and when each part ran."""
    lines = [
        (
            f"{row['dataset']}, {row['setting']}",
            _pair_or_name(row["candidate"]),
            f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})",
            f"{row['fit_s']:,.0f}" if "fit_s" in row else "–",
            str(len(row["draws"])) if "draws" in row else "–",
        )
        for row in rows
        if row["metric"] in ("accuracy", "accuracy_difference")
    ]
    tables: list[Table] = [(("", "candidate", "accuracy, or difference:", "fit s:", "draws:"), lines)]
    places = list(
        dict.fromkeys((row["dataset"], row["candidate"]) for row in rows if row["metric"] == "calibration_error")
    )
    by = {(row["dataset"], row["candidate"], row["metric"]): row for row in rows}
    more = [
        (
            dataset,
            _pair_or_name(name),
            _found(by.get((dataset, name, "in_scope_accuracy"))),
            _found(by.get((dataset, name, "out_of_scope_recall"))),
            _calibrated(by, dataset, name),
            f"{by[dataset, name, 'fit_s']['mean']:,.0f}" if (dataset, name, "fit_s") in by else "–",
        )
        for dataset, name in places
    ]
    heads = ("all rows", "candidate", "in scope:", "out-of-scope recall:", "calibration error:", "fit s:")
    tables.append((heads, more))
    cut_off = next((row for row in rows if row.get("stopped")), None)
    # The pair's first part took longer: where its training was stopped, the ratio is the least that it can be.
    least = "" if cut_off is None else "at least "
    note = (
        "" if cut_off is None else f"; {cut_off['steps']:,} of {cut_off['planned']:,} steps of {cut_off['candidate']}"
    )
    ratios = [
        (row["candidate"], f"{row['setting']}{note}", f"{least}{row['mean']:,.0f} times")
        for row in rows
        if row["metric"] == "fit_ratio"
    ]
    tables.append((("time to a ready router", "", "longer:"), ratios))
    runs = dict.fromkeys((row["part"], row["day"], str(row["cores"]), f"{row['tuning_s']:,.0f}") for row in rows)
    tables.append((("part", "run of", "threads:", "seconds a fit might tune:"), list(runs)))
    return [one for one in tables if one[1]]


def _pair_or_name(name: str) -> str:
    return name if " " in name else f"`{name}`"


def _found(row: Row | None) -> str:
    return "–" if row is None else f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def _calibrated(by: Mapping[tuple[str, str, str], Row], dataset: str, name: str) -> str:
    """The error over the rows in scope where others are in the test, beside what chance alone gives, and the debiased one."""
    inside = "in_scope_" if (dataset, name, "in_scope_calibration_error") in by else ""
    row = by[dataset, name, f"{inside}calibration_error"]
    debiased = by[dataset, name, f"{inside}calibration_error_debiased"]
    return (
        f"{row['mean']:.3f} (chance {row['expected']:.3f}, p = {row['p_value']:.2f}; debiased {debiased['mean']:.3f})"
    )
