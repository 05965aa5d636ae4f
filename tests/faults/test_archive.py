"""F21, F22: the archiver killed at every step, on real Elasticsearch and S3's API: nothing is lost, one manifest."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from logsync_streams.settings import StoreSettings
from logsync_streams.storage.elasticsearch import ElasticsearchAdmin, ElasticsearchReader, ElasticsearchWriter, connect
from logsync_streams.storage.factory import Store
from retention.archiver import STEPS
from tests.contract.documents import stored
from tests.documents import ROOT
from tests.moto_server import CREDENTIALS, MotoServer
from tests.retention import AUTH_TARGET, archived, documents, fill, stored_ids

LOGS = 1000


@pytest.fixture
def moto(monkeypatch):
    with MotoServer() as server:
        server.credentials(monkeypatch.setenv)
        yield server


@pytest.fixture
async def store(elasticsearch):
    connection = connect(StoreSettings(elasticsearch_urls=[elasticsearch.url], replicas=0))
    yield Store(ElasticsearchWriter(connection), ElasticsearchReader(connection), ElasticsearchAdmin(connection))
    await connection.close()


def run_process(elasticsearch, moto, folder, step=""):
    command = [sys.executable, "-m", "tests.faults.archive_process", elasticsearch.url, moto.url, str(folder), step]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | CREDENTIALS, capture_output=True, text=True, check=False, timeout=120
    )


# One crash after the other on the same day, each run going on from what the last one left. What comes after the
# manifest comes once in a day's life: each of these has a day of its own.
ROUNDS = [STEPS[: STEPS.index("manifest") + 1], *((step,) for step in STEPS[STEPS.index("manifest") + 1 :])]


async def test_an_archiver_killed_at_every_step_loses_nothing_and_ends_with_one_manifest(
    elasticsearch, moto, store, tmp_path
):
    objects = moto.bucket("logs")
    for number, steps in enumerate(ROUNDS):
        folder = tmp_path / str(number)
        for info in list(objects.list("")):
            objects.delete(info.key)
        logs = documents(LOGS, AUTH_TARGET, "auth")
        ids = {log.id for log in logs}
        await fill(store, logs)
        for step in steps:
            done = run_process(elasticsearch, moto, folder, step)
            left, kept = await stored_ids(store.admin), archived(objects)
            missing = len(ids - left - kept.keys())
            print(f"F21 killed at {step}: store {len(left)} archive {len(kept)} missing {missing}")

            assert -9 == done.returncode, done.stderr
            assert 0 == missing
        ended = run_process(elasticsearch, moto, folder)

        assert (0, "") == (ended.returncode, ended.stdout.strip())
        assert set() == await stored_ids(store.admin)
        assert {log.id: stored(log) for log in logs} == archived(objects)
        assert 1 == len([info for info in objects.list("") if info.key.endswith("manifest.json")])
        assert 0 == objects.abort_uploads("", 4e9)


async def test_a_corrupt_object_is_named_and_the_index_stays(elasticsearch, moto, store, tmp_path):
    objects, logs = moto.bucket("logs"), documents(300, AUTH_TARGET, "auth")
    await fill(store, logs)
    assert -9 == run_process(elasticsearch, moto, tmp_path, "re-counted").returncode
    part = next(info for info in objects.list("") if "part-" in info.key)
    content = b"".join(objects.read(part.key))
    objects.put(part.key, content[:50] + bytes([content[50] ^ 1]) + content[51:])

    done = run_process(elasticsearch, moto, tmp_path)

    assert 0 == done.returncode, done.stderr
    assert part.key in done.stdout
    assert {log.id for log in logs} == await stored_ids(store.admin)
