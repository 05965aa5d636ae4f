"""The alerts about LogSync itself: what comes in, what waits, what the store and the retention do, who answers."""

from __future__ import annotations

from dashboards.alert import Alert
from dashboards.thresholds import PipelineThresholds, Thresholds


def pipeline_alerts(thresholds: Thresholds) -> list[Alert]:
    """The alerts about ourselves."""
    limits = thresholds.pipeline
    lag = "sum by (group) (logsync_consumer_lag_records)"
    age = "max by (group, topic) (logsync_oldest_unprocessed_age_seconds)"
    expired = "logsync_expired_unread_events_total"
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
            '{{ $labels.group }}: Kafka removed {{ $value | printf "%.0f" }} records of {{ $labels.topic }} unread',
        ),
        Alert(
            "GroupStalled",
            f"max by (group, instance) (logsync_stalled_seconds) > {limits.stalled_seconds}",
            "warning",
            "{{ $labels.group }} on {{ $labels.instance }}: no progress for {{ $value | humanizeDuration }}",
        ),
        Alert(
            "MessageNotAcknowledged",
            f"max by (group, instance) (logsync_oldest_unacked_age_seconds) > {limits.unacknowledged_seconds}",
            "warning",
            "{{ $labels.group }} on {{ $labels.instance }}: a message has been in hand since "
            "{{ $value | humanizeDuration }}, nothing behind it in its partition is committed",
            "5m",
        ),
        Alert(
            "StoreRefusesWrites",
            "sum(logsync_index_held_events) > 0",
            "critical",
            'the store refuses {{ $value | printf "%.0f" }} events for a reason that is not theirs; indexing waits',
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
            '{{ $value | printf "%.0f" }} events are neither stored nor filtered nor dead letters',
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
            "max(logsync_retention_problems) > 0",
            "warning",
            'the last run of the retention could not do {{ $value | printf "%.0f" }} things',
            "10m",
        ),
        *_retention_missing(limits),
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


def _retention_missing(limits: PipelineThresholds) -> list[Alert]:
    if limits.retention_succeeds_within is None:
        return []
    # Every process of ours shows the metric and only one that runs the retention sets it: without one it is 0, and
    # the time since then is that since 1970.
    since = "time() - max(logsync_retention_last_success_timestamp_seconds)"
    return [
        Alert(
            "RetentionMissing",
            f"{since} > {limits.retention_succeeds_within}",
            "warning",
            "no run of the retention has ended well "
            "{{ if gt $value 1e9 }}in any process that is up{{ else }}for {{ $value | humanizeDuration }}{{ end }}",
            "6h",
        )
    ]
