import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from logsync_streams.errors import ConfigurationError
from logsync_streams.query import server
from logsync_streams.settings import QueryHttpSettings, Settings

# The process that `logsync query` is, over a store that needs no server.
PROGRAM = """
import sys
from logsync_streams.query import server
from logsync_streams.configuration import load
from logsync_streams.storage.memory import MemoryStore

server.open_reader = lambda settings: MemoryStore()
sys.exit(server.run(load()))
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> httpx.Response:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            return httpx.get(url)
        except httpx.TransportError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    raise AssertionError(f"no answer from {url}; the process ended with {process.poll()}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop_and_then_ends_with_0(number):
    port = free_port()
    environment = {**os.environ, "LOGSYNC_QUERY__PORT": str(port)}
    with subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment) as process:
        try:
            response = wait_until_it_answers(f"http://127.0.0.1:{port}/api/logs/search", process)
            process.send_signal(number)

            assert 0 == process.wait(60)
            assert {"value": 0, "relation": "eq"} == response.json()["total"]
        finally:
            process.kill()


def test_a_port_in_use_is_a_sentence_that_names_the_setting():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"LOGSYNC_QUERY__PORT: 127.0.0.1:{port} .* another port"):
            server.run(Settings(query=QueryHttpSettings(port=port)))
