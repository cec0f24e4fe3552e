"""Routes of the rooms of the running system: *Corpus*, *Models*, *Quality*, *Audit*."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from steelyard.server.callers import caller
from steelyard.server.failures import UnavailableError
from steelyard.server.pages import audit_room, corpus_room, models_room, quality_room
from steelyard.server.pages.rendering import Pages, form_of

if TYPE_CHECKING:
    from steelyard.schema.releases import Promotion
    from steelyard.workspace import Workspace

LONGEST_WHY = 500

TOO_LONG = 504
GATES = Lock()
"""Held while gates are measured."""


def add_rooms(app: FastAPI, pages: Pages) -> None:
    """Add the routes."""
    _add_corpus(app, pages)
    _add_models(app, pages)
    _add_release(app, pages)
    _add_quality(app, pages)
    _add_audit(app, pages)


def _add_corpus(app: FastAPI, pages: Pages) -> None:
    site = pages.site
    workspace = site.workspace

    @app.get("/corpus", include_in_schema=False)
    async def corpus(request: Request) -> Response:
        """Sources, freshness, failures, generations."""
        shown = await site.work(lambda: corpus_room.context(workspace))
        changed = request.query_params.get("now", "")
        notice = f"Generation {changed} answers now." if changed.isdigit() else None
        return pages.show(request, "corpus.html.j2", room="corpus", notice=notice, **shown)

    @app.get("/corpus/confirm", include_in_schema=False)
    async def confirm(request: Request) -> Response:
        """What letting a generation answer would change; nothing is changed yet."""
        number = request.query_params.get("generation", "")
        wanted, now = await site.work(lambda: corpus_room.wanted_generation(workspace, number))
        return pages.show(request, "corpus_confirm.html.j2", room="corpus", wanted=wanted, now=now)

    @app.post("/corpus/use", include_in_schema=False)
    async def use(request: Request) -> Response:
        """Let a generation answer from now on."""
        number = (await form_of(request)).get("generation", "")
        wanted, _ = await site.work(lambda: corpus_room.wanted_generation(workspace, number))
        await site.work(lambda: workspace.use_generation(wanted.number))
        return RedirectResponse(f"/corpus?now={wanted.number}", status_code=303)


def _add_models(app: FastAPI, pages: Pages) -> None:
    site = pages.site
    workspace = site.workspace

    @app.get("/models", include_in_schema=False)
    async def models(request: Request) -> Response:
        """Versions, gates, releases, learning curves."""
        shown = await site.work(lambda: models_room.context(workspace))
        changed = request.query_params.get("now", "")
        notice = f"Release {changed} answers now." if changed.isdigit() else None
        return pages.show(request, "models.html.j2", room="models", notice=notice, said=models_room.gates_said, **shown)

    @app.get("/models/gates", include_in_schema=False)
    async def gates(request: Request) -> Response:
        """What the gates say of the chosen versions; nothing is released yet."""
        targets = models_room.targets_of(request.query_params, workspace)
        try:
            found = await site.work(lambda: _released(workspace, targets, dry_run=True))
        except UnavailableError as error:
            return _measuring(pages, request, error, "Load this page again in a minute: what is measured then is kept.")
        return pages.show(request, "models_gates.html.j2", room="models", status=200, promotion=found, targets=targets)

    @app.get("/models/back", include_in_schema=False)
    async def back(request: Request) -> Response:
        """What going back to a release would change; nothing is changed yet."""
        number = request.query_params.get("release", "")
        wanted, now = await site.work(lambda: models_room.earlier_release(workspace, number))
        return pages.show(request, "models_back.html.j2", room="models", wanted=wanted, now=now)


def _add_release(app: FastAPI, pages: Pages) -> None:
    site = pages.site
    workspace = site.workspace

    @app.post("/models/release", include_in_schema=False)
    async def release(request: Request) -> Response:
        """Let the chosen versions answer when every gate passes."""
        form = await form_of(request)
        targets = models_room.targets_of(form, workspace)
        why = _why(form.get("why", ""), caller(request).name)
        try:
            made = await site.work(lambda: _released(workspace, targets, why=why))
        except UnavailableError as error:
            return _measuring(
                pages, request, error, "If every gate passes, the release follows: look at the list of releases."
            )
        if made.release is None:
            return pages.show(
                request, "models_gates.html.j2", room="models", status=409, promotion=made, targets=targets
            )
        return RedirectResponse(f"/models?now={made.release}", status_code=303)

    @app.post("/models/roll-back", include_in_schema=False)
    async def roll_back(request: Request) -> Response:
        """Let an earlier release answer again."""
        form = await form_of(request)
        wanted, _ = await site.work(lambda: models_room.earlier_release(workspace, form.get("release", "")))
        why = _why(form.get("why", ""), caller(request).name)
        now, _ = await site.work(lambda: workspace.rollback(wanted.number, why=why))
        return RedirectResponse(f"/models?now={now.number}", status_code=303)


def _add_quality(app: FastAPI, pages: Pages) -> None:
    site = pages.site

    @app.get("/quality", include_in_schema=False)
    async def quality(request: Request) -> Response:
        """Retrieval by generation, slices, alerts."""
        shown = await site.work(lambda: quality_room.context(site.workspace))
        return pages.show(request, "quality.html.j2", room="quality", **shown)


def _add_audit(app: FastAPI, pages: Pages) -> None:
    site = pages.site

    @app.get("/audit", include_in_schema=False)
    async def audit(request: Request) -> Response:
        """The newest answers and changes, and whether the histories are whole."""
        shown = await site.work(lambda: audit_room.context(site.workspace))
        return pages.show(request, "audit.html.j2", room="audit", **shown)

    @app.get("/audit/answer", include_in_schema=False)
    async def answer(request: Request) -> Response:
        """One answer's record, asked again where its question is known."""
        query = request.query_params
        question = query.get("question") or None
        shown = await site.work(lambda: audit_room.replay_context(site, query.get("id", ""), question))
        return pages.show(request, "audit_answer.html.j2", room="audit", asked=question or "", **shown)


def _released(workspace: Workspace, targets: list[str], *, why: str = "", dry_run: bool = False) -> Promotion:
    # One at a time: whoever looks again while the gates are measured waits for those figures, and does not measure them twice.
    with GATES:
        return workspace.release(targets, why=why, dry_run=dry_run)


def _measuring(pages: Pages, request: Request, error: UnavailableError, remedy: str) -> Response:
    if error.status != TOO_LONG:
        raise error
    return pages.show(
        request,
        "failure.html.j2",
        room="models",
        status=202,
        number=202,
        title="The gates are being measured",
        code="page.measuring",
        message="Something changed since these versions were measured, and measuring them again takes longer than a page waits.",
        remedy=remedy,
    )


def _why(text: str, name: str) -> str:
    """The reason as the history keeps it: with who pressed the button, for the process itself runs under another name."""
    said = text.strip()[:LONGEST_WHY] or "on the page"
    return f"{said} ({name})"
