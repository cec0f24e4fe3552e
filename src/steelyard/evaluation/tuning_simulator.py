"""A simulator of a provider's fine-tuning API that bills: it trains nothing and knows no language.

It is for measuring forecasts: a job is billed by the tokens that a real tokenizer's file finds in its rows, once for each epoch, and so is
what is asked of the model that comes of it. `GET /bill` tells both. Run as `python -m steelyard.evaluation.tuning_simulator TOKENIZER`;
it prints its port and ends when its standard input is closed.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from steelyard.evaluation.simulator_process import simulated

BASE = "simulated-mini-2026-05-01"

AROUND_MESSAGE = 4
"""Tokens around each message."""

STATES = ("validating_files", "running", "succeeded")
"""Every look takes a job one state further."""


class _Provider:
    """Files, jobs and what they cost."""

    def __init__(self, tokenizer: Path) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(tokenizer))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.lock = threading.Lock()
        self.files: dict[str, list[list[dict[str, str]]]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.bill = {"trained": 0, "input": 0, "output": 0}

    def tokens(self, messages: Sequence[Mapping[str, str]]) -> int:
        return sum(
            AROUND_MESSAGE + len(self.tokenizer.encode(one["content"], add_special_tokens=False).ids)
            for one in messages
        )

    def take(self, head: str, body: bytes) -> dict[str, Any]:
        """An uploaded file of conversations."""
        form = BytesParser().parsebytes(b"Content-Type: " + head.encode() + b"\r\n\r\n" + body)
        payload = form.get_payload()
        parts: list[Any] = [] if isinstance(payload, str) else list(payload)
        named = {part.get_param("name", header="content-disposition"): part for part in parts}
        text = named["file"].get_payload(decode=True).decode()
        name = f"file-{len(self.files) + 1}"
        self.files[name] = [json.loads(line)["messages"] for line in text.splitlines()]
        made = {"id": name, "object": "file", "bytes": len(text), "created_at": 0, "filename": "rows.jsonl"}
        return made | {"purpose": "fine-tune", "status": "processed"}

    def start(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """A new job."""
        name = f"ftjob-{len(self.jobs) + 1}"
        self.jobs[name] = {
            "id": name, "object": "fine_tuning.job", "created_at": 0, "model": form["model"], "status": STATES[0],
            "training_file": form["training_file"], "validation_file": form.get("validation_file"), "error": None,
            "fine_tuned_model": None, "finished_at": None, "organization_id": "o", "result_files": [],
            "seed": form["seed"], "trained_tokens": None, "metadata": form.get("metadata"),
            "hyperparameters": form["method"]["supervised"]["hyperparameters"],
        }  # fmt: skip
        return self.jobs[name]

    def look(self, name: str) -> dict[str, Any]:
        """A job, one state further; billed when it has succeeded."""
        job = self.jobs[name]
        if job["status"] != STATES[-1]:
            job["status"] = STATES[STATES.index(job["status"]) + 1]
            if job["status"] == STATES[-1]:
                rows = self.files[job["training_file"]]
                job["trained_tokens"] = job["hyperparameters"]["n_epochs"] * sum(map(self.tokens, rows))
                job["fine_tuned_model"] = f"ft:{job['model']}:{name}"
                self.bill["trained"] += job["trained_tokens"]
        return job

    def chat(self, form: Mapping[str, Any]) -> dict[str, Any]:
        """What the rows of a model taught for the same text; else that it does not know."""
        job = next(one for one in self.jobs.values() if one["fine_tuned_model"] == form["model"])
        asked = form["messages"][-1]["content"]
        rows = self.files[job["training_file"]]
        said = next((row[-1]["content"] for row in rows if row[-2]["content"] == asked), "I do not know.")
        use = {"prompt_tokens": self.tokens(form["messages"]), "completion_tokens": self.tokens([{"content": said}])}
        self.bill["input"] += use["prompt_tokens"]
        self.bill["output"] += use["completion_tokens"]
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
        answer = {"id": "c", "object": "chat.completion", "created": 0, "model": form["model"], "choices": [choice]}
        return answer | {"usage": use | {"total_tokens": sum(use.values())}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer("GET", b"")

    def do_POST(self) -> None:
        self._answer("POST", self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, method: str, body: bytes) -> None:
        provider: _Provider = self.server.provider  # type: ignore[attr-defined]
        with provider.lock:
            status, found = self._found(provider, method, urlsplit(self.path).path.removeprefix("/v1"), body)
        data = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _found(self, provider: _Provider, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        match (method, path):
            case ("GET", "/bill"):
                return 200, provider.bill
            case ("POST", "/files"):
                return 200, provider.take(self.headers["Content-Type"], body)
            case ("POST", "/fine_tuning/jobs"):
                return 200, provider.start(json.loads(body))
            case ("GET", "/fine_tuning/jobs"):
                return 200, {"object": "list", "data": [], "has_more": False}
            case ("POST", "/chat/completions"):
                return 200, provider.chat(json.loads(body))
        if path == "/models":
            return 200, {"object": "list", "data": []}
        if found := re.fullmatch(r"/models/(.+)", path):
            return 200, {"id": found[1], "object": "model", "created": 0, "owned_by": "simulator"}
        if (found := re.fullmatch(r"/fine_tuning/jobs/([^/]+)", path)) and found[1] in provider.jobs:
            return 200, provider.look(found[1])
        return 404, {"error": {"message": f"there is no {path}", "type": "invalid_request_error", "code": None}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    provider: _Provider


def main(tokenizer: Path) -> None:
    """Serve until standard input is closed."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.provider = _Provider(tokenizer)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()


def tuning_simulator(tokenizer: Path) -> AbstractContextManager[str]:
    """The address (ending in /v1) of a simulator in a process of its own, billing by the tokenizer of that file."""
    return simulated("steelyard.evaluation.tuning_simulator", str(tokenizer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
