"""What is stored of a log, from the bytes that came in, as files that one can read."""

from __future__ import annotations

import orjson
import pytest

from agents.enrichments.messages import message_parsing, read_message_parsers
from agents.process import Outcome
from logsync_streams.envelope import RawRecord
from tests.golden.compare import assert_golden_json
from tests.unit.samples import DAY, OneDataset, enveloped, processor, raw

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
STACK = 'boom\nTraceback (most recent call last):\n  File "pay.py", line 7, in pay\n    charge()\nValueError: no amount'
LOGS: dict[str, RawRecord] = {
    "a log as senders of LogSync write it": enveloped(
        {
            "timestamp": "2026-11-24T21:59:58.5+01:00",
            "level": "WARNING",
            "service": "payment-service",
            "host": "web-1",
            "environment": "production",
            "message": "slow: 1200 ms",
            "metadata": {"order": {"id": 7, "paid": True}, "tags": ["a", "b"]},
        }
    ),
    "a log without a time or a level": enveloped({"message": "only a message"}),
    "a log with a trace and a request id": enveloped(
        {"message": "GET /", "service": "shop", "traceparent": TRACE, "request_id": "r-1"}
    ),
    "an exception with its stack trace": enveloped({"message": STACK, "level": "error", "service": "pay"}),
    "secrets are masked everywhere": enveloped(
        {
            "message": "login with password=hunter2 and card 4111 1111 1111 1111",
            "metadata": {"authorization": "Bearer abcdefghijklmnopqrstuvwxyz012345", "url": "https://ada:geheim@db/x"},
        }
    ),
    "a message of RFC 5424": enveloped(
        b'<165>1 2026-11-24T21:59:59.003Z web-1 shop 8710 ID47 [order@32473 id="7"] paid', format="syslog"
    ),
    "a message of RFC 3164": enveloped(b"<34>Nov 24 21:59:59 web-1 su[230]: 'su root' failed", format="syslog"),
    "a line of another producer": raw(b"just a line of text"),
    "an object of another producer": raw(b'{"msg": "paid", "severity": "ERR", "app": "shop"}'),
    "a level within the message": enveloped({"message": '{"level": "FATAL", "message": "no disk"}', "service": "json"}),
}


@pytest.mark.parametrize("sentence", LOGS)
async def test_a_log_becomes_the_document_in_its_file(sentence, tmp_path):
    file = tmp_path / "messages.yaml"
    file.write_text("parsers: [{name: json, match: {service: json}, format: json}]")
    stages, outcome = processor(reading=[message_parsing(read_message_parsers(file))]), Outcome()
    decoded = stages.decode([LOGS[sentence]], outcome)
    outcome = await stages.run(decoded, outcome, {DAY: OneDataset()})
    [(target, _, body)] = outcome.documents

    assert target == "logsync-default-2026.11.24"
    assert_golden_json(f"documents/{sentence.replace(' ', '_')}.json", orjson.loads(body))
