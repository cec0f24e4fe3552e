"""A simulator of an OpenAI-compatible server, for faults that a real one shows rarely: it speaks real HTTP and knows no language.

It answers with the last user message in capitals, after the faults that a test has put into its queue.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "echo-1"
CUT = "cut"


class Simulator:
    """The state of one server. Each request takes the next fault of `faults`, a function of the handler and the request's JSON.

    A fault that returns True has answered; else the usual answer follows.
    """

    def __init__(self):
        self.faults = []
        self.requests = []
        self.headers = []
        self.callers = []
        self.models = [MODEL]
        self.answers_as = MODEL
        self.cached = 0
        self.busy = 0
        self.most_busy = 0
        self.lock = threading.Lock()
        self.hold = None
        self.url = ""

    def vector_of(self, text):
        """Sixteen numbers from the text's hash, none of length 1."""
        return [byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[:16]]

    def answer_to(self, request):
        return request["messages"][-1]["content"].upper()


def says(status, body, **headers):
    """A fault: a status with a JSON body (or text) and headers; underscores in header names stand for hyphens."""

    def fault(handler, request):
        handler.reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        return True

    return fault


def refusal(message, code=None):
    return {"error": {"message": message, "code": code}}


def slow(seconds):
    def fault(handler, request):
        time.sleep(seconds)
        return False

    return fault


def hang_up(handler, request):
    """Close the connection without a word."""
    handler.close_connection = True
    return True


def cut_after(pieces):
    """Break a stream off after so many pieces, without an end."""

    def fault(handler, request):
        if not request.get("stream"):
            return False
        handler.stream(request, stop_after=pieces)
        return True

    return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body, headers=None):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        state = self.server.state
        if self.path == "/v1/models":
            self.reply(200, {"object": "list", "data": [{"id": one, "object": "model"} for one in state.models]})
        else:
            self.reply(404, refusal("no such page"))

    def do_POST(self):
        state = self.server.state
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with state.lock:
            state.requests.append(request)
            state.callers.append(self.client_address)
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            fault = state.faults.pop(0) if state.faults else None
            state.busy += 1
            state.most_busy = max(state.most_busy, state.busy)
        try:
            if state.hold is not None:
                state.hold()
            if fault is not None and fault(self, request):
                return
            if "input" in request:
                self.reply(200, self.embeddings(request))
            elif request.get("stream"):
                self.stream(request)
            else:
                self.reply(200, self.completion(request))
        finally:
            with state.lock:
                state.busy -= 1

    def embeddings(self, request):
        state = self.server.state
        rows = [{"index": n, "embedding": state.vector_of(text)} for n, text in enumerate(request["input"])]
        words = sum(len(text.split()) for text in request["input"])
        # Out of order, as the index allows.
        return {"model": state.answers_as, "data": rows[::-1], "usage": {"prompt_tokens": words, "total_tokens": words}}

    def completion(self, request):
        state = self.server.state
        text = state.answer_to(request)
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"id": "x", "object": "chat.completion", "created": 0, "model": state.answers_as, "choices": [choice]}
        return {**body, "usage": self.usage(request, text)}

    def usage(self, request, text):
        prompt = sum(len(one["content"].split()) for one in request["messages"])
        details = {"cached_tokens": self.server.state.cached}
        return {
            "prompt_tokens": prompt, "completion_tokens": len(text.split()),
            "total_tokens": prompt + len(text.split()), "prompt_tokens_details": details,
        }  # fmt: skip

    def stream(self, request, stop_after=None):
        state = self.server.state
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        text = state.answer_to(request)
        words = text.split(" ")
        for number, word in enumerate(words):
            if stop_after is not None and number == stop_after:
                self.close_connection = True  # no last chunk: the body is not whole
                return
            self.event({"choices": [{"index": 0, "delta": {"content": word if number == 0 else f" {word}"}}]})
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if request.get("stream_options"):
            self.event({"choices": [], "usage": self.usage(request, text)})
        self.chunk(b"data: [DONE]\n\n")
        self.chunk(b"")

    def event(self, more):
        body = {
            "id": "x",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": self.server.state.answers_as,
            **more,
        }
        self.chunk(f"data: {json.dumps(body)}\n\n".encode())

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a client that left


@contextmanager
def simulator():
    """A running simulator on a free port of this machine."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = Simulator()
    server.state.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
