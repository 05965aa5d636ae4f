"""The alert rules, from the thresholds. Every metric in them is one of metrics.py; each has its runbook and its tests.

An alert about services is one rule; services with thresholds of their own are a part of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from dashboards.thresholds import ServiceThresholds, Thresholds

# What the links of an alert about a service ask the page for.
_ERRORS_OF = "q=service%3A%22{{ $labels.service | urlquery }}%22+level%3A%3E%3Derror&from=now-1h"
_LOGS_OF = "q=service%3A%22{{ $labels.service | urlquery }}%22&from=now-24h"


@dataclass(frozen=True)
class Alert:
    """One rule. wait: Prometheus' `for`. summary: with the labels and the value. search: a query string of the page."""

    name: str
    expression: str
    severity: str
    summary: str
    wait: str = ""
    search: str = ""

    def rule(self, thresholds: Thresholds) -> dict[str, Any]:
        annotations = {"summary": self.summary, "runbook_url": f"{thresholds.runbook_url}#{self.name.lower()}"}
        if self.search:
            annotations["search_url"] = f"{thresholds.page_url.rstrip('/')}/?{self.search}"
        return {
            "alert": self.name,
            "expr": self.expression,
            **({"for": self.wait} if self.wait else {}),
            "labels": {"severity": self.severity},
            "annotations": annotations,
        }


def rate(metric: str, matcher: str, window: str) -> str:
    """The rate of a counter by service, over all processes."""
    return f"sum by (service) (rate({metric}{matcher}[{window}]))"


def _error_rate(matcher: str, limits: ServiceThresholds) -> str | None:
    if limits.errors_per_second is None:
        return None
    return f"{rate('log_errors_total', matcher, '5m')} > {limits.errors_per_second:g}"


def _error_ratio(matcher: str, limits: ServiceThresholds) -> str | None:
    if limits.error_ratio is None:
        return None
    volume = rate("log_volume_total", matcher, "5m")
    return (
        f"{rate('log_errors_total', matcher, '5m')} / {volume} > {limits.error_ratio:g}\n"
        f"and {volume} > {limits.ratio_from_events_per_second:g}"
    )


def _spike(matcher: str, limits: ServiceThresholds) -> str | None:
    if limits.spike_factor is None:
        return None
    now = rate("log_errors_total", matcher, "5m")
    before = f"sum by (service) (rate(log_errors_total{matcher}[1h] offset 5m))"
    return (
        f"{now} > {limits.spike_from_errors_per_second:g}\n"
        f"and {now} > {limits.spike_factor:g} * ({before} or 0 * {now})"  # no hour before: any burst is a spike
    )


def _silent(matcher: str, limits: ServiceThresholds) -> str | None:
    if limits.silent_after is None:
        return None
    silence = f"time() - max by (service) (logsync_service_last_seen_timestamp_seconds{matcher})"
    return f"{silence} > {limits.silent_after}\nand {silence} < {limits.forgotten_after}"


Expression = Callable[[str, ServiceThresholds], str | None]


def service_alerts(thresholds: Thresholds) -> list[Alert]:
    """The alerts about services; None as a threshold for all leaves the alert out."""
    found = [
        Alert(
            "ServiceErrorRateHigh",
            _by_threshold(_error_rate, thresholds),
            "critical",
            '{{ $labels.service }}: {{ $value | printf "%.2f" }} errors a second',
            "1m",
            _ERRORS_OF,
        ),
        Alert(
            "ServiceErrorRatioHigh",
            _by_threshold(_error_ratio, thresholds),
            "warning",
            "{{ $labels.service }}: {{ $value | humanizePercentage }} of its logs are errors",
            "5m",
            _ERRORS_OF,
        ),
        Alert(
            "ServiceErrorSpike",
            _by_threshold(_spike, thresholds),
            "warning",
            '{{ $labels.service }}: {{ $value | printf "%.2f" }} errors a second, many times those of the hour before',
            "2m",
            _ERRORS_OF,
        ),
        Alert(
            "ServiceSilent",
            _by_threshold(_silent, thresholds),
            "warning",
            "{{ $labels.service }}: no log for {{ $value | humanizeDuration }}",
            "1m",
            _LOGS_OF,
        ),
    ]
    return [alert for alert in found if alert.expression]


def _by_threshold(make: Expression, thresholds: Thresholds) -> str:
    """One expression for all services but those with other thresholds, and one for these, joined by `or`."""
    default = make("", thresholds.defaults)
    own: dict[str | None, list[str]] = defaultdict(list)
    for service in sorted(thresholds.services):
        expression = make("", thresholds.of(service))
        if expression != default:
            own[expression].append(service)
    others = sorted(service for services in own.values() for service in services)
    found = [make(_matcher("!~", others) if others else "", thresholds.defaults)]
    found += [make(_matcher("=~", services), thresholds.of(services[0])) for services in own.values()]
    return "\nor\n".join(part for part in found if part is not None)


def _matcher(operator: str, services: list[str]) -> str:
    pattern = "|".join(re.escape(service).replace("\\-", "-") for service in services)
    quoted = pattern.replace("\\", "\\\\").replace('"', '\\"')
    return f'{{service{operator}"{quoted}"}}'


def pipeline_alerts(thresholds: Thresholds) -> list[Alert]:
    """The alerts about ourselves."""
    limits = thresholds.pipeline
    lag = "sum by (group) (logsync_consumer_lag_records)"
    age = "max by (group, topic) (logsync_oldest_unprocessed_age_seconds)"
    expired = "logsync_expired_unread_events_total"
    success = "max(logsync_retention_last_success_timestamp_seconds)"
    return [
        Alert(
            "IngestStopped",
            f"time() - max(logsync_service_last_seen_timestamp_seconds) > {limits.ingest_stopped_after}",
            "critical",
            "no log of any service for {{ $value | humanizeDuration }}",
            "1m",
        ),
        Alert(
            "LagGrowing",
            f"{lag} > {limits.lag_records}\nand sum by (group) (deriv(logsync_consumer_lag_records[15m])) > 0",
            "warning",
            '{{ $labels.group }}: {{ $value | printf "%.0f" }} records behind, and it grows',
            "10m",
        ),
        Alert(
            "OldestEventNearRetention",
            f"{age}\n/ on (topic) group_left () max by (topic) (logsync_topic_retention_seconds)\n"
            f"> {limits.unprocessed_share_of_retention:g}",
            "critical",
            "{{ $labels.group }}: what waits longest in {{ $labels.topic }} has waited "
            "{{ $value | humanizePercentage }} of the time after which Kafka removes it",
            "1m",
        ),
        Alert(
            "ExpiredUnread",
            # The counter may be born with a value: its rate would not show the first one.
            f"sum by (group, topic) ({expired} - ({expired} offset 1h or 0 * {expired})) > 0",
            "critical",
            "{{ $labels.group }}: {{ $value }} records of {{ $labels.topic }} were removed by Kafka before being read",
        ),
        Alert(
            "GroupStalled",
            f"max by (group, instance) (logsync_stalled_seconds) > {limits.stalled_seconds}",
            "warning",
            "{{ $labels.group }} on {{ $labels.instance }}: no progress for {{ $value | humanizeDuration }}",
        ),
        Alert(
            "StoreRefusesWrites",
            "sum(logsync_index_held_events) > 0",
            "critical",
            "the store refuses {{ $value }} events for a reason that is not theirs; indexing waits",
            "2m",
        ),
        Alert(
            "StoreUnavailable",
            "sum(rate(logsync_index_retried_events_total[5m])) > 0\n"
            "and sum(rate(logsync_indexed_events_total[5m])) == 0",
            "critical",
            'the store takes nothing: {{ $value | printf "%.2f" }} events a second are tried again, none is stored',
            "2m",
        ),
        Alert(
            "DeadLettersRising",
            "sum by (stage, category) (increase(logsync_dead_letter_events_total[10m])) > "
            f"{limits.dead_letters_in_ten_minutes}",
            "warning",
            '{{ $value | printf "%.0f" }} dead letters in ten minutes: {{ $labels.category }} in {{ $labels.stage }}',
        ),
        Alert(
            "UnaccountedEvents",
            "sum(max_over_time(logsync_unaccounted_events[15m])) > 0",
            "critical",
            "{{ $value }} events are neither stored nor filtered nor dead letters",
        ),
        Alert(
            "UdpDrops",
            "sum by (instance, source) (rate(logsync_udp_kernel_drops_total[5m])) > 0",
            "warning",
            '{{ $labels.instance }}: {{ $value | printf "%.2f" }} datagrams a second of {{ $labels.source }} dropped',
            "1m",
        ),
        Alert(
            "CollectorRefuses",
            'sum by (instance) (rate(logsync_collector_rejected_requests_total{status="503"}[5m])) > 0',
            "warning",
            '{{ $labels.instance }}: {{ $value | printf "%.2f" }} requests a second are refused, Kafka is away or slow',
            "2m",
        ),
        Alert(
            "ArchiveOverdue",
            f"max(logsync_retention_overdue_seconds) > {limits.archive_overdue_after}",
            "warning",
            "a day has been due for the archive or for dropping for {{ $value | humanizeDuration }}",
            "10m",
        ),
        Alert(
            "RetentionFailing",
            "max(logsync_retention_problems) > 0\n"
            # 0: a process that runs no retention, or none yet.
            f"or (time() - {success} > {limits.retention_succeeds_within} and {success} > 0)",
            "warning",
            "the retention has not ended well: problems of its last run, or nothing for two days ({{ $value }})",
            "10m",
        ),
        Alert(
            "TargetDown",
            'up{job=~"logsync.*"} == 0',
            "critical",
            "{{ $labels.job }} on {{ $labels.instance }} does not answer",
            "2m",
        ),
        Alert(
            "TargetsMissing",
            'absent(up{job=~"logsync.*"})',
            "critical",
            "Prometheus scrapes nothing of LogSync (no job whose name begins with logsync)",
            "5m",
        ),
        Alert(
            "Watchdog",
            "vector(1)",
            "none",
            "this alert always fires: when it stops coming, alerting itself is broken",
        ),
    ]


def rule_files(thresholds: Thresholds) -> dict[str, str]:
    """File name -> Prometheus rules as YAML."""
    groups = {"services": service_alerts(thresholds), "pipeline": pipeline_alerts(thresholds)}
    return {
        f"{name}.yml": _HEAD
        + yaml.dump(
            {"groups": [{"name": f"logsync-{name}", "rules": [alert.rule(thresholds) for alert in alerts]}]},
            Dumper=_Dumper,
            sort_keys=False,
            width=1000,
            allow_unicode=True,
        )
        for name, alerts in groups.items()
    }


_HEAD = "# Written by `logsync alerts render` from dashboards/rules.py and a file of thresholds; do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that an expression reads as it was written."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
