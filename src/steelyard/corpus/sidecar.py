"""The files beside the documents that say who may see what, and who is in which group: `access.toml` and `groups.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from steelyard.corpus.access import known
from steelyard.corpus.control import Control
from steelyard.corpus.directory import Membership
from steelyard.corpus.file_rules import FileRules, RuleLine, prefix
from steelyard.corpus.sources import SourceRule
from steelyard.schema.errors import DataError, nearest
from steelyard.schema.findings import Finding
from steelyard.schema.scope import EVERYONE, USER_PREFIX, Group, principal

RULES_FILE = "access.toml"
GROUPS_FILE = "groups.toml"
RULE_KEYS = ("match", "allow", "deny")
_NAMES = "Write user:NAME, GROUP or SOURCE:GROUP."


def follow_files(sources: Sequence[SourceRule], root: Path, control: Control) -> FileRules:
    """Read the rules files and the group file; the groups go into the control plane, the rules come back.

    Raises:
        DataError: they have problems; all are named, and nothing was changed.
    """
    findings: list[Finding] = []
    rules = read_rules(sources, root, findings)
    members = read_groups(root, findings)
    if findings:
        files = sorted({one.file or "" for one in findings})
        raise DataError(
            f"{len(findings)} {'problem' if len(findings) == 1 else 'problems'} in the access rules.",
            findings=findings,
            where=", ".join(files),
            remedy="Correct them; until then the rules of before hold, and nothing new is read in.",
            code="access.invalid",
        )
    control.put_directory(GROUPS_FILE, members, by="files")
    return rules


def read_rules(sources: Sequence[SourceRule], root: Path, findings: list[Finding]) -> FileRules:
    """The rules of the sources and of every `access.toml`: beside steelyard.toml, and at the top of each source folder.

    Patterns of a file in a source name documents below that source. Problems go to `findings`, with file and line.
    """
    places = [("", root / RULES_FILE)]
    for source in sources:
        for field, said in (("allow", source.allow), ("deny", source.deny)):
            _names(list(said or ()), field, f"steelyard.toml [[sources]] {source.path}", None, findings)
        name, folder = prefix(source.path, root), root / source.path
        if name and folder.is_dir():
            places.append((name, folder / RULES_FILE))
    lines = [line for name, path in places if path.is_file() for line in _rule_lines(name, path, findings)]
    return FileRules(sources=tuple(sources), lines=tuple(lines))


def _rule_lines(name: str, path: Path, findings: list[Finding]) -> Iterator[RuleLine]:
    file = f"{name}/{RULES_FILE}" if name else RULES_FILE
    read = _toml(path, file, findings)
    if read is None:
        return
    raw, text = read
    for key in raw.keys() - {"rules"}:
        hint = "Did you mean [[rules]]?" if nearest(key, ["rules"]) else "Only [[rules]] stands here."
        findings.append(_finding("unknown_key", file, _line(text, key), f"unknown key '{key}'.", hint))
    rules = raw.get("rules", [])
    if not isinstance(rules, list) or not all(isinstance(one, dict) for one in rules):
        findings.append(
            _finding("not_rules", file, _line(text, "rules"), "rules is no list.", "Write [[rules]] tables.")
        )
        return
    heads = [number for number, line in enumerate(text, start=1) if line.split("#")[0].strip() == "[[rules]]"]
    for number, rule in enumerate(rules):
        row = heads[number] if len(heads) == len(rules) else None
        made = _rule_line(rule, name, file, row, findings)
        if made is not None:
            yield made


def _rule_line(rule: dict[str, Any], name: str, file: str, row: int | None, findings: list[Finding]) -> RuleLine | None:
    before = len(findings)
    for key in rule.keys() - set(RULE_KEYS):
        near = nearest(key, list(RULE_KEYS))
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(RULE_KEYS)}."
        findings.append(_finding("unknown_key", file, row, f"unknown key '{key}'.", hint))
    pattern = rule.get("match")
    if not isinstance(pattern, str) or not pattern.strip() or pattern.startswith("/") or ".." in pattern.split("/"):
        message = "a rule needs match = a pattern of documents below this folder."
        findings.append(_finding("bad_match", file, row, message, 'Write for example match = "handbook/**".', "match"))
    if "allow" not in rule and "deny" not in rule:
        findings.append(_finding("empty_rule", file, row, "the rule says nothing.", "Add allow or deny.", "match"))
    names = {key: _names(rule[key], key, file, row, findings) for key in ("allow", "deny") if key in rule}
    if len(findings) > before:
        return None
    whole = f"{name}/{pattern}" if name else str(pattern)
    where = file if row is None else f"{file} line {row}"
    return RuleLine(pattern=whole, allow=names.get("allow"), deny=names.get("deny", ()), where=where)


def _names(value: Any, field: str, file: str, row: int | None, findings: list[Finding]) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        findings.append(_finding("bad_names", file, row, f"'{field}' is no list of names.", _NAMES, field))
        return ()
    findings.extend(
        _finding("bad_name", file, row, f"{one!r} is nobody's name.", _NAMES, field)
        for one in value
        if principal(one) is None
    )
    return known(value)


def read_groups(root: Path, findings: list[Finding]) -> list[Membership]:
    """Who is in which group by `groups.toml` beside steelyard.toml; problems go to `findings`, with file and line."""
    path = root / GROUPS_FILE
    read = _toml(path, GROUPS_FILE, findings) if path.is_file() else None
    if read is None:
        return []
    raw, text = read
    for key in raw.keys() - {"groups"}:
        hint = 'Write [groups], then lines such as "okta:eng" = ["user:ada"].'
        findings.append(_finding("unknown_key", GROUPS_FILE, _line(text, key), f"unknown key '{key}'.", hint))
    groups = raw.get("groups", {})
    if not isinstance(groups, dict):
        hint = 'Write [groups], then lines such as staff = ["user:ada"].'
        findings.append(_finding("not_groups", GROUPS_FILE, _line(text, "groups"), "groups is no table.", hint))
        return []
    found = []
    for name, members in groups.items():
        row = _line(text, name)
        group = principal(name)
        if group is None or group == EVERYONE or group.startswith(USER_PREFIX):
            message = f"{name!r} is no group that can have members."
            hint = "Write GROUP or SOURCE:GROUP; all are in 'everyone' already."
            findings.append(_finding("bad_group", GROUPS_FILE, row, message, hint))
            continue
        for member in _names(members, name, GROUPS_FILE, row, findings):
            if member == EVERYONE:
                message = f"everyone cannot be a member of '{group}': the whole world would be in it."
                findings.append(_finding("everyone_member", GROUPS_FILE, row, message, "Name groups or users.", name))
            found.append(Membership(group=Group.named(group), member=member))
    return found


def _toml(path: Path, file: str, findings: list[Finding]) -> tuple[dict[str, Any], list[str]] | None:
    """What a file holds, and its lines; None when it cannot be read, which goes to `findings`."""
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), text.splitlines()
    except UnicodeDecodeError as error:
        findings.append(_finding("not_text", file, None, f"it is not UTF-8 ({error.reason}).", "Save it as UTF-8."))
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("at line ")[2].split(",")[0]
        row = int(place) if place.isdigit() else None
        findings.append(_finding("not_toml", file, row, f"it is not TOML: {error}.", "Correct that line."))
    return None


def _line(lines: Sequence[str], key: str) -> int | None:
    """The first line that sets `key`, as an editor counts."""
    for number, line in enumerate(lines, start=1):
        head = line.split("=")[0].strip().strip("[]").strip().strip("\"'")
        if head == key:
            return number
    return None


def _finding(code: str, file: str, row: int | None, message: str, remedy: str, field: str | None = None) -> Finding:
    return Finding(
        code=f"access.{code}", severity="error", message=message, remedy=remedy, file=file, row=row, field=field
    )
