"""The alert rules, from the thresholds. Every metric in them is one of metrics.py; each has its runbook and its tests.

An alert about services is one rule; services with thresholds of their own are a part of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable

import yaml

from dashboards.alert import Alert, moment
from dashboards.pipeline_alerts import pipeline_alerts
from dashboards.thresholds import ServiceThresholds, Thresholds

# What the links of an alert about a service ask the page for: the logs that its value is about, whenever one looks.
_SERVICE = "q=service%3A%22{{ $labels.service | urlquery }}%22"
_UNTIL_NOW = f"&to={moment('time()')}"
_ERRORS_OF = f"{_SERVICE}+level%3A%3E%3Derror&from={moment('time() - 300')}{_UNTIL_NOW}"  # the rules' five minutes
# The last hour before it fell silent, however long ago that is.
_LAST_LOGS_OF = f"{_SERVICE}&from={moment('time() - %f - 3600', '$value')}{_UNTIL_NOW}"


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
            _LAST_LOGS_OF,
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
