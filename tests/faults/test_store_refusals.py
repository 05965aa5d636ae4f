"""F10, F11: a store that refuses some, answers late, breaks off, or says what cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import httpx
import pytest

from deploy.servers import KafkaServer
from tests.faults.scene import Scene, assert_kept
from tests.pipeline.kafka_truth import dead_letters, reset
from tests.pipeline.oracle import Oracle, eventually
from tests.pipeline.processes import Pipeline
from tests.standin.store import BUSY, CUT, GARBAGE, OK, SLOW, Plan, StandinStore

EVENTS = 10_000
TIMEOUT_SECONDS = 2
IN_FLIGHT = 2  # bulk requests at once, by default
PATIENCE_SECONDS = 120.0


@pytest.fixture
def store() -> Iterator[StandinStore]:
    with StandinStore() as standin:
        yield standin


@pytest.fixture
def scene(tmp_path: Path, kafka: KafkaServer, store: StandinStore, oracle: Oracle) -> Iterator[Scene]:
    reset(kafka.bootstrap)
    pipeline = Pipeline(
        tmp_path, kafka.bootstrap, store.url, LOGSYNC_STORE__REQUEST_TIMEOUT_SECONDS=str(TIMEOUT_SECONDS)
    )
    pipeline.create_topics()
    yield Scene("", pipeline, oracle, numbers=store.numbers)
    pipeline.close()


def test_f10_only_what_was_refused_is_sent_again_by_fewer_bulks_at_a_time_until_it_is_over(
    scene: Scene, store: StandinStore, oracle: Oracle
):
    scene.name = "F10 429 on 30 % of items, 503 on 10 % of requests"
    random = Random(oracle.seed)
    store.plan = Plan(
        fault=lambda _: BUSY if random.random() < 0.1 else OK,
        busy=lambda _: random.random() < 0.3,
        latency_seconds=0.02,
    )

    with scene:
        scene.acknowledge(EVENTS // 2)
        eventually(lambda: window(scene) == 1, PATIENCE_SECONDS, "fewer bulks are under way at a store that is busy")
        scene.acknowledge(EVENTS // 2)
        store.plan = Plan()
        scene.acknowledge(EVENTS // 10)
        eventually(lambda: window(scene) == IN_FLIGHT, PATIENCE_SECONDS, "as many as before, when it is not")
    verdict = scene.settle(sent_again=store.sent.total() - len(store.sent), faults=dict(store.faults))

    assert_kept(verdict)
    assert store.faults[BUSY] > 0
    assert store.refused.total() > EVENTS * 0.2
    assert store.conflicts == 0
    assert {id_: 1 + store.refused[id_] for id_ in store.sent} == dict(store.sent)


def window(scene: Scene) -> float:
    """Bulk requests that the worker may have under way now."""
    return scene.worker.metric("logsync_index_bulk_window")


def test_f11_an_answer_that_does_not_come_whole_doubles_nothing(scene: Scene, store: StandinStore, oracle: Oracle):
    scene.name = "F11 late, cut off and unreadable answers"
    random = Random(oracle.seed)
    store.plan = Plan(
        fault=lambda number: (SLOW, CUT, GARBAGE)[number % 3] if random.random() < 0.3 else OK,
        slow_seconds=TIMEOUT_SECONDS * 1.5,
    )

    with scene:
        scene.acknowledge(EVENTS)
        store.plan = Plan()
    verdict = scene.settle(conflicts=store.conflicts, faults=dict(store.faults))

    assert_kept(verdict)
    assert all(store.faults[fault] for fault in (SLOW, CUT, GARBAGE)), "not every fault was met"
    assert store.conflicts > 0, "nothing was sent twice: no answer was in doubt"
    assert verdict.dead == 0


def test_f11_a_bulk_too_large_is_split_and_a_document_too_large_alone_is_a_dead_letter(
    scene: Scene, store: StandinStore
):
    scene.name = "F11 413"
    store.plan = Plan(max_bytes=40_000)

    with scene:
        [number], [event] = scene.oracle.events(1)
        event |= {"message": "m" * 50_000, "level": "ERROR"}
        scene.oracle.to_be_filtered.discard(number)
        answer = httpx.post(f"{scene.collector.url}/api/logs", json=event, timeout=30)
        assert answer.status_code == 202
        scene.oracle.acknowledged.add(number)
        scene.acknowledge(EVENTS)
    verdict = scene.settle(faults=dict(store.faults))

    assert_kept(verdict)
    assert store.faults["too_large"] > 0
    [(_, _, headers)] = dead_letters(scene.pipeline.bootstrap)
    assert "too_large" == headers["logsync-category"]
