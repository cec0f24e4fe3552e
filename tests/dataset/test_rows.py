import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.dataset.places import places_of
from steelyard.dataset.rows import read_items, scan_items
from steelyard.schema.errors import DataError


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def codes(rows) -> list[tuple[str, int | None]]:
    return [(finding.code, finding.row) for finding in rows.findings]


def test_reads_classify_rows_from_csv_and_json_lines_alike(tmp_path):
    table = write(tmp_path, "a.csv", 'text,label\n"Where, is my card?",card\nRefund please,refund\n')
    lines = write(
        tmp_path,
        "a.jsonl",
        '{"text": "Where, is my card?", "label": "card"}\n\n{"text": "Refund please", "label": "refund"}\n',
    )
    first, second = read_items(table, "classify").items, read_items(lines, "classify").items
    assert [(item.text, item.label) for item in first] == [("Where, is my card?", "card"), ("Refund please", "refund")]
    assert [item.id for item in first] == [item.id for item in second]
    assert [item.row for item in first] == [2, 3]
    assert [item.row for item in second] == [1, 3]


def test_row_numbers_are_editor_lines_also_after_multi_line_cells(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\r\n"two\r\nlines",a\r\n,b\r\n')
    rows = scan_items(path, "classify")
    assert [(item.text, item.row) for item in rows.items] == [("two\r\nlines", 2)]
    assert codes(rows) == [("dataset.empty_field", 4)]


def test_reports_all_problems_of_a_file_at_once_with_row_field_and_remedy(tmp_path):
    content = b"text,label\ngood,a\n,a\nbad \xff byte,b\nno label,\none,two,three\ngood too,b\n"
    rows = scan_items(write(tmp_path, "t.csv", content), "classify", shown_as="t.csv")
    assert codes(rows) == [
        ("dataset.empty_field", 3),
        ("dataset.not_utf8", 4),
        ("dataset.empty_field", 5),
        ("dataset.extra_cells", 6),
    ]
    assert [finding.field for finding in rows.findings] == ["text", None, "label", None]
    assert all(finding.remedy and finding.file == "t.csv" for finding in rows.findings)
    assert [item.text for item in rows.items] == ["good", "good too"]
    with pytest.raises(DataError, match="4 problems") as caught:
        read_items(tmp_path / "t.csv", "classify")
    assert len(caught.value.findings) == 4


def test_bad_json_costs_its_own_line_only(tmp_path):
    lines = '{"text": "a", "label": "x"}\n{"text": \n[1]\n{"text": NaN, "label": "x"}\n{"text": "b", "label": "y"}\n'
    rows = scan_items(write(tmp_path, "a.jsonl", lines), "classify")
    assert codes(rows) == [("dataset.bad_json", 2), ("dataset.bad_json", 3), ("dataset.bad_json", 4)]
    assert [item.text for item in rows.items] == ["a", "b"]


def test_missing_column_names_the_nearest(tmp_path):
    rows = scan_items(write(tmp_path, "a.csv", "txet,label\nhello,a\n"), "classify")
    (finding,) = rows.errors
    assert (finding.code, finding.field) == ("dataset.missing_column", "text")
    assert "txet" in finding.remedy
    assert rows.items == ()


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", "", "dataset.empty_file"),
        ("a.csv", "text,label\n", "dataset.empty_file"),
        ("a.jsonl", "\n\n", "dataset.empty_file"),
        ("a.xlsx", "PK", "dataset.unknown_format"),
        ("a.csv", "text,label\nhi,a\n".encode("utf-16"), "dataset.not_utf8"),
        ("a.csv", 'text,label\n"never closed,a\n', "dataset.bad_csv"),
        ("a.csv", "text,text,label\na,b,c\n", "dataset.duplicate_column"),
    ],
)
def test_unusable_files_are_findings_not_crashes(tmp_path, name, content, code):
    assert code in [finding.code for finding in scan_items(write(tmp_path, name, content), "classify").errors]


def test_missing_file_is_a_finding(tmp_path):
    assert [finding.code for finding in scan_items(tmp_path / "none.csv", "classify").findings] == [
        "dataset.unreadable"
    ]


def test_other_separators_and_byte_order_mark_are_read(tmp_path):
    path = write(tmp_path, "a.csv", "\ufeffText;Label\nhello, you;a\n".encode())
    (item,) = read_items(path, "classify").items
    assert (item.text, item.label) == ("hello, you", "a")


def test_unknown_columns_are_ignored_with_one_note(tmp_path):
    rows = read_items(write(tmp_path, "a.csv", "text,label,agent,priority\nhello,a,kim,2\n"), "classify")
    (note,) = rows.findings
    assert (note.code, note.severity) == ("dataset.ignored_column", "note")
    assert "agent, priority" in note.message


def test_reads_questions_with_dates_and_groups_and_leaves_wordings_of_a_fact_apart(tmp_path):
    row = {
        "id": "q1",
        "question": "How much is it?",
        "answers": ["$5", "5 dollars", "$5"],
        "source": "docs/price.md",
        "groups": ["staff"],
        "valid_from": "2026-01-31",
        "valid_to": "2026-03-01T12:00:00+02:00",
        "fact": "price",
        "note": "x",
    }
    (item,) = read_items(write(tmp_path, "q.jsonl", json.dumps(row)), "answer").items
    assert (item.id, item.answers, item.answerable) == ("q1", ("$5", "5 dollars"), True)
    assert (item.groups, item.group, item.source) == (frozenset({"staff"}), None, "docs/price.md")
    assert item.valid_from == datetime(2026, 1, 31, tzinfo=UTC)
    assert item.valid_to == datetime(2026, 3, 1, 10, tzinfo=UTC)


def test_question_without_answers_is_unanswerable_unless_it_claims_otherwise(tmp_path):
    lines = '{"question": "a?"}\n{"question": "b?", "answerable": true}\n{"question": "c?", "answers": "x", "answerable": "no"}\n'
    rows = scan_items(write(tmp_path, "q.jsonl", lines), "answer")
    assert [(item.text, item.answerable) for item in rows.items] == [("a?", False), ("c?", False)]
    assert codes(rows) == [("dataset.no_answers", 2)]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ({"valid_from": "31.01.2026"}, "dataset.invalid_date"),
        ({"valid_from": "2026-02-02", "valid_to": "2026-02-02"}, "dataset.invalid_period"),
        ({"answerable": "perhaps"}, "dataset.not_a_flag"),
        ({"answers": [["x"]]}, "dataset.wrong_type"),
        ({"question": ["x"]}, "dataset.wrong_type"),
        ({"question": "x" * 100_001}, "dataset.text_too_long"),
    ],
)
def test_wrong_fields_of_a_question_are_named(tmp_path, cell, code):
    row = {"question": "How?", "answers": ["so"], **cell}
    rows = scan_items(write(tmp_path, "q.jsonl", json.dumps(row)), "answer")
    assert code in [finding.code for finding in rows.errors]
    assert rows.items == ()


def test_lists_in_a_csv_cell_are_split_at_bars_or_read_as_json(tmp_path):
    path = write(tmp_path, "q.csv", 'question,answers,groups\nA?,$5|5 dollars,staff\nB?,"[""x | y""]",\n')
    first, second = read_items(path, "answer").items
    assert (first.answers, first.groups) == (("$5", "5 dollars"), frozenset({"staff"}))
    assert second.answers == ("x | y",)


def test_slot_mismatches_are_named_both_ways(tmp_path):
    lines = [
        {"input": "late", "output": "Hi {name}, {ordr} is late.", "slots": {"name": "Kim", "order": "7"}},
        {"input": "ok", "output": "Hi {name}.", "slots": {"name": "Kim", "spare": 3}},
        {"input": "none given", "output": "Hi {name}."},
        {"input": "x", "output": "y", "slots": {"first name": "Kim"}},
        {"input": "x", "output": "y", "slots": "{oops"},
    ]
    rows = scan_items(write(tmp_path, "r.jsonl", "\n".join(map(json.dumps, lines))), "write")
    assert codes(rows) == [
        ("dataset.unknown_slot", 1),
        ("dataset.unused_slot", 1),
        ("dataset.unused_slot", 2),
        ("dataset.slot_name", 4),
        ("dataset.bad_slots", 5),
    ]
    assert "'order'" in rows.findings[0].remedy
    assert [dict(item.slots) for item in rows.items] == [{"name": "Kim", "spare": "3"}, {}]


def test_doubled_braces_are_not_places():
    assert places_of("{{name}} {name} {na me} {1x} {{{a}}}") == ("name",)


def test_system_cases_carry_all_three_parts(tmp_path):
    row = {
        "message": "late!",
        "intent": "complaint",
        "answers": ["2 days"],
        "slots": {"name": "Kim"},
        "output": "Hi {name}",
    }
    (item,) = read_items(write(tmp_path, "s.jsonl", json.dumps(row)), "system").items
    assert (item.task, item.label, item.answers, dict(item.slots)) == (
        "answer",
        "complaint",
        ("2 days",),
        {"name": "Kim"},
    )


def test_duplicate_ids_are_reported_with_the_first_row(tmp_path):
    rows = scan_items(write(tmp_path, "a.csv", "id,text,label\n1,a,x\n2,b,x\n1,c,y\n"), "classify")
    assert codes(rows) == [("dataset.duplicate_id", 4)]
    assert "row 2" in rows.findings[0].message
    assert [item.text for item in rows.items] == ["a", "b"]


def test_rows_without_ids_keep_their_name_when_rows_are_added(tmp_path):
    before = read_items(write(tmp_path, "a.csv", "text,label\nb,x\nb,x\n"), "classify").items
    after = read_items(write(tmp_path, "b.csv", "text,label\nnew,y\nb,x\nb,x\n"), "classify").items
    assert [item.id for item in before] == [item.id for item in after[1:]]
    assert len({item.id for item in after}) == 3


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=300),
    suffix=st.sampled_from([".csv", ".tsv", ".jsonl"]),
    kind=st.sampled_from(["classify", "answer", "write", "system"]),
)
def test_no_content_crashes_the_reader(tmp_path_factory, data, suffix, kind):
    path = tmp_path_factory.mktemp("fuzz") / f"f{suffix}"
    path.write_bytes(data)
    rows = scan_items(path, kind)
    assert rows.items or rows.findings


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip),
            st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(str.strip),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_is_written_as_json_lines_is_read_back(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("round") / "f.jsonl"
    path.write_text(
        "\n".join(json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in pairs),
        encoding="utf-8",
    )
    items = read_items(path, "classify").items
    assert [(item.text, item.label) for item in items] == [(text.strip(), label.strip()) for text, label in pairs]


def test_half_a_character_is_an_error_of_its_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = ['{"text": "a \\ud83d", "label": "x"}', '{"text": "a \\ud83d\\ude00", "label": "x"}']
    path.write_text("\n".join(lines), encoding="utf-8")
    rows = scan_items(path, "classify")
    assert [(one.code, one.row) for one in rows.findings] == [("dataset.bad_json", 1)]
    assert [item.text for item in rows.items] == ["a 😀"]
