"""Which logs belong to one request: `trace.id`, `span.id` and `logsync.correlation_id` out of what senders pass on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from logsync_streams.events import Event

# W3C Trace Context: version, trace id, span id of the caller, flags; later versions may append more.
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?", re.ASCII)
# B3 in one header: trace id of 64 or 128 bits, span id, then optionally the sampling decision and the parent.
_B3 = re.compile(r"([0-9a-fA-F]{32}|[0-9a-fA-F]{16})-([0-9a-fA-F]{16})(?:-[01d](?:-[0-9a-fA-F]{16})?)?", re.ASCII)
_HEX_ID = re.compile(r"[0-9a-fA-F]{16}(?:[0-9a-fA-F]{16})?", re.ASCII)
_MAX_ID_LENGTH = 128

# What senders call them, in the order of trust.
_TRACE_NAMES = ("traceparent", "b3", "x-b3-traceid", "trace_id", "trace-id", "traceId", "otelTraceID", "dd.trace_id")
_SPAN_NAMES = ("x-b3-spanid", "span_id", "span-id", "spanId", "otelSpanID", "dd.span_id")
_REQUEST_NAMES = (
    *("correlation_id", "correlationId", "request_id", "requestId", "x-request-id", "x-correlation-id"),
    *("correlation-id", "request-id", "x-amzn-trace-id", "x-amzn-requestid", "x-cloud-trace-context", "cf-ray"),
)
# Names whose capitals no rule gives.
_WRITTEN = {"x-b3-traceid": "X-B3-TraceId", "x-b3-spanid": "X-B3-SpanId", "cf-ray": "CF-Ray"}
_PREFIXES = ("", "headers.", "request.headers.", "req.headers.", "http.headers.", "http.request.headers.")


def _spellings(names: tuple[str, ...]) -> dict[str, str]:
    """Each way in which a name is written -> the name; earlier ones first."""
    found: dict[str, str] = {}
    for name in names:
        for prefix in _PREFIXES:
            for spelling in (
                name,
                name.lower(),
                name.title(),
                name.upper(),
                name.replace("-", "_"),
                _WRITTEN.get(name, name),
            ):
                found.setdefault(prefix + spelling, name)
    return found


_TRACE, _SPAN, _REQUEST = _spellings(_TRACE_NAMES), _spellings(_SPAN_NAMES), _spellings(_REQUEST_NAMES)
_RANK = {spelling: rank for rank, spelling in enumerate([*_TRACE, *_SPAN, *_REQUEST])}


def add_correlation_id(event: Event) -> None:
    """`logsync.correlation_id`: the trace or request id that the sender gave, else the event's own id (DESIGN §4).

    `trace.id` and `span.id` are set where the sender gave them in a header's form; its own fields win.
    """
    fields = event.fields
    trace = fields.get("trace")
    found: Any = trace.get("id") if isinstance(trace, dict) else None
    labels = fields.get("labels")
    if labels and not found:
        # There are hundreds of spellings, and in an event one or two: each label is looked up, never each spelling.
        named = [label for label in labels if label in _RANK]
        if named:
            if len(named) > 1:
                named.sort(key=_RANK.__getitem__)  # by trust; the names of traces come first
            found = (named[0] in _TRACE and _add_trace(fields, labels, named)) or _value(labels, named, _REQUEST)
    fields.setdefault("logsync", {})["correlation_id"] = str(found or event.id)


def _value(labels: dict[str, Any], named: Sequence[str], spellings: dict[str, str]) -> str | None:
    """The value of the first of these labels that is one of the spellings and has a value to use."""
    for spelling in named:
        if spelling in spellings:
            value = labels[spelling]
            if isinstance(value, str) and 0 < len(value) <= _MAX_ID_LENGTH:
                return value
    return None


def _add_trace(fields: dict[str, Any], labels: dict[str, Any], named: Sequence[str]) -> str | None:
    for spelling in named:
        if spelling not in _TRACE:
            break
        value = labels[spelling]
        if not isinstance(value, str):
            continue
        ids = _ids(_TRACE[spelling], value.strip())
        if ids is None:
            continue
        trace_id, span_id = ids
        span_id = span_id or _value(labels, named, _SPAN)
        fields["trace"] = {"id": trace_id}
        if span_id and "span" not in fields:
            fields["span"] = {"id": span_id}
        return trace_id
    return None


def _ids(name: str, value: str) -> tuple[str, str | None] | None:
    """(trace id, span id if it is in there, too), None when the value has not the form that its name promises."""
    if name == "traceparent":
        match = _TRACEPARENT.fullmatch(value)
        # Version ff is forbidden; ids of zeros mean that there is none.
        if match is None or match[1] == "ff" or not match[2].strip("0") or not match[3].strip("0"):
            return None
        return match[2], match[3]
    if name == "b3":
        match = _B3.fullmatch(value)
        return (match[1].lower(), match[2].lower()) if match and match[1].strip("0") else None
    if name == "x-b3-traceid":
        return (value.lower(), None) if _HEX_ID.fullmatch(value) and value.strip("0") else None
    return (value, None) if 0 < len(value) <= _MAX_ID_LENGTH and value.strip("0-") else None
