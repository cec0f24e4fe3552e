"""The page in a real browser against a real server: at both widths, with and without scripts, by keyboard, and for screen readers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from server.paged import CHECKS, CONTRASTS, chromium, served
from steelyard.registry.keys import Keys
from steelyard.workspace import Workspace
from workspace.tiny import weighed_once

pytestmark = pytest.mark.slow

SETTINGS = """
[serve]
requests_per_minute = 0

[gates]
margin = 0.9
"""
"""So few rows cannot show that one version is no worse than another by little."""

ROOMS = ("decision", "ask", "corpus", "models", "quality", "audit")
PATHS = ("/sign-in", *(f"/{room}" for room in ROOMS), "/corpus/confirm?generation=1", "/models/gates", "/nowhere")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Path(shutil.copytree(weighed_once(), tmp_path_factory.mktemp("paged") / "tool-library"))
    workspace = Workspace(made)
    workspace.release(force=True, why="so that there is one")
    settings = made / "steelyard.toml"
    settings.write_text(settings.read_text(encoding="utf-8") + SETTINGS, encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def keys(folder: Path) -> dict[str, str]:
    made = Keys(Workspace(folder).state.keys)
    return {
        "lead": made.create("lead", user="lee", groups=("staff",), roles=("ask", "operate"))[1],
        "asker": made.create("asker", user="ada", roles=("ask",))[1],
    }


@pytest.fixture(scope="module")
def address(folder: Path, keys: dict[str, str]):
    with served(folder) as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


def enter(browser, address: str, key: str, **context):
    page = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context}).new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{address}/sign-in")
    page.fill("#key", key)
    page.click("button.main")
    page.wait_for_url(re.compile(r"/(decision|ask)$"))
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_room_fits_says_nothing_to_the_console_asks_nobody_else_and_can_be_read(
    browser, address, keys, width, scheme
) -> None:
    page = enter(browser, address, keys["lead"], viewport={"width": width, "height": 844}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for path in PATHS:
        page.goto(address + path, wait_until="networkidle")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate(CHECKS) == [], path
        assert page.evaluate(CONTRASTS) == [], path
        unasked = [text for text in said if not (path == "/nowhere" and "404" in text)]
        assert unasked == [], path
        said.clear()
    assert {url.startswith(address) for url in asked} == {True}
    page.context.close()


def test_the_decision_follows_a_moved_number_and_says_so(browser, address, keys) -> None:
    page = enter(browser, address, keys["lead"])
    page.goto(f"{address}/decision")
    before = page.inner_text("#moved")
    slider = page.get_by_role("slider", name=re.compile("^Queries"))
    slider.focus()
    with page.expect_response(re.compile(r"/decision/moved\?.*queries_per_month=")):
        slider.press("PageUp")
    page.wait_for_url(re.compile("queries_per_month="))
    page.locator("[role=status]", has_text="queries a month").wait_for()
    assert page.inner_text("#moved") != before
    assert page.input_value("#n-queries_per_month") != page.get_attribute("[data-knob]", "data-at")
    page.click("[data-reset]")
    page.locator("[role=status]", has_text="was taken with").wait_for()
    assert page.inner_text("#moved") == before
    page.context.close()


def test_without_scripts_a_button_decides_and_a_wrong_number_is_explained(browser, address, keys) -> None:
    page = enter(browser, address, keys["lead"], java_script_enabled=False)
    page.goto(f"{address}/decision")
    page.fill("#n-queries_per_month", "250000")
    page.click("text=Decide with these")
    assert "queries_per_month=250000" in page.url
    assert "250,000 queries a month" in page.inner_text("[role=status]")
    page.goto(f"{address}/decision?queries_per_month=-5")
    assert page.get_attribute("#n-queries_per_month", "aria-invalid") == "true"
    assert "outside" in page.inner_text("#e-queries_per_month")
    page.context.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_an_answer_opens_its_source_at_the_span_and_takes_feedback(browser, address, keys, folder, scripts) -> None:
    question = next(
        item.text
        for item in Workspace(folder)._parts().examples.split("answer").train
        if item.answerable and not item.groups
    )
    page = enter(browser, address, keys["lead"], java_script_enabled=scripts)
    page.goto(f"{address}/ask")
    page.fill("#text", question)
    page.check("input[value=answer]")
    page.click("button.main")
    page.wait_for_selector(".answer")
    assert page.locator("table tbody tr").count() == 1
    cites = page.locator(".cites a")
    assert cites.count() >= 1
    quote = page.locator(".cites blockquote").first.inner_text()
    link = cites.first.get_attribute("href")
    page.click("button[value=right]")
    page.wait_for_url(re.compile("noted"))
    assert "reviewer" in page.inner_text("[role=status]")
    assert Workspace(folder)._parts().feedback.all()[-1].verdict == "right"
    page.goto(address + link)
    marked = page.locator("mark#span").inner_text()
    assert marked.split()[:5] == quote.split()[:5]
    page.context.close()


def test_an_asker_enters_one_room_and_a_hidden_source_looks_like_none(browser, address, keys) -> None:
    page = enter(browser, address, keys["asker"])
    assert page.locator("nav a").all_inner_texts() == ["Ask"]
    assert page.locator("#user").count() == 0
    refused = page.goto(f"{address}/corpus")
    assert refused.status == 403
    texts = []
    for document in ("docs-internal/nothing.md", "docs/nothing.md"):
        answer = page.goto(f"{address}/source?document={document}&version={'0' * 64}")
        texts.append((answer.status, page.inner_text("main").replace(document, "")))
    assert texts[0] == texts[1]
    assert texts[0][0] == 404
    page.context.close()


def test_the_keyboard_reaches_the_content_at_once_and_everything_that_acts(browser, address, keys) -> None:
    page = enter(browser, address, keys["lead"])
    page.goto(f"{address}/models")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.locator("main:focus").wait_for()
    wanted = page.evaluate("document.querySelectorAll('main a, main button, main select, main summary').length")
    reached = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "[...document.querySelectorAll('main a, main button, main select, main summary')].indexOf(document.activeElement)"
            )
        )
    assert len(reached - {-1}) == wanted
    page.context.close()


def test_a_release_is_confirmed_and_taken_back_by_pressing_buttons(browser, address, keys, folder) -> None:
    page = enter(browser, address, keys["lead"], java_script_enabled=False)
    page.goto(f"{address}/models")
    numbers = {one.number for one in Workspace(folder).releases()}
    page.select_option("#v-intent", index=1)
    page.click("text=Check the gates")
    assert {one.number for one in Workspace(folder).releases()} == numbers
    assert page.locator("h1").inner_text() in ("Release these?", "A gate says no", "That is what answers already")
    page.goto(f"{address}/corpus")
    assert "answers now" in page.inner_text("main")
    page.context.close()


def tab_to(page, focused: str, *, most: int = 80) -> None:
    """Press Tab until what has the focus matches a selector."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", focused):
            return
    raise AssertionError(f"the keyboard does not reach {focused}")


@pytest.mark.parametrize("scripts", [True, False])
def test_an_operator_releases_and_goes_back_by_keyboard_alone(browser, address, keys, folder, scripts) -> None:
    before = max(one.number for one in Workspace(folder).releases())
    page = enter(browser, address, keys["lead"], java_script_enabled=scripts, viewport={"width": 390, "height": 844})
    page.goto(f"{address}/models")
    answering = page.locator("p.lead b").inner_text()
    tab_to(page, "#v-intent")
    page.keyboard.press("ArrowDown")
    assert page.input_value("#v-intent")
    tab_to(page, "button.main")
    page.keyboard.press("Enter")
    page.wait_for_url("**/models/gates**")
    assert page.locator("h1").inner_text() == "Release these?"
    assert max(one.number for one in Workspace(folder).releases()) == before
    tab_to(page, "#why")
    page.keyboard.type("pressed by keyboard")
    tab_to(page, "button.main")
    page.keyboard.press("Enter")
    page.wait_for_url("**/models?now=*")
    assert f"Release {before + 1} answers now" in page.inner_text("body")
    made = next(one for one in Workspace(folder).releases() if one.number == before + 1)
    assert made.why.startswith("pressed by keyboard")
    tab_to(page, f"a[href='/models/back?release={answering.removeprefix('Release ')}']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/models/back**")
    tab_to(page, "button.main")
    page.keyboard.press("Enter")
    page.wait_for_url("**/models?now=*")
    assert page.locator("p.lead b").inner_text() == answering
    page.context.close()


def test_the_appearance_is_switched_with_and_without_scripts(browser, address, keys) -> None:
    for scripts in (True, False):
        page = enter(browser, address, keys["lead"], java_script_enabled=scripts, color_scheme="dark")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.click(".looks button")
        page.wait_for_selector("html[data-theme=light]")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
        page.reload()
        assert page.get_attribute("html", "data-theme") == "light"
        page.context.close()
