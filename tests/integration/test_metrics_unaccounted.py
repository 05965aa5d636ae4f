"""What is taken away between two streams shows as `logsync_unaccounted_events`, to the event."""

from __future__ import annotations

import httpx

from tests.pipeline.oracle import eventually
from tests.pipeline.processes import Pipeline
from tests.servers.wiping import request

REQUESTS, EVENTS = 5, 20


def test_events_that_are_taken_away_are_unaccounted_for_each_of_them(pipeline: Pipeline):
    collector, worker = pipeline.collector(), pipeline.worker("tests.integration.losing")
    for child in (collector, worker):
        child.wait_until_ready()
    for number in range(REQUESTS):
        body = "\n".join(f'{{"service": "shop", "message": "{number} {i}"}}' for i in range(EVENTS))
        headers = {"content-type": "application/x-ndjson"}
        assert httpx.post(f"{collector.url}/api/logs", content=body, headers=headers, timeout=20).status_code == 202

    def stored() -> int:
        request("POST", f"{pipeline.elasticsearch_url}/logsync-*/_refresh")
        _, answer = request("GET", f"{pipeline.elasticsearch_url}/logsync-*/_count")
        return int(answer.get("count", 0))

    def unaccounted() -> int:
        return int(worker.metric("logsync_unaccounted_events"))

    eventually(lambda: 0 < stored() + unaccounted() == REQUESTS * EVENTS, 60, "each event is stored or unaccounted for")

    # As many as ranges: one to five, as the requests fell together in batches.
    assert unaccounted() == worker.metric("logsync_checked_ranges_total")
    assert 1 <= unaccounted() <= REQUESTS
    assert "events are unaccounted for, up to logs/" in worker.log.read_text()
