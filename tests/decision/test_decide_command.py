import json
import os
import pty
import re
import select
import subprocess
import sys
from time import monotonic

import pytest
from worked import own_cases

COMMAND = [sys.executable, "-m", "steelyard", "decide"]
KEYS = {"recommendation", "confidence", "reasons", "break_even_queries_per_month", "p_cheapest", "flips", "next_step"}


def run(*arguments, text=""):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, input=text, timeout=60, check=False)


@pytest.fixture
def facts_file(tmp_path):
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(own_cases()[9]["facts"]))
    return path


def test_facts_file_gives_the_json_of_the_contract(facts_file):
    done = run("--facts", str(facts_file), "--json")
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout)
    assert set(tree["components"]) == {"main"}
    assert set(tree["components"]["main"]) >= KEYS
    assert tree["components"]["main"]["recommendation"] == "rag"


def test_not_enough_evidence_is_an_answer_and_exits_zero():
    done = run("--behaviour", "style", "--json")
    assert done.returncode == 0, done.stderr
    main = json.loads(done.stdout)["components"]["main"]
    assert main["recommendation"] == "not_enough_evidence"
    assert main["next_step"]


def test_flags_decide_without_a_file():
    done = run("--updates", "daily", "--citations", "--behaviour", "facts", "--queries", "2.5M", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["components"]["main"]["recommendation"] == "rag"


def test_the_terminal_text_says_verdict_reasons_and_flips(facts_file):
    done = run("--facts", str(facts_file))
    assert done.returncode == 0, done.stderr
    for expected in ("RAG", "confidence", "Why", "scoping", "What running it brings"):
        assert expected in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"{", "facts.not_json"),
        (b"", "facts.empty"),
        (b"\xff", "facts.not_utf8"),
        (b'{"querys_per_month": 3}', "facts.unknown_key"),
    ],
)
def test_a_malformed_file_exits_two_with_place_and_remedy(tmp_path, content, code):
    path = tmp_path / "facts.json"
    path.write_bytes(content)
    done = run("--facts", str(path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert str(path) in done.stderr
    assert code in done.stderr
    assert "Traceback" not in done.stderr


def test_facts_and_flags_together_are_refused(facts_file):
    done = run("--facts", str(facts_file), "--queries", "3")
    assert done.returncode == 2
    assert "queries_per_month" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["svg", "png", "html"])
def test_the_plot_is_written_in_the_form_its_ending_says(facts_file, tmp_path, ending):
    path = tmp_path / f"plot.{ending}"
    done = run("--facts", str(facts_file), "--plot", str(path))
    assert done.returncode == 0, done.stderr
    start = path.read_bytes()[:200].lower()
    assert {"svg": b"<svg", "png": b"\x89png", "html": b"<!doctype html"}[ending] in start
    if ending == "html":
        assert not re.search(r'src="https?://', path.read_text())


def test_another_ending_is_refused(facts_file, tmp_path):
    done = run("--facts", str(facts_file), "--plot", str(tmp_path / "plot.gif"))
    assert done.returncode == 2
    assert ".svg" in done.stderr


def talk(answers, seconds=40.0):
    """Answer the interview on a pseudo-terminal, one line per prompt; what was shown, and the exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", COLUMNS="100")
        os.execv(sys.executable, COMMAND)
    shown, left, end, answered = "", list(answers), monotonic() + seconds, 0
    while monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:
                break
            if not data:
                break
            shown += data.decode(errors="replace")
        if left and shown.count("> ") > answered:
            answered += 1
            os.write(terminal, (left.pop(0) + "\n").encode())
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return shown, os.waitstatus_to_exitcode(status)


def test_on_a_terminal_three_answers_can_be_enough():
    shown, code = talk(["daily", "yes", "facts"])
    assert code == 0
    assert "That is enough" in shown
    assert shown.count("> ") == 3
    assert "RAG" in shown


def test_on_a_terminal_a_wrong_answer_is_asked_again():
    shown, code = talk(["often", "daily", "yes", "facts"])
    assert code == 0
    assert "not understood" in shown
    assert "RAG" in shown
