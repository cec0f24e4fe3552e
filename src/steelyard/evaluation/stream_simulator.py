"""A simulator of a streaming OpenAI-compatible server with a known pace, for measuring what clients add; it knows no language.

Run as `python -m steelyard.evaluation.stream_simulator PIECES PIECE_S`; it prints its port and ends when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AbstractContextManager

from steelyard.evaluation.simulator_process import simulated

MODEL = "steady-1"


def _event(body: dict[str, object]) -> bytes:
    data = f"data: {json.dumps({'id': 'x', 'created': 0, 'model': MODEL, 'object': 'chat.completion.chunk', **body})}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


class _Pace:
    """How an answer comes: so many pieces of one token, so many seconds apart."""

    def __init__(self, pieces: int, piece_s: float) -> None:
        self.pieces, self.piece_s = pieces, piece_s
        self.piece = _event({"choices": [{"index": 0, "delta": {"content": " word"}}]})
        usage = {"prompt_tokens": 10, "completion_tokens": pieces, "total_tokens": 10 + pieces}
        self.end = _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self.end += _event({"choices": [], "usage": usage})
        self.end += b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
        message = {"role": "assistant", "content": " word" * pieces}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self.whole = json.dumps(
            {"id": "x", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice], "usage": usage}
        ).encode()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it is closed."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.lower().split(b"\r\n")
                length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
                request = json.loads(await reader.readexactly(length))
                await (self._stream(writer) if request.get("stream") else self._answer(writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the caller has gone, or the simulator ends
        finally:
            writer.close()

    async def _stream(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        begin = time.monotonic()
        for number in range(1, self.pieces + 1):
            # Against the clock, so that a late piece does not make the next ones late.
            await asyncio.sleep(max(0.0, begin + number * self.piece_s - time.monotonic()))
            writer.write(self.piece)
        writer.write(self.end)
        await writer.drain()

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(self.pieces * self.piece_s)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(self.whole)}\r\n\r\n"
        writer.write(head.encode() + self.whole)
        await writer.drain()


async def _run(pieces: int, piece_s: float) -> None:
    pace = _Pace(pieces, piece_s)
    server = await asyncio.start_server(pace.serve, "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    async with server:
        await asyncio.to_thread(sys.stdin.read)


def running_simulator(pieces: int, piece_s: float) -> AbstractContextManager[str]:
    """The address (ending in /v1) of a simulator in a process of its own."""
    return simulated("steelyard.evaluation.stream_simulator", str(pieces), str(piece_s))


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), float(sys.argv[2])))
