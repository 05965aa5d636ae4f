"""`logsync alerts backtest`: counts of the stored logs by the minute, asked of the query API, and what follows."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson

from dashboards.backtest import ALERTS, MINUTE_MS, WARM_UP, Minutes, firings, suggested
from logsync_streams.cli.alerts import thresholds_of
from logsync_streams.errors import Unavailable

_TIMEOUT_SECONDS = 60
_WINDOW_MINUTES = 400  # of one histogram; the API bounds the number of its intervals
_BUSIEST = 10
_SHOWN = 20
_SILENT = "ServiceSilent"


class Refused(Exception):
    """The query API does not take what was asked."""


def run(
    alert: str,
    thresholds: Path | None,
    *,
    service: str,
    limit: float | None,
    start: str,
    end: str,
    per_day: float,
    client: httpx.Client,
    as_json: bool,
) -> int:
    """Print when the alert would have fired for each service; exit code 0, or 2 when the API refuses.

    limit: None for the one of the file. Raises ConfigurationError for the file, Unavailable when nobody answers.
    """
    limits = thresholds_of(thresholds)
    tested = ALERTS[alert]
    try:
        begin, stop = _range(client, start, end)
        rows = []
        heard = begin - limits.defaults.forgotten_after * 1000 if alert == _SILENT else begin
        for name in [service] if service else _busiest(client, heard, stop):
            of_service = limits.of(name)
            start_at = begin - WARM_UP * MINUTE_MS
            minutes = _minutes(client, name, start_at, stop)
            if alert == _SILENT:
                minutes = replace(minutes, silent_before=_silence(client, name, start_at, of_service.forgotten_after))
            values = tested.values(minutes, of_service)[WARM_UP:]
            threshold = limit if limit is not None else tested.limit(of_service)
            days = max(1.0, (stop - begin) / 86_400_000)
            fired = firings(values, threshold, wait=tested.wait, start=begin) if threshold is not None else []
            rows.append(
                {
                    "service": name,
                    "threshold": threshold,
                    "unit": tested.unit,
                    "fired": len(fired),
                    "minutes": sum(one.minutes for one in fired),
                    "firings": [
                        {"start": _iso(one.start), "minutes": one.minutes, "highest": _finite(one.highest)}
                        for one in fired
                    ],
                    "suggested": suggested(values, wait=tested.wait, at_most=per_day * days),
                }
            )
    except httpx.HTTPError as error:
        raise Unavailable(f"{client.base_url} cannot be asked: {error}; is the query API running?") from error
    except Refused as error:
        print(f"logsync: {error}", file=sys.stderr)
        return 2
    answer = {"alert": alert, "from": _iso(begin), "to": _iso(stop), "services": rows}
    if as_json:
        print(orjson.dumps(answer).decode())
    else:
        print("\n".join(_lines(answer)))
    return 0


def _lines(answer: dict[str, Any]) -> Iterator[str]:
    yield f"{answer['alert']} from {answer['from']} to {answer['to']}, by the times in the logs that are stored"
    if not answer["services"]:
        yield "no service logged anything"
    for row in answer["services"]:
        yield (
            f"{row['service']}: threshold {_number(row['threshold'])} {row['unit']}: fired {row['fired']} times, "
            f"{row['minutes']} minutes in all; suggested {_number(row['suggested'])}"
        )
        for one in row["firings"][:_SHOWN]:
            yield f"  {one['start']}  {one['minutes']} min, up to {_number(one['highest'])}"
        if len(row["firings"]) > _SHOWN:
            yield f"  … {len(row['firings']) - _SHOWN} more"


def _ask(client: httpx.Client, path: str, parameters: dict[str, str | int]) -> dict[str, Any]:
    answer = client.get(f"/api/logs/{path}", params=parameters, timeout=_TIMEOUT_SECONDS)
    try:
        body: dict[str, Any] = orjson.loads(answer.content)
    except orjson.JSONDecodeError as error:
        raise Refused(f"{client.base_url} is no query API (status {answer.status_code})") from error
    if answer.status_code != 200:
        raise Refused(str(body.get("detail", f"status {answer.status_code}")))
    return body


def _range(client: httpx.Client, start: str, end: str) -> tuple[int, int]:
    """Epoch ms, at whole minutes."""
    answer = _ask(client, "histogram", {"from": start, "to": end, "buckets": 2})
    return answer["from"] // MINUTE_MS * MINUTE_MS, -(-answer["to"] // MINUTE_MS) * MINUTE_MS


def _busiest(client: httpx.Client, begin: int, stop: int) -> list[str]:
    parameters: dict[str, str | int] = {"fields": "service.name", "limit": _BUSIEST, "from": begin, "to": stop}
    (facet,) = _ask(client, "facets", parameters)["facets"]
    return [value["value"] for value in facet["values"]]


def _of(service: str) -> str:
    quoted = service.replace("\\", "\\\\").replace('"', '\\"')
    return f'service:"{quoted}"'


def _silence(client: httpx.Client, service: str, until: int, longest_seconds: int) -> float | None:
    """Seconds from a service's last log to this moment; None when there is none for so long."""
    asked: dict[str, str | int] = {"q": _of(service), "from": until - longest_seconds * 1000, "to": until, "limit": 1}
    hits = _ask(client, "search", asked)["hits"]
    if not hits:
        return None
    return until / 1000 - datetime.fromisoformat(hits[0]["@timestamp"]).timestamp()


def _minutes(client: httpx.Client, service: str, begin: int, stop: int) -> Minutes:
    of_service = _of(service)
    events = _counts(client, of_service, begin, stop)
    return Minutes(begin, events, _counts(client, f"{of_service} level:>=error", begin, stop))


def _counts(client: httpx.Client, q: str, begin: int, stop: int) -> list[int]:
    found: list[int] = []
    for start in range(begin, stop, _WINDOW_MINUTES * MINUTE_MS):
        end = min(stop, start + _WINDOW_MINUTES * MINUTE_MS)
        answer = _ask(client, "histogram", {"q": q, "from": start, "to": end, "interval": "1m"})
        found += [bucket["count"] for bucket in answer["buckets"]]
    return found


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _finite(value: float) -> float | None:
    return value if value != float("inf") else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
