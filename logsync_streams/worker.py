"""The topology on one page: which agent reads which topic and feeds which.

    logs (raw topics) ──▶ process ──▶ logs-enriched ──▶ index ──▶ store
                             │  └───▶ logs-counts ───▶ count ──▶ services (table)
                             │             └────────▶ the fold of the error rates (no group)
                             └──────▶ logs-dlq ◀───── index

Three Faust apps in one process, each with its own consumer: a store that is down stops indexing, but neither
filtering nor counting (docs/adr/0003). The exported app is the first of the chosen roles and owns the web.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from types import MappingProxyType
from typing import Any

import faust
import uvloop
from faust.serializers import codecs

from agents.enrich import configured_enrichments
from agents.filter import Rule
from agents.filter_file import rule_set
from agents.horizon import by_append_time, clamped
from agents.index import Limits
from agents.process import Processor
from agents.redact import redactor
from agents.targets import Targets
from logsync_streams import faust_commands, kafka_topics, logs, metrics, topics, views
from logsync_streams.consumer import GuardedApp, coalescing_scheduler
from logsync_streams.errors import ConfigurationError, LogSyncError
from logsync_streams.parsing import PARSERS
from logsync_streams.query.app import create_app
from logsync_streams.query.tail import Hub
from logsync_streams.settings import Settings, load
from logsync_streams.state import StateLog, open_state
from logsync_streams.storage.factory import Store, open_reader, open_store
from logsync_streams.streams.count import CountStream
from logsync_streams.streams.index import IndexStream
from logsync_streams.streams.process import ProcessStream
from logsync_streams.streams.rates import RatesFold
from logsync_streams.streams.tail import feeding
from logsync_streams.upkeep import Inventory, Upkeep
from logsync_streams.version import VERSION
from logsync_streams.watchdog import Watchdog
from retention.policy import Assignment, assignment, datasets, read_policies, state_key
from tables.assignments import Assignments
from tables.tombstones import Tombstones

MAX_RECORDS_IN_A_MESSAGE = 2000
MAX_BYTES_IN_A_MESSAGE = 1024 * 1024
MESSAGES_WAITING = 8  # a topic's queue within the worker, in messages; a message is up to a mebibyte
YEARS_SECONDS = 10 * 365 * 86_400.0
KEY_WINDOW_MS = 3_600_000


class _AsIs(codecs.Codec):
    """Leaves a value as it is: the coalescing scheduler hands records over, not bytes."""

    def _loads(self, s: Any) -> Any:
        return s

    def _dumps(self, s: Any) -> Any:
        return s


codecs.register("as_is", _AsIs())


def now_ms() -> int:
    """The clock of the whole worker: epoch milliseconds."""
    return time.time_ns() // 1_000_000


@dataclass
class Worker:
    """Everything that one worker process runs. `build` makes it; nothing in it has started yet."""

    settings: Settings
    apps: dict[str, GuardedApp] = field(default_factory=dict)
    process: ProcessStream | None = None
    index: IndexStream | None = None
    store: Store | None = None

    @property
    def app(self) -> GuardedApp:
        """The exported app: the first of the chosen roles."""
        return self.apps[self.settings.roles[0]]


def build(settings: Settings) -> Worker:
    """The apps of the chosen roles, wired. Raises ConfigurationError; connects to nothing."""
    worker = Worker(settings)
    state = open_state(settings)
    policies = read_policies(settings.retention.policies_file)
    rules = rule_set(settings.process, datasets(policies))
    assignments = Assignments(partial(_decide, state, assignment(policies, rules.routes)))
    fold = RatesFold(settings.kafka, settings.web.max_services, now_ms)
    inventory: Inventory | None = None

    if "process" in settings.roles:
        app = worker.apps["process"] = _app("process", settings, coalesced=frozenset(settings.kafka.raw_topics))
        worker.process = ProcessStream(
            processor(settings, rules.rules),
            assignments,
            enriched_topic=_topic(app, topics.ENRICHED),
            counts_topic=_topic(app, topics.COUNTS),
            dead_topic=_topic(app, topics.DEAD_LETTERS),
            partitions=settings.kafka.partitions,
            max_services=settings.web.max_services,
        )
        raw = app.topic(
            *settings.kafka.raw_topics,
            value_type=bytes,
            value_serializer="as_is",
            key_type=bytes,
            key_serializer="raw",
            maxsize=MESSAGES_WAITING,
        )
        _agent(app, raw, "process", worker.process.run)

    if "index" in settings.roles:
        app = worker.apps["index"] = _app("index", settings)
        store = worker.store = open_store(settings)
        tombstones = Tombstones(state.read)
        worker.index = IndexStream(
            store.writer,
            Targets(
                store.admin,
                store.reader,
                settings.kafka.raw_retention_days,
                now_ms,
                tombstone=tombstones.stands,
                reload=tombstones.reload,
            ),
            assignments,
            _limits(settings),
            dead_topic=_topic(app, topics.DEAD_LETTERS),
            now=now_ms,
            key_window_ms=KEY_WINDOW_MS,
        )
        _agent(app, _topic(app, topics.ENRICHED), "index", worker.index.run)

    if "count" in settings.roles:
        app = worker.apps["count"] = _app("count", settings)
        services = app.Table(
            "services",
            key_type=str,
            partitions=settings.kafka.partitions,
            help="First and last seen.",
        )
        _agent(app, _topic(app, topics.COUNTS), "count", CountStream(services).run)
        inventory = Inventory(services, settings.web.max_services)

    upkeep = Upkeep(worker.apps, fold, worker.store, now_ms, inventory)
    for topic in (*settings.kafka.raw_topics, topics.ENRICHED):
        metrics.topic_retention_seconds.labels(topic).set(settings.kafka.raw_retention_days * 86_400)
    first, *others = [worker.apps[role] for role in settings.roles]
    first.stopped_with = others
    # A store that hangs shows by a retry when its time to answer is over, not before.
    stalled_after = max(settings.kafka.stall_timeout_seconds, 2 * settings.store.request_timeout_seconds)
    watchdog = Watchdog(worker.apps, stalled_after, time.monotonic)
    _depend(first, [upkeep, *others, watchdog])  # stopped from the last to the first
    views.mount(first, rates=fold.view, status=partial(status, worker), ready=upkeep.is_ready)
    if settings.query.enabled:
        reader = worker.store.reader if worker.store else open_reader(settings)
        hub = Hub(settings.query.max_tail_waiting_logs)
        api = create_app(reader, settings, rates=fold.view, hub=hub, now=now_ms)
        views.mount_search(first, api)
        _serve_query(first, settings, api, hub)
    faust_commands.show_all(worker.apps.values())
    return worker


def processor(settings: Settings, rules: Sequence[Rule]) -> Processor:
    """The stages of `process` as the settings want them. Raises ConfigurationError."""
    kafka = settings.kafka
    receive_time: Callable[[int, int], int] = by_append_time
    if kafka.embedded:  # it keeps the producer's timestamps
        receive_time = lambda received_at, _: clamped(received_at, now_ms(), kafka.raw_retention_days)  # noqa: E731  # a two-line function would say no more
    return Processor(
        parsers=PARSERS,
        rules=rules,
        steps=configured_enrichments(settings.process),
        keep_original=settings.process.keep_original,
        max_enriched_bytes=settings.process.max_enriched_bytes,
        receive_time=receive_time,
        redactor=redactor(settings.process),
    )


def status(worker: Worker) -> dict[str, Any]:
    """What `/status` answers: how far each group is. Offsets are the next ones, except `produced`, the highest."""
    answer: dict[str, Any] = {"roles": worker.settings.roles, "version": VERSION}
    for role, app in worker.apps.items():
        positions: dict[str, dict[str, int]] = {}
        for tp, offset in app.guarded.settled_positions().items():
            positions.setdefault(tp.topic, {})[str(tp.partition)] = offset
        answer[role] = {
            "positions": positions,
            "assigned_partitions": sum(app.topics.acks_enabled_for(tp.topic) for tp in app.assigned),
            "unacked_messages": len(app.guarded.handed_out_unacked()),
        }
    if worker.process is not None:
        progress = worker.process.progress
        answer["process"] |= {
            "received_events": progress.received_events,
            "foreign_events": progress.foreign_events,
            "filtered_events": progress.filtered_events,
            "dead_events": progress.dead_events,
        }
        answer["produced"] = {topics.ENRICHED: {str(p): offset for p, offset in progress.produced.items()}}
    if worker.index is not None:
        answer["index"] |= {"settled_events": worker.index.progress.settled_events}
    return answer


async def _decide(state: StateLog, current: Assignment, day: date) -> Assignment:
    """The assignment in force on a receive day: the one recorded, else the current one, recorded for ever."""
    return Assignment.from_value(await state.decide(state_key(day), current.as_value()))


def _app(role: str, settings: Settings, coalesced: frozenset[str] = frozenset()) -> GuardedApp:
    kafka = settings.kafka
    # At start the session timeout of the group may not be above the time in which the broker must answer.
    session = kafka.session_timeout_seconds
    app = GuardedApp(
        f"logsync-{role}",
        broker=";".join(f"kafka://{server}" for server in kafka.bootstrap),
        autodiscover=False,
        datadir=settings.data_dir / f"faust-{role}",
        store="memory://",
        table_standby_replicas=0,
        topic_partitions=kafka.partitions,
        topic_replication_factor=kafka.replication_factor,
        topic_disable_leader=True,
        agent_supervisor="mode.supervisors:CrashingSupervisor",
        stream_wait_empty=False,  # the drain of consumer.py bounds the wait instead
        stream_buffer_maxsize=64,
        broker_max_poll_interval=YEARS_SECONDS,  # a store that is down for a night must not end the membership
        broker_commit_interval=kafka.commit_interval_seconds,
        broker_session_timeout=session,
        broker_heartbeat_interval=min(3.0, session / 3),
        broker_request_timeout=max(90.0, session),
        consumer_max_fetch_size=8 * 1024 * 1024,
        consumer_auto_offset_reset="earliest",
        producer_acks=-1,
        producer_compression_type=None if kafka.compression == "none" else kafka.compression,
        producer_max_request_size=8 * 1024 * 1024,
        value_serializer="raw",
        key_serializer="raw",
        web_host=settings.web.host,
        web_bind=settings.web.host,
        web_port=settings.web.port,
        web_tables_enabled=False,
        web_router_enabled=False,
        worker_redirect_stdouts=False,
        Worker=faust_commands.CheckedWorker,
        ConsumerScheduler=coalescing_scheduler(coalesced, MAX_RECORDS_IN_A_MESSAGE, MAX_BYTES_IN_A_MESSAGE),
    )
    app.ends_are_known = not kafka.embedded
    app.drain_seconds = settings.process.drain_timeout_seconds
    app.before_start = partial(_before_start, settings)
    app.configure_logs = partial(logs.configure, settings.log_format, settings.log_level)
    return app


async def _before_start(settings: Settings) -> None:
    """What must hold before a worker starts. Raises ConfigurationError, Unavailable."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError([f"LOGSYNC_DATA_DIR: {str(settings.data_dir)!r}: {error.strerror}"]) from error
    await kafka_topics.check(settings)


def _topic(app: GuardedApp, name: str) -> Any:
    return app.topic(
        name,
        value_type=bytes,
        value_serializer="raw",
        key_type=bytes,
        key_serializer="raw",
        maxsize=MESSAGES_WAITING,
    )


def _agent(app: GuardedApp, topic: Any, name: str, run: Callable[[Any], Any]) -> None:
    async def agent(stream: Any) -> None:
        await run(stream)

    agent.__doc__ = (run.__doc__ or "").partition("\n")[0]  # what `faust agents` shows
    app.agent(topic, name=name)(agent)


def _limits(settings: Settings) -> Limits:
    index = settings.index
    return Limits(
        bulk_bytes=index.bulk_bytes,
        bulk_documents=index.bulk_documents,
        retry_first_seconds=index.retry_first_seconds,
        retry_longest_seconds=index.retry_longest_seconds,
        poison_share=index.poison_share,
        bulks_in_flight=index.bulks_in_flight,
    )


def _depend(first: GuardedApp, services: Iterable[Any]) -> None:
    """Start these with the first app. The other apps must not open the web port again."""
    for service in services:
        if isinstance(service, GuardedApp):
            service.conf.web_enabled = False  # only takes effect after construction
    dependencies = list(services)

    @first.service
    class Others(faust.Service):
        def on_init_dependencies(self) -> list[Any]:
            return dependencies

        async def on_start(self) -> None:
            # Together: each waits some seconds until its group is formed.
            await asyncio.gather(*(app.maybe_start() for app in dependencies if isinstance(app, GuardedApp)))


def _serve_query(app: GuardedApp, settings: Settings, api: Any, hub: Hub) -> None:
    from faust.contrib.asgi import AsgiService

    query = settings.query

    @app.service
    class QueryApi(AsgiService):
        asgi_app = api
        host = query.host
        port = query.port
        uvicorn_options = MappingProxyType({"lifespan": "off", "log_config": None, "access_log": False})

        async def on_start(self) -> None:
            await self.add_async_context(feeding(settings.kafka, hub))
            await super().on_start()

        async def on_stop(self) -> None:
            hub.close()  # else the server would wait for its tails
            await super().on_stop()


def app_from_environment() -> faust.App:
    """`logsync_streams.app`, from this process's settings. Exits 2 with readable sentences when they are wrong."""
    try:
        settings = load()
        logs.configure(settings.log_format, settings.log_level)
        worker = build(settings)
    except LogSyncError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from error
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    return worker.app


__all__ = ["ConfigurationError", "Worker", "app_from_environment", "build"]
