"""F7: the collector is killed under load, and Kafka is killed or frozen under it: what got a 2xx is in the raw topic.

Only the collector and Kafka run here; the topic is read with plain aiokafka and msgpack, none of our code.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from random import Random

import msgpack
import pytest

from deploy.servers import KafkaServer
from tests.pipeline.kafka_truth import records, reset
from tests.pipeline.oracle import Load, Oracle, eventually
from tests.pipeline.processes import Pipeline

KILLS = 3
EVENTS_PER_SECOND = 2000


@pytest.fixture
def doors(tmp_path: Path, kafka: KafkaServer):
    """Our processes without a store: only collectors are started."""
    reset(kafka.bootstrap)
    made = Pipeline(tmp_path, kafka.bootstrap, "http://127.0.0.1:9")
    made.create_topics()
    yield made
    made.close()


def numbers_in_topic(bootstrap: str) -> list[int]:
    """The number of every event in the raw topic, as often as it is there."""
    events = (event for record in records(bootstrap, "logs") for event in msgpack.unpackb(record.value))
    return [json.loads(event)["metadata"]["number"] for event in events]


def report(what: str, oracle: Oracle, load: Load, found: list[int]) -> set[int]:
    missing = oracle.acknowledged - set(found)
    unanswered = set(found) - oracle.acknowledged
    print(
        f"F7 {what}: sent {oracle.sent} acked {len(oracle.acknowledged)} in the topic {len(found)} "
        f"missing {len(missing)} "
        f"there though not acked {len(unanswered)} refused {dict(load.refused)} "
        f"slowest refusal {load.slowest_refusal_seconds:.1f} s"
    )
    return missing


def test_a_collector_killed_under_load_had_everything_it_acknowledged_in_kafka(doors, oracle):
    random = Random(oracle.seed)
    collector = doors.collector()
    collector.wait_until_ready()
    with Load(oracle, collector.url, events_per_second=EVENTS_PER_SECOND) as load:
        for _ in range(KILLS):
            time.sleep(random.uniform(1.0, 3.0))
            before = len(oracle.acknowledged)
            collector.kill()
            collector = doors.collector()
            collector.wait_until_ready()
            eventually(lambda: len(oracle.acknowledged) > before, 30, "a 2xx from the new collector")  # noqa: B023
    found = numbers_in_topic(doors.bootstrap)

    assert set() == report("collector killed", oracle, load, found)
    assert load.refused[0] > 0, "no request was cut off by a kill: it proves nothing"
    assert set(found) <= set(range(oracle.sent))


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_while_kafka_is_away_requests_are_refused_and_afterwards_nothing_is_missing(doors, kafka, oracle, how):
    collector = doors.collector()
    collector.wait_until_ready()
    with Load(oracle, collector.url, events_per_second=EVENTS_PER_SECOND) as load:
        eventually(lambda: len(oracle.acknowledged) > 1000, 60, "a thousand 2xx")
        (kafka.kill if how == "killed" else kafka.pause)()
        eventually(lambda: load.refused[503] > 3, 60, "503s")
        (kafka.start if how == "killed" else kafka.resume)()
        before = len(oracle.acknowledged)
        eventually(lambda: len(oracle.acknowledged) > before + 1000, 90, "2xx again")
    found = numbers_in_topic(doors.bootstrap)

    assert set() == report(f"Kafka {how}", oracle, load, found)
    assert (0, {503}) == (load.without_retry_after, set(load.refused) - {0})
