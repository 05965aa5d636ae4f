"""The scenarios of the guard's tests, for the app that is broken and for the test that looks on."""

from __future__ import annotations

COMPACTED = "guard-after-a-compaction-hole"
TRANSACTIONAL = "guard-after-a-transaction-marker"
COALESCED = "guard-coalesced"
# Topic -> the offset that is in flight for ever; of the coalesced one all that travels with it.
HELD = {
    "guard-later-acknowledged": 5,
    "guard-nothing-committed-yet": 0,
    "guard-dropped-without-ack": 5,
    "guard-two-agents-out-of-order": 5,
    "guard-concurrency-two": 5,
    TRANSACTIONAL: 6,
    COMPACTED: 9,
    COALESCED: 5,
}
PROBE = "guard-probe"  # everything is acknowledged
