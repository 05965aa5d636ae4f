"""How our Faust apps are configured, and what runs beside them. What they are made of is worker.py's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from types import MappingProxyType
from typing import Any

import faust
from faust.contrib.asgi import AsgiService
from faust.serializers import codecs

from logsync_streams import faust_commands, kafka_topics, logs
from logsync_streams.consumer import GuardedApp, coalescing_scheduler
from logsync_streams.errors import ConfigurationError
from logsync_streams.query.tail import Hub
from logsync_streams.settings import Settings
from logsync_streams.streams.tail import feeding

MAX_RECORDS_IN_A_MESSAGE = 2000
MAX_BYTES_IN_A_MESSAGE = 1024 * 1024
MESSAGES_WAITING = 4  # a topic's queue within the worker, in messages; a message is up to a mebibyte
YEARS_SECONDS = 10 * 365 * 86_400.0


class _AsIs(codecs.Codec):
    """Leaves a value as it is: the coalescing scheduler hands records over, not bytes."""

    def _loads(self, s: Any) -> Any:
        return s

    def _dumps(self, s: Any) -> Any:
        return s


codecs.register("as_is", _AsIs())


def make_app(role: str, settings: Settings, coalesced: frozenset[str] = frozenset()) -> GuardedApp:
    """The app of a role; its id is the consumer group. coalesced: the topics whose records come many in a message."""
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
        consumer_max_fetch_size=2 * 1024 * 1024,  # a partition; memory holds as many as there are partitions
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


def topic_of(app: GuardedApp, *names: str, value_serializer: str = "raw") -> Any:
    """Topics whose keys and values are bytes, as one. value_serializer: `as_is` where records are coalesced."""
    return app.topic(
        *names,
        value_type=bytes,
        value_serializer=value_serializer,
        key_type=bytes,
        key_serializer="raw",
        maxsize=MESSAGES_WAITING,
    )


def add_agent(app: GuardedApp, topic: Any, name: str, run: Callable[[Any], Any]) -> None:
    """An agent that hands its stream to `run`, whose first line is its description."""

    async def agent(stream: Any) -> None:
        await run(stream)

    agent.__doc__ = (run.__doc__ or "").partition("\n")[0]  # what `faust agents` shows
    app.agent(topic, name=name)(agent)


def start_with(first: GuardedApp, services: Iterable[Any]) -> None:
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


def serve_query(app: GuardedApp, settings: Settings, api: Any, hub: Hub) -> Callable[[], bool]:
    """Serve the query API, and feed its live tails, for as long as the app runs. The answer says whether it listens."""
    query = settings.query
    servers: list[Any] = []

    @app.service
    class QueryApi(AsgiService):
        asgi_app = api
        host = query.host
        port = query.port
        uvicorn_options = MappingProxyType({"lifespan": "off", "log_config": None, "access_log": False})

        async def on_start(self) -> None:
            await self.add_async_context(feeding(settings.kafka, hub))
            await super().on_start()
            servers.append(self._server)

        async def on_stop(self) -> None:
            hub.close()  # else the server would wait for its tails
            await super().on_stop()

    return lambda: any(server.started for server in servers)
