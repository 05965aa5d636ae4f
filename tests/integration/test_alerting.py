"""From an error in a log to a message at Slack and PagerDuty, and back: Prometheus and Alertmanager are real."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from dashboards.rules import rule_files
from dashboards.thresholds import Thresholds
from deploy.monitoring import AlertmanagerServer
from tests.integration.observed import now_iso, observed
from tests.monitoring import PAGERDUTY_KEY, StandIn, alertmanager_config, program, start
from tests.pipeline.oracle import eventually
from tests.servers.shared import SharedServers

pytestmark = pytest.mark.real

RUNBOOK = "https://git.example.org/logsync/docs/operations.md#serviceerrorratehigh"


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    made = StandIn()
    yield made
    made.close()


@pytest.fixture
def alertmanager(tmp_path: Path, stand_in: StandIn) -> Iterator[AlertmanagerServer]:
    server = AlertmanagerServer(tmp_path / "alertmanager", alertmanager_config(tmp_path, stand_in.url))
    yield start(server)
    server.kill()


def alert(name: str, severity: str, **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": severity, **labels},
        "annotations": {"summary": f"{labels.get('service', name)}: 12.00 errors a second", "runbook_url": RUNBOOK},
        "endsAt": now_iso(300),
    }


def post(alertmanager: AlertmanagerServer, *alerts: dict[str, Any]) -> None:
    answer = httpx.post(f"{alertmanager.url}/api/v2/alerts", json=list(alerts), timeout=20)
    assert answer.status_code == 200, answer.text


def test_two_hundred_services_that_fail_at_once_are_one_message(alertmanager: AlertmanagerServer, stand_in: StandIn):
    services = [alert("ServiceErrorRateHigh", "critical", service=f"service-{n}") for n in range(200)]
    post(alertmanager, *services)
    eventually(lambda: bool(stand_in.slack and stand_in.pagerduty), 60, "a message at Slack and PagerDuty")
    # Another alert shows that whatever else was to come has come: it waits as long as the others would.
    post(alertmanager, *services, alert("UdpDrops", "warning", instance="a"))
    eventually(lambda: len(stand_in.slack) > 1, 60, "the message about another alert")

    assert ["[CRITICAL] ServiceErrorRateHigh: 200", "[WARNING] UdpDrops: 1"] == [
        message["attachments"][0]["title"] for message in stand_in.slack
    ]
    assert 1 == len(stand_in.pagerduty)
    text = stand_in.slack[0]["attachments"][0]["text"]
    assert 10 == text.count("•")
    assert "200 in all" in text
    assert f"<{RUNBOOK}|What to do>" in text
    assert len(text) < 3000


def test_symptoms_of_a_store_that_is_down_and_warnings_beside_a_critical_alert_are_inhibited(
    alertmanager: AlertmanagerServer,
):
    post(
        alertmanager,
        alert("StoreUnavailable", "critical"),
        alert("LagGrowing", "warning", group="logsync-index"),
        alert("OldestEventNearRetention", "critical", group="logsync-index"),
        alert("UdpDrops", "warning", instance="a"),
        alert("ServiceErrorRateHigh", "critical", service="auth-service"),
        alert("ServiceErrorSpike", "warning", service="auth-service"),
        alert("ServiceErrorSpike", "warning", service="shop"),
    )

    def inhibited() -> set[tuple[str, str]]:
        known = httpx.get(f"{alertmanager.url}/api/v2/alerts", timeout=20).json()
        return {
            (one["labels"]["alertname"], one["labels"].get("service", ""))
            for one in known
            if one["status"]["inhibitedBy"]
        }

    expected = {("LagGrowing", ""), ("ServiceErrorSpike", "auth-service")}
    eventually(lambda: inhibited() == expected, 60, f"inhibited: {expected}")


def test_the_watchdog_calls_the_dead_mans_switch_again_and_again_once_it_has_an_address(
    tmp_path: Path, stand_in: StandIn
):
    text = alertmanager_config(tmp_path, stand_in.url)
    uncommented = re.sub(r"^  # (?=  +(?:webhook_configs|- send_resolved|url_file):)", "  ", text, flags=re.MULTILINE)
    # The tested Alertmanager is from before 0.26, which knows no url_file.
    url = f"url: {stand_in.url}/watchdog"
    config = re.sub(r"url_file: \S*/watchdog_url", url, uncommented)
    seconds = {"group_interval: 1m": "group_interval: 1s", "repeat_interval: 50s": "repeat_interval: 800ms"}
    for ours, faster in seconds.items():
        assert ours in config
        config = config.replace(ours, faster)
    assert yaml.safe_load(config)["receivers"][2]["webhook_configs"] == [
        {"send_resolved": False, "url": f"{stand_in.url}/watchdog"}
    ]
    server = start(AlertmanagerServer(tmp_path / "alertmanager", config))
    try:
        post(server, alert("Watchdog", "none"))
        eventually(lambda: len(stand_in.watchdog) >= 3, 60, "three calls of the dead man's switch")
    finally:
        server.kill()

    assert {"firing"} == {call["status"] for call in stand_in.watchdog}
    assert [] == stand_in.slack + stand_in.pagerduty


def test_amtool_finds_nothing_wrong_and_each_severity_goes_where_it_should(tmp_path: Path):
    path = tmp_path / "alertmanager.yml"
    path.write_text(alertmanager_config(tmp_path, "http://127.0.0.1:9"))
    amtool = program("amtool")
    checked = subprocess.run([amtool, "check-config", path], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr

    def receivers(*labels: str) -> str:
        command = [str(amtool), "config", "routes", "test", f"--config.file={path}", *labels]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert "pagerduty,slack" == receivers("severity=critical", "alertname=StoreUnavailable")
    assert "slack" == receivers("severity=warning", "alertname=UdpDrops")
    assert "watchdog" == receivers("severity=none", "alertname=Watchdog")


def test_no_secret_stands_in_the_configuration():
    from dashboards.generate import FOLDER

    text = (FOLDER / "alertmanager" / "alertmanager.yml").read_text()

    assert re.findall(r"(?:api_url|routing_key|service_key|password|token|credentials):", text) == []
    assert re.findall(r"https?://", text) == []


def test_a_burst_of_errors_reaches_slack_and_pagerduty_and_is_resolved(
    tmp_path: Path, servers: SharedServers, alertmanager: AlertmanagerServer, stand_in: StandIn
):
    with observed(tmp_path, servers, {}, alertmanager.url.removeprefix("http://")) as running:
        # The rules as they are, at the original's threshold; only minutes are seconds.
        rules = rule_files(Thresholds(page_url=running.query_url))
        folder = running.prometheus.folder / "rules"
        for name, text in rules.items():
            faster = text.replace("[5m]", "[10s]").replace("time() - 300", "time() - 10").replace("for: 1m", "for: 2s")
            (folder / name).write_text(faster)
        httpx.post(f"{running.prometheus.url}/-/reload", timeout=20).raise_for_status()
        sent: list[tuple[float, float, int]] = []  # auth-service's errors: begun and answered, epoch ms; how many

        def errors(number: int) -> None:
            begun = time.time() * 1000
            running.send(number, service="auth-service", level="ERROR")
            sent.append((begun, time.time() * 1000, number))

        errors(1)  # a counter that is born shows no rate
        running.send(1, service="shop", level="ERROR")
        eventually(lambda: len(running.ask("log_errors_total")) == 2, 60, "both services' counters in Prometheus")
        assert [] == stand_in.slack

        def burst() -> bool:
            errors(500)
            running.send(10, service="auth-service", level="INFO")
            running.send(1, service="shop", level="ERROR")  # below its threshold, however quick the machine is
            return bool(stand_in.slack and stand_in.pagerduty)

        eventually(burst, 120, "a message at Slack and PagerDuty")
        paged = stand_in.pagerduty[0]
        assert (PAGERDUTY_KEY, "trigger") == (paged["routing_key"], paged["event_action"])
        assert ("critical", "ServiceErrorRateHigh") == (paged["payload"]["severity"], paged["payload"]["class"])
        assert re.search(r"auth-service: \d+\.\d\d errors a second", paged["payload"]["summary"])
        message = stand_in.slack[0]["attachments"][0]
        assert "[CRITICAL] ServiceErrorRateHigh: 1 · auth-service" == message["title"]
        assert re.search(r"• auth-service: \d+\.\d\d errors a second", message["text"])
        assert "danger" == message["color"]
        assert "What to do: docs/operations.md#serviceerrorratehigh" in message["text"]
        link = message["title_link"]
        assert f"<{link}|these logs>" in message["text"]
        # Those of the window that the value is about, and no other: not of before, not of another level or service.
        start, end = range_of(link)
        assert 10_000 == pytest.approx(end - start, abs=1)
        inside = sum(number for begun, answered, number in sent if start <= begun and answered < end)
        touching = sum(number for begun, answered, number in sent if start <= answered and begun < end)
        eventually(lambda: counted_through(link, running.query_url).total() >= inside, 60, f"{inside} can be found")
        counted = counted_through(link, running.query_url)
        assert 0 < inside <= counted.total() <= touching
        assert {("auth-service", "error")} == set(counted)

        def resolved() -> bool:
            last: str = stand_in.slack[-1]["attachments"][0]["title"]
            return last.startswith("[RESOLVED]") and "resolve" == str(stand_in.pagerduty[-1]["event_action"])

        eventually(resolved, 120, "that it is over, at Slack and PagerDuty")
        assert {paged["dedup_key"]} == {one["dedup_key"] for one in stand_in.pagerduty}


def asked_by(link: str) -> dict[str, str]:
    """What the page of a link asks the query API for."""
    return {key: values[0] for key, values in urllib.parse.parse_qs(urllib.parse.urlsplit(link).query).items()}


def range_of(link: str) -> tuple[int, int]:
    """Its begin and end, epoch ms."""
    return int(asked_by(link)["from"]), int(asked_by(link)["to"])


def counted_through(link: str, query_url: str) -> Counter[tuple[str, str]]:
    """How many logs of each service and level the page of a link shows."""
    assert link.startswith(f"{query_url}/?"), link
    answer = httpx.get(f"{query_url}/api/logs/export", params=asked_by(link), timeout=60)
    assert answer.status_code == 200, answer.text
    found = map(json.loads, answer.text.splitlines())
    return Counter((hit["service"]["name"], hit["log"]["level"]) for hit in found)
