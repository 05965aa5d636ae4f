"""The retention beside a running pipeline: real Kafka, real Elasticsearch, S3's API, a real worker; the clock alone is
moved on, as the policies count in days.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from logsync_streams.cli.retention import Opened, opened
from logsync_streams.configuration import load
from logsync_streams.settings import Settings
from logsync_streams.worker import now_ms
from retention.plan import DAY_MS, Action, Entry, Plan
from retention.run import Guard, Receipt, receipts, run
from tests.moto_server import MotoServer
from tests.pipeline.kafka_truth import dead_letters
from tests.pipeline.oracle import eventually
from tests.pipeline.processes import Child, Pipeline
from tests.retention import archived

pytestmark = pytest.mark.timeout(600)
WITHIN_SECONDS = 90.0
T = TypeVar("T")
POLICIES = {
    "auth": {"retention_days": 1, "archive_to_s3": True, "s3_bucket": "logs"},
    "pay": {"retention_days": 1},
    "legal": {"retention_days": 1, "legal_hold": True},
    "default": {"retention_days": 30},
}


@pytest.fixture(scope="module")
def s3():
    with pytest.MonkeyPatch.context() as patched:
        MotoServer.credentials(patched.setenv)
        with MotoServer() as server:
            yield server


class Scene:
    """A collector and a worker with these policies, and the retention at a time of its own."""

    def __init__(self, pipeline: Pipeline, s3: MotoServer) -> None:
        file = pipeline.folder / "policies.json"
        file.write_text(json.dumps({"retention_policies": POLICIES}))
        pipeline.environment |= {
            "LOGSYNC_RETENTION__POLICIES_FILE": str(file),
            "LOGSYNC_RETENTION__S3_ENDPOINT_URL": s3.url,
            "LOGSYNC_RETENTION__S3_REGION": "us-east-1",
            "LOGSYNC_RETENTION__S3_ADDRESSING": "path",
        }
        self.pipeline = pipeline
        self.settings: Settings = load(pipeline.environment)
        self.bucket = s3.bucket("logs")
        self.collector: Child = pipeline.collector()
        self.worker: Child = pipeline.worker()
        for child in (self.collector, self.worker):
            child.wait_until_ready()
        self.sent = 0

    def send(self, service: str, number: int) -> None:
        """Send, without waiting for what becomes of it."""
        lines = "\n".join(json.dumps({"message": f"log {i} of {service}", "service": service}) for i in range(number))
        headers = {"content-type": "application/x-ndjson"}
        answer = httpx.post(f"{self.collector.url}/api/logs", content=lines, headers=headers, timeout=30)
        assert number == answer.json()["accepted"], answer.text
        self.sent += number

    def until_settled(self) -> None:
        """Stored or dead, all that was sent."""
        eventually(
            lambda: self.worker.status()["index"]["settled_events"] == self.sent, WITHIN_SECONDS, "all to be settled"
        )

    def plan(self, days: int) -> Plan:
        async def act(one: Opened) -> Plan:
            return await one.archiver.plan(await one.holds())

        return asyncio.run(self._at(days, act))

    def run(self, days: int) -> Receipt:
        async def act(one: Opened) -> Receipt:
            async with one.lease() as lease:
                return await run(one.archiver, one.state, lease, Guard(3, 1000), one.holds)

        return asyncio.run(self._at(days, act))

    async def _at(self, days: int, act: Callable[[Opened], Awaitable[T]]) -> T:
        async with opened(self.settings) as one:
            later = replace(one.archiver, now=lambda: now_ms() + days * DAY_MS)
            return await act(replace(one, archiver=later))

    def plan_once(self, days: int, true: Callable[[Plan], bool]) -> Plan:
        """The plan, once the streams have committed what they stored, and it says so."""
        seen: list[Plan] = []

        def look() -> bool:
            seen.append(self.plan(days))
            return true(seen[-1])

        eventually(look, WITHIN_SECONDS, "the groups to commit")
        return seen[-1]

    def stored(self) -> Counter[str]:
        """Documents in the store by dataset."""

        async def act(one: Opened) -> Counter[str]:
            await one.store.admin.refresh()
            found: Counter[str] = Counter()
            for info in await one.store.admin.indices():
                found[info.name.dataset] += info.documents
            return found

        return asyncio.run(self._at(0, act))

    def expired(self) -> int:
        """Dead letters that say that their day was dropped."""
        letters = dead_letters(self.pipeline.bootstrap)
        return len({id for id, _, headers in letters if headers["logsync-category"] == "expired"})


def by_dataset(plan: Plan) -> dict[str, Entry]:
    return {entry.dataset: entry for entry in plan.entries}


def nothing_is_held(plan: Plan) -> bool:
    return not plan.of(Action.HELD)


def produce(bootstrap: str, value: bytes) -> None:
    async def act() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await producer.start()
        try:
            await producer.send_and_wait("logs", value)
        finally:
            await producer.stop()

    asyncio.run(act())


def test_each_services_logs_live_as_long_as_their_policy_says_and_none_is_lost_or_comes_back(
    pipeline: Pipeline, s3: MotoServer
):
    scene = Scene(pipeline, s3)
    for service, number in {"auth": 60, "pay": 40, "legal": 20, "shop": 10}.items():
        scene.send(service, number)
    scene.until_settled()

    # A dead letter that may belong to any index of its day holds them all back, by name, until it is handled.
    produce(pipeline.bootstrap, b'{"no": json')
    eventually(lambda: len(dead_letters(pipeline.bootstrap)) == 1, WITHIN_SECONDS, "the dead letter")
    held = by_dataset(scene.plan_once(3, lambda plan: len(by_dataset(plan)["pay"].reasons) == 1))
    nothing = scene.run(3)

    assert {"auth": Action.HELD, "pay": Action.HELD, "legal": Action.KEEP, "default": Action.KEEP} == {
        dataset: entry.action for dataset, entry in held.items()
    }
    assert ("1 open dead letters are for it (logsync dlq list)",) == held["auth"].reasons == held["pay"].reasons
    assert ("legal hold of the policy 'legal'",) == held["legal"].reasons
    assert "30 days by the policy 'default'" in held["default"].reasons[0]
    assert ({}, {}) == (nothing.archived, nothing.dropped)
    assert {held["auth"].alias, held["pay"].alias} == set(nothing.held)

    dropped = subprocess.run(
        [sys.executable, "-m", "logsync_streams.cli", "dlq", "drop", "--all", "--yes"],
        env=pipeline.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert 0 == dropped.returncode, dropped.stderr + dropped.stdout

    # A group that lags, too.
    scene.worker.send(signal.SIGSTOP)
    scene.send("auth", 5)
    lagging = by_dataset(scene.plan(3))["auth"]
    scene.worker.send(signal.SIGCONT)

    assert (Action.HELD, ("logsync-process has not committed past the end of the day",)) == (
        lagging.action,
        lagging.reasons,
    )

    # Archived and dropped: each by its own policy.
    scene.until_settled()

    due = scene.plan_once(3, nothing_is_held)

    assert [("auth", Action.ARCHIVE), ("pay", Action.DROP)] == [
        (entry.dataset, entry.action) for entry in due.of(Action.ARCHIVE, Action.DROP)
    ]

    first = scene.run(3)

    assert ({held["auth"].alias: 65}, {held["pay"].alias: 40}, []) == (first.archived, first.dropped, first.problems)
    assert {"auth": 65, "legal": 20, "default": 10} == scene.stored()

    # Late logs: a second generation of the day that is archived, a dead letter of the one that was dropped.
    scene.send("auth", 7)
    scene.send("pay", 3)
    scene.until_settled()

    assert {"auth": 72, "legal": 20, "default": 10} == scene.stored()
    assert 3 == scene.expired()
    assert 2 == len(by_dataset(scene.plan_once(3, nothing_is_held))["auth"].indices)

    second = scene.run(3)

    assert ({held["auth"].alias: 7}, {}) == (second.archived, second.dropped)
    assert "grace time" in by_dataset(scene.plan(3))["auth"].reasons[0]

    # After the grace time: dropped, and whatever comes late does not bring it back to life.
    third = scene.run(5)
    scene.send("auth", 2)
    scene.until_settled()

    assert ({}, {held["auth"].alias: 72}) == (third.archived, third.dropped)
    assert {"legal": 20, "default": 10} == scene.stored()
    assert 5 == scene.expired()
    assert scene.sent == sum(scene.stored().values()) + len(archived(scene.bucket)) + 40 + scene.expired()

    fourth = scene.run(5)

    assert ({}, {}) == (fourth.archived, fourth.dropped)

    async def kept(one: Opened) -> tuple[int, int]:
        leases = [key for key in await one.state.read() if key.startswith("retention-lease/")]
        return len(await receipts(one.state)), len(leases)

    assert (5, 1) == asyncio.run(scene._at(0, kept))
