"""The forward door, driven by messages constructed from the protocol's specification (version 1)."""

import asyncio
import gzip
import hashlib
import socket

import msgpack
import orjson
import pytest

from logsync_streams.collector import forward_connection
from logsync_streams.collector.forward import ForwardDoor
from logsync_streams.collector.publisher import MemoryPublisher
from logsync_streams.parsing import PARSERS
from logsync_streams.settings import CollectorSettings
from tests.unit.doors import NOW, bound, count, events_of, hung_up, opened, until

EVENT_TIME = msgpack.ExtType(0, (1_714_566_900).to_bytes(4, "big") + (5).to_bytes(4, "big"))
ENTRIES = msgpack.packb([EVENT_TIME, {"log": "a"}]) + msgpack.packb([[1_714_566_900, {}], {"log": "b"}])
A, B = b'["t",1714566900000000005,{"log":"a"}]', b'["t",1714566900000000000,{"log":"b"}]'


@pytest.fixture
def publisher():
    return MemoryPublisher(lambda: NOW)


async def connected(sock):
    return await asyncio.open_connection(*sock.getsockname())


async def answer(reader):
    unpacker = msgpack.Unpacker()
    async with asyncio.timeout(30):
        while True:
            for message in unpacker:
                return message
            data = await reader.read(1000)
            assert data, "the door hung up"
            unpacker.feed(data)


@pytest.mark.parametrize(
    ("mode", "message", "events"),
    [
        ("message", ["t", EVENT_TIME, {"log": "a"}], [A]),
        ("message, seconds", ["t", 1_714_566_900, {"log": "b"}, {}], [B]),
        ("forward", ["t", [[EVENT_TIME, {"log": "a"}], [1_714_566_900, {"log": "b"}]]], [A, B]),
        ("packed forward", ["t", ENTRIES, {"size": 2}], [A, B]),
        ("packed forward as a string", ["t", ENTRIES.decode("latin-1"), {}], [A, B]),
        ("compressed", ["t", gzip.compress(ENTRIES), {"compressed": "gzip"}], [A, B]),
        (
            "compressed, two members",
            ["t", gzip.compress(ENTRIES[:20]) + gzip.compress(ENTRIES[20:]), {"compressed": "gzip"}],
            [A, B],
        ),
    ],
)
async def test_each_mode_gives_its_events(publisher, mode, message, events):
    packed = msgpack.packb(message, use_bin_type=True)
    if mode.endswith("string"):  # as protocol version 0 has it: bytes under a text's type
        packed = msgpack.packb(["t", ENTRIES, {}], use_bin_type=False)
    sock = bound()
    async with opened(ForwardDoor, publisher, sock):
        _, writer = await connected(sock)
        for i in range(len(packed)):
            writer.write(packed[i : i + 1])
        await until(lambda: len(events_of(publisher)) == len(events))

    assert events == events_of(publisher)
    assert ("forward", "fluentd") == (publisher.envelopes[0].source, publisher.envelopes[0].format)


async def test_a_chunk_is_acknowledged_once_it_is_published_and_the_same_again_are_the_same_events(publisher):
    packed = msgpack.packb(["t", ENTRIES, {"chunk": "p8n9gmxTQVC8/nh2wlKKeQ=="}])
    sock = bound()
    publisher.refuse_with = "away"
    async with opened(ForwardDoor, publisher, sock):
        reader, writer = await connected(sock)
        refused = {"source": "forward", "status": "unavailable"}
        before = count("logsync_collector_rejected_requests_total", **refused)
        writer.write(packed)
        await until(lambda: count("logsync_collector_rejected_requests_total", **refused) > before)
        publisher.refuse_with = ""
        for _ in range(2):
            writer.write(packed)
        answers = [await answer(reader)]
        await until(lambda: len(publisher.envelopes) >= 2)

    assert [{"ack": "p8n9gmxTQVC8/nh2wlKKeQ=="}] == answers
    assert 1 == len({tuple(envelope.event_ids()) for envelope in publisher.envelopes})


async def test_no_acknowledgement_comes_of_what_kafka_did_not_take(publisher):
    sock = bound()
    publisher.refuse_with = "away"
    async with opened(ForwardDoor, publisher, sock):
        reader, writer = await connected(sock)
        refused = {"source": "forward", "status": "unavailable"}
        before = count("logsync_collector_rejected_requests_total", **refused)
        writer.write(msgpack.packb(["t", ENTRIES, {"chunk": "c"}]))
        await until(lambda: count("logsync_collector_rejected_requests_total", **refused) > before)
        writer.write_eof()
        async with asyncio.timeout(30):
            assert b"" == await reader.read()

    assert [] == publisher.envelopes


async def test_a_sender_that_takes_no_acknowledgement_is_cut_while_others_of_its_chunks_wait(publisher, monkeypatch):
    monkeypatch.setattr(forward_connection, "_ANSWER_SECONDS", 0.1)
    sock = bound()
    cut = {"source": "forward", "reason": "too_slow"}
    before = count("logsync_collector_refused_connections_total", **cut)
    async with opened(ForwardDoor, publisher, sock):
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(sock.getsockname())
            deaf.setblocking(False)
            # An acknowledgement repeats the chunk's name: these are too many bytes for what lies between.
            chunk = msgpack.packb(["t", ENTRIES, {"chunk": "c" * 3000}])
            loop = asyncio.get_running_loop()

            async def sending():
                async with asyncio.timeout(30):
                    while True:
                        await loop.sock_sendall(deaf, chunk)

            with pytest.raises(ConnectionError):
                await sending()

    assert count("logsync_collector_refused_connections_total", **cut) > before


async def test_heartbeats_are_no_events(publisher):
    sock, udp = bound(), bound(socket.SOCK_DGRAM)
    async with opened(ForwardDoor, publisher, sock, udp=udp):
        _, writer = await connected(sock)
        writer.write(b"\xc0" + msgpack.packb(["t", 1_714_566_900, {"log": "b"}]))
        await until(lambda: events_of(publisher))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendto(sender, b"\0", udp.getsockname())
            async with asyncio.timeout(30):
                assert b"\0" == await loop.sock_recv(sender, 10)

    assert [B] == events_of(publisher)


@pytest.mark.parametrize("bad", [b"\xc1", msgpack.packb("x"), msgpack.packb([["t"], 1, {}]), b"GET / HTTP/1.1\r\n\r\n"])
async def test_what_is_no_forward_message_is_counted_and_harms_no_other_sender(publisher, bad):
    sock = bound()
    before = count("log_dropped_total", stage="collector", reason="malformed")
    async with opened(ForwardDoor, publisher, sock):
        _, broken = await connected(sock)
        broken.write(bad)
        await until(lambda: count("log_dropped_total", stage="collector", reason="malformed") > before)
        _, writer = await connected(sock)
        writer.write(msgpack.packb(["t", 1_714_566_900, {"log": "b"}]))
        await until(lambda: events_of(publisher))

    assert [B] == events_of(publisher)


@pytest.mark.parametrize(
    ("message", "texts"),
    [
        (["t", [[1, "no map"], [1_714_566_900, {"log": "b"}]]], ['[1,"no map"]', None]),
        (["t", msgpack.packb([{}, {"log": "x"}]) + msgpack.packb([1_714_566_900, {"log": "b"}])[:5]], None),
        (["t", 1, {"log": "x" * 2000}], ["cut"]),
        (["t", 1, [1, 2]], ["[1,[1,2]]"]),
    ],
)
async def test_what_stands_in_place_of_a_record_is_kept_as_a_text_and_counted(publisher, message, texts):
    before = count("logsync_collector_unreadable_records_total", source="forward")
    packed = msgpack.packb([*message, {"chunk": "c"}])
    sock = bound()
    async with opened(ForwardDoor, publisher, sock, settings=CollectorSettings(max_event_bytes=1024)):
        reader, writer = await connected(sock)
        writer.write(packed)
        acknowledged = await answer(reader)
    found = [orjson.loads(event)[2] for event in events_of(publisher)]

    assert {"ack": "c"} == acknowledged
    assert count("logsync_collector_unreadable_records_total", source="forward") - before == sum(
        type(one) is str for one in found
    )
    if texts is None:  # of bytes that are none, the rest
        assert ['[{},{"log":"x"}]', True] == [found[0], found[1].startswith("\x92\xce")]
    elif texts == ["cut"]:
        assert found[0].startswith('{"log":"xxx')
        assert len(events_of(publisher)[0]) <= 1024
    else:
        assert [text or {"log": "b"} for text in texts] == found
    fields = PARSERS["fluentd"](events_of(publisher)[0], NOW)
    assert ("t", ["unparsed"]) == (fields["service"]["name"], fields["tags"]) or type(found[0]) is dict


async def test_a_message_over_the_limit_is_refused(publisher):
    sock = bound()
    settings = CollectorSettings(max_body_bytes=100_000)
    async with opened(ForwardDoor, publisher, sock, settings=settings):
        reader, writer = await connected(sock)
        writer.write(msgpack.packb(["t", 1, {"log": "x" * 300_000}]))

        assert await hung_up(reader)

    assert [] == publisher.envelopes


async def test_who_does_not_end_a_message_is_cut(publisher):
    sock = bound()
    async with opened(ForwardDoor, publisher, sock, settings=CollectorSettings(receive_timeout_seconds=0.2)):
        reader, writer = await connected(sock)
        writer.write(b"\x93\xa1t")

        assert await hung_up(reader)


async def test_a_full_queue_slows_a_sender_without_chunks_down(publisher):
    sock = bound()
    publisher.refuse_with = "full"
    async with opened(ForwardDoor, publisher, sock):
        _, writer = await connected(sock)
        writer.write(msgpack.packb(["t", ENTRIES, {}]))
        await asyncio.sleep(0.1)
        publisher.refuse_with = ""
        await until(lambda: len(events_of(publisher)) == 2)

    assert [A, B] == events_of(publisher)


def digest(*parts):
    return hashlib.sha512(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("key", [b"secret", b"wrong"])
async def test_only_who_knows_the_shared_key_is_let_in(publisher, key):
    sock = bound()
    async with opened(ForwardDoor, publisher, sock, shared_key=b"secret"):
        reader, writer = await connected(sock)
        helo, options = await answer(reader)
        nonce = options["nonce"] if isinstance(options["nonce"], bytes) else options["nonce"].encode()
        ping = ["PING", "sender", "salt", digest(b"salt", b"sender", nonce, key), "", ""]
        writer.write(msgpack.packb(ping) + msgpack.packb(["t", 1_714_566_900, {"log": "b"}]))
        pong = await answer(reader)
        if key == b"secret":
            await until(lambda: events_of(publisher))

    assert ("HELO", "PONG") == (helo, pong[0])
    if key == b"secret":
        assert [True, "", "logsync", digest(b"salt", b"logsync", nonce, key)] == pong[1:]
    else:
        assert ([False, "shared_key mismatch", "", ""], []) == (pong[1:], publisher.envelopes)


async def test_a_trace_over_several_records_of_a_chunk_is_one_event(publisher):
    lines = ["Traceback (most recent call last):", '  File "a.py"', "ValueError: x", "next"]
    message = ["t", [[n, {"log": line, "stream": "stderr"}] for n, line in enumerate(lines)]]
    sock = bound()
    async with opened(ForwardDoor, publisher, sock, settings=CollectorSettings()):
        _, writer = await connected(sock)
        writer.write(msgpack.packb(message))
        await until(lambda: len(events_of(publisher)) == 2)

    assert b'["t",3000000000,{"log":"next","stream":"stderr"}]' == events_of(publisher)[1]
    assert rb'Traceback (most recent call last):\n  File \"a.py\"\nValueError: x"' in events_of(publisher)[0]
