"""`POST /api/logs?explain=1`: the collector's door asks, `process`'s own stages answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from logsync_streams.envelope import Envelope, RawRecord, encode
from logsync_streams.events import receive_day, uuid7_hex
from logsync_streams.settings import Settings

# (format, source, peer, events) -> what becomes of each.
Explain = Callable[[str, str, str, Sequence[bytes]], list[dict[str, Any]]]


def explainer(settings: Settings) -> Explain:
    """The stages are made at the first question: most collectors are never asked. Rules are those of that moment."""
    made: list[Explain] = []

    def explain(format: str, source: str, peer: str, events: Sequence[bytes]) -> list[dict[str, Any]]:
        if not made:
            made.append(_explainer(settings))
        return made[0](format, source, peer, events)

    return explain


def _explainer(settings: Settings) -> Explain:
    from agents.explain import explain as explain_records
    from agents.filter_file import rule_set
    from logsync_streams.worker import processor
    from retention.policy import assignment, datasets, read_policies

    policies = read_policies(settings.retention.policies_file)
    rules = rule_set(settings.process, datasets(policies))
    stages = processor(settings, rules.rules)

    def explain(format: str, source: str, peer: str, events: Sequence[bytes]) -> list[dict[str, Any]]:
        now_ms = time.time_ns() // 1_000_000
        value, headers = encode(Envelope(uuid7_hex(now_ms), now_ms, source, format, peer, tuple(events)))
        record = RawRecord(settings.kafka.raw_topics[0], 0, 0, now_ms, value, headers)
        assignments = {receive_day(now_ms): assignment(policies, rules.routes)}
        return [one.as_dict() for one in explain_records([record], stages, assignments)]

    return explain
