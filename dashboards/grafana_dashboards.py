"""What the four Grafana dashboards show. Every metric is one of metrics.py, every field one of storage/mapping.py."""

from __future__ import annotations

from dashboards.grafana_panels import (
    Dashboard,
    Elastic,
    Panel,
    Prom,
    environment_variable,
    logs,
    number,
    row,
    series,
    service_variable,
    table,
)

_RATE = "[$__rate_interval]"
_LATENCY = "logsync_end_to_end_latency_seconds_bucket"
_LAST_SEEN = "logsync_service_last_seen_timestamp_seconds"


def _rate(metric: str, by: str = "", matcher: str = "") -> str:
    return f"sum {f'by ({by}) ' if by else ''}(rate({metric}{matcher}{_RATE}))"


def _quantile(share: float, buckets: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({buckets}{_RATE})))"


def _with_silent(expression: str) -> str:
    """With a 0 for each service of the inventory that is silent, and so has no rate."""
    return f"{expression}\nor on (service) 0 * max by (service) ({_LAST_SEEN}{_CHOSEN})"


_CHOSEN = '{service=~"$service"}'
_RATIO = f"{_rate('log_errors_total')} / {_rate('log_volume_total')}"

OVERVIEW = Dashboard(
    "logsync-overview",
    "LogSync: overview",
    [
        number("Logs a second", _rate("log_volume_total"), "cps"),
        number("Errors a second", _rate("log_errors_total"), "cps"),
        number("Errors of all logs", _RATIO, "percentunit", red_from=0.25),
        number("Latency, 99 of 100", _quantile(0.99, _LATENCY), "s", help="From receiving a log to its being stored."),
        number("Lag in records", "sum(logsync_consumer_lag_records)"),
        number("Dead letters, 1 h", "sum(increase(logsync_dead_letter_events_total[1h]))", red_from=1),
        series("Logs by service", Prom(_rate("log_volume_total", "service", _CHOSEN), "{{service}}"), unit="cps"),
        series(
            "Errors by service",
            Prom(_with_silent(_rate("log_errors_total", "service", _CHOSEN)), "{{service}}"),
            unit="cps",
        ),
        series(
            "Errors of all logs by service",
            Prom(
                f"{_rate('log_errors_total', 'service', _CHOSEN)} / {_rate('log_volume_total', 'service', _CHOSEN)}",
                "{{service}}",
            ),
            unit="percentunit",
        ),
        series(
            "Levels",
            Prom(_rate("log_processed_total", "level", _CHOSEN), "{{level}}"),
            unit="cps",
            stacked=True,
            help="Events left after the filter.",
        ),
        series(
            "Latency until stored",
            *(Prom(_quantile(share, _LATENCY), f"{share:.0%}", exemplars=share == 0.99) for share in (0.5, 0.95, 0.99)),
            unit="s",
        ),
        series("Lag by group", Prom("sum by (group) (logsync_consumer_lag_records)", "{{group}}")),
        series(
            "Dead letters",
            Prom(
                "sum by (stage, category) (increase(logsync_dead_letter_events_total[$__rate_interval]))",
                "{{category}} in {{stage}}",
            ),
        ),
        series(
            "Stored logs by environment",
            Elastic("service.environment:$environment", by="service.environment"),
            stacked=True,
        ),
        series("Stored logs by level", Elastic("service.environment:$environment", by="log.level"), stacked=True),
        table(
            "Services",
            Prom(_with_silent(f"sum by (service) (rate(log_volume_total{_CHOSEN}[5m]))"), instant=True),
            Prom(_with_silent(f"sum by (service) (rate(log_errors_total{_CHOSEN}[5m]))"), instant=True),
            Prom(f"time() - max by (service) ({_LAST_SEEN}{_CHOSEN})", instant=True),
            columns={
                "service": "Service",
                "Value #A": "Logs a second",
                "Value #B": "Errors a second",
                "Value #C": "Silent for",
            },
            units={"Logs a second": "cps", "Errors a second": "cps", "Silent for": "s"},
        ),
    ],
    [service_variable(multi=True), environment_variable()],
)


def _counter(title: str, metric: str, by: str, unit: str = "cps", help: str = "") -> Panel:
    legend = " ".join("{{" + label + "}}" for label in by.split(", ") if label)
    return series(title, Prom(_rate(metric, by), legend), unit=unit, help=help)


def _gauge(title: str, metric: str, by: str, unit: str = "short", help: str = "") -> Panel:
    legend = " ".join("{{" + label + "}}" for label in by.split(", "))
    return series(title, Prom(f"max by ({by}) ({metric})", legend), unit=unit, help=help)


PIPELINE = Dashboard(
    "logsync-pipeline",
    "LogSync: pipeline",
    [
        number(
            "Unaccounted events",
            "sum(logsync_unaccounted_events)",
            red_from=1,
            help="Received but neither passed on, nor filtered, nor dead letters. Must be 0.",
        ),
        number("Ranges checked a second", _rate("logsync_checked_ranges_total"), "cps"),
        number("Expired unread", "sum(logsync_expired_unread_events_total)", red_from=1),
        number("Held events", "sum(logsync_index_held_events)", red_from=1),
        number("Processes up", 'sum(up{job=~"logsync.*"})'),
        number("Versions", "count(count by (version) (logsync_build_info))", red_from=2),
        row("Doors"),
        _counter("Accepted events", "logsync_collector_accepted_events_total", "source"),
        _counter("Requests by status", "logsync_collector_requests_total", "source, status"),
        _counter("Refused requests by status", "logsync_collector_rejected_requests_total", "source, status"),
        _counter("Datagrams dropped by the kernel", "logsync_udp_kernel_drops_total", "instance, source"),
        _gauge("Bytes waiting for Kafka", "logsync_collector_waiting_bytes", "instance", "bytes"),
        _gauge("Open connections", "logsync_collector_connections", "instance, source"),
        row("Streams"),
        _gauge("Lag", "logsync_consumer_lag_records", "group, topic"),
        _gauge("Oldest unprocessed", "logsync_oldest_unprocessed_age_seconds", "group, topic", "s"),
        _gauge("Messages in hand", "logsync_unacked_messages", "group"),
        series(
            "Events in a batch, median",
            Prom(_quantile(0.5, "logsync_batch_events_bucket", "stage"), "{{stage}}"),
        ),
        series(
            "Time of a batch, 95 of 100",
            Prom(_quantile(0.95, "logsync_batch_duration_seconds_bucket", "stage"), "{{stage}}"),
            unit="s",
        ),
        _counter("Dropped, by stage and reason", "log_dropped_total", "stage, reason"),
        series("Rebalances", Prom("sum by (group) (increase(logsync_rebalances_total[1h]))", "{{group}}")),
        _gauge("Time without progress", "logsync_stalled_seconds", "group, instance", "s"),
        _counter("Secrets masked, by rule", "logsync_redacted_total", "rule"),
        row("Store"),
        series(
            "Stored, and there already",
            Prom(_rate("logsync_indexed_events_total"), "stored"),
            Prom(_rate("logsync_duplicate_events_total"), "there already"),
            Prom(_rate("logsync_moved_fields_events_total"), "with a field moved aside"),
            unit="cps",
        ),
        _counter("Tried again, by reason", "logsync_index_retried_events_total", "reason"),
        _gauge("Bulk requests allowed at once", "logsync_index_bulk_window", "instance"),
        row("Queries and processes"),
        series(
            "Answers of the store, 95 of 100",
            Prom(_quantile(0.95, "logsync_query_duration_seconds_bucket", "operation"), "{{operation}}"),
            unit="s",
        ),
        series(
            "CPU",
            Prom('rate(process_cpu_seconds_total{job=~"logsync.*"}[$__rate_interval])', "{{job}} {{instance}}"),
            unit="percentunit",
        ),
        series("Memory", Prom('process_resident_memory_bytes{job=~"logsync.*"}', "{{job}} {{instance}}"), unit="bytes"),
    ],
)

_OF_SERVICE = '{service="$service"}'
_STORED = 'service.name:"$service" AND service.environment:$environment'
_LOUD = "log.level:(error OR critical OR fatal)"

SERVICE = Dashboard(
    "logsync-service",
    "LogSync: a service",
    [
        number("Logs a second", _rate("log_volume_total", "", _OF_SERVICE), "cps"),
        number("Errors a second", _rate("log_errors_total", "", _OF_SERVICE), "cps"),
        number(
            "Errors of all logs",
            f"{_rate('log_errors_total', '', _OF_SERVICE)} / {_rate('log_volume_total', '', _OF_SERVICE)}",
            "percentunit",
            red_from=0.25,
        ),
        number("Silent for", f"time() - max({_LAST_SEEN}{_OF_SERVICE})", "s", red_from=900),
        series("Levels", Elastic(_STORED, by="log.level"), stacked=True),
        series("Hosts", Elastic(_STORED, by="host.name"), stacked=True),
        series("Kinds of error", Elastic(f"{_STORED} AND {_LOUD}", by="error.type"), stacked=True),
        logs("Errors", f"{_STORED} AND {_LOUD}"),
        logs("Logs", _STORED),
    ],
    [service_variable(multi=False), environment_variable()],
)

RETENTION = Dashboard(
    "logsync-retention",
    "LogSync: retention and archive",
    [
        number("Expired unread", "sum(logsync_expired_unread_events_total)", red_from=1),
        number(
            "Last success of the retention",
            "max(logsync_retention_last_success_timestamp_seconds) * 1000",
            "dateTimeFromNow",
        ),
        number("Last archive", "max(logsync_archive_last_success_timestamp_seconds) * 1000", "dateTimeFromNow"),
        number("Overdue", "max(logsync_retention_overdue_seconds)", "s", red_from=86_400),
        number("Problems of the last run", "max(logsync_retention_problems)", red_from=1),
        number("Days held back", "max(logsync_retention_held_days)", red_from=1),
        series(
            "Waiting, of the time until Kafka removes it",
            Prom(
                "max by (group, topic) (logsync_oldest_unprocessed_age_seconds)\n"
                "/ on (topic) group_left () max by (topic) (logsync_topic_retention_seconds)",
                "{{group}} {{topic}}",
            ),
            unit="percentunit",
        ),
        series(
            "Archived and dropped events",
            Prom(_rate("logsync_archived_events_total"), "archived"),
            Prom(_rate("logsync_retention_dropped_events_total"), "dropped"),
            unit="cps",
        ),
        series("Archived bytes", Prom(_rate("logsync_archived_bytes_total"), "bytes"), unit="Bps"),
        _gauge("Topics keep", "logsync_topic_retention_seconds", "topic", "s"),
        series("Stored logs by dataset and day", Elastic("*", by="event.dataset", interval="1d"), stacked=True),
        table(
            "Datasets",
            Elastic("*", by="event.dataset", interval=""),
            columns={"event.dataset": "Dataset", "Count": "Logs"},
            units={},
            width=8,
        ),
        table(
            "Oldest log of each dataset",
            Elastic("*", ("min", "event.ingested"), by="event.dataset", interval=""),
            columns={"event.dataset": "Dataset", "Min": "Oldest"},
            units={"Oldest": "dateTimeAsIso"},
            width=8,
        ),
    ],
)

DASHBOARDS = (OVERVIEW, PIPELINE, SERVICE, RETENTION)
