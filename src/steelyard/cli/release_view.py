"""What `release`, `rollback` and `versions` print for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from steelyard.cli.layout import notes, table

if TYPE_CHECKING:
    from rich.console import Console

    from steelyard.registry.chain import Entry
    from steelyard.registry.retention import Removable
    from steelyard.schema.releases import Gate, Promotion, Release, RequestTrace
    from steelyard.schema.runs import VersionRecord

SHOWN_FLIPS = 10
SHOWN_RELEASES = 8


def show_promotion(out: Console, done: Promotion, *, dry_run: bool) -> None:
    """Every gate with its figures, the rows that flipped, and what is in production now."""
    if done.unchanged:
        out.print(f"release {done.release} runs exactly this already; nothing was changed.")
        return
    component = None
    for gate in done.gates:
        if gate.component != component:
            component = gate.component
            out.print(f"[bold]{component}[/bold]")
        _show_gate(out, gate)
    out.print()
    if done.release is not None:
        forced = " [yellow]although a gate failed[/yellow]" if done.forced else ""
        before = f"; before it release {done.previous}, `steelyard rollback` leads there" if done.previous else ""
        out.print(f"[green]release {done.release}[/green] answers now{forced}: {', '.join(done.versions)}{before}")
    elif done.refused:
        stays = f"release {done.previous} goes on answering" if done.previous else "nothing is in production"
        out.print(f"[red]not released[/red]: a gate failed; {stays}.")
        out.print("To release all the same: --force --why TEXT.", style="dim")
    elif dry_run:
        out.print(f"Every gate passes; without --dry-run this would answer: {', '.join(done.versions)}")


def show_rollback(out: Console, now: Release, before: Release) -> None:
    """What answers again."""
    names = ", ".join(now.to_json()["versions"])
    out.print(f"[green]release {now.number}[/green] answers again instead of release {before.number}: {names}")
    if now.pinned:
        out.print(f"from generation {now.generation} of the documents, to which it is pinned", style="dim")


def show_releases(out: Console, releases: Sequence[Release], aliases: Mapping[str, str]) -> None:
    """The releases, that in force first, and every alias."""
    if aliases:
        notes(out, quiet=[(alias, name) for alias, name in aliases.items()])
    if not releases:
        return
    found = table(("release", True), "made", "by", "documents", "versions")
    found.columns[-1].no_wrap = False
    for at, one in enumerate(releases[:SHOWN_RELEASES]):
        pinned = f"generation {one.generation}" if one.pinned else "newest"
        number = f"▶ {one.number}" if at == 0 else str(one.number)
        found.add_row(number, one.created[:16], one.who, pinned, ", ".join(one.to_json()["versions"]))
    out.print(found)


def show_request(out: Console, trace: RequestTrace, record: VersionRecord) -> None:
    """Which version answered a request, and what that version came from."""
    release = f"release {trace.release}" if trace.release is not None else "no release"
    lines: list[tuple[str, str]] = [
        ("answered", trace.at),
        ("by", f"{record.name}, {release}, generation {trace.generation} of the documents"),
        ("data", record.dataset),
        ("files", record.artefact),
        ("code", record.code_version),
        ("fitted", f"{record.created}, seed {record.seed}, {record.seconds:.1f} s"),
    ]
    if trace.text is not None:
        lines.append(("asked", trace.text))
    notes(out, lines)


def show_history(out: Console, entries: Sequence[Entry], count: int) -> None:
    """The history, newest last."""
    if len(entries) < count:
        out.print(f"the last {len(entries)} of {count} records; --last 0 shows all", style="dim")
    found = table(("", True), "when", "who", "what", "of", "why")
    for column in found.columns[4:]:
        column.no_wrap = False
    for entry in entries:
        found.add_row(
            str(entry.number),
            entry.at[5:16].replace("T", " "),
            entry.who,
            entry.what,
            _subject(entry.evidence),
            entry.why,
        )
    out.print(found)


def show_prune(out: Console, found: Sequence[Removable], *, deleted: bool) -> None:
    """Folders that went, or would go."""
    if not found:
        out.print("nothing to delete: every fitted file is needed.")
        return
    for one in found:
        out.print(f"  {one.size / 1e6:8.1f} MB  {', '.join(one.versions)}", markup=False)
    total = sum(one.size for one in found) / 1e6
    said = "deleted" if deleted else "would be deleted; run it again with --yes"
    out.print(f"{len(found)} folders, {total:.1f} MB: {said}.")


def _show_gate(out: Console, gate: Gate) -> None:
    from rich.padding import Padding
    from rich.text import Text

    mark, style = ("✓", "green") if gate.passed else ("?", "yellow") if gate.more_rows else ("✗", "red")
    name = gate.metric.replace("_", " ")
    out.print(Padding(Text.assemble((f"{mark} ", style), (name, "bold"), f"  {gate.detail}"), (0, 0, 0, 2)))
    if not gate.passed:
        for one in gate.flipped[:SHOWN_FLIPS]:
            said = f"{one.item}: {one.text[:60]!r}: {one.reference[:60]!r} became {one.served[:60]!r}"
            out.print(Padding(Text(said, "dim"), (0, 0, 0, 6)))
        if len(gate.flipped) > SHOWN_FLIPS:
            out.print(f"      and {len(gate.flipped) - SHOWN_FLIPS} more: --json lists all", style="dim")


def _subject(evidence: Mapping[str, Any]) -> str:
    if "release" in evidence:
        return f"release {evidence['release']}"
    if "alias" in evidence:
        return f"{evidence['alias']}: {evidence['to']}"
    if "folders" in evidence:
        return f"{len(evidence['folders'])} folders"
    return f"{evidence['component']}/{evidence['candidate']}@{evidence['version']}"
