"""What stops `logsync dev` before it starts anything: one sentence each, that says what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from logsync_streams.configuration import load
from logsync_streams.dev.checks import Address, addresses, check_ports, locked_folder
from logsync_streams.errors import ConfigurationError


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


def test_free_ports_pass():
    check_ports([Address("a", "127.0.0.1", free_port(), "A=PORT"), Address("b", "127.0.0.1", free_port(), "B=PORT")])


def test_a_port_in_use_names_the_part_and_the_setting():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            check_ports([Address("the HTTP door", "127.0.0.1", port, "LOGSYNC_COLLECTOR__HTTP_PORT=PORT")])

    assert caught.value.problems == (
        f"port {port} on 127.0.0.1 (the HTTP door) is in use: stop what listens there or choose another with "
        "LOGSYNC_COLLECTOR__HTTP_PORT=PORT",
    )


def test_a_udp_port_in_use_is_found():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConfigurationError, match=r"UDP port .* is in use"):
            check_ports([Address("the syslog UDP door", "127.0.0.1", taken.getsockname()[1], "S=PORT", udp=True)])


def test_every_port_in_use_is_reported():
    with socket.socket() as one, socket.socket() as other:
        for taken in (one, other):
            taken.bind(("127.0.0.1", 0))
            taken.listen()
        wanted = [Address("a", "127.0.0.1", taken.getsockname()[1], "A=PORT") for taken in (one, other)]
        with pytest.raises(ConfigurationError) as caught:
            check_ports(wanted)

    assert len(caught.value.problems) == 2


def test_one_port_for_two_parts_is_refused():
    port = free_port()
    with pytest.raises(ConfigurationError, match=f"port {port} is given to a and to b"):
        check_ports([Address("a", "127.0.0.1", port, "A=PORT"), Address("b", "127.0.0.1", port, "B=PORT")])


def test_the_same_number_for_tcp_and_udp_is_no_conflict():
    port = free_port()
    check_ports([Address("a", "127.0.0.1", port, "A=PORT"), Address("b", "127.0.0.1", port, "B=PORT", udp=True)])


def test_every_part_that_listens_is_checked():
    parts = {address.part for address in addresses(load({}))}

    assert parts == {
        "the embedded broker",
        "the HTTP door",
        "the syslog UDP door",
        "the syslog TCP door",
        "the Fluent forward door",
        "the query API",
        "the worker's web views",
    }


def test_a_data_folder_that_is_a_file_says_what_to_do(tmp_path):
    (tmp_path / "data").write_text("")
    with (
        pytest.raises(ConfigurationError, match=r"data folder .* cannot be used .*LOGSYNC_DATA_DIR=FOLDER"),
        locked_folder(tmp_path / "data"),
    ):
        pass


def test_a_second_dev_on_the_same_folder_is_told_which_process_holds_it(tmp_path):
    second = (
        "import sys; from pathlib import Path; from logsync_streams.dev.checks import locked_folder\n"
        "with locked_folder(Path(sys.argv[1])): pass\n"
    )
    with locked_folder(tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", second, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
        )

    assert f"another `logsync dev` (process {os.getpid()}) runs on the data folder" in done.stderr


def test_the_folder_is_free_again_afterwards(tmp_path):
    with locked_folder(tmp_path):
        pass
    with locked_folder(tmp_path):
        pass
