"""The process that parses: one file at a time, so that a hostile one costs only itself.

Messages on standard input and output are frames: a length in four bytes, then so many bytes. A request is a JSON header frame
(format, limits, splitting) and a content frame; an answer is one JSON frame. End of input ends the process.
"""

from __future__ import annotations

import faulthandler
import json
import os
import struct
import sys
from collections.abc import Callable
from functools import cache
from typing import IO, Any

from steelyard.corpus.interface import Parsed
from steelyard.corpus.parsing import PARSERS
from steelyard.corpus.parsing.limits import Limits, ParseError
from steelyard.schema.corpus import Block, Heading

LENGTH = struct.Struct(">I")
GRACE_S = 5.0
"""A worker ends itself this long after its file's time is up, should the parent be gone and nobody end it."""


def write_frame(stream: IO[bytes], content: bytes) -> None:
    """Write one frame; the caller flushes."""
    stream.write(LENGTH.pack(len(content)))
    stream.write(content)


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next frame, or None when the stream ended, also in the middle of one."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    content = stream.read(length)
    return content if len(content) == length else None


def to_json(parsed: Parsed) -> dict[str, Any]:
    """A parsed file as JSON fields; headings and blocks as lists, for there are thousands."""
    return {
        "text": parsed.text,
        "title": parsed.title,
        "headings": [[heading.level, heading.text, heading.start] for heading in parsed.headings],
        "blocks": [[block.kind, block.start, block.end] for block in parsed.blocks],
        "page_starts": parsed.page_starts,
        "allow": parsed.allow,
        "deny": parsed.deny,
    }


def from_json(fields: dict[str, Any]) -> Parsed:
    """The parsed file that `to_json` described."""
    return Parsed(
        text=fields["text"],
        title=fields["title"],
        headings=tuple(Heading(level=level, text=text, start=start) for level, text, start in fields["headings"]),
        blocks=tuple(Block(kind=kind, start=start, end=end) for kind, start, end in fields["blocks"]),
        page_starts=tuple(fields["page_starts"]),
        allow=None if fields["allow"] is None else tuple(fields["allow"]),
        deny=None if fields["deny"] is None else tuple(fields["deny"]),
    )


@cache
def _parser(format_name: str) -> Callable[[bytes, Limits], Parsed]:
    """The parser of a format; found once, for the table also looks for plug-ins, which takes milliseconds."""
    parser: Callable[[bytes, Limits], Parsed] = PARSERS.load(format_name)
    return parser


def parse(format_name: str, content: bytes, limits: Limits) -> dict[str, Any]:
    """`{"parsed": ...}` or `{"failed": reason}`; nothing a parser raises gets out of here."""
    try:
        return {"parsed": to_json(_parser(format_name)(content, limits))}
    except ParseError as error:
        return {"failed": error.message}
    except MemoryError:
        return {"failed": "the file needs too much memory to read"}
    except RecursionError:
        return {"failed": "the file is nested too deeply"}
    except Exception as error:  # a parser's bug must not end the worker: the file is named instead
        return {"failed": f"the file cannot be read ({type(error).__name__}: {str(error)[:200]})"}


def _bound_memory(limit: int) -> None:
    """Bound this process's address space where the system has such a bound (not on Windows; macOS ignores it)."""
    if not limit:
        return
    try:
        import resource
    except ImportError:
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))


def main() -> None:
    """Serve requests until standard input ends."""
    # The answers get a stream of their own: what a library prints must not land between frames.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    requests = sys.stdin.buffer
    while (head := read_frame(requests)) is not None and (content := read_frame(requests)) is not None:
        header = json.loads(head)
        limits = Limits(**header["limits"])
        _bound_memory(limits.memory_bytes)
        faulthandler.dump_traceback_later(limits.seconds + GRACE_S, exit=True)
        answer = json.dumps(parse(header["format"], content, limits)).encode("ascii")
        faulthandler.cancel_dump_traceback_later()
        write_frame(answers, answer)
        answers.flush()


if __name__ == "__main__":
    main()
