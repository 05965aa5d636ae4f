"""Values as a search compares them: out of stored documents, and out of the texts in a query, by field type.

Shared by the definition (`evaluate`) and by the stores that index documents themselves, so that they cannot differ.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from logsync_streams.errors import InvalidQuery
from logsync_streams.events import Fields
from logsync_streams.storage.mapping import IGNORE_ABOVE, LABELS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
# Fewer digits are a year or a basic ISO date; 9 digits of milliseconds are still in January 1970.
_EPOCH_MS = re.compile(r"-?[0-9]{9,15}", re.ASCII)
_V4_MAPPED = 0xFFFF << 32
_LONG_MIN, _LONG_MAX = -(2**63), 2**63 - 1


class AddressRange(NamedTuple):
    """Addresses from first to last, inclusive, as 128-bit numbers; IPv4 is in ::ffff:0:0/96."""

    first: int
    last: int


# ------------------------------------------------------------------------------------------------- out of a document


def leaves(document: Fields, field: str) -> list[Any]:
    """The values of a field: of each element of arrays, without null, {} and []. field: its stored name."""
    if field.startswith(LABELS):
        key = field.removeprefix(LABELS)
        return [value for name, value in labels(document) if name == key]
    nodes: list[Any] = [document]
    for part in field.split("."):
        nodes = [node[part] for node in _spread(nodes) if isinstance(node, dict) and part in node]
    return [node for node in _spread(nodes) if node is not None and not isinstance(node, dict)]


def labels(document: Fields) -> Iterator[tuple[str, Any]]:
    """(key without `labels.`, value) of every label value; keys of nested objects are joined by dots."""
    stack = [("", document.get("labels"))]
    while stack:
        prefix, node = stack.pop()
        if not isinstance(node, dict):
            continue
        for key, value in node.items():
            for leaf in _spread([value]):
                if isinstance(leaf, dict):
                    stack.append((f"{prefix}{key}.", leaf))
                elif leaf is not None:
                    yield prefix + key, leaf


def keyword(value: Any) -> str | None:
    """The text that a keyword or label is compared as: a number or boolean as in JSON. None: too long to be found."""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if len(text) * 2 <= IGNORE_ABOVE or len(text.encode("utf-16-le", "surrogatepass")) // 2 <= IGNORE_ABOVE:
        return text  # counted in UTF-16 units, as Elasticsearch's ignore_above counts
    return None


def long(value: Any) -> int | None:
    """The whole number a value is; None: it is none, and only its presence can be found."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = int(value) if _INTEGER.fullmatch(value) else None
    elif isinstance(value, float):
        value = int(value)  # JSON has no infinity
    return value if isinstance(value, int) and _LONG_MIN <= value <= _LONG_MAX else None


def date_ms(value: Any) -> int | None:
    """The epoch milliseconds of a stored ISO-8601 text; None: it is none."""
    if not isinstance(value, str):
        return None
    try:
        return _iso_ms(value)
    except (ValueError, OverflowError):
        return None


def address(value: Any) -> int | None:
    """The 128-bit number of a stored address; None: it is none."""
    if not isinstance(value, str):
        return None
    try:
        return _address_number(value)
    except ValueError:
        return None


def _spread(nodes: list[Any]) -> Iterator[Any]:
    for node in nodes:
        if isinstance(node, list):
            yield from _spread(node)
        else:
            yield node


# --------------------------------------------------------------------------------------------------- out of a query


def query_long(field: str, text: str) -> int:
    """The number that a query names. Raises InvalidQuery."""
    number = long(text)
    if number is None:
        raise InvalidQuery(f"{field}: a whole number is expected, not {text!r}")
    return number


def query_date(field: str, text: str) -> int:
    """The epoch milliseconds that a query names: ISO 8601 (UTC unless it says otherwise; a day is its midnight), or
    epoch milliseconds. Raises InvalidQuery.
    """
    try:
        return int(text) if _EPOCH_MS.fullmatch(text) else _iso_ms(text)
    except (ValueError, OverflowError):
        raise InvalidQuery(
            f"{field}: a time is expected, not {text!r}", hint="e.g. 2026-11-24, 2026-11-24T21:56:37.123Z"
        ) from None


def query_addresses(field: str, text: str) -> AddressRange:
    """The addresses that a query names: one, or a network in CIDR form. Raises InvalidQuery."""
    try:
        if "/" not in text:
            number = _address_number(text)
            return AddressRange(number, number)
        if "%" in text:
            raise ValueError
        network = ipaddress.ip_network(text, strict=False)
        mapped = _V4_MAPPED if network.version == 4 else 0
        return AddressRange(mapped | int(network.network_address), mapped | int(network.broadcast_address))
    except ValueError:
        raise InvalidQuery(
            f"{field}: an address is expected, not {text!r}", hint="e.g. 10.0.0.1, 10.0.0.0/8, 2001:db8::/32"
        ) from None


def address_text(number: int) -> str:
    """The address of a 128-bit number, IPv4 in its usual form."""
    if number >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    return str(ipaddress.IPv6Address(number))


def _iso_ms(text: str) -> int:
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return (parsed - _EPOCH) // _MILLISECOND


def _address_number(text: str) -> int:
    if "%" in text:
        raise ValueError("an address with a zone cannot be compared")
    parsed = ipaddress.ip_address(text)
    return (_V4_MAPPED if parsed.version == 4 else 0) | int(parsed)
