"""The data card of a dataset version: where it comes from, what it holds, what is known to be wrong with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median

from steelyard.dataset.languages import UNKNOWN, languages
from steelyard.schema.datasets import DatasetVersion
from steelyard.schema.findings import Finding
from steelyard.schema.items import Item, Split

SHOWN_LABELS = 200
SMALLEST_SHARE = 0.02  # below it a language is more often a wrong guess
PARTS = ("train", "validation", "holdout")


def data_card(
    version: DatasetVersion,
    items: Sequence[Item],
    split: Split,
    findings: Sequence[Finding],
    *,
    origin: str | None = None,
    licence: str | None = None,
) -> str:
    """The card as Markdown; the same version and findings give the same text, whenever it is made.

    `findings` are those of `check` about these rows, uncut: they are counted by code, and no text of a row is shown.
    """
    sections = [
        f"# Data card: {version.name}",
        _origin(version, origin, licence),
        _size(version, items, split),
        _labels(items, split),
        _texts(items),
        _issues(findings, "Repeats and personal data", ("duplicate", "near_duplicate", "personal_data")),
        _issues(findings, "Known issues", ()),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _origin(version: DatasetVersion, origin: str | None, licence: str | None) -> str:
    files = ", ".join(f"`{_cell(name)}` (SHA-256 `{digest[:16]}…`)" for name, digest in version.files.items())
    rows = [
        ("version", f"{version.number}" + (f", after version {version.parent}" if version.parent else ", the first")),
        ("made", f"{version.created} by {_cell(version.who)}"),
        ("content hash", f"`{version.dataset}`"),
        ("read from", files),
        ("origin", _cell(origin) if origin else "not stated (`origin` in the component's settings)"),
        ("licence", _cell(licence) if licence else "not stated (`licence` in the component's settings)"),
    ]
    if version.note:
        rows.append(("note", _cell(version.note)))
    return "## Origin\n\n" + _table(("", ""), rows)


def _size(version: DatasetVersion, items: Sequence[Item], split: Split) -> str:
    parts = [(name, f"{len(getattr(split, name)):,}") for name in PARTS]
    rest = len(items) - sum(len(getattr(split, name)) for name in PARTS)
    more = [("not in force on that day", f"{rest:,}")] if rest else []
    named = sum(version.named.values())
    shares = ", ".join(f"{share:.0%} {name}" for name, share in version.shares.items())
    how = f"Drawn by {shares} with seed {version.seed}; near-duplicates and rows of one group stay together."
    how = f"{named:,} rows name their part in the file. The others: {how[0].lower()}{how[1:]}" if named else how
    table = _table(("part", "rows"), [("all", f"{len(items):,}"), *parts, *more])
    return f"## Size and split\n\n{table}\n\n{how} The holdout is sealed: it is scored and never learned from."


def _labels(items: Sequence[Item], split: Split) -> str:
    kinds = Counter(_kind(item) for item in items)
    if not items or set(kinds) == {""}:
        return ""
    by_part = {name: Counter(_kind(item) for item in getattr(split, name)) for name in PARTS}
    ranked = sorted(kinds, key=lambda kind: (-kinds[kind], kind))
    rows = [(_cell(kind), f"{kinds[kind]:,}", *(f"{by_part[name][kind]:,}" for name in PARTS)) for kind in ranked]
    shown = _table(("label", "rows", *PARTS), rows[:SHOWN_LABELS])
    rest = f"\n\nand {len(rows) - SHOWN_LABELS} more." if len(rows) > SHOWN_LABELS else ""
    share = kinds[ranked[0]] / len(items)
    words = f"{len(kinds)} labels; the largest has {share:.0%} of the rows, the smallest {kinds[ranked[-1]]:,}."
    return f"## Labels\n\n{words}\n\n{shown}{rest}"


def _kind(item: Item) -> str:
    if item.task == "answer":
        return "answerable" if item.answerable else "not answerable"
    return item.label or ""


def _texts(items: Sequence[Item]) -> str:
    if not items:
        return ""
    columns: list[tuple[str, list[str]]] = [("text", [item.text for item in items])]
    columns.append(("answers", [answer for item in items for answer in item.answers]))
    columns.append(("output", [item.output for item in items if item.output]))
    rows = []
    for name, texts in columns:
        if texts:
            words = sorted(len(text.split()) for text in texts)
            rows.append(
                (
                    name,
                    f"{len(texts):,}",
                    f"{median(words):g}",
                    f"{words[int(0.95 * (len(words) - 1))]:,}",
                    f"{words[-1]:,}",
                )
            )
    found = languages(item.text for item in items)
    shares = {name: count / len(items) for name, count in found.items() if name != UNKNOWN}
    large = [f"{name} {share:.0%}" for name, share in shares.items() if share >= SMALLEST_SHARE]
    small = sum(share for share in shares.values() if share < SMALLEST_SHARE)
    large += [f"others {small:.1%}"] * (small > 0)
    rest = f"; {found[UNKNOWN] / len(items):.0%} not told" if UNKNOWN in found else ""
    guess = f"Languages, guessed from scripts and frequent words: {', '.join(large) or 'none told'}{rest}."
    return "## Texts\n\n" + _table(("", "texts", "words, median", "95 %", "longest"), rows) + f"\n\n{guess}"


def _issues(findings: Sequence[Finding], title: str, codes: Sequence[str]) -> str:
    """Findings by code: those of `codes`, or with none given all that have no section of their own."""
    own = {f"dataset.{code}" for code in ("duplicate", "near_duplicate", "personal_data")}
    wanted = {f"dataset.{code}" for code in codes}
    counts = Counter((finding.code, finding.severity) for finding in findings)
    chosen = {pair: count for pair, count in counts.items() if (pair[0] in wanted if wanted else pair[0] not in own)}
    if not chosen:
        return f"## {title}\n\nNone found by `steelyard check`."
    rows = [(f"`{code}`", severity, f"{count:,}") for (code, severity), count in sorted(chosen.items())]
    return f"## {title}\n\n" + _table(("finding", "severity", "rows"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _cell(text: str) -> str:
    """Text inside a table of Markdown: labels and names are data."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;").replace("`", "'")
