import asyncio
import contextlib
import ssl

import pytest
import trustme

from logsync_streams.collector.limits import Limits
from logsync_streams.collector.publisher import MemoryPublisher
from logsync_streams.collector.syslog_stream import SyslogStreamDoor
from logsync_streams.collector.tls import context
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import CollectorSettings
from tests.unit.doors import NOW, bound, count, events_of, hung_up, opened, until


@pytest.fixture
def publisher():
    return MemoryPublisher(lambda: NOW)


async def connected(sock, **options):
    return await asyncio.open_connection(*sock.getsockname(), **options)


async def test_both_framings_on_one_connection_become_events(publisher):
    sock = bound()
    async with opened(SyslogStreamDoor, publisher, sock):
        _, writer = await connected(sock)
        writer.write(b"<13>one\n7 <13>two<13>three\0")
        await until(lambda: len(events_of(publisher)) == 3)
        writer.close()

    assert [b"<13>one", b"<13>two", b"<13>three"] == events_of(publisher)
    assert ("syslog-tcp", "syslog", "127.0.0.1") == (
        publisher.envelopes[0].source,
        publisher.envelopes[0].format,
        publisher.envelopes[0].peer,
    )


async def test_the_last_line_needs_no_end_when_its_sender_hangs_up(publisher):
    sock = bound()
    async with opened(SyslogStreamDoor, publisher, sock):
        _, writer = await connected(sock)
        writer.write(b"<13>one\n<13>two")
        await writer.drain()
        writer.close()
        await until(lambda: len(events_of(publisher)) == 2)

    assert b"<13>two" == events_of(publisher)[-1]


async def test_a_door_that_closes_hands_over_what_it_has_read(publisher):
    sock = bound()
    settings = CollectorSettings(multiline_wait_ms=5000)
    async with opened(SyslogStreamDoor, publisher, sock, settings=settings):
        _, writer = await connected(sock)
        writer.write(b"<13>one\n<13>half")
        await writer.drain()

    assert [b"<13>one", b"<13>half"] == events_of(publisher)


async def test_a_full_queue_slows_the_sender_down_and_loses_nothing(publisher):
    sock = bound()
    publisher.refuse_with = "full"
    async with opened(SyslogStreamDoor, publisher, sock):
        _, writer = await connected(sock)
        sent = [b"<13>%06d %b" % (n, b"x" * 1000) for n in range(20_000)]
        sending = asyncio.create_task(flood(writer, sent))
        done, _ = await asyncio.wait([sending], timeout=1)

        assert not done, "twenty megabytes were read though nothing can be handed over"
        publisher.refuse_with = ""
        await sending
        await until(lambda: len(events_of(publisher)) == len(sent))

    assert sent == events_of(publisher)


async def flood(writer, lines):
    for line in lines:
        writer.write(line + b"\n")
        await writer.drain()


async def test_a_stack_trace_is_one_event_and_another_senders_lines_stay_apart(publisher):
    sock = bound()
    settings = CollectorSettings(multiline_wait_ms=50)
    head = b"<11>1 - web app 7 - - "
    lines = [b"ERROR boom", b"java.lang.Error: boom", b"\tat a.B.c(B.java:1)", b"\t... 3 more", b"INFO next"]
    async with opened(SyslogStreamDoor, publisher, sock, settings=settings):
        _, writer = await connected(sock)
        for line in lines:
            writer.write(head + line + b"\n<14>1 - web other 8 - - between\n")
        await until(lambda: len(events_of(publisher)) == 7)

    joined = head + b"ERROR boom\njava.lang.Error: boom\n\tat a.B.c(B.java:1)\n\t... 3 more"
    assert [joined, head + b"INFO next"] == [data for data in events_of(publisher) if b"app 7" in data]


async def test_who_does_not_end_a_frame_is_cut_and_who_is_silent_is_not(publisher):
    sock = bound()
    settings = CollectorSettings(receive_timeout_seconds=0.2, multiline_wait_ms=0)
    before = count("logsync_collector_refused_connections_total", source="syslog-tcp", reason="too_slow")
    async with opened(SyslogStreamDoor, publisher, sock, settings=settings) as door:
        _, silent = await connected(sock)
        reader, slow = await connected(sock)
        slow.write(b"100 <13>half")

        assert await hung_up(reader)

        assert 1 == len(door.open_connections)
        assert before + 1 == count(
            "logsync_collector_refused_connections_total", source="syslog-tcp", reason="too_slow"
        )
        silent.close()

    assert [b"<13>half"] == events_of(publisher)


async def test_connections_above_the_bound_are_refused_and_their_place_is_free_again(publisher):
    sock = bound()
    settings = CollectorSettings(max_connections=10, max_connections_per_address=2)
    async with opened(SyslogStreamDoor, publisher, sock, settings=settings) as door:
        _, first = await connected(sock)
        _, _second = await connected(sock)
        await until(lambda: len(door.open_connections) == 2)
        reader, _ = await connected(sock)

        assert await hung_up(reader)
        first.close()
        await until(lambda: len(door.open_connections) == 1)
        _, third = await connected(sock)
        third.write(b"<13>in\n")
        await until(lambda: events_of(publisher))


async def test_unfinished_frames_of_all_senders_share_one_bound(publisher):
    sock = bound()
    settings = CollectorSettings(max_receiving_bytes=1024 * 1024)
    limits = Limits(settings)
    async with opened(SyslogStreamDoor, publisher, sock, settings=settings, limits=limits):
        writers = []
        for _ in range(12):
            _, writer = await connected(sock)
            writer.write(b"200000 <13>" + b"x" * 150_000)
            writers.append(writer)
        await until(
            lambda: count("logsync_collector_refused_connections_total", source="syslog-tcp", reason="receiving_bytes")
        )

        assert limits.receiving.taken <= 1024 * 1024
    assert 0 == limits.receiving.taken


# ------------------------------------------------------------------------------------------------------------------ TLS
@pytest.fixture
def authority(tmp_path):
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    made.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    return made


def client_context(authority, *, certificate):
    made = ssl.create_default_context()
    authority.configure_trust(made)
    if certificate:
        authority.issue_cert("sender").configure_cert(made)
    return made


@pytest.mark.parametrize("wants_certificates", [False, True])
async def test_tls_takes_counted_messages_of_those_who_may(publisher, authority, tmp_path, wants_certificates):
    settings = CollectorSettings(
        tls_certificate_file=tmp_path / "server.pem",
        tls_client_ca_file=tmp_path / "ca.pem" if wants_certificates else None,
        multiline_wait_ms=0,
    )
    sock = bound()
    async with opened(SyslogStreamDoor, publisher, sock, settings=settings, tls=context(settings)):
        with_certificate = client_context(authority, certificate=True)
        _, writer = await connected(sock, ssl=with_certificate, server_hostname="localhost")
        writer.write(b"7 <13>one")
        await until(lambda: events_of(publisher))
        if wants_certificates:
            without = client_context(authority, certificate=False)
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                reader, writer = await connected(sock, ssl=without, server_hostname="localhost")
                writer.write(b"7 <13>two")

                assert await hung_up(reader)

    assert [("syslog-tls", (b"<13>one",))] == [(e.source, e.events) for e in publisher.envelopes]


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_certificate_that_cannot_be_read_is_named_with_its_setting(tmp_path, content):
    path = tmp_path / "server.pem"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ConfigurationError, match=r"LOGSYNC_COLLECTOR__TLS_CERTIFICATE_FILE: .*server\.pem"):
        context(CollectorSettings(tls_certificate_file=path))
