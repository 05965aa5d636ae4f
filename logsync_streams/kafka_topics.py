"""Creates the topics, and checks at start that they are as the design needs them: a difference is an error that says
what to do, never a surprise at night.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaConnectionError, TopicAlreadyExistsError, for_code

from logsync_streams.errors import ConfigurationError, Unavailable
from logsync_streams.settings import KafkaSettings, Settings
from logsync_streams.topics import Topic, topics

_TIMESTAMP_TYPE = "message.timestamp.type"


def no_broker(kafka: KafkaSettings) -> Unavailable:
    """Kafka is away, as a command says it."""
    return Unavailable(
        f"LOGSYNC_KAFKA__BOOTSTRAP: {','.join(kafka.bootstrap)!r}: no broker answers there: "
        "start Kafka, or correct the address (on your own machine: make stack)"
    )


@asynccontextmanager
async def _admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka.bootstrap)
    try:
        await admin.start()
    except KafkaConnectionError as error:
        raise no_broker(settings.kafka) from error
    try:
        yield admin
    finally:
        await admin.close()


async def create(settings: Settings) -> list[str]:
    """Create the topics that are missing; returns their names. Raises ConfigurationError, Unavailable."""
    async with _admin(settings) as admin:
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics(settings.kafka) if topic.name not in existing]
        if not missing:
            return []
        response = await admin.create_topics(
            [
                NewTopic(topic.name, topic.partitions, topic.replication_factor, topic_configs=dict(topic.config))
                for topic in missing
            ]
        )
        problems = []
        for name, code, *detail in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                problems.append(f"topic {name}: the broker refused to create it: {error.__name__}: {detail}")
        if problems:
            raise ConfigurationError([*problems, _hint(problems)])
        return [topic.name for topic in missing]


def _hint(problems: Iterable[str]) -> str:
    if any("InvalidReplicationFactor" in problem for problem in problems):
        return "on fewer than three brokers set LOGSYNC_KAFKA__REPLICATION_FACTOR and …MIN_INSYNC_REPLICAS to 1"
    return "look at the broker's log; the settings are LOGSYNC_KAFKA__…"


async def check(settings: Settings) -> None:
    """Raise ConfigurationError with every difference between the topics and the design, Unavailable without a broker.

    The embedded broker keeps none of these settings, so only the topics' presence is checked there.
    """
    async with _admin(settings) as admin:
        wanted = topics(settings.kafka)
        foreign = settings.kafka.raw_topics[1:]
        existing = set(await admin.list_topics())
        names = [topic.name for topic in wanted] + foreign
        missing = [name for name in names if name not in existing]
        if missing:
            raise ConfigurationError([f"topic {name} does not exist; run `logsync topics create`" for name in missing])
        if settings.kafka.embedded:
            return
        found = await _configs(admin, names)
        partitions = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics(names)}
    problems = [
        problem for topic in wanted for problem in differences(topic, found[topic.name], partitions[topic.name])
    ]
    if not settings.kafka.allow_create_time:
        problems += [
            f"topic {name}: {_TIMESTAMP_TYPE} is {found[name].get(_TIMESTAMP_TYPE)!r}: LogAppendTime is expected: "
            "the receive day decides the index; set it on the topic, or LOGSYNC_KAFKA__ALLOW_CREATE_TIME=true"
            for name in foreign
            if found[name].get(_TIMESTAMP_TYPE) != "LogAppendTime"
        ]
    if problems:
        raise ConfigurationError(problems)


def differences(topic: Topic, config: Mapping[str, str], partitions: int) -> list[str]:
    """How a topic that exists differs from what we need, one sentence each."""
    found = []
    for key, value in topic.config.items():
        if config.get(key) != value:
            found.append(
                f"topic {topic.name}: {key} is {config.get(key)!r}: {value!r} is expected; change it with "
                f"kafka-configs --alter --entity-type topics --entity-name {topic.name} --add-config {key}={value}"
            )
    if partitions < topic.partitions:
        found.append(
            f"topic {topic.name}: it has {partitions} partitions: {topic.partitions} are expected; "
            "add some with kafka-topics --alter, or set LOGSYNC_KAFKA__PARTITIONS"
        )
    return found


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for code, message, _, name, entries in response.resources:
            if code:
                raise ConfigurationError(
                    [f"topic {name}: its settings cannot be read: {for_code(code).__name__} {message}"]
                )
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found
