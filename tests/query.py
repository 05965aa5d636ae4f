"""What tests of the query API share: logs, stores, clients."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from starlette.applications import Starlette

from logsync_streams.events import event_id, iso_time
from logsync_streams.query.app import create_app
from logsync_streams.query.tail import Hub
from logsync_streams.settings import QueryHttpSettings, Settings
from logsync_streams.storage.api import Document, EventReader
from logsync_streams.storage.memory import MemoryStore

TARGET = "logsync-default-2026.11.24"
NOW = 1_795_564_800_000  # 2026-11-25T00:00:00Z


def log(number: int, **fields: object) -> Document:
    """A log `number` minutes old."""
    id_ = event_id(f"{number:032x}", 0)
    document = {
        "event": {"id": id_},
        "@timestamp": iso_time(NOW - 60_000 * number),
        "message": f"log {number}",
        **fields,
    }
    return Document(TARGET, id_, json.dumps(document).encode())


async def store_with(*documents: Document) -> MemoryStore:
    store = MemoryStore()
    await store.create(TARGET)
    await store.write(documents)
    return store


_HOSTILE = "<img src=x onerror=alert(1)>\u202e is behind"


def _day(dataset: str, action: str, *reasons: str) -> dict[str, Any]:
    alias, due = f"logsync-{dataset}-2026.11.01", "2026-11-24T00:00:00.000Z"
    size: dict[str, Any] = {"documents": 1234, "size_bytes": 5}
    return {"alias": alias, "day": "2026-11-01", "dataset": dataset, "action": action, "policy": "default"} | {
        "due_at": due,
        "reasons": list(reasons),
        **size,
    }


_RUN = {
    "begun_at": "2026-11-24T06:00:00.000Z",
    "ended_at": "2026-11-24T06:01:00.000Z",
    "archived_documents": 70_000,
    "archived_bytes": 1,
    "dropped_documents": 0,
    "held_days": 1,
    "problems": [f"auth: {_HOSTILE}"],
    "more_problems": 2,
    "unfinished": "",
}
# What `GET /api/retention` may answer.
RETENTION: dict[str, Any] = {
    "plan": {
        "made_at": "2026-11-24T06:01:00.000Z",
        "days": [_day("auth", "held", _HOSTILE), _day("pay", "drop"), _day("shop", "keep", "kept")],
        "more_days": 0,
    },
    "runs": [_RUN],
}


def client_of(app: Starlette) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8082")


def client_over(store: EventReader, query: QueryHttpSettings | None = None, **parts: Any) -> httpx.AsyncClient:
    """parts: of create_app."""
    settings = Settings(query=query or QueryHttpSettings())
    return client_of(create_app(store, settings, now=lambda: NOW, **parts))


async def listened_to(hub: Hub, clients: int) -> None:
    """Wait until so many clients listen."""
    async with asyncio.timeout(30):
        while hub.listeners != clients:  # noqa: ASYNC110  # nobody else needs an event for it
            await asyncio.sleep(0.01)
