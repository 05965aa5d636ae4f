from __future__ import annotations

import pytest

from agents.enrichments.correlation import add_correlation_id
from tests.unit.samples import ENVELOPE_ID, event

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def correlated(**fields):
    one = event(**fields)
    add_correlation_id(one)
    found = one.fields
    return (
        found["logsync"]["correlation_id"],
        found.get("trace", {}).get("id"),
        found.get("span", {}).get("id"),
    )


@pytest.mark.parametrize(
    ("labels", "trace", "span"),
    [
        ({"traceparent": PARENT}, TRACE, SPAN),
        ({"Traceparent": PARENT}, TRACE, SPAN),
        ({"headers.traceparent": PARENT}, TRACE, SPAN),
        ({"traceparent": f"01-{TRACE}-{SPAN}-00-more"}, TRACE, SPAN),
        ({"b3": f"{TRACE}-{SPAN}-1-05e3ac9a4f6e3b90"}, TRACE, SPAN),
        ({"b3": f"{TRACE[16:]}-{SPAN}"}, TRACE[16:], SPAN),
        ({"X-B3-TraceId": TRACE.upper(), "X-B3-SpanId": SPAN}, TRACE, SPAN),
        ({"x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "traceparent": "nonsense"}, TRACE, SPAN),
        ({"trace_id": TRACE, "span_id": SPAN}, TRACE, SPAN),
        ({"dd.trace_id": "1234567890"}, "1234567890", None),
    ],
)
def test_trace_and_span_are_taken_from_the_headers_that_senders_pass_on(labels, trace, span):
    assert (trace, trace, span) == correlated(labels=labels)


@pytest.mark.parametrize(
    "value",
    [
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        "0",
    ],
)
def test_a_traceparent_that_the_standard_calls_invalid_is_none(value):
    assert (f"{ENVELOPE_ID}-00000", None, None) == correlated(labels={"traceparent": value})


def test_a_b3_header_that_only_says_whether_to_sample_has_no_trace():
    assert (f"{ENVELOPE_ID}-00000", None, None) == correlated(labels={"b3": "0"})


def test_the_senders_own_fields_win():
    assert ("abc", "abc", None) == correlated(trace={"id": "abc"}, labels={"traceparent": PARENT})


@pytest.mark.parametrize("name", ["X-Request-Id", "x-request-id", "requestId", "headers.x-correlation-id", "CF-Ray"])
def test_a_request_id_correlates_but_is_no_trace(name):
    assert ("r-1", None, None) == correlated(labels={name: "r-1"})


def test_an_id_of_any_length_or_type_does_no_harm():
    own = f"{ENVELOPE_ID}-00000"

    assert (own, None, None) == correlated(labels={"request_id": "x" * 5000, "trace_id": ["a", "b"], "span_id": "s"})
