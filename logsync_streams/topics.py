"""The Kafka topics in the order in which a log meets them, with the settings they must have (DESIGN §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from logsync_streams.settings import KafkaSettings

LOGS = "logs"
ENRICHED = "logs-enriched"
COUNTS = "logs-counts"
DEAD_LETTERS = "logs-dlq"
STATE = "logs-state"

_DAY_MS = 86_400_000
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its name, how many partitions, and the broker's settings by their Kafka names."""

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


def topics(kafka: KafkaSettings) -> list[Topic]:
    """All topics of this pipeline, in flow order. The first raw topic is ours; further ones belong to others."""
    common = {"min.insync.replicas": str(kafka.min_insync_replicas)}

    def topic(name: str, partitions: int, **config: str) -> Topic:
        named = {key.replace("_", "."): value for key, value in config.items()}
        return Topic(name, partitions, kafka.replication_factor, common | named)

    return [
        topic(
            kafka.raw_topics[0],
            kafka.partitions,
            retention_ms=str(kafka.raw_retention_days * _DAY_MS),
            max_message_bytes=str(1 * _MIB),
            message_timestamp_type="LogAppendTime",
        ),
        topic(
            ENRICHED,
            kafka.partitions,
            retention_ms=str(kafka.raw_retention_days * _DAY_MS),
            max_message_bytes=str(8 * _MIB),
            message_timestamp_type="LogAppendTime",
        ),
        topic(
            COUNTS,
            kafka.partitions,
            retention_ms=str(2 * 3_600_000),
            segment_ms=str(600_000),  # else the two hours are kept until a segment of a week is closed
            message_timestamp_type="LogAppendTime",
        ),
        topic(
            DEAD_LETTERS,
            kafka.partitions,
            cleanup_policy="compact",  # a letter stays until a record of the same key says that it was handled
            delete_retention_ms=str(7 * _DAY_MS),  # so long a letter that is sent again is known to be handled
            max_message_bytes=str(2 * _MIB),
        ),
        topic(STATE, 1, cleanup_policy="compact", min_compaction_lag_ms=str(3_600_000)),
    ]
