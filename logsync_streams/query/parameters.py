"""The parameters of a search request -> a SearchRequest: everything is checked before the store is touched."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Literal

import orjson
from starlette.datastructures import QueryParams

from logsync_streams.errors import InvalidQuery
from logsync_streams.events import canonical_level
from logsync_streams.query.language import parse
from logsync_streams.query.problems import BadParameter
from logsync_streams.settings import QueryHttpSettings
from logsync_streams.storage.api import All, And, Cursor, Equals, Or, Query, SearchRequest
from logsync_streams.storage.evaluate import check
from logsync_streams.storage.mapping import resolve

# Parameters beside the query that name one field each. Given twice they mean either value.
FILTERS = {
    "service": "service.name",
    "level": "log.level",
    "host": "host.name",
    "environment": "service.environment",
}
WHAT_PARAMETERS = ("q", "from", "to", *FILTERS)  # which logs
SEARCH_PARAMETERS = (*WHAT_PARAMETERS, "sort", "limit", "cursor", "fields", "highlight")
DEFAULT_LIMIT = 50

_NOW = re.compile(r"now(?:([+-])(\d{1,9})([smhdw]))?")
UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_EPOCH_MS = re.compile(r"-?\d{1,15}")
# The years 1 to 9999, as far as every store's dates reach.
_FIRST_MS, _LAST_MS = -62_135_596_800_000, 253_402_300_799_999
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_MAX_CURSOR_LENGTH = 1024
MAX_SHOWN_FIELDS = 100


def search_request(parameters: QueryParams, settings: QueryHttpSettings, now: int) -> SearchRequest:
    """What a search asks for. now: epoch ms. Raises BadParameter or InvalidQuery."""
    check_names(parameters, SEARCH_PARAMETERS)
    start, end = time_range(parameters, now, settings.max_range_days)
    cursor = parameters.get("cursor")
    return SearchRequest(
        query=query_of(parameters, settings),
        start=start,
        end=end,
        order=order_of(parameters.get("sort")),
        limit=number_of(parameters, "limit", DEFAULT_LIMIT, settings.max_hits, hint="the cursor gives the next page"),
        after=None if not cursor else decode_cursor(cursor),
    )


def check_names(parameters: QueryParams, known: Collection[str]) -> None:
    """Raises BadParameter for a parameter that is none of these, and for one that is given twice and may not be."""
    known_only(parameters, known)
    for name in known:
        if name not in FILTERS and len(parameters.getlist(name)) > 1:
            raise BadParameter(name, f"{name} is given more than once")


def known_only(parameters: QueryParams, known: Collection[str]) -> None:
    """Raises BadParameter for a parameter that is none: an ignored typing error would give a wrong answer."""
    for name in parameters:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}" if known else None
            raise BadParameter(name, f"unknown parameter {name!r}", hint=hint)


def time_range(parameters: QueryParams, now: int, max_days: int | None = None) -> tuple[int | None, int | None]:
    """start and end (epoch ms, None = open) from `from` and `to`. Raises BadParameter."""
    start, end = (_time(name, parameters.get(name), now) for name in ("from", "to"))
    if start is not None and end is not None and start >= end:
        raise BadParameter("from", "the time range is empty: from must be before to")
    if max_days is not None and (start is None or max(now, end or now) - start > max_days * UNITS_MS["d"]):
        raise BadParameter(
            "from", f"the time range is longer than the {max_days} days that are allowed here", hint="from=now-1d"
        )
    return start, end


def _time(name: str, text: str | None, now: int) -> int | None:
    if not text:
        return None
    try:
        moment = _epoch_ms(text, now)
    except (ValueError, OverflowError):
        moment = None
    if moment is None or not _FIRST_MS <= moment <= _LAST_MS:
        raise BadParameter(
            name,
            f"{text[:40]!r} is no time",
            hint="2026-11-24T10:00:00Z (UTC when no offset is given; + is written %2B in a URL), milliseconds since "
            "1970, now, or now-15m (s, m, h, d, w)",
        )
    return moment


def _epoch_ms(text: str, now: int) -> int:
    relative = _NOW.fullmatch(text)
    if relative:
        sign, amount, unit = relative.groups()
        shift = 0 if sign is None else int(amount) * UNITS_MS[unit]
        return now - shift if sign == "-" else now + shift
    if _EPOCH_MS.fullmatch(text):
        return int(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND  # in integers: a float of seconds does not hold every millisecond


def order_of(text: str | None) -> Literal["desc", "asc"]:
    """The order that `sort` names. Raises BadParameter."""
    match text:
        case None | "" | "desc":
            return "desc"
        case "asc":
            return "asc"
    raise BadParameter("sort", f"sort is {text!r}: desc (newest first) or asc is expected")


def number_of(
    parameters: QueryParams, name: str, default: int, most: int, *, least: int = 1, hint: str | None = None
) -> int:
    """A whole number from `least` to `most`. Raises BadParameter."""
    text = parameters.get(name)
    if not text:
        return min(default, most)
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise BadParameter(name, f"{name} is {text[:20]!r}: a number from {least} to {most} is expected", hint=hint)
    return int(text)


def flag_of(parameters: QueryParams, name: str, default: bool) -> bool:
    """true or false. Raises BadParameter."""
    text = parameters.get(name)
    if not text:
        return default
    if text not in ("true", "false"):
        raise BadParameter(name, f"{name} is {text[:20]!r}: true or false is expected")
    return text == "true"


def names_of(parameters: QueryParams, name: str, most: int, default: str = "") -> tuple[str, ...]:
    """The stored names of the fields that a list by commas names, aliases resolved. Raises BadParameter."""
    texts = [part.strip() for part in (parameters.get(name) or default).split(",")]
    found = tuple(dict.fromkeys(resolve(text) for text in texts if text))
    if len(found) > most:
        raise BadParameter(name, f"{name} names {len(found)} fields: at most {most} are allowed")
    return found


def query_of(parameters: QueryParams, settings: QueryHttpSettings) -> Query:
    """The query of `q` and of the parameters that name a field. Raises BadParameter or InvalidQuery."""
    parts = [_filter(name, parameters.getlist(name), settings) for name in FILTERS]
    parts.append(parse(parameters.get("q", ""), max_clauses=settings.max_clauses, max_bytes=settings.max_query_bytes))
    return all_of(*parts)


def all_of(*parts: Query) -> Query:
    """One query for all of these."""
    wanted = [part for part in parts if part != All()]
    if not wanted:
        return All()
    return wanted[0] if len(wanted) == 1 else And(tuple(wanted))


def _filter(name: str, values: list[str], settings: QueryHttpSettings) -> Query:
    alternatives: list[Query] = []
    for value in values:
        if not value:
            continue  # a form sends its empty fields along
        if (
            len(value.encode(errors="surrogatepass")) > settings.max_query_bytes
            or len(alternatives) == settings.max_clauses
        ):
            raise BadParameter(name, f"{name} is too long or given too often")
        equals = Equals(FILTERS[name], canonical_level(value) if name == "level" else value)
        try:
            check(equals)
        except InvalidQuery as error:
            raise BadParameter(name, error.detail, hint=error.hint) from error
        alternatives.append(equals)
    if not alternatives:
        return All()
    return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives))


def encode_cursor(cursor: Cursor) -> str:
    """Opaque text for URLs."""
    return base64.urlsafe_b64encode(orjson.dumps([cursor.timestamp, cursor.id])).rstrip(b"=").decode()


def decode_cursor(text: str) -> Cursor:
    """The cursor that `encode_cursor` wrote. Raises BadParameter for anything else."""
    try:
        if len(text) > _MAX_CURSOR_LENGTH:
            raise ValueError("too long")
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        timestamp, id_ = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if type(timestamp) is not int or type(id_) is not str or abs(timestamp) >= 1 << 63:
            raise ValueError("not a number and an id")
    except (ValueError, TypeError, binascii.Error) as error:
        raise BadParameter("cursor", "this cursor is damaged", hint="search again without it") from error
    return Cursor(timestamp, id_)
