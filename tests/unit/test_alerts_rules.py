"""The alert rules in Prometheus' own tests: each fires, does not fire yet, resolves, and says nothing without data."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from dashboards.generate import FOLDER
from dashboards.pipeline_alerts import pipeline_alerts
from dashboards.rules import rule_files, service_alerts
from dashboards.thresholds import Thresholds, read_thresholds
from tests.monitoring import program

pytestmark = pytest.mark.real

ALERTS = {alert.name: alert for alert in service_alerts(Thresholds()) + pipeline_alerts(Thresholds())}
NOT_ABOUT_DATA = {"Watchdog", "TargetsMissing"}  # they fire without any


@dataclass
class Case:
    """series: values a minute in promtool's notation. Minutes: not_yet, fires, resolves. labels: beside severity."""

    alert: str
    series: dict[str, str]
    not_yet: int | None
    fires: int
    resolves: int | None
    summary: str
    labels: dict[str, str] = field(default_factory=dict)


ERRORS = 'log_errors_total{service="auth-service",instance="a"}'
SEEN = 'logsync_service_last_seen_timestamp_seconds{service="auth-service"}'
AUTH = {"service": "auth-service"}
GROUP = {"group": "logsync-index", "topic": "logs-enriched"}
INDEX = 'group="logsync-index",topic="logs-enriched"'

CASES = [
    Case(
        "ServiceErrorRateHigh",
        {ERRORS: "0+720x10 7200+0x20", ERRORS.replace('"a"', '"b"'): "0+0x30"},
        *(5, 6, 15),
        "auth-service: 12.00 errors a second",
        AUTH,
    ),
    Case(
        "ServiceErrorRatioHigh",
        {ERRORS: "0+60x10 600+0x20", 'log_volume_total{service="auth-service"}': "0+180x30"},
        *(5, 6, 16),
        "auth-service: 33.33% of its logs are errors",
        AUTH,
    ),
    Case(
        "ServiceErrorSpike",
        {ERRORS: "0+6x60 480+120x14 2160+0x20"},
        *(63, 64, 81),
        "auth-service: 1.62 errors a second, many times those of the hour before",
        AUTH,
    ),
    Case("ServiceSilent", {SEEN: "0x19 1200x10"}, 16, 17, 21, "auth-service: no log for 17m 0s", AUTH),
    Case("IngestStopped", {SEEN: "0x19 1200x10"}, 11, 12, 21, "no log of any service for 12m 0s"),
    Case(
        "LagGrowing",
        {'logsync_consumer_lag_records{group="logsync-index",partition="0"}': "0+100x30 0x10"},
        *(20, 21, 31),
        "logsync-index: 2100 records behind, and it grows",
        {"group": "logsync-index"},
    ),
    Case(
        "OldestEventNearRetention",
        {
            f"logsync_oldest_unprocessed_age_seconds{{{INDEX}}}": "0+3600x40 0x10",
            'logsync_topic_retention_seconds{topic="logs-enriched",instance="a"}': "259200x60",
            'logsync_topic_retention_seconds{topic="logs-enriched",instance="b"}': "259200x60",
        },
        *(37, 38, 42),
        "logsync-index: what waits longest in logs-enriched has waited 52.78% of the time after which Kafka removes it",
        GROUP,
    ),
    Case(
        "ExpiredUnread",
        {f"logsync_expired_unread_events_total{{{INDEX}}}": "_x5 7x100"},
        *(4, 5, 66),
        "logsync-index: Kafka removed 7 records of logs-enriched unread",
        GROUP,
    ),
    Case(
        "GroupStalled",
        {'logsync_stalled_seconds{group="logsync-index",instance="a"}': "0+60x5 0x5"},
        *(2, 3, 6),
        "logsync-index on a: no progress for 3m 0s",
        {"group": "logsync-index", "instance": "a"},
    ),
    Case(
        "MessageNotAcknowledged",
        {'logsync_oldest_unacked_age_seconds{group="logsync-index",instance="a"}': "0+60x20 0x5"},
        *(15, 16, 21),
        "logsync-index on a: a message has been in hand since 16m 0s, nothing behind it in its partition is committed",
        {"group": "logsync-index", "instance": "a"},
    ),
    Case(
        "StoreRefusesWrites",
        {"logsync_index_held_events": "0 5x10 0x10"},
        *(2, 3, 12),
        "the store refuses 5 events for a reason that is not theirs; indexing waits",
    ),
    Case(
        "StoreUnavailable",
        {
            'logsync_index_retried_events_total{reason="unavailable"}': "0+60x15 900+0x15",
            "logsync_indexed_events_total": "100x30",
        },
        *(2, 3, 21),
        "the store takes nothing: 0.60 events a second are tried again, none is stored",
    ),
    Case(
        "DeadLettersRising",
        {'logsync_dead_letter_events_total{stage="index",category="mapping"}': "0+3x20 60+0x20"},
        *(3, 4, 31),
        "12 dead letters in ten minutes: mapping in index",
        {"stage": "index", "category": "mapping"},
    ),
    Case(
        "UnaccountedEvents",
        {"logsync_unaccounted_events": "0 0 3x3 0x30"},
        *(1, 2, 21),
        "3 events are neither stored nor filtered nor dead letters",
    ),
    Case(
        "UdpDrops",
        {'logsync_udp_kernel_drops_total{source="syslog-udp",instance="a"}': "0+60x10 600+0x10"},
        *(1, 2, 17),
        "a: 0.40 datagrams a second of syslog-udp dropped",
        {"source": "syslog-udp", "instance": "a"},
    ),
    Case(
        "CollectorRefuses",
        {'logsync_collector_rejected_requests_total{source="http",status="503",instance="a"}': "0+60x10 600+0x10"},
        *(2, 3, 17),
        "a: 0.60 requests a second are refused, Kafka is away or slow",
        {"instance": "a"},
    ),
    Case(
        "ArchiveOverdue",
        {"logsync_retention_overdue_seconds": "0+3600x40 0x20"},
        *(34, 35, 41),
        "a day has been due for the archive or for dropping for 1d 11h 0m 0s",
    ),
    Case(
        "RetentionFailing",
        {"logsync_retention_problems": "0 2x20 0x20"},
        *(10, 11, 22),
        "the last run of the retention could not do 2 things",
    ),
    Case(
        "RetentionMissing",
        {"logsync_retention_last_success_timestamp_seconds": "60x3300 198060x100"},
        *(48 * 60 + 361, 48 * 60 + 362, 3302),
        "no run of the retention has ended well for 2d 6h 1m 0s",
    ),
    Case(
        "TargetDown",
        {'up{job="logsync-worker",instance="a"}': "1 0x5 1x5"},
        *(2, 3, 8),
        "logsync-worker on a does not answer",
        {"job": "logsync-worker", "instance": "a"},
    ),
    Case(
        "TargetsMissing",
        {'up{job="logsync-worker",instance="a"}': "_x6 1x5"},
        *(4, 5, 7),
        "Prometheus scrapes nothing of LogSync (no job whose name begins with logsync)",
    ),
    Case("Watchdog", {}, None, 0, None, "this alert always fires: when it stops coming, alerting itself is broken"),
]


def run(folder: Path, rules: dict[str, str], tests: list[dict[str, object]]) -> None:
    """Run promtool's tests; fail with what it printed."""
    for name, text in rules.items():
        (folder / name).write_text(text)
    content = {"rule_files": sorted(rules), "evaluation_interval": "1m", "tests": tests}
    (folder / "tests.yml").write_text(yaml.safe_dump(content, allow_unicode=True))
    promtool = program("promtool")
    done = subprocess.run([promtool, "test", "rules", folder / "tests.yml"], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def expecting(minute: int, alert: str, fires: list[dict[str, object]]) -> dict[str, object]:
    return {"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": fires}


def firing(case: Case) -> dict[str, object]:
    alert = ALERTS[case.alert]
    annotations = {
        "summary": case.summary,
        "runbook_url": f"{Thresholds().runbook_url}#{case.alert.lower()}",
    }
    if alert.search:
        now = case.fires * 60
        base = "http://127.0.0.1:8082/?q=service%3A%22auth-service%22"
        # The five minutes that the rule is about; of a silence that began at 0, the hour before it.
        since = "&from=-3600000" if case.alert == "ServiceSilent" else f"+level%3A%3E%3Derror&from={now - 300}000"
        annotations["search_url"] = f"{base}{since}&to={now}000"
    return {"exp_labels": {"severity": alert.severity, **case.labels}, "exp_annotations": annotations}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_not_too_early_and_resolves(case, tmp_path):
    expected = [expecting(case.fires, case.alert, [firing(case)])]
    expected += [expecting(minute, case.alert, []) for minute in (case.not_yet, case.resolves) if minute is not None]
    series = [{"series": name, "values": values} for name, values in case.series.items()]

    run(tmp_path, rule_files(Thresholds()), [{"interval": "1m", "input_series": series, "alert_rule_test": expected}])


def test_every_alert_has_its_case():
    assert set(ALERTS) == {case.alert for case in CASES}


def test_without_data_only_the_alerts_about_missing_data_fire(tmp_path):
    expected = [expecting(30, name, []) for name in ALERTS if name not in NOT_ABOUT_DATA]

    run(tmp_path, rule_files(Thresholds()), [{"interval": "1m", "input_series": [], "alert_rule_test": expected}])


def test_a_retention_that_no_process_runs_is_noticed(tmp_path):
    name = "RetentionMissing"
    # Every process shows the metric; at a real time, that of none is decades ago.
    rules = {file: text.replace("time()", "(time() + 1.8e9)") for file, text in rule_files(Thresholds()).items()}
    series = [{"series": 'logsync_retention_last_success_timestamp_seconds{job="logsync-worker"}', "values": "0x400"}]
    fires: dict[str, object] = {
        "exp_labels": {"severity": "warning"},
        "exp_annotations": {
            "summary": "no run of the retention has ended well in any process that is up",
            "runbook_url": f"docs/operations.md#{name.lower()}",
        },
    }
    expected = [expecting(359, name, []), expecting(361, name, [fires])]

    run(tmp_path, rules, [{"interval": "1m", "input_series": series, "alert_rule_test": expected}])


def test_a_service_with_a_threshold_of_its_own_is_judged_by_it_alone(tmp_path):
    thresholds = read_thresholds(
        {"services": {"quiet.service": {"errors_per_second": 1}, "loud": {"errors_per_second": None}}}
    )
    series = [
        {"series": f'log_errors_total{{service="{service}"}}', "values": f"0+{a_minute}x30"}
        for service, a_minute in {"quiet.service": 120, "quietXservice": 120, "loud": 6000, "other": 660}.items()
    ]
    expected = [
        {
            "expr": 'ALERTS{alertname="ServiceErrorRateHigh",alertstate="firing"}',
            "eval_time": "20m",
            "exp_samples": [
                {
                    "labels": f'ALERTS{{alertname="ServiceErrorRateHigh",alertstate="firing",severity="critical",'
                    f'service="{service}"}}',
                    "value": 1,
                }
                for service in ("quiet.service", "other")
            ],
        }
    ]

    run(tmp_path, rule_files(thresholds), [{"interval": "1m", "input_series": series, "promql_expr_test": expected}])


def test_promtool_finds_nothing_wrong_with_the_generated_rules():
    files = sorted((FOLDER / "prometheus" / "rules").glob("*.yml"))
    done = subprocess.run([program("promtool"), "check", "rules", *files], capture_output=True, text=True)

    assert (0, 2) == (done.returncode, len(files)), done.stdout + done.stderr
