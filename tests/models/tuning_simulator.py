"""A simulator of a provider's fine-tuning API: a real HTTP process that trains nothing.

Files, jobs that go from state to state with every look, events, models with shutdown dates, and chat of the resulting models, which
say what their file taught them word for word. `POST /simulator` sets its state: `hold` (a state that jobs stay in), `ends` (model to day),
`fail` (a message that jobs fail with), `faults` (answers to give instead: method, path, status, headers, `done`: after doing what was
asked, `drop`: without any answer). `GET /simulator` tells what it was asked.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

BASE = "sim-mini-2026-05-01"
STATES = ("validating_files", "queued", "running", "succeeded")
LOCK = threading.Lock()
FILES, JOBS, ASKED = {}, {}, []
STATE = {"hold": None, "ends": {}, "fail": None, "faults": []}


def words_of(lines):
    """What the simulator bills: the words of all messages."""
    return sum(len(one["content"].split()) for line in lines for one in line["messages"])


def look_at(job):
    """Every look takes a job one state further."""
    if job["status"] in STATES[:-1] and job["status"] != STATE["hold"]:
        lines = [json.loads(line) for line in FILES[job["training_file"]].decode().splitlines()]
        refused = [
            at for at, line in enumerate(lines, 1) if any("REFUSE" in one["content"] for one in line["messages"])
        ]
        if job["status"] == "validating_files" and refused:
            told = "; ".join(f"Line {at} breaks the usage policy" for at in refused)
            job.update(
                status="failed", error={"code": "invalid_training_file", "message": told, "param": "training_file"}
            )
        elif job["status"] == "running" and STATE["fail"]:
            job.update(status="failed", error={"code": "server_error", "message": STATE["fail"], "param": None})
        else:
            job["status"] = STATES[STATES.index(job["status"]) + 1]
        if job["status"] == "succeeded":
            epochs = job["hyperparameters"]["n_epochs"]
            job.update(fine_tuned_model=f"ft:{job['model']}:{job['id']}", trained_tokens=epochs * words_of(lines))
    return job


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def reply(self, status, body, headers=()):
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in (
            *dict(headers).items(),
            ("Content-Type", "application/json"),
            ("Content-Length", len(content)),
        ):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(content)

    def refuse(self, status, message, code=None):
        return status, {"error": {"message": message, "code": code, "type": "invalid_request_error"}}

    def do_GET(self):
        self.handle_one("GET")

    def do_POST(self):
        self.handle_one("POST")

    def handle_one(self, method):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        with LOCK:
            if address.path == "/simulator":
                if method == "POST":
                    STATE.update(json.loads(body))
                return self.reply(200, {"asked": ASKED, "jobs": [*JOBS.values()], "files": len(FILES)})
            ASKED.append(f"{method} {address.path.removeprefix('/v1')}")
            fault = next(
                (f for f in STATE["faults"] if f["method"] == method and re.search(f["path"], address.path)), None
            )
            if fault is not None:
                STATE["faults"].remove(fault)
                if fault.get("done"):
                    self.answer(method, address, body)
                if fault.get("drop"):
                    self.close_connection = True
                    return None
                return self.reply(*self.refuse(fault["status"], fault.get("message", "no")), fault.get("headers", {}))
            status, found = self.answer(method, address, body)
        return self.reply(status, found)

    def answer(self, method, address, body):
        path = address.path.removeprefix("/v1")
        if self.headers.get("Authorization") != "Bearer sim-key":
            return self.refuse(401, "Incorrect API key provided")
        if (method, path) == ("POST", "/files"):
            return self.take_file(body)
        if (method, path) == ("POST", "/fine_tuning/jobs"):
            return self.start_job(json.loads(body))
        if (method, path) == ("GET", "/fine_tuning/jobs"):
            return self.list_jobs(parse_qs(address.query))
        if (method, path) == ("POST", "/chat/completions"):
            return self.chat(json.loads(body))
        if found := re.fullmatch(r"/models/(.+)", path):
            return 200, {
                "id": found[1],
                "object": "model",
                "created": 0,
                "owned_by": "sim",
                "shutdown_date": STATE["ends"].get(found[1]),
            }
        found = re.fullmatch(r"/fine_tuning/jobs/([^/]+)(/\w+)?", path)
        if not found or found[1] not in JOBS:
            return self.refuse(404, "there is no such job")
        job = JOBS[found[1]]
        if found[2] == "/cancel":
            job["status"] = "cancelled"
            return 200, job
        if found[2] == "/events":
            told = (job["error"] or {}).get("message") or f"the job is {job['status']}"
            event = {"id": "e1", "object": "fine_tuning.job.event", "created_at": 0, "level": "info", "message": told}
            return 200, {"object": "list", "data": [event], "has_more": False}
        return 200, look_at(job)

    def take_file(self, body):
        form = BytesParser().parsebytes(b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.get_payload()}
        name = f"file-{len(FILES) + 1}"
        FILES[name] = parts["file"].get_payload(decode=True)
        made = {
            "id": name,
            "object": "file",
            "bytes": len(FILES[name]),
            "created_at": 0,
            "filename": "f",
            "status": "processed",
        }
        return 200, made | {"purpose": parts["purpose"].get_payload()}

    def start_job(self, form):
        if form["model"] != BASE:
            return self.refuse(400, f"Model {form['model']} is not available for fine-tuning")
        name = f"ftjob-{len(JOBS) + 1}"
        JOBS[name] = {
            "id": name, "object": "fine_tuning.job", "created_at": int(time.time()), "model": form["model"], "status": STATES[0],
            "training_file": form["training_file"], "validation_file": form.get("validation_file"), "error": None,
            "fine_tuned_model": None, "finished_at": None, "organization_id": "o", "result_files": [], "seed": form["seed"],
            "trained_tokens": None, "metadata": form.get("metadata"),
            "hyperparameters": form["method"]["supervised"]["hyperparameters"],
        }  # fmt: skip
        return 200, JOBS[name]

    def list_jobs(self, query):
        jobs = [*JOBS.values()][::-1]
        after = query.get("after", [None])[0]
        if after:
            jobs = jobs[[job["id"] for job in jobs].index(after) + 1 :]
        return 200, {"object": "list", "data": jobs[:2], "has_more": len(jobs) > 2}

    def chat(self, form):
        job = next((one for one in JOBS.values() if one["fine_tuned_model"] == form["model"]), None)
        if job is None:
            return self.refuse(404, f"The model {form['model']} does not exist", "model_not_found")
        lines = [json.loads(line)["messages"] for line in FILES[job["training_file"]].decode().splitlines()]
        asked = form["messages"][-1]["content"]
        said = next((line[-1]["content"] for line in lines if line[-2]["content"] == asked), "I do not know.")
        use = {"prompt_tokens": 10, "completion_tokens": len(said.split()), "total_tokens": 10 + len(said.split())}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
        return 200, {
            "id": "c",
            "object": "chat.completion",
            "created": 0,
            "model": form["model"],
            "choices": [choice],
            "usage": use,
        }


class Simulator:
    """The test's side of the process."""

    def __init__(self, url):
        self.address = url
        self.url = f"{url}/v1"

    def set(self, **state):
        urlopen(Request(f"{self.address}/simulator", json.dumps(state).encode(), method="POST")).close()

    def calm(self):
        self.set(hold=None, ends={}, fail=None, faults=[])

    def told(self):
        with urlopen(f"{self.address}/simulator") as answer:
            return json.load(answer)


@contextmanager
def running_simulator():
    """The process, on a free port of this machine; stopped afterwards."""
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Simulator(f"http://127.0.0.1:{int(process.stdout.readline())}")
        finally:
            process.kill()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()
