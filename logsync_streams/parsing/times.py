"""Times as senders write them -> epoch milliseconds. No clock is read: what is missing comes from `received_at`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import ciso8601

_parse_iso8601 = ciso8601.parse_datetime
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# Years 1 to 9999: what every store's date and Python's datetime can hold.
_MIN_MS = -62_135_596_800_000
_MAX_MS = 253_402_300_799_999
_MAX_TEXT = 64  # no form that we know is longer
_MIN_EPOCH_DIGITS = 9  # "20240101" is a day; nine digits of seconds begin in 1973

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}


def local_epoch_ms(text: str, zone: tzinfo) -> int | None:
    """`epoch_ms` of a text; without a zone of its own it is in `zone`."""
    try:
        at = _parse_iso8601(text)
    except ValueError:
        return epoch_ms(text)
    try:
        return _from_datetime(at if at.tzinfo is not None else at.replace(tzinfo=zone))
    except OverflowError:
        return None


def epoch_ms(value: Any) -> int | None:
    """A timestamp field -> epoch milliseconds, None when it is no time.

    value: ISO 8601 text (without a zone: UTC), or a number (also as digits) of seconds, milliseconds, microseconds or
    nanoseconds since 1970, told apart by size: seconds up to the year 5138. Years 1 to 9999.
    """
    if type(value) is str:
        try:
            return _from_datetime(_parse_iso8601(value))
        except ValueError:
            return _unusual_text(value)
    if type(value) is int or type(value) is float:
        return _from_number(value)
    return None


def bsd_time_ms(
    month: str,
    day: str,
    hour: str,
    minute: str,
    second: str,
    received_at: int,
    year: str | None = None,
    zone: tzinfo = UTC,
) -> int | None:
    """An RFC 3164 time -> epoch milliseconds; None when there is no such day or time.

    It has no zone of its own and is in `zone`; the hour that comes twice in autumn is the first. It mostly has no year
    and is then taken to be in the one that puts it nearest to `received_at` (epoch ms): on New Year's Day a time of
    December is of the year before.
    """
    number = _MONTHS.get(month.lower())
    if number is None:
        return None
    try:
        received_year = (_EPOCH + received_at * _MILLISECOND).year
    except OverflowError:
        return None
    nearest: int | None = None
    for guess in (received_year, received_year - 1, received_year + 1) if year is None else (int(year),):
        try:
            at = datetime(guess, number, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=zone)
            milliseconds = (at - _EPOCH) // _MILLISECOND
        except (ValueError, OverflowError):
            continue  # 29 February exists in some of the years only
        if nearest is None or abs(milliseconds - received_at) < abs(nearest - received_at):
            nearest = milliseconds
    return nearest


def _from_datetime(value: datetime) -> int | None:
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    # A floor of exact integers: float seconds times a thousand would be off by one now and then.
    since = value - _EPOCH
    milliseconds = since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    return milliseconds if _MIN_MS <= milliseconds <= _MAX_MS else None  # an offset can lead out of the years


def _from_number(value: float) -> int | None:
    size = abs(value)
    if size < 1e11:
        milliseconds = round(value * 1000)
    elif size < 1e14:
        milliseconds = int(value)
    elif size < 1e17:
        milliseconds = int(value // 1_000)
    elif size < 1e20:
        milliseconds = int(value // 1_000_000)
    else:
        return None  # also infinity and NaN: their comparisons are false
    return milliseconds if _MIN_MS <= milliseconds <= _MAX_MS else None


def _unusual_text(text: str) -> int | None:
    text = text.strip()
    if len(text) > _MAX_TEXT:
        return None
    digits = text.removeprefix("-").replace(".", "", 1)
    if digits.isascii() and digits.isdigit() and len(digits) >= _MIN_EPOCH_DIGITS:
        return _from_number(float(text) if "." in text else int(text))
    # A leap second is the end of the second before it; some write a space before the zone.
    relaxed = text.replace(":60", ":59", 1) if text[17:19] == "60" else text
    head, space, zone = relaxed.rpartition(" ")
    if space and zone[:1] in "+-Zz":
        relaxed = head + zone
    try:
        return _from_datetime(_parse_iso8601(relaxed))
    except ValueError:
        return None
