"""What an answer of Elasticsearch asks of us: the three reactions of DESIGN §4, by pure functions.

The table of real errors by version in tests/golden/errors is the test of it. What is not known is held: an event goes
to the dead letters only for an error that is on the list here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from elastic_transport import ConnectionTimeout, TransportError

from logsync_streams.errors import Unavailable
from logsync_streams.storage.api import DUPLICATE, STORED, Outcome, Reaction
from logsync_streams.storage.documents import ALIAS_MISSING, WRITE_BLOCKED

# Errors of the document itself, whatever the cluster's state.
_DOCUMENT_ERRORS = frozenset(
    {
        "mapper_parsing_exception",  # 7.x
        "document_parsing_exception",  # from 8.6
        "strict_dynamic_mapping_exception",  # only where an operator's custom template says `strict`
        "parsing_exception",
        "parse_exception",
        "json_parse_exception",
        "x_content_parse_exception",
        "not_x_content_exception",
        "input_coercion_exception",
    }
)
# `illegal_argument_exception` is said of many things; these are the document's.
_DOCUMENT_REASONS = (
    "immense term",
    "immense field",
    "mapper [",  # cannot be changed from one type to another
    "object mapping for [",
    "Do not include the null character",
    "The number of nested documents has exceeded",
    "Compressor detection",  # a body that is no JSON
)
_RETRY_STATUSES = frozenset({408, 429, 502, 503, 504})
_RETRY_TYPES = frozenset(
    {
        "es_rejected_execution_exception",
        "rejected_execution_exception",
        "circuit_breaking_exception",
        "unavailable_shards_exception",
        "no_shard_available_action_exception",
        "process_cluster_event_timeout_exception",
        "master_not_discovered_exception",
        "node_closed_exception",
        "node_not_connected_exception",
        "node_disconnected_exception",
        "receive_timeout_transport_exception",
        "connect_transport_exception",
        "primary_missing_action_exception",
        "retry_on_primary_exception",
        "shard_not_found_exception",
        "index_shard_closed_exception",
        "illegal_index_shard_state_exception",
        "already_closed_exception",
        "timeout_exception",
    }
)
NO_ANSWER = "connection"  # the reason of an outcome: nobody answers at the address
_OUR_WRITE_BLOCK = "FORBIDDEN/8/"
_FLOOD_STAGE = "/12/"  # its number in "blocked by: [TOO_MANY_REQUESTS/12/…]", FORBIDDEN before 7.9
_MAX_DETAIL = 1000  # Elasticsearch quotes the document, whole at times
_TYPE = re.compile(r"[a-z0-9_]{1,64}")
# The field that is refused, where a reason begins with it: what comes later may be the sender's own text. From 8 on
# the place in the document comes first, as [line:column].
_FIELDS = tuple(
    re.compile(r"(?:\[\d+:\d+\] )?" + rest)
    for rest in (
        r"failed to parse field \[(?P<field>[^\]]+)\] of type \[",
        r"object mapping for \[(?P<field>[^\]]+)\] tried to parse field ",
        r"mapper \[(?P<field>[^\]]+)\] cannot be changed ",
        r'Document contains at least one immense term in field="(?P<field>[^"]+)"',
        r"mapping set to strict, dynamic introduction of \[(?P<field>[^\]]+)\] within \[(?P<parent>[^\]]+)\]",
    )
)


def classify(
    status: int, error_type: str = "", reason: str = "", cause_type: str = "", cause_reason: str = ""
) -> Outcome:
    """The outcome of one document by what its item of a bulk answer says, "" where it says nothing."""
    if 200 <= status < 300 and not error_type:
        return STORED
    detail = _detail(error_type, reason, cause_type, cause_reason)
    label = error_type if _TYPE.fullmatch(error_type) else f"status_{status}"
    if status == 409 and error_type in ("version_conflict_engine_exception", ""):
        return DUPLICATE
    if error_type == "cluster_block_exception":
        if _OUR_WRITE_BLOCK in reason:
            return Outcome(Reaction.RETRY, WRITE_BLOCKED, detail)
        if _FLOOD_STAGE in reason:
            return Outcome(Reaction.RETRY, "flood_stage", detail)
    if error_type == "index_not_found_exception" and "require_alias" in reason:
        return Outcome(Reaction.HOLD, ALIAS_MISSING, detail)
    if status in _RETRY_STATUSES or error_type in _RETRY_TYPES:
        return Outcome(Reaction.RETRY, label, detail)
    if status == 413:
        return Outcome(Reaction.SPLIT, "too_large", detail)
    if status == 400 and _is_document_error(error_type, f"{reason} {cause_reason}"):
        return Outcome(Reaction.DEAD_LETTER, label, detail, category="mapping", field=refused_field(reason))
    return Outcome(Reaction.HOLD, label, detail)


def classify_item(item: Mapping[str, Any]) -> Outcome:
    """`classify` for an item as parsed: {"status": …, "error": {"type": …, "reason": …, "caused_by": {…}}}."""
    error = item.get("error")
    if not isinstance(error, Mapping):
        return classify(int(item.get("status", 0)), "", str(error or ""))
    cause = error.get("caused_by")
    if not isinstance(cause, Mapping):
        cause = {}
    return classify(
        int(item.get("status", 0)),
        str(error.get("type") or ""),
        str(error.get("reason") or ""),
        str(cause.get("type") or ""),
        str(cause.get("reason") or ""),
    )


def classify_request(status: int, body: Mapping[str, Any]) -> Outcome:
    """The outcome of every document of a bulk request that was refused as a whole. Never a dead letter: which document
    is at fault is not known.
    """
    outcome = classify_item({"status": status, "error": body.get("error")})
    if outcome.reaction in (Reaction.DEAD_LETTER, Reaction.DUPLICATE, Reaction.STORED):
        return Outcome(Reaction.HOLD, outcome.reason or f"status_{status}", outcome.detail)
    return outcome


def classify_failure(error: TransportError) -> Outcome:
    """The outcome of every document of a request without an answer: it may have been stored, its id tells next time."""
    if isinstance(error, ConnectionTimeout):
        return Outcome(Reaction.RETRY, "timeout", "Elasticsearch did not answer in time")
    return Outcome(Reaction.RETRY, NO_ANSWER, f"no answer from Elasticsearch: {error.message}")


class StoreUnavailable(Unavailable):
    """What a reader is told, and in `outcome` what it means for documents that wait to be written."""

    def __init__(self, detail: str, outcome: Outcome, *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds)
        self.outcome = outcome


def unavailable(failure: TransportError | int, error_type: str = "") -> StoreUnavailable:
    """A request without an answer, or its status and error type, in a sentence of ours: no text of Elasticsearch's
    gets out to a searcher.
    """
    if isinstance(failure, TransportError):
        slow = isinstance(failure, ConnectionTimeout)
        sentence = "the store did not answer in time" if slow else "the store cannot be reached"
        return StoreUnavailable(sentence, classify_failure(failure))
    outcome = classify_request(failure, {"error": {"type": error_type}})
    if failure in (401, 403):
        return StoreUnavailable(f"the store refuses our user (status {failure})", outcome, retry_after_seconds=30)
    if failure == 429:
        return StoreUnavailable("the store is overloaded", outcome, retry_after_seconds=5)
    said = f"status {failure} {error_type}".rstrip()
    return StoreUnavailable(f"the store cannot answer now ({said})", outcome)


def refused_field(reason: str) -> str:
    """The field that an error's reason names as refused, "" when it names none."""
    for pattern in _FIELDS:
        if match := pattern.match(reason):
            parent = match.groupdict().get("parent") or "_doc"
            return match["field"] if parent == "_doc" else f"{parent}.{match['field']}"
    return ""


def _is_document_error(error_type: str, reasons: str) -> bool:
    if error_type in _DOCUMENT_ERRORS:
        return True
    return error_type == "illegal_argument_exception" and any(known in reasons for known in _DOCUMENT_REASONS)


def _detail(error_type: str, reason: str, cause_type: str, cause_reason: str) -> str:
    said = f"{error_type}: {reason}" if error_type else reason
    whole = f"{said} (because of {cause_type}: {cause_reason})" if cause_type else said
    return whole if len(whole) <= _MAX_DETAIL else whole[:_MAX_DETAIL] + "…"
