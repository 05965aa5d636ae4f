"""`logsync retention serve` as processes of its own, on real Kafka, real Elasticsearch and S3's API."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Iterator
from datetime import date

import pytest

from deploy.servers import free_port
from logsync_streams.cli.retention import opened
from logsync_streams.configuration import load
from logsync_streams.storage.naming import alias_name
from retention.run import Receipt, receipts
from tests.moto_server import CREDENTIALS, MotoServer
from tests.pipeline.oracle import eventually
from tests.pipeline.processes import Child, Pipeline
from tests.retention import archived, documents, fill, stored_ids

pytestmark = pytest.mark.timeout(600)
OLD = alias_name("auth", date(2026, 1, 1))
LEASE_SECONDS = 15.0  # a renewal takes seconds on a busy machine
WITHIN_SECONDS = 180.0
PROBLEMS, LAST_SUCCESS = "logsync_retention_problems", "logsync_retention_last_success_timestamp_seconds"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[MotoServer]:
    MotoServer.credentials(monkeypatch.setenv)
    with MotoServer() as server:
        yield server


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of an S3 that takes requests and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


class Serving(Child):
    """One `serve`; its metrics are where a Child's are looked for."""

    def __init__(self, pipeline: Pipeline, name: str, s3_url: str) -> None:
        port = free_port()
        environment = {
            **pipeline.environment,
            **CREDENTIALS,
            "LOGSYNC_RETENTION__S3_ENDPOINT_URL": s3_url,
            "LOGSYNC_RETENTION__METRICS_PORT": str(port),
            "LOGSYNC_DATA_DIR": str(pipeline.folder / name),
        }
        command = [sys.executable, "-m", "logsync_streams.cli", "retention", "serve"]
        super().__init__(name, command, environment, pipeline.folder / f"{name}.log", f"http://127.0.0.1:{port}")

    def said(self, text: str) -> int:
        return self.log.read_text(errors="replace").count(text)


def test_of_two_that_serve_one_works_and_the_other_takes_over_when_that_is_killed(
    pipeline: Pipeline, s3: MotoServer, silent: str
):
    policies = pipeline.folder / "policies.json"
    auth = {"retention_days": 30, "archive_to_s3": True, "s3_bucket": "logs"}
    policies.write_text(json.dumps({"retention_policies": {"auth": auth}}))
    pipeline.environment |= {
        "LOGSYNC_RETENTION__POLICIES_FILE": str(policies),
        "LOGSYNC_RETENTION__S3_REGION": "us-east-1",
        "LOGSYNC_RETENTION__S3_ADDRESSING": "path",
        "LOGSYNC_RETENTION__S3_TIMEOUT_SECONDS": "600",
        "LOGSYNC_RETENTION__LEASE_SECONDS": str(LEASE_SECONDS),
        "LOGSYNC_RETENTION__GRACE_HOURS": "0",
    }
    settings = load(pipeline.environment)
    bucket = s3.bucket("logs")
    logs = documents(200, OLD, "auth")

    async def fill_old_day() -> None:
        async with opened(settings) as one:
            await fill(one.store, logs)

    async def look() -> tuple[list[Receipt], set[str], int]:
        async with opened(settings) as one:
            leases = [key for key in await one.state.read() if key.startswith("retention-lease/")]
            return await receipts(one.state), await stored_ids(one.store.admin), len(leases)

    asyncio.run(fill_old_day())
    first = Serving(pipeline, "first", silent)  # it never gets an answer, and works for ever
    second = None
    try:
        eventually(lambda: asyncio.run(look())[2] == 1, WITHIN_SECONDS, "the first to take the lease")
        second = Serving(pipeline, "second", s3.url)
        # Again, when the lease that it saw first is over: it is renewed.
        eventually(lambda: second.said("another process is at work") >= 2, WITHIN_SECONDS, "the second to wait")

        assert ([], {log.id for log in logs}) == asyncio.run(look())[:2]
        assert {} == archived(bucket)
        assert 0 == second.metric(PROBLEMS)

        first.kill()
        eventually(lambda: second.metric(LAST_SUCCESS) > 0, WITHIN_SECONDS, "the second to take over")

        assert 0 == second.stop()

        (receipt,), left, leases = asyncio.run(look())

        assert ({OLD: 200}, {OLD: 200}, []) == (receipt.archived, receipt.dropped, receipt.problems)
        assert (set(), 1) == (left, leases)
        assert {log.id for log in logs} == set(archived(bucket))
    finally:
        first.kill()
        if second is not None:
            second.kill()


def test_a_stop_ends_a_run_that_waits_and_gives_the_lease_back(pipeline: Pipeline, s3: MotoServer):
    one = Serving(pipeline, "one", s3.url)
    try:
        eventually(lambda: one.said("nothing is due") == 1, WITHIN_SECONDS, "its first run")

        assert 0 == one.stop()
    finally:
        one.kill()
