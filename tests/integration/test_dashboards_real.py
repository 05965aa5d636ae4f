"""Every query in the dashboards and rules, asked of a Prometheus and an Elasticsearch that know a running system."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from dashboards.pipeline_alerts import pipeline_alerts
from dashboards.rules import service_alerts
from dashboards.thresholds import Thresholds
from tests.dashboard_queries import elasticsearch_body, filled_in, kibana_bodies, operands, targets
from tests.integration.observed import TRACE, Observed, observed
from tests.pipeline.oracle import eventually
from tests.servers.shared import SharedServers
from tests.servers.wiping import request

pytestmark = pytest.mark.real

LATENCY = "logsync_end_to_end_latency_seconds"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, servers: SharedServers) -> Iterator[Observed]:
    """A system through which a bit of everything has come, scraped long enough for rates."""
    with observed(tmp_path_factory.mktemp("observed"), servers, {}) as made:
        until = time.monotonic() + 12
        while time.monotonic() < until:
            traffic(made)
            time.sleep(1)
        eventually(lambda: bool(made.ask("logsync_service_last_seen_timestamp_seconds > 0")), 60, "the inventory")
        eventually(
            lambda: {one["metric"]["service"] for one in made.ask("log_volume_total")} >= {"auth-service", "shop"},
            60,
            "both services' counters in Prometheus",
        )
        yield made


def traffic(made: Observed) -> None:
    """Every level and environment, an error with its kind, noise, a secret, junk."""
    common = {"host": "web-1", "environment": "production"}
    made.send(20, service="auth-service", level="INFO", **common)
    made.send(5, service="auth-service", level="ERROR", error={"type": "java.lang.Boom"}, trace={"id": TRACE}, **common)
    made.send(5, service="shop", level="WARN", environment="staging", host="web-2")
    made.send(2, service="auth-service", level="DEBUG", **common)
    made.send(1, service="auth-service", level="INFO", metadata={"password": "hunter2"}, **common)
    refused = httpx.post(f"{made.collector.url}/api/logs", content=b"{", timeout=20)
    assert refused.status_code == 400, refused.text
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.sendto(b"<11>Nov 24 22:00:00 web-1 sshd[42]: failed", ("127.0.0.1", made.pipeline.syslog_port))
    httpx.get(f"{made.query_url}/api/logs/search", params={"q": "boom"}, timeout=20).raise_for_status()


def test_every_expression_in_the_dashboards_returns_data(running: Observed):
    waiting = {where: filled_in(target["expr"]) for where, target in targets("prometheus")}

    def all_answered() -> bool:
        traffic(running)
        for where, expression in list(waiting.items()):
            if running.ask(expression):
                del waiting[where]
        return not waiting

    with contextlib.suppress(AssertionError):  # said better below
        eventually(all_answered, 60, "data")

    assert {} == waiting


def test_every_operand_of_every_rule_returns_data(running: Observed):
    alerts = service_alerts(Thresholds()) + pipeline_alerts(Thresholds())
    wanted = {
        operand
        for alert in alerts
        for operand in operands(
            alert.expression.removeprefix("absent(").removesuffix(")" * ("absent" in alert.expression))
        )
    }
    waiting = {recent(operand) for operand in wanted}

    def all_answered() -> bool:
        waiting.difference_update({operand for operand in waiting if running.ask(operand)})
        return not waiting

    with contextlib.suppress(AssertionError):  # said better below
        eventually(all_answered, 60, "data")

    assert set() == waiting


def recent(expression: str) -> str:
    """This Prometheus has not been up for an hour: what looks back looks back by seconds."""
    return expression.replace("offset 1h", "offset 2s").replace("offset 5m", "offset 2s")


def test_every_elasticsearch_query_of_grafana_returns_data(running: Observed):
    empty = {where for where, target in targets("elasticsearch") if not answered(running, elasticsearch_body(target))}

    assert set() == empty


def test_every_elasticsearch_query_of_kibana_returns_data(running: Observed):
    assert set() == {id for id, body in kibana_bodies() if not answered(running, body)}


def answered(running: Observed, body: dict[str, object]) -> bool:
    url = f"{running.pipeline.elasticsearch_url}/logsync-*/_search"
    request("POST", f"{running.pipeline.elasticsearch_url}/logsync-*/_refresh")
    status, answer = request("POST", url, body)
    assert status == 200, f"{body}: {answer}"
    aggregations = answer.get("aggregations", {}).values()
    return answer["hits"]["total"]["value"] > 0 and all(one.get("buckets", True) for one in aggregations)


def test_no_event_is_unaccounted_for_while_ranges_are_checked(running: Observed):
    assert [0.0] == [float(one["value"][1]) for one in running.ask("logsync_unaccounted_events{job='logsync-worker'}")]
    assert running.worker.metric("logsync_checked_ranges_total") > 0


def test_a_bucket_of_the_latency_leads_to_a_log_and_its_trace(running: Observed):
    parameters = {"query": f"{LATENCY}_bucket", "start": str(time.time() - 600), "end": str(time.time() + 60)}

    def labels() -> list[dict[str, str]]:
        found = httpx.get(f"{running.prometheus.url}/api/v1/query_exemplars", params=parameters, timeout=20).json()
        return [one["labels"] for group in found["data"] for one in group["exemplars"]]

    def traced() -> bool:
        # A bucket shows its last one: nothing without a trace may come after it.
        running.send(1, service="auth-service", level="ERROR", trace={"id": TRACE})
        time.sleep(1)
        return any(found.get("trace_id") == TRACE for found in labels())

    eventually(traced, 60, "an exemplar with its trace")
    event_id, *_ = [found["event_id"] for found in labels() if found.get("trace_id") == TRACE]
    address = f"{running.query_url}/api/logs/{event_id}"
    # It is stored, as the exemplar says; to be found it must be refreshed as well.
    eventually(lambda: httpx.get(address, timeout=20).status_code == 200, 30, "the log can be found")

    assert {"id": TRACE} == httpx.get(address, timeout=20).json()["trace"]


def test_our_own_logs_are_json_without_secrets_and_no_event_makes_a_line(running: Observed):
    def lines() -> list[str]:
        return [line for path in running.pipeline.folder.glob("*.log") for line in path.read_text().splitlines()]

    before = len(lines())
    for _ in range(5):
        running.send(100, service="logsync", level="ERROR", metadata={"password": "hunter2"})
    eventually(lambda: bool(running.ask('log_volume_total{service="logsync"} >= 500')), 60, "the events to be counted")
    written = lines()

    # Shipped into the product itself, a line an event would feed on itself.
    assert len(written) - before < 20
    assert "hunter2" not in "\n".join(written)
    # Beside our lines, which go to stderr, Faust draws its banner on stdout.
    assert [line for line in written if not line.startswith(("{", "+", "|"))] == []


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("", "text/plain"),
    ],
)
def test_metrics_come_in_the_form_that_was_asked_for(running: Observed, accept: str, expected: str):
    for url in (running.worker.url, running.collector.url, running.query_url):
        answer = httpx.get(f"{url}/metrics", headers={"accept": accept}, timeout=20)

        assert answer.headers["content-type"].startswith(expected)
        assert answer.text.endswith("# EOF\n") == expected.startswith("application")
