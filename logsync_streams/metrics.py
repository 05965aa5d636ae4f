"""Every Prometheus metric, once: name, help, unit, bounded labels. The published vocabulary (DESIGN §4, Metrics)."""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from logsync_streams.version import VERSION

disable_created_metrics()  # type: ignore[no-untyped-call]  # twice the lines, and nobody asks when a counter began
REGISTRY = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

OTHER = "_other"  # label value of everything past a bound

# ------------------------------------------------------------------------------------------------ what logs amount to
processed = Counter(
    "log_processed",
    "Events left after the filter and acknowledged in logs-enriched.",
    ["service", "level"],
    registry=REGISTRY,
)
errors = Counter(
    "log_errors", "Events of level error or above, counted before the filter.", ["service"], registry=REGISTRY
)
volume = Counter("log_volume", "Events received, counted before the filter.", ["service"], registry=REGISTRY)
dropped = Counter(
    "log_dropped", "Events dropped on purpose or refused, by stage and reason.", ["stage", "reason"], registry=REGISTRY
)

# --------------------------------------------------------------------------------------------------------- collector
accepted = Counter("logsync_collector_accepted_events", "Events acknowledged by Kafka.", ["source"], registry=REGISTRY)
rejected = Counter(
    "logsync_collector_rejected_requests",
    "Requests that were refused, by HTTP status.",
    ["source", "status"],
    registry=REGISTRY,
)
truncated = Counter(
    "logsync_collector_truncated_events",
    "Events cut at the size limit, where the sender could not be told.",
    ["source"],
    registry=REGISTRY,
)
joined = Counter(
    "logsync_collector_joined_lines",
    "Lines that became part of the event before, as a stack trace.",
    ["source"],
    registry=REGISTRY,
)
udp_kernel_drops = Counter(
    "logsync_udp_kernel_drops",
    "Datagrams that the kernel dropped before we read them, by socket.",
    ["source"],
    registry=REGISTRY,
)
requests = Counter(
    "logsync_collector_requests", "Requests answered at the HTTP doors.", ["source", "status"], registry=REGISTRY
)
unreadable = Counter(
    "logsync_collector_unreadable_records",
    "What came in place of a record and is kept as a text, since its sender cannot be told.",
    ["source"],
    registry=REGISTRY,
)
connections = Gauge("logsync_collector_connections", "Open connections, by door.", ["source"], registry=REGISTRY)
refused_connections = Counter(
    "logsync_collector_refused_connections",
    "Connections that were not taken or cut, by door and reason.",
    ["source", "reason"],
    registry=REGISTRY,
)
receiving_bytes = Gauge(
    "logsync_collector_receiving_bytes", "Bytes of unfinished requests, frames and messages.", registry=REGISTRY
)
waiting_bytes = Gauge("logsync_collector_waiting_bytes", "Bytes that wait for Kafka at the doors.", registry=REGISTRY)

# ----------------------------------------------------------------------------------------------------------- streams
batch_events = Histogram(
    "logsync_batch_events",
    "Events in one batch of a stage.",
    ["stage"],
    buckets=(1, 10, 100, 500, 1000, 2000, 5000, 10000),
    registry=REGISTRY,
)
batch_seconds = Histogram(
    "logsync_batch_duration_seconds",
    "Time from a batch's arrival in a stage to its acknowledgement.",
    ["stage"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=REGISTRY,
)
latency_seconds = Histogram(
    "logsync_end_to_end_latency_seconds",
    "Time from receiving a log to its being stored, one observation a record of logs-enriched.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600),
    registry=REGISTRY,
)
redacted = Counter(
    "logsync_redacted", "Secrets masked or hashed in what senders wrote, by rule.", ["rule"], registry=REGISTRY
)
config_reload_successful = Gauge(
    "logsync_config_last_reload_successful",
    "1 when a watched file could be used when it was last read, 0 while the old content stays in force.",
    ["file"],
    registry=REGISTRY,
)
config_reload_success_time = Gauge(
    "logsync_config_last_reload_success_timestamp_seconds",
    "When a watched file was last read and used.",
    ["file"],
    registry=REGISTRY,
)
stored = Counter("logsync_indexed_events", "Events stored, first writes only.", registry=REGISTRY)
duplicates = Counter("logsync_duplicate_events", "Events that were in the store already.", registry=REGISTRY)
retries = Counter("logsync_index_retried_events", "Events written again, by reason.", ["reason"], registry=REGISTRY)
held = Gauge(
    "logsync_index_held_events",
    "Events held because the store refuses them for a reason that is not theirs.",
    registry=REGISTRY,
)
moved_fields = Counter(
    "logsync_moved_fields_events",
    "Events stored after a field that the store refused was moved to labels.",
    registry=REGISTRY,
)
bulk_window = Gauge(
    "logsync_index_bulk_window",
    "Bulk requests that may be under way at once; falls when the store is overloaded.",
    registry=REGISTRY,
)
dead_letters = Counter(
    "logsync_dead_letter_events", "Events sent to the dead letters.", ["stage", "category"], registry=REGISTRY
)
lag_records = Gauge(
    "logsync_consumer_lag_records",
    "Records between a partition's end and the committed offset.",
    ["group", "topic", "partition"],
    registry=REGISTRY,
)
unacked_records = Gauge(
    "logsync_unacked_messages",
    "Messages handed out to a group's agents and not acknowledged yet.",
    ["group"],
    registry=REGISTRY,
)
oldest_unacked_seconds = Gauge(
    "logsync_oldest_unacked_age_seconds",
    "Age of a group's oldest message that is not acknowledged yet.",
    ["group"],
    registry=REGISTRY,
)
stalled_seconds = Gauge(
    "logsync_stalled_seconds",
    "Time a group has had something to do and made no progress; the watchdog ends the process at its limit.",
    ["group"],
    registry=REGISTRY,
)
rebalances = Counter("logsync_rebalances", "Partition assignments received.", ["group"], registry=REGISTRY)
oldest_unprocessed_seconds = Gauge(
    "logsync_oldest_unprocessed_age_seconds",
    "Age of the oldest record of a topic that a group has not settled; of those no group read yet, since it was known.",
    ["group", "topic"],
    registry=REGISTRY,
)
topic_retention_seconds = Gauge(
    "logsync_topic_retention_seconds",
    "How long a topic keeps what nobody has read, by the settings.",
    ["topic"],
    registry=REGISTRY,
)
expired_unread = Counter(
    "logsync_expired_unread_events",
    "Records that Kafka removed before the group had read them, an envelope or a batch of documents counted as one.",
    ["group", "topic"],
    registry=REGISTRY,
)
unaccounted = Gauge(
    "logsync_unaccounted_events",
    "Events of ranges of source offsets for which received is not documents + filtered + dead, since the start; must "
    "be 0.",
    registry=REGISTRY,
)
checked_ranges = Counter(
    "logsync_checked_ranges", "Ranges of source offsets for which that was checked.", registry=REGISTRY
)
service_last_seen = Gauge(
    "logsync_service_last_seen_timestamp_seconds",
    "Begin of the minute in which a service was last heard of, from the inventory of services.",
    ["service"],
    registry=REGISTRY,
)

# ------------------------------------------------------------------------------------------------------------ queries
query_seconds = Histogram(
    "logsync_query_duration_seconds",
    "Time the store took to answer, by what was asked.",
    ["operation"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
# ---------------------------------------------------------------------------------------------------------- retention
archived = Counter("logsync_archived_events", "Events in archives that were committed.", registry=REGISTRY)
archived_bytes = Counter("logsync_archived_bytes", "Bytes of committed archives, compressed.", registry=REGISTRY)
retention_dropped = Counter(
    "logsync_retention_dropped_events", "Events dropped from the store at the end of their time.", registry=REGISTRY
)
retention_problems = Gauge(
    "logsync_retention_problems", "What the last run of the retention could not do.", registry=REGISTRY
)
retention_held_days = Gauge(
    "logsync_retention_held_days",
    "Days of a dataset that are due and held back, by dead letters or by a group that lags.",
    registry=REGISTRY,
)
retention_overdue_seconds = Gauge(
    "logsync_retention_overdue_seconds",
    "How long the oldest day has been due that the last run has left.",
    registry=REGISTRY,
)
retention_last_success = Gauge(
    "logsync_retention_last_success_timestamp_seconds",
    "When a run of the retention last ended without a problem.",
    registry=REGISTRY,
)
archive_last_success = Gauge(
    "logsync_archive_last_success_timestamp_seconds",
    "When a day was last archived, its archive verified and committed.",
    registry=REGISTRY,
)
build = Info("logsync_build", "Version of this build.", registry=REGISTRY)
build.info({"version": VERSION, "python": platform.python_version()})


# Where an event can fail, and how (errors.DEAD_LETTER_CATEGORIES).
_DEAD_LETTERS = {
    "decode": ("undecodable", "too_many_events"),
    "parse": ("undecodable",),
    "process": ("stage_failed",),
    "index": ("undecodable", "mapping", "too_large", "expired"),
}


def announce() -> None:
    """Show counters that alerts look at as 0: the rise from nothing to the first value is one that no rate shows."""
    for stage, categories in _DEAD_LETTERS.items():
        for category in categories:
            dead_letters.labels(stage, category)
    retries.labels("unavailable")
    for source in ("http", "fluentd"):
        rejected.labels(source, "503")


class BoundedLabels:
    """Label values up to a bound; what comes later is counted as OTHER, so that senders cannot grow the exposition."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def __call__(self, value: str) -> str:
        if value in self._known:
            return value
        if len(self._known) < self._limit:
            self._known.add(value)
            return value
        return OTHER


announce()
