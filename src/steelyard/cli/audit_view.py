"""What `audit` prints for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from steelyard.cli.layout import notes, table

if TYPE_CHECKING:
    from rich.console import Console

    from steelyard.registry.chain import Entry, Verified
    from steelyard.workspace.answer_replay import Replay


def show_verified(out: Console, found: Mapping[str, Verified]) -> None:
    """Each history with its head, and every break."""
    for name, one in found.items():
        state = "[green]whole[/green] " if one.whole else "[red]broken[/red]"
        out.print(f"{state}  {name}: {one.entries:,} records, head {one.head}", soft_wrap=True)
        for line in one.broken:
            out.print(f"        {line}", markup=False, soft_wrap=True)


def show_answers(out: Console, found: Sequence[Entry]) -> None:
    """The newest answers."""
    if not found:
        out.print("No answer was recorded yet.", markup=False)
        return
    shown = table("answer", "when", "asked by", "kind", "by", ("ms", True), ("USD", True))
    shown.columns[2].no_wrap = shown.columns[4].no_wrap = False
    for entry in found:
        told = entry.evidence
        when = entry.at[5:16].replace("T", " ")
        if "trace_id" not in told:
            shown.add_row("–", when, entry.who, entry.what, f"{told.get('records', '')} records", "", "")
            continue
        shown.add_row(
            told["trace_id"][:8],
            when,
            told["name"],
            told["kind"] + (", declined" if told["abstained"] else ""),
            ", ".join(told["versions"]),
            f"{told['latency_ms']:.0f}",
            f"{told['cost_usd']:.6f}",
        )
    out.print(shown)


def show_replay(out: Console, found: Replay) -> None:
    """One answer, and what came out when it was asked again."""
    record = found.record
    groups = f" in {', '.join(record.groups)}" if record.groups else ""
    release = f"release {record.release}" if record.release is not None else "no release"
    notes(
        out,
        [
            ("answered", f"{record.at}, {record.kind}{', declined' if record.abstained else ''}"),
            ("asked by", f"{record.name} ({record.key_id}) as {record.user or 'nobody in particular'}{groups}"),
            ("by", f"{', '.join(record.versions) or 'no version'}; {release}, generation {record.generation}"),
            ("took", f"{record.latency_ms:.1f} ms, {record.cost_usd:.6f} USD"),
            ("asked", record.text or f"not kept, hash {record.question[:16]}"),
            ("cited", "; ".join(f"{one.document} {one.start}-{one.end}" for one in record.citations) or "nothing"),
            ("record", f"{found.number}, {'as it was sealed' if found.sealed else 'NOT what was sealed'}"),
        ],
    )
    for at, passage in enumerate(record.passages, start=1):
        out.print(f"    {at}. {passage}", markup=False, style="dim", soft_wrap=True)
    if found.same_passages is None:
        out.print(f"[yellow]not asked again[/yellow]: {found.why_not}.")
        return
    if found.same_passages:
        answer = "the same answer" if found.same_answer else "another answer"
        out.print(f"[green]asked again[/green]: the same {len(record.passages)} passages, {answer}.")
        return
    out.print("[red]asked again[/red]: other passages.")
    for passage, because in found.missing:
        out.print(f"    missing {passage}: {because}", markup=False, soft_wrap=True)
    for passage in found.added:
        out.print(f"    new     {passage}", markup=False, soft_wrap=True)
    if not found.missing and not found.added:
        out.print("    the same ones in another order", markup=False)
