"""What the tests of the archive share: a policy, a store with a few days of logs, and who has what of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from deploy.servers import free_port
from logsync_streams.state import FileState
from logsync_streams.storage.api import STORED, Document, IndexAdmin
from logsync_streams.storage.factory import Store
from logsync_streams.storage.naming import alias_name
from retention.archive import part_lines, read_manifest
from retention.archiver import Archiver
from retention.lease import LeaseLost
from retention.objects import MemoryObjects, ObjectInfo, Objects
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


def embedded_settings(monkeypatch: pytest.MonkeyPatch, folder: Path, policy: dict[str, object]) -> None:
    """Commands see an embedded store and an archive in this folder, and this policy of service auth."""
    (folder / "policies.json").write_text(json.dumps({"retention_policies": {"auth": policy}}))
    for name, value in {
        "STORE__KIND": "embedded",
        "KAFKA__EMBEDDED": "true",
        "KAFKA__BOOTSTRAP": f"127.0.0.1:{free_port()}",  # the embedded broker is not running
        "DATA_DIR": folder / "data",
        "RETENTION__POLICIES_FILE": folder / "policies.json",
        "RETENTION__ARCHIVE_FOLDER": folder / "archive",
        "RETENTION__GRACE_HOURS": "0",
    }.items():
        monkeypatch.setenv(f"LOGSYNC_{name}", str(value))


@dataclass
class SleepyObjects(MemoryObjects):
    """Its user sleeps past the lease while it lists: `check` raises from then on."""

    slept: bool = False

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        found = list(super().list(prefix))
        self.slept = True
        return iter(found)

    def check(self) -> None:
        if self.slept:
            raise LeaseLost("it ran out")
