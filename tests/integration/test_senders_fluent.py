"""Fluent's own clients for Python and Node.js.

Fluentd and Fluent Bit themselves cannot be had here; what they send is in `test_senders_constructed.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading

import pytest
import trustme
from fluent import asyncsender, sender

from tests.integration.running_collector import RunningCollector
from tests.integration.senders import npm, program

pytestmark = pytest.mark.real

# With acknowledgements, and with and without the handshake.
_NODE = """
const { FluentClient } = require("@fluent-org/logger");
const options = JSON.parse(process.argv[1]);
const client = new FluentClient("app", options);
Promise.all([...Array(20).keys()].map((n) => client.emit("web", { message: `line ${n}`, n })))
  .then(() => { console.log("acknowledged"); return client.shutdown(); })
  .then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
setTimeout(() => { console.error("no acknowledgement"); process.exit(2); }, Number(process.argv[2]));
"""


@pytest.mark.parametrize("nanosecond_precision", [False, True])
def test_fluent_logger_for_python(nanosecond_precision):
    with RunningCollector() as collector:
        client = sender.FluentSender(
            "app", port=collector.port("forward"), nanosecond_precision=nanosecond_precision, timeout=10
        )
        for n in range(20):
            assert client.emit_with_time("web", 1_714_566_900 + n, {"message": f"line {n}", "level": "warning"})
        client.close()
        collector.received(20, "forward")
        fields = collector.fields("forward")

    assert [f"line {n}" for n in range(20)] == [one["message"] for one in fields]
    assert [1_714_566_900_000 + n * 1000 for n in range(20)] == [one["@timestamp"] for one in fields]
    assert {("app.web", "warn")} == {(one["service"]["name"], one["log"]["level"]) for one in fields}


def test_fluent_logger_for_python_in_the_background():
    with RunningCollector() as collector:
        client = asyncsender.FluentSender("app", port=collector.port("forward"))
        for n in range(200):
            client.emit("web", {"message": f"line {n}"})
        client.close()
        collector.received(200, "forward")


def node(collector: RunningCollector, within_ms: int = 30_000, **options: object) -> subprocess.CompletedProcess[str]:
    modules = npm("fluent-node", "@fluent-org/logger@1.0.10")
    given = {"socket": {"host": "127.0.0.1", "port": collector.port("forward"), "timeout": 10_000}, **options}
    return subprocess.run(
        [program("node"), "-e", _NODE, json.dumps(given), str(within_ms)],
        env={**os.environ, "NODE_PATH": str(modules)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("mode", ["Message", "Forward", "PackedForward", "CompressedPackedForward"])
def test_fluent_logger_for_node_is_acknowledged_in_every_mode(mode):
    with RunningCollector() as collector:
        done = node(collector, eventMode=mode, ack={"ackTimeout": 20_000})
        fields = collector.fields("forward")

    assert ("acknowledged\n", "") == (done.stdout, done.stderr)
    assert {f"line {n}" for n in range(20)} == {one["message"] for one in fields}
    assert {"app.web"} == {one["service"]["name"] for one in fields}


@pytest.mark.parametrize("key", ["secret", "wrong"])
def test_fluent_logger_for_node_with_a_shared_key(key):
    with RunningCollector(forward_shared_key="secret") as collector:
        security = {"clientHostname": "client", "sharedKey": key}
        within = 30_000 if key == "secret" else 3_000
        done = node(collector, within, ack={"ackTimeout": 20_000}, security=security, disableReconnect=key == "wrong")
        messages = {one["message"] for one in collector.fields("forward")}

    if key == "secret":
        assert ("acknowledged\n", {f"line {n}" for n in range(20)}) == (done.stdout, messages)
    else:
        assert (True, set()) == (done.returncode != 0, messages)


@pytest.mark.parametrize("trusts", [True, False])
def test_fluent_logger_for_node_over_tls(tmp_path, trusts):
    ours, others = trustme.CA(), trustme.CA()
    ours.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    with RunningCollector(forward_tls=True, tls_certificate_file=tmp_path / "server.pem") as collector:
        tls = {"ca": (ours if trusts else others).cert_pem.bytes().decode(), "servername": "localhost"}
        at = {"host": "127.0.0.1", "port": collector.port("forward"), "timeout": 10_000, "tls": tls}
        within = 30_000 if trusts else 3_000
        done = node(collector, within, ack={"ackTimeout": 20_000}, socket=at, disableReconnect=not trusts)
        messages = {one["message"] for one in collector.fields("forward")}

    if trusts:
        assert ("acknowledged\n", {f"line {n}" for n in range(20)}) == (done.stdout, messages), done.stderr
    else:
        assert (True, set()) == (done.returncode != 0, messages)


def test_no_acknowledgement_while_kafka_is_away_and_nothing_is_lost_when_it_is_back():
    with RunningCollector() as collector:
        collector.publisher.refuse_with = "away"
        # The client sends a chunk again when its acknowledgement does not come.
        back = threading.Timer(2.0, lambda: setattr(collector.publisher, "refuse_with", ""))
        back.start()
        done = node(collector, 50_000, eventMode="Forward", ack={"ackTimeout": 1_000}, eventRetry={"attempts": 20})
        back.join()
        fields = collector.fields("forward")

    assert "acknowledged\n" == done.stdout, done.stderr
    assert {f"line {n}" for n in range(20)} == {one["message"] for one in fields}
