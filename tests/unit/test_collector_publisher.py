"""One suite for both publishers, then what only the real one does; its link to Kafka is a stand-in here."""

import asyncio

import pytest

from logsync_streams import envelope as wire
from logsync_streams import metrics
from logsync_streams.collector.kafka_publisher import KafkaPublisher
from logsync_streams.collector.publisher import MemoryPublisher, Sender, envelopes
from logsync_streams.errors import Unavailable
from logsync_streams.settings import Settings

NOW = 1_714_566_900_000
WEB = Sender("http", "json", "192.0.2.7")
ROUTER = Sender("syslog-udp", "syslog", "192.0.2.8")


class MemoryLink:
    """Kafka as the publisher sees it: records in a list, and refusals on demand."""

    def __init__(self):
        self.ready, self.reason = True, ""
        self.records = []
        self.refusals = []  # one is used up by each send: True = refused but written, False = refused
        self.open = asyncio.Event()
        self.open.set()
        self.closed = False

    async def start(self):
        pass

    async def send(self, key, value, headers):
        await self.open.wait()
        written = self.refusals.pop(0) if self.refusals else None
        if written is not False:
            self.records.append((key, wire.read_envelope(value, dict(headers))))
        if written is not None:
            raise Unavailable("refused")
        return len(self.records) % 2, 100 + len(self.records)

    async def close(self, timeout_seconds):
        self.closed = True

    @property
    def envelopes(self):
        return [envelope for _, envelope in self.records]


def kafka_publisher(link, **collector):
    settings = Settings(kafka={"linger_ms": 1}, collector=collector)
    return KafkaPublisher(settings, lambda: NOW, link=link)


@pytest.fixture(params=["memory", "kafka"])
async def publisher_and_envelopes(request):
    if request.param == "memory":
        publisher = MemoryPublisher(lambda: NOW)
        yield publisher, lambda: publisher.envelopes
    else:
        link = MemoryLink()
        publisher = kafka_publisher(link)
        yield publisher, lambda: link.envelopes
    await publisher.stop(5)


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - the condition is the product's, it has no event
            await asyncio.sleep(0.002)


async def test_published_events_are_in_the_envelopes_that_are_named(publisher_and_envelopes):
    publisher, sent = publisher_and_envelopes
    events = [b'{"n":%d}' % n for n in range(1234)]
    ids = await publisher.publish(WEB, events)

    by_id = {envelope.id: envelope for envelope in sent()}
    assert events == [data for id in ids for data in by_id[id].events]
    assert {(*WEB, NOW, "")} == {(e.source, e.format, e.peer, e.received_at, e.key) for e in sent()}
    assert 1234 == publisher.status().accepted_events


async def test_no_envelope_is_over_the_bounds(publisher_and_envelopes):
    publisher, sent = publisher_and_envelopes
    await publisher.publish(WEB, [b"x" * 100_000] * 5 + [b"x"] * 501)

    for envelope in sent():
        value, _ = wire.encode(envelope)
        assert len(envelope.events) <= wire.MAX_EVENTS
        assert len(value) <= wire.MAX_BYTES + 5  # the array's own head


async def test_no_events_are_no_envelopes(publisher_and_envelopes):
    publisher, sent = publisher_and_envelopes

    assert ([], []) == (await publisher.publish(WEB, []), sent())


async def test_a_key_has_envelopes_of_its_own_and_the_same_ids_at_every_try(publisher_and_envelopes):
    publisher, sent = publisher_and_envelopes
    key, events = "0123456789abcdef" * 2, [b"%d" % n for n in range(600)]
    for _ in range(2):
        await publisher.publish(WEB, events, key=key)

    first, second, first_again, second_again = sorted(sent(), key=lambda e: (e.id, e.first_index))[:4]
    ids = sorted(id for envelope in sent() for id in envelope.event_ids())
    assert {key} == {first.key, second.key, first_again.key, second_again.key}
    assert 600 == len(set(ids))
    assert 1200 == len(ids)


async def test_offered_events_arrive(publisher_and_envelopes):
    publisher, sent = publisher_and_envelopes
    for n in range(3):
        publisher.offer(ROUTER, b"<13>%d" % n)
    await until(lambda: 3 == publisher.status().accepted_events)

    assert [b"<13>0", b"<13>1", b"<13>2"] == [data for envelope in sent() for data in envelope.events]


async def test_requests_of_one_sender_share_an_envelope_and_others_do_not():
    link = MemoryLink()
    publisher = kafka_publisher(link)
    other = Sender("http", "json", "192.0.2.9")
    (first,), (second,), (third,) = await asyncio.gather(
        publisher.publish(WEB, [b"1"]), publisher.publish(WEB, [b"2"]), publisher.publish(other, [b"3"])
    )

    assert first == second != third
    assert {(b"192.0.2.7", (b"1", b"2")), (b"192.0.2.9", (b"3",))} == {(k, e.events) for k, e in link.records}


async def test_status_has_the_highest_acknowledged_offset_of_each_partition():
    publisher = kafka_publisher(MemoryLink())
    for _ in range(3):
        await publisher.publish(WEB, [b"x"])

    assert {"logs": {0: 102, 1: 103}} == publisher.status().acknowledged


async def test_while_kafka_is_away_a_request_is_refused_at_once_and_an_offered_event_waits():
    link = MemoryLink()
    link.ready, link.reason = False, "away"
    publisher = kafka_publisher(link)
    with pytest.raises(Unavailable, match="away"):
        await publisher.publish(WEB, [b"x"])
    publisher.offer(ROUTER, b"y")

    assert ("away", 1) == (publisher.unavailable(), publisher.status().waiting_events)


async def test_a_refused_request_is_not_sent_again():
    link = MemoryLink()
    link.refusals = [False]
    publisher = kafka_publisher(link)
    with pytest.raises(Unavailable, match="refused"):
        await publisher.publish(WEB, [b"x"])

    assert ([], 0, 0) == (link.records, publisher.status().waiting_events, publisher.status().accepted_events)


async def test_an_offered_event_is_sent_again_in_the_same_envelope():
    link = MemoryLink()
    link.refusals = [True, False]
    publisher = kafka_publisher(link)
    publisher.offer(ROUTER, b"x")
    await until(lambda: publisher.status().accepted_events)

    written, again = link.envelopes
    assert written == again
    assert 1 == publisher.status().accepted_events


async def test_kafkas_silence_is_a_refusal_in_time():
    link = MemoryLink()
    link.open.clear()
    publisher = kafka_publisher(link, publish_timeout_seconds=0.05)
    with pytest.raises(Unavailable, match=r"no answer from Kafka in 0\.05 s"):
        await publisher.publish(WEB, [b"x"])
    link.open.set()
    await publisher.stop(5)

    assert 1 == publisher.status().accepted_events


async def test_what_waits_is_bounded_and_taken_again_when_it_is_gone():
    link = MemoryLink()
    link.open.clear()
    publisher = kafka_publisher(link, max_waiting_bytes=1024 * 1024)
    taken = 0
    with pytest.raises(Unavailable, match="wait for Kafka already"):  # noqa: PT012 - the last one is refused
        for _ in range(2000):
            publisher.offer(ROUTER, b"x" * 1000)
            taken += 1
    with pytest.raises(Unavailable, match="wait for Kafka already"):
        await publisher.publish(WEB, [b"x" * 1000])

    assert 900 < taken < 1050
    assert taken == publisher.status().waiting_events
    waiting = metrics.REGISTRY.get_sample_value("logsync_collector_waiting_bytes")
    assert waiting is not None
    assert 900_000 < waiting <= 1024 * 1024
    link.open.set()
    await until(lambda: not publisher.status().waiting_events)
    await publisher.publish(WEB, [b"x" * 1000])

    assert taken + 1 == publisher.status().accepted_events


async def test_stop_hands_over_what_was_taken():
    link = MemoryLink()
    publisher = kafka_publisher(link)
    for _ in range(1000):
        publisher.offer(ROUTER, b"x")
    await publisher.stop(5)

    assert (1000, 0, 0, True) == (
        publisher.status().accepted_events,
        publisher.status().waiting_events,
        publisher.status().dropped_events,
        link.closed,
    )


async def test_stop_counts_what_kafka_did_not_take():
    link = MemoryLink()
    link.open.clear()
    publisher = kafka_publisher(link)
    publisher.offer(ROUTER, b"x")
    await publisher.stop(0.05)

    assert (0, 1) == (publisher.status().accepted_events, publisher.status().dropped_events)


def test_envelopes_number_the_events_of_a_keyed_request_throughout():
    made = envelopes(WEB, [b"x"] * 1001, received_at=NOW, key="0" * 32)

    assert [(0, 500), (500, 500), (1000, 1)] == [(e.first_index, len(e.events)) for e in made]


async def test_a_retry_from_another_address_goes_behind_its_first_try():
    link = MemoryLink()
    publisher = kafka_publisher(link)
    key = "0123456789abcdef" * 2
    for peer in ("192.0.2.7", "192.0.2.8"):
        await publisher.publish(Sender("http", "json", peer), [b"{}"], key=key)
    await publisher.stop(5)

    assert [key.encode()] * 2 == [record_key for record_key, _ in link.records]
