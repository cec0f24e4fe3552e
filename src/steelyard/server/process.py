"""The server's processes: one that listens, and workers that answer."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path

from steelyard.schema.errors import MissingExtraError, UserError

DRAIN_S = 30
"""How long running requests may take to end after the server was told to stop."""

KEEP_ALIVE_S = 30

EXPOSED = (
    "warning: other machines can reach this address, and plain http shows them keys and answers on their way; "
    "put a proxy with TLS in front, and see docs/how-to/run-in-production.md."
)
"""Said when the server listens on more than this machine's own addresses."""


def run_server(folder: Path, *, host: str, port: int, workers: int, tell: Callable[[str], None]) -> None:
    """Serve a workspace until the process is told to stop (SIGINT, SIGTERM); requests that run are finished first.

    Raises:
        ConfigError: the folder holds no workspace, or its settings are wrong.
        UserError: there is nothing to serve, or the port is taken.
        MissingExtraError: the libraries that serve are not installed.
    """
    try:
        import uvicorn

        from steelyard.server.app import FOLDER_VARIABLE, WORKERS_VARIABLE
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("steelyard"):
            raise
        raise MissingExtraError(
            f"serving needs the library '{error.name}', which is not installed.",
            remedy="Install it with: pip install 'steelyard[serve]'.",
            code="server.missing_extra",
        ) from error
    check_ready(folder)
    bound = _bind(host, port)
    if not is_loopback(host):
        tell(EXPOSED)
    shown = f"[{host}]" if ":" in host else host
    tell(
        f"serving {folder.resolve().name} at http://{shown}:{bound.getsockname()[1]} with {_count(workers)}; stop with Ctrl-C."
    )
    bound.close()
    os.environ[FOLDER_VARIABLE] = str(folder.resolve())
    os.environ[WORKERS_VARIABLE] = str(workers)
    uvicorn.run(
        "steelyard.server.app:app_of_environment",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=DRAIN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        ws="none",
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; a name counts by every address it stands for.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("")
    (True, True, False, False)
    """
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host or None, 0, flags=socket.AI_PASSIVE)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(one).partition("%")[0]).is_loopback for one in found)


def check_ready(folder: Path) -> None:
    """Nothing, when the workspace has something to serve; loads no model.

    Raises:
        ConfigError: the folder holds no workspace, or its settings are wrong.
        UserError: there is nothing to serve.
    """
    from steelyard.workspace import Workspace
    from steelyard.workspace.running import in_force

    running = Workspace(folder).running()
    try:
        in_force(running.parts)
    finally:
        running.close()


def _bind(host: str, port: int) -> socket.socket:
    """A socket on the address, to say before anything is loaded that it cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _taken(host, port, error) from error
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise _taken(host, port, error) from error
    return bound


def _taken(host: str, port: int, error: OSError) -> UserError:
    return UserError(
        f"cannot listen on {host}:{port}: {error.strerror or error}.",
        remedy="Name another with --host or --port, or stop what listens there.",
        code="server.port_taken",
    )


def _count(workers: int) -> str:
    return f"{workers} worker" + ("s" if workers > 1 else "")
