"""A policy of Elasticsearch's that would delete our logs: refused, by what an Elasticsearch 8 with ILM answers.

The builds that the other tests run have no ILM; these answers are constructed from its reference.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deploy.servers import free_port
from logsync_streams.errors import ConfigurationError
from logsync_streams.settings import StoreSettings
from logsync_streams.storage.elasticsearch import ElasticsearchAdmin, connect
from logsync_streams.storage.elasticsearch_lifecycle import refuse_deletion

INDEX = "logsync-auth-2026.11.24-000001"
HOT, DELETE = {"min_age": "0ms", "actions": {}}, {"min_age": "30d", "actions": {"delete": {}}}
NO_HANDLER = {"error": "no handler found for uri [/_ilm/policy] and method [GET]"}
FORBIDDEN = {"error": {"type": "security_exception", "reason": "action is unauthorized"}, "status": 403}


class Server:
    """policies: name -> phases. indices: index -> policy. templates: dataset -> the policy of its new indices."""

    def __init__(self) -> None:
        self.policies: dict[str, Any] = {"short": {"hot": HOT, "delete": DELETE}, "kept": {"hot": HOT}}
        self.indices: dict[str, str] = {}
        self.templates: dict[str, str] = {}
        self.ilm: tuple[int, Any] | None = None

    def answer(self, path: str) -> tuple[int, Any]:
        if path.startswith("/_nodes"):
            return 200, {"nodes": {"one": {"version": "8.19.8", "build_flavor": "default"}}}
        if path.startswith("/_ilm/policy"):
            found = {name: {"version": 1, "policy": {"phases": phases}} for name, phases in self.policies.items()}
            return self.ilm or (200, found)
        if "/_settings/" in path:
            return 200, {
                index: {"settings": {"index.lifecycle.name": policy} if policy else {}}
                for index, policy in self.indices.items()
            }
        if path.startswith("/_index_template/_simulate_index/"):
            dataset = path.rpartition("/")[2].split("-")[1]
            lifecycle = {"lifecycle": {"name": self.templates[dataset]}} if dataset in self.templates else {}
            return 200, {"template": {"settings": {"index": lifecycle}, "mappings": {}, "aliases": {}}}
        return 404, {}


@pytest.fixture
def server() -> Iterator[tuple[Server, str]]:
    """What it knows, and its address."""
    known = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            status, content = known.answer(self.path)
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("x-elastic-product", "Elasticsearch")
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET

        def log_message(self, format: str, *arguments: Any) -> None:
            """Says nothing."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield known, f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    thread.join()
    running.server_close()


async def refusal(url: str) -> str:
    """What is said, "" when nothing is refused."""
    connection = connect(StoreSettings(elasticsearch_urls=[url]))
    try:
        await refuse_deletion(connection, ["default", "auth"])
    except ConfigurationError as error:
        return str(error)
    finally:
        await connection.close()
    return ""


async def test_a_policy_that_deletes_an_index_of_ours_is_refused_with_both_names_and_what_to_do(server):
    known, url = server
    known.indices = {INDEX: "short", "logsync-default-2026.11.24-000001": ""}

    said = await refusal(url)

    assert said.startswith(f"the ILM policy 'short' owns {INDEX} and has a delete phase: it would delete logs before")
    assert "take index.lifecycle.name out of the index template" in said
    assert "\n" not in said


async def test_a_template_that_would_give_new_indices_such_a_policy_is_refused(server):
    known, url = server
    known.templates = {"auth": "short"}

    assert "the ILM policy 'short' owns every new index of the dataset 'auth' (by a template)" in await refusal(url)


async def test_the_first_index_of_a_dataset_is_not_made_under_such_a_template(server):
    known, url = server
    known.templates = {"auth": "short"}
    admin = ElasticsearchAdmin(connect(StoreSettings(elasticsearch_urls=[url])))
    try:
        with pytest.raises(ConfigurationError, match="every new index of the dataset 'auth'"):
            await admin.create("logsync-auth-2026.11.24")
    finally:
        await admin.close()


async def test_many_owned_indices_are_counted_not_listed(server):
    known, url = server
    known.indices = {f"logsync-auth-2026.11.{day:02}-000001": "short" for day in range(1, 25)}

    assert "logsync-auth-2026.11.03-000001 and 21 more and has a delete phase" in await refusal(url)


@pytest.mark.parametrize("policy", ["kept", "gone"])
async def test_a_policy_that_deletes_nothing_is_left_alone(server, policy):
    known, url = server
    known.indices, known.templates = {INDEX: policy}, {"default": policy}

    assert "" == await refusal(url)


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_a_server_without_ilm_has_nothing_to_refuse(server, status):
    known, url = server
    known.indices, known.ilm = {INDEX: "short"}, (status, NO_HANDLER)

    assert "" == await refusal(url)


async def test_a_policy_that_may_not_be_read_is_not_taken_for_harmless(server):
    known, url = server
    known.indices, known.ilm = {INDEX: "short"}, (403, FORBIDDEN)

    assert f"'short' owns {INDEX} and may not be read (status 403)" in await refusal(url)
    assert "grant the privilege read_ilm" in await refusal(url)


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "faust", "-A", "logsync_streams", "worker"),
        ("-m", "logsync_streams.cli", "retention", "plan"),
        ("-m", "logsync_streams.cli", "retention", "run"),
    ],
)
def test_the_worker_and_the_retention_refuse_to_start(server, tmp_path, command):
    known, url = server
    known.indices = {INDEX: "short"}
    settings = {
        "LOGSYNC_STORE__ELASTICSEARCH_URLS": url,
        "LOGSYNC_DATA_DIR": str(tmp_path),
        "LOGSYNC_KAFKA__BOOTSTRAP": f"127.0.0.1:{free_port()}",  # not even asked
    }
    done = subprocess.run(
        [sys.executable, *command], env=settings, capture_output=True, text=True, check=False, timeout=120
    )

    assert 2 == done.returncode
    assert f"the ILM policy 'short' owns {INDEX} and has a delete phase" in done.stderr
    assert "Traceback" not in done.stderr
