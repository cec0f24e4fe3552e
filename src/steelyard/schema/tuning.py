"""What language models are taught."""

from __future__ import annotations

from dataclasses import dataclass

from steelyard.schema.generation import Message


@dataclass(frozen=True, kw_only=True)
class ChatPair:
    """One row to learn from: a conversation, and what should be said next."""

    messages: tuple[Message, ...]
    completion: str
