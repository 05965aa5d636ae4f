"""When an alert would have fired: the arithmetic, and asking a query API for the counts."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from dashboards.backtest import ALERTS, MINUTE_MS, Firing, Minutes, firings, suggested
from dashboards.rules import service_alerts
from dashboards.thresholds import ServiceThresholds, Thresholds
from logsync_streams.cli import alerts_backtest
from logsync_streams.configuration import load
from logsync_streams.errors import Unavailable
from logsync_streams.query.app import create_app
from logsync_streams.storage.memory import MemoryStore
from tests.backtest_logs import documents
from tests.contract.documents import NOON, TARGET

LIMITS = ServiceThresholds()


def values(alert: str, errors: list[int], events: list[int] | None = None) -> list[float | None]:
    return ALERTS[alert].values(Minutes(0, events or errors, errors), LIMITS)


def test_a_rate_is_that_of_five_minutes():
    assert [2.0, 4.0, 6.0, 8.0, 10.0, 10.0, 8.0] == values("ServiceErrorRateHigh", [600] * 6 + [0])


def test_a_ratio_says_nothing_about_a_whisper():
    assert [None, 0.5] == values("ServiceErrorRatioHigh", [1, 49], [1, 99])


def test_a_spike_is_measured_by_the_hour_before():
    found = values("ServiceErrorSpike", [6] * 60 + [600])

    assert found[59] is None  # 0.1 a second: too few to speak of
    assert found[60] == pytest.approx((624 / 300) / (336 / 3600))


def test_a_silence_grows_from_the_last_log_on_and_one_that_never_spoke_is_not_silent():
    assert [None, 0.0, 60.0, 120.0, 0.0] == values("ServiceSilent", [0] * 5, [0, 3, 0, 0, 1])


def test_a_silence_that_began_before_is_known_from_its_last_log():
    minutes = Minutes(0, [0, 0, 1], [0, 0, 0], silent_before=90)

    assert [90.0, 150.0, 0.0] == ALERTS["ServiceSilent"].values(minutes, LIMITS)


def test_each_alert_waits_as_long_as_its_rule():
    waits = {alert.name: int(alert.wait.removesuffix("m")) for alert in service_alerts(Thresholds())}

    assert waits == {name: tested.wait for name, tested in ALERTS.items()}


def test_it_fires_after_the_wait_and_until_the_value_falls():
    found = firings([0, 11, 12, 13, 9, 11, 0, 20, 20], 10, wait=1, start=1000)

    assert [Firing(1000 + 2 * MINUTE_MS, 2, 13), Firing(1000 + 8 * MINUTE_MS, 1, 20)] == found


def test_the_suggestion_is_the_lowest_threshold_that_is_quiet_enough():
    noise = [1.0, 1.0, 0.0] * 50 + [7.0, 7.0, 7.0] + [1.0, 1.0, 0.0] * 50

    assert 1.0 == suggested(noise, wait=1, at_most=1)
    assert 7.0 == suggested(noise, wait=1, at_most=0)
    assert suggested([None, None], wait=1, at_most=1) is None


@pytest.fixture(scope="module")
def client() -> httpx.Client:
    """An API over a store with `logs`; it is 13:00."""
    store = MemoryStore()

    async def fill() -> None:
        await store.create(TARGET)
        await store.write(documents())

    asyncio.run(fill())
    return client_of(create_app(store, load({}), now=lambda: NOON + 3_600_000))


def client_of(app: Any) -> httpx.Client:
    """Asks an application in this process."""

    def answer(request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app)) as asking:
                return await asking.get(request.url)

        answered = asyncio.run(ask())
        return httpx.Response(answered.status_code, content=answered.content)

    return httpx.Client(transport=httpx.MockTransport(answer), base_url="http://127.0.0.1:8082")


def backtest(client: httpx.Client, **changed: object) -> int:
    asked = {
        "alert": "ServiceErrorRateHigh",
        "thresholds": None,
        "service": "",
        "limit": None,
        "start": "2026-11-24T12:00:00Z",
        "end": "2026-11-24T13:00:00Z",
        "per_day": 1.0,
        "as_json": True,
    }
    return alerts_backtest.run(**(asked | changed), client=client)  # type: ignore[arg-type]  # as the command would


def test_the_store_tells_when_an_alert_would_have_fired(client, capsys):
    assert 0 == backtest(client)
    rows = {row["service"]: row for row in json.loads(capsys.readouterr().out)["services"]}

    assert {"auth-service", "shop", "steady"} == set(rows)
    assert (1, "2026-11-24T12:14:00Z") == (rows["auth-service"]["fired"], rows["auth-service"]["firings"][0]["start"])
    assert 0 == rows["shop"]["fired"]


def test_what_was_before_the_range_is_known(client, capsys):
    assert 0 == backtest(client, alert="ServiceErrorSpike")
    spikes = {row["service"]: row["fired"] for row in json.loads(capsys.readouterr().out)["services"]}
    assert 0 == backtest(client, alert="ServiceSilent")
    silent = {row["service"]: row["firings"] for row in json.loads(capsys.readouterr().out)["services"]}

    assert {"auth-service": 1, "shop": 0, "steady": 0} == spikes
    assert [{"start": "2026-11-24T12:01:00Z", "minutes": 59, "highest": 14_340}] == silent["night-job"]
    assert [] == silent["steady"] + silent["shop"]


def test_another_threshold_can_be_tried_and_the_lines_are_for_people(client, capsys):
    assert 0 == backtest(client, service="auth-service", limit=100.0, as_json=False)

    assert "auth-service: threshold 100 errors a second: fired 0 times" in capsys.readouterr().out


def test_what_the_api_refuses_is_said(client, capsys):
    assert 2 == backtest(client, start="yesterday-ish")

    assert "yesterday-ish" in capsys.readouterr().err


def test_an_api_that_is_away_is_named():
    with httpx.Client(base_url="http://127.0.0.1:9") as away, pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        backtest(away)
