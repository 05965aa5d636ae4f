"""Syslog daemons and clients as they are, each with the settings that its manual gives first."""

from __future__ import annotations

import logging
import logging.handlers
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from tests.integration.running_collector import RunningCollector
from tests.integration.senders import debian, program

pytestmark = pytest.mark.real


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    made.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    sender = made.issue_cert("sender")
    sender.private_key_pem.write_to_path(tmp_path / "sender-key.pem")
    sender.cert_chain_pems[0].write_to_path(tmp_path / "sender.pem")
    return made


@contextmanager
def daemon(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield
    except AssertionError as failed:
        raise AssertionError(f"{failed}\n{log.read_text(errors='replace')[-2000:]}") from failed
    finally:
        process.terminate()
        process.wait(30)


# --------------------------------------------------------------------------------------------------------------- logger
@pytest.mark.parametrize(
    ("options", "door"),
    [
        (["--udp"], "syslog_udp"),
        (["--udp", "--rfc3164"], "syslog_udp"),
        (["--tcp"], "syslog_tcp"),
        (["--tcp", "--octet-count"], "syslog_tcp"),
        (["--tcp", "--rfc5424=notq", "--msgid", "ID7", "--sd-id", "a@1", "--sd-param", 'k="v"'], "syslog_tcp"),
    ],
)
def test_logger(options, door):
    logger = program("logger")
    with RunningCollector() as collector:
        command = [logger, "--server", "127.0.0.1", "--port", str(collector.port(door)), *options]
        subprocess.run([*command, "-p", "auth.err", "-t", "shop", "--id=42", "grüße 1 %s"], check=True, timeout=30)
        collector.received(1)
        (fields,) = collector.fields()

    assert ("grüße 1 %s", "error") == (fields["message"], fields["log"]["level"])
    assert ("shop", "auth") == (fields["service"]["name"], fields["log"]["syslog"]["facility"]["name"])
    assert "tags" not in fields
    if "--msgid" in options:
        assert {"a@1": {"k": "v"}} == fields["log"]["syslog"]["structured_data"]


# -------------------------------------------------------------------------------------------------------------- rsyslog
def rsyslog(tmp_path: Path) -> tuple[list[str], dict[str, str], str]:
    root, environment = debian("rsyslog", "rsyslog", "rsyslog-gnutls")
    modules = next(root.glob("usr/lib/*/rsyslog"))
    config = tmp_path / "rsyslog.conf"
    command = [
        str(root / "usr/sbin/rsyslogd"), "-n", "-M", str(modules), "-f", str(config), "-i", str(tmp_path / "pid"),
    ]  # fmt: skip
    return command, environment, f'global(workDirectory="{tmp_path}")\nmodule(load="imuxsock" SysSock.Use="off")\n'


@pytest.mark.parametrize(
    ("door", "source", "options"),
    [
        ("syslog_udp", "syslog-udp", 'protocol="udp"'),
        ("syslog_tcp", "syslog-tcp", 'protocol="tcp"'),
        ("syslog_tcp", "syslog-tcp", 'protocol="tcp" TCP_Framing="octet-counted"'),
        ("syslog_tcp", "syslog-tcp", 'protocol="tcp" template="RSYSLOG_SyslogProtocol23Format"'),
        (
            "syslog_tls",
            "syslog-tls",
            'protocol="tcp" TCP_Framing="octet-counted" StreamDriver="gtls" StreamDriverMode="1" '
            'StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost"',
        ),
    ],
)
def test_rsyslog(tmp_path, authority, door, source, options):
    command, environment, config = rsyslog(tmp_path)
    tls = {"tls_certificate_file": tmp_path / "server.pem", "tls_client_ca_file": tmp_path / "ca.pem"}
    with RunningCollector(**tls) as collector:
        (tmp_path / "rsyslog.conf").write_text(
            'global(DefaultNetstreamDriverCAFile="%s/ca.pem" DefaultNetstreamDriverCertFile="%s/sender.pem" '
            'DefaultNetstreamDriverKeyFile="%s/sender-key.pem")\n'
            % ((tmp_path,) * 3)
            + config
            + f'input(type="imuxsock" Socket="{tmp_path}/log")\n'
            f'*.* action(type="omfwd" target="127.0.0.1" port="{collector.port(door)}" {options})\n'
        )
        with daemon(command, environment, tmp_path / "rsyslog.log"):
            send_to_socket(tmp_path / "log", [f"<11>Nov 24 12:00:00 shop[42]: line {n}" for n in range(50)])
            send_to_socket(tmp_path / "log", ["<11>Nov 24 12:00:00 shop[42]: java.lang.Error: boom"])
            send_to_socket(tmp_path / "log", ["<11>Nov 24 12:00:00 shop[42]: \tat a.B.c(B.java:1)"])
            received_messages(collector, source, "shop", {f"line {n}" for n in range(50)} | {"at a.B.c(B.java:1)"})
        fields = [one for one in collector.fields(source) if one.get("service", {}).get("name") == "shop"]

    assert {"error"} == {one["log"]["level"] for one in fields}
    assert {"42"} == {one["log"]["syslog"]["procid"] for one in fields}
    assert all("tags" not in one for one in fields)
    assert ["java.lang.Error: boom"] == [
        one["message"].split("\n")[-2].strip() for one in fields if "at a.B" in one["message"]
    ]


def send_to_socket(path: Path, lines: list[str]) -> None:
    deadline = time.monotonic() + 30
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        while True:
            try:
                sender.connect(str(path))
                break
            except OSError:
                assert time.monotonic() < deadline, "the daemon did not open its socket"
                time.sleep(0.05)
        for line in lines:
            sender.send(line.encode())


def received_messages(collector: RunningCollector, source: str, service: str, wanted: set[str]) -> None:
    deadline = time.monotonic() + 60
    while True:
        seen = {
            line.replace("#011", "\t").strip()  # rsyslog escapes tabs, and may put a space before the text
            for one in collector.fields(source)
            if one.get("service", {}).get("name") == service
            for line in one["message"].split("\n")
        }
        if wanted <= seen:
            return
        assert time.monotonic() < deadline, f"missing: {sorted(wanted - seen)[:5]}; seen: {sorted(seen)[:5]}"
        time.sleep(0.05)


# ------------------------------------------------------------------------------------------------------------ syslog-ng
@pytest.mark.parametrize(
    ("door", "source", "destination"),
    [
        ("syslog_udp", "syslog-udp", 'network("127.0.0.1" port({port}) transport("udp"))'),
        ("syslog_tcp", "syslog-tcp", 'network("127.0.0.1" port({port}) transport("tcp"))'),
        ("syslog_tcp", "syslog-tcp", 'syslog("127.0.0.1" port({port}) transport("tcp"))'),
        (
            "syslog_tls",
            "syslog-tls",
            'syslog("localhost" port({port}) transport("tls") tls(ca-file("{folder}/ca.pem")))',
        ),
    ],
)
def test_syslog_ng(tmp_path, authority, door, source, destination):
    root, environment = debian("syslog-ng", "syslog-ng-core")
    modules = next(root.glob("usr/lib/syslog-ng/*"))
    (tmp_path / "lines").write_text("".join(f"<11>Nov 24 12:00:00 web shop[42]: line {n}\n" for n in range(50)))
    config = tmp_path / "syslog-ng.conf"
    with RunningCollector(tls_certificate_file=tmp_path / "server.pem") as collector:
        to = destination.format(port=collector.port(door), folder=tmp_path)
        config.write_text(
            "@version: 3.38\noptions { keep-hostname(yes); stats-freq(0); };\n"
            f'source s {{ file("{tmp_path}/lines" follow-freq(0.1)); }};\ndestination d {{ {to}; }};\n'
            "log { source(s); destination(d); };\n"
        )
        command = [
            str(root / "usr/sbin/syslog-ng"), "-F", "--no-caps", "-f", str(config), "-R", str(tmp_path / "persist"),
            "--pidfile", str(tmp_path / "pid"), "--control", str(tmp_path / "control"), "--module-path", str(modules),
        ]  # fmt: skip
        with daemon(command, environment, tmp_path / "syslog-ng.log"):
            received_messages(collector, source, "shop", {f"line {n}" for n in range(50)})
        fields = [one for one in collector.fields(source) if one.get("service", {}).get("name") == "shop"]

    assert ({"error"}, {"web"}, {"42"}) == (
        {one["log"]["level"] for one in fields},
        {one["host"]["name"] for one in fields},
        {one["log"]["syslog"]["procid"] for one in fields},
    )


# --------------------------------------------------------------------------------------------------------------- Python
@pytest.mark.parametrize(("kind", "door"), [(socket.SOCK_DGRAM, "syslog_udp"), (socket.SOCK_STREAM, "syslog_tcp")])
def test_pythons_syslog_handler(kind, door):
    with RunningCollector() as collector:
        handler = logging.handlers.SysLogHandler(("127.0.0.1", collector.port(door)), socktype=kind)
        handler.ident = "shop[42]: "
        handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
        log = logging.Logger("cart")
        log.addHandler(handler)
        log.warning("one")
        try:
            raise ValueError("boom")
        except ValueError:
            log.exception("two")
        handler.close()
        collector.received(2 if kind is socket.SOCK_DGRAM else 3)
        first, second, *rest = collector.fields()

    # The handler ends each message with a NUL, writes no time, and sends a trace within its message: over TCP its lines
    # are frames of their own, of which the trace is joined.
    assert ("cart one", "warn", "shop", "42") == (
        first["message"],
        first["log"]["level"],
        first["service"]["name"],
        first["log"]["syslog"]["procid"],
    )
    assert ("error", "ValueError: boom") == (second["log"]["level"], (rest or [second])[-1]["message"].split("\n")[-1])
