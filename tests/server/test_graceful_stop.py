"""A server that is told to stop answers what it has begun, and then is gone."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import httpx
import pytest

from server.live import READY_S, live_server
from steelyard.workspace import Workspace


def test_a_request_that_has_begun_is_answered_after_the_word_to_stop(folder: Path) -> None:
    with live_server(folder) as live:
        host, port = live.url.removeprefix("http://").split(":")
        body = json.dumps({"question": "How long is the loan period?"}).encode()
        with socket.create_connection((host, int(port)), timeout=READY_S) as line:
            head = f"POST /api/ask HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            line.sendall(f"{head}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
            # The server asks for the body: the request has begun, and nothing of it is answered yet.
            assert line.recv(100).startswith(b"HTTP/1.1 100")
            live.process.send_signal(signal.SIGTERM)
            line.sendall(body)
            answer = b""
            while piece := line.recv(65536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 200")
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert live.process.wait(READY_S) in (0, -signal.SIGTERM)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{live.url}/healthz")
    # What was answered last was kept before it was given.
    assert told["trace_id"] in {entry.evidence["trace_id"] for entry in Workspace(folder).answers(5)}


def test_two_servers_do_not_share_a_port(folder: Path) -> None:
    from steelyard.schema.errors import UserError
    from steelyard.server.process import run_server

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match="cannot listen on"):
            run_server(folder, host="127.0.0.1", port=port, workers=1, tell=lambda _: None)
