"""What is kept of an erasure: who, when, how many logs where; not a word of what was looked for."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

import orjson

from logsync_streams.events import iso_time
from logsync_streams.state import StateLog

_RECEIPT = "erase/"


@dataclass
class Receipt:
    """What an erasure did, without a word of what was looked for: proof is a salted hash of the query, and whoever was
    given the salt can show with it which query it was. begun_at, ended_at: epoch ms; the maps: place -> logs.
    """

    begun_at: int
    by: str
    proof: str
    ended_at: int = 0
    store: dict[str, int] = field(default_factory=dict)
    archives: dict[str, int] = field(default_factory=dict)
    dead_letters: int = 0
    problems: list[str] = field(default_factory=list)


def proof_of(text: str, salt: str) -> str:
    """What a receipt says of the query `text`."""
    return hashlib.sha256(f"{salt}\n{text}".encode()).hexdigest()


def new_salt() -> str:
    """For one erasure; kept nowhere."""
    return secrets.token_hex(16)


def receipt_key(begun_at: int, what: str) -> str:
    """The key in `logs-state`. what: "begun" or "ended"."""
    return f"{_RECEIPT}{iso_time(begun_at)}/{what}"


async def receipts(state: StateLog) -> list[Receipt]:
    """All receipts, oldest first; ended_at 0: of an erasure that was cut off. Raises Unavailable."""
    found = await state.read()
    begun: dict[str, bytes] = {}
    for key in sorted(found):
        if key.startswith(_RECEIPT):
            name, _, what = key.removeprefix(_RECEIPT).partition("/")
            if what == "ended" or name not in begun:
                begun[name] = found[key]
    return [Receipt(**orjson.loads(content)) for content in begun.values()]
