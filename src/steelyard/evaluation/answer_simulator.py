"""A simulator of an OpenAI-compatible server that answers in the form that is asked for; it knows no language.

It is for measuring forecasts: tokens are counted by a real tokenizer's file, answers are of uneven length and take uneven time, both
fixed by the prompt, and the beginning of a prompt that it saw before is read from its cache. Run as
`python -m steelyard.evaluation.answer_simulator TOKENIZER`; it prints its port and ends when its standard input is closed.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from steelyard.evaluation.simulator_process import simulated

MODEL = "uneven-1"

FIRST_S, TOKEN_S, READ_S = 0.08, 0.002, 0.00001
"""Seconds to the first token, of each further one, and of each token of a prompt that is not kept."""

CACHED_FROM = 1_024
AROUND_MESSAGE = 4
WORDS = ("the", "order", "is", "refunded", "within", "five", "days", "and", "you", "see", "it", "on", "your", "account")
MEAN_WORDS, SPREAD = 22, 0.5
"""Words of a text: log-normal, so that some are thrice as long as others."""


class _State:
    """What the server keeps between requests."""

    def __init__(self, tokenizer: Path) -> None:
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(tokenizer))
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.beginnings: set[str] = set()
        self.lock = threading.Lock()
        # A long beginning that comes again is not counted again: the simulator would take the processor from what is measured.
        self.tokens = lru_cache(maxsize=1_024)(self._tokens)

    def _tokens(self, text: str) -> int:
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def completion(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer, after the time that it takes."""
        messages = request["messages"]
        draw = random.Random(hashlib.sha256(json.dumps(messages).encode()).digest())
        schema = request.get("response_format", {}).get("json_schema", {}).get("schema")
        text = _words(draw) if schema is None else json.dumps(_value(schema, draw))
        prompt = sum(AROUND_MESSAGE + self.tokens(one["content"]) for one in messages)
        beginning = messages[0]["content"]
        with self.lock:
            long = self.tokens(beginning) if beginning in self.beginnings else 0
            self.beginnings.add(beginning)
        cached = long if long >= CACHED_FROM else 0
        said = self.tokens(text) + 1
        time.sleep((FIRST_S + TOKEN_S * said + READ_S * (prompt - cached)) * draw.uniform(0.7, 1.3))
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": said,
            "total_tokens": prompt + said,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": MODEL,
            "choices": [choice],
            "usage": usage,
        }


def _words(draw: random.Random) -> str:
    count = max(1, round(draw.lognormvariate(0.0, SPREAD) * MEAN_WORDS))
    return " ".join(draw.choice(WORDS) for _ in range(count)) + "."


def _value(schema: Mapping[str, Any], draw: random.Random) -> Any:
    """A value that is valid under the schemas that candidates use."""
    if "enum" in schema:
        return draw.choice(list(schema["enum"]))
    kind = schema.get("type")
    if kind == "object":
        return {name: _value(one, draw) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        return [_value(schema.get("items", {}), draw) for _ in range(draw.choice((1, 1, 2, 3)))]
    if kind == "integer":
        return draw.randint(1, 4)
    return {"number": 0.5, "boolean": draw.random() < 0.85, "null": None}.get(str(kind), _words(draw))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._reply({"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._reply(self.server.state.completion(request))  # type: ignore[attr-defined]

    def _reply(self, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    state: _State


def main(tokenizer: Path) -> None:
    """Serve until standard input is closed."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = _State(tokenizer)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()


def answering_simulator(tokenizer: Path) -> AbstractContextManager[str]:
    """The address (ending in /v1) of a simulator in a process of its own, counting by the tokenizer of that file."""
    return simulated("steelyard.evaluation.answer_simulator", str(tokenizer))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
