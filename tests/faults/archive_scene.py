"""A day of logs in a real Elasticsearch, a bucket behind moto's server, and what must be true of both at any moment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.servers import ElasticsearchServer
from logsync_streams.settings import StoreSettings
from logsync_streams.storage.elasticsearch import ElasticsearchAdmin, ElasticsearchReader, ElasticsearchWriter, connect
from logsync_streams.storage.factory import Store
from retention.plan import DAY_MS
from retention.s3 import S3Objects
from tests.contract.documents import stored
from tests.faults.archive_run import one_run
from tests.moto_server import MotoServer
from tests.retention import AUTH_TARGET, DUE, archived, documents, fill, stored_ids

LOGS = 60
_STALE_PART = "archive/auth/2026/11/24/logsync-auth-2026.11.24-000001/part-00001-of-an-older-attempt"


@dataclass
class Scene:
    """objects: the bucket, asked directly. logs: the day's, by id. checks: how often `check` was called."""

    store_url: str
    moto: MotoServer
    store: Store
    objects: S3Objects
    folder: Path
    logs: dict[str, object] = field(default_factory=dict)

    async def new_day(self) -> None:
        """Empty the bucket, but for what an older attempt left, and put the logs of a new day into the store."""
        for info in list(self.objects.list("")):
            self.objects.delete(info.key)
        self.objects.put(_STALE_PART, b"")
        logs = documents(LOGS, AUTH_TARGET, "auth")
        self.logs = {log.id: stored(log) for log in logs}
        await fill(self.store, logs)

    async def check(self, after: str) -> None:
        """Every log is in the store or in a committed archive, whole; there is one manifest at most."""
        left, kept = await stored_ids(self.store.admin), archived(self.objects)
        missing = self.logs.keys() - left - kept.keys()
        print(f"F21 {after}: store {len(left)} archive {len(kept)} missing {len(missing)}")

        assert set() == missing
        assert kept in ({}, self.logs)
        assert self.manifests <= 1

    async def check_ended(self) -> None:
        """All is in one archive, the store is empty, and nothing else is in the bucket."""
        assert set() == await stored_ids(self.store.admin)
        assert self.logs == archived(self.objects)
        assert 1 == self.manifests
        assert _STALE_PART not in [info.key for info in self.objects.list("")]

    async def check_swept(self) -> None:
        """A run of the next day leaves no upload that was never completed."""
        await one_run(self.store_url, self.moto.url, self.folder, now=lambda: DUE + DAY_MS)

        assert 0 == self.objects.abort_uploads("", 4e9)

    @property
    def manifests(self) -> int:
        return len([info for info in self.objects.list("") if info.key.endswith("manifest.json")])


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoServer]:
    with MotoServer() as server:
        yield server


@pytest.fixture
async def scene(
    elasticsearch: ElasticsearchServer, moto: MotoServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[Scene]:
    """The scene, with the SDK's credentials in the environment."""
    moto.credentials(monkeypatch.setenv)
    connection = connect(StoreSettings(elasticsearch_urls=[elasticsearch.url], replicas=0))
    store = Store(ElasticsearchWriter(connection), ElasticsearchReader(connection), ElasticsearchAdmin(connection))
    try:
        yield Scene(elasticsearch.url, moto, store, moto.bucket("logs"), tmp_path)
    finally:
        await connection.close()
