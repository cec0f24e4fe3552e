"""A tool library that is served: laid out and weighed once, with a key of every kind."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from server.served import Door, open_to_the_public, with_keys
from workspace.tiny import weighed_once


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weighed tool library of this module's own; anonymous askers are the public."""
    made = Path(shutil.copytree(weighed_once(), tmp_path_factory.mktemp("served") / "tool-library"))
    open_to_the_public(made)
    return made


@pytest.fixture(scope="module")
def door(folder: Path) -> Iterator[Door]:
    """The server of that folder, in this process, with a key of every kind."""
    from steelyard.server.app import make_app

    app = make_app(folder)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Door(client=client, site=app.state.site, keys=with_keys(app.state.site))
