"""What the tests of the archive share: a policy, a store with a few days of logs, and who has what of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from logsync_streams.state import FileState
from logsync_streams.storage.api import STORED, Document, IndexAdmin
from logsync_streams.storage.factory import Store
from logsync_streams.storage.naming import alias_name
from retention.archive import part_lines, read_manifest
from retention.archiver import Archiver
from retention.objects import Objects
from retention.plan import DAY_MS, day_end
from retention.policy import parse_policies
from tests.contract.documents import DAY, NOON, make_document, new_ids

POLICIES = parse_policies(
    {
        "retention_policies": {
            "auth": {"retention_days": 2, "archive_to_s3": True, "s3_bucket": "logs", "s3_prefix": "archive"},
            "pay": {"retention_days": 1},
        }
    },
    "policies",
)
DEFAULT_TARGET, AUTH_TARGET, PAY_TARGET = (alias_name(dataset, DAY) for dataset in ("default", "auth", "pay"))
DUE = day_end(DAY) + 8 * DAY_MS


def documents(number: int, target: str, service: str, timestamp: int = NOON) -> list[Document]:
    """New logs of a service."""
    return [
        make_document(
            {
                "message": f"line_{i} of {service}",
                "service": {"name": service},
                "labels": {"n": i},
                "user": {"id": str(i)},
            },
            id=id,
            timestamp=timestamp + i,
            target=target,
        )
        for i, id in enumerate(new_ids(number))
    ]


async def fill(store: Store, logs: list[Document]) -> None:
    """Store them, their targets made where they are missing."""
    await store.admin.prepare()
    for target in {log.target for log in logs}:
        await store.admin.create(target)

    assert [STORED] * len(logs) == await store.writer.write(logs)
    await store.admin.refresh()


def archiver(admin: IndexAdmin, objects: Objects, folder: Path, **others: Any) -> Archiver:
    """One that takes everything to be due, with small parts."""
    given: dict[str, Any] = {"now": lambda: DUE, "part_bytes": 4096, "grace_ms": 0, "policies": POLICIES} | others
    return Archiver(
        admin, lambda bucket: objects, state=FileState(folder / "state.ndjson"), work=folder / "work", **given
    )


async def stored_ids(admin: IndexAdmin) -> set[str]:
    """All that the store has."""
    await admin.refresh()
    found: set[str] = set()
    for info in await admin.indices():
        after = ""
        while page := await admin.scan(str(info.name), after):
            found |= {stored.id for stored in page}
            after = page[-1].id
    return found


def archived(objects: Objects) -> dict[str, dict[str, Any]]:
    """All documents of committed archives, by id; an id that is archived twice is an error."""
    found: dict[str, dict[str, Any]] = {}
    for info in objects.list(""):
        if info.key.endswith("/manifest.json"):
            manifest = read_manifest(objects, info.key.removesuffix("manifest.json"))
            for part in manifest.parts:
                for line in part_lines(objects, part):
                    document = orjson.loads(line)

                    assert document["event"]["id"] not in found
                    found[document["event"]["id"]] = document
    return found


def failing_at(step: str, times: list[int], error: Callable[[], BaseException]) -> Callable[[str], None]:
    """A fault point: raises at the step as often as times[0] says."""

    def act(name: str) -> None:
        if name == step and times[0] > 0:
            times[0] -= 1
            raise error()

    return act
