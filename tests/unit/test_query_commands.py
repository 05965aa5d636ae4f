"""tail, context, export and errors on the command line, against the real API over the in-memory store."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from logsync_streams.cli import context, errors, export, tail
from logsync_streams.cli.asking import FAILED, FOUND, NOTHING_FOUND
from logsync_streams.cli.commands import application
from logsync_streams.errors import Unavailable
from logsync_streams.query.app import create_app
from logsync_streams.query.tail import Hub
from logsync_streams.settings import QueryHttpSettings, Settings
from logsync_streams.storage.api import Page, SearchRequest
from logsync_streams.storage.memory import MemoryStore
from tests.browser import serving
from tests.query import TARGET, listened_to, log

HOSTILE = "\x1b[2J\u202eboom"


class Store(MemoryStore):
    pages_left = 1000

    async def search(self, request: SearchRequest) -> Page:
        self.pages_left -= 1
        if self.pages_left < 0:
            raise Unavailable("gone")
        return await super().search(request)


@dataclass
class Served:
    url: str
    hub: Hub
    store: Store

    async def run(self, command: Callable[..., int], *parameters: Any, **options: Any) -> tuple[int, str, str]:
        """The exit code, what was printed, and what was said of it."""
        options = {"output": io.StringIO(), "errors": io.StringIO(), **options}
        code = await asyncio.to_thread(command, *parameters, self.url, **options)
        return code, options["output"].getvalue(), options["errors"].getvalue()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    store, hub = Store(), Hub(100)
    await store.create(TARGET)
    await store.write([log(n, host={"name": f"h{n % 2}"}) for n in range(1, 30)])
    rates: dict[str, object] = {
        "services": [
            {"service": "ok", "windows": {"5m": {"events": 9, "errors": 0, "error_ratio": 0.0}}},
            {"service": HOSTILE, "windows": {"5m": {"events": 4, "errors": 1, "error_ratio": 0.25}}},
        ]
    }
    settings = Settings(query=QueryHttpSettings(max_hits=10))
    async with serving(create_app(store, settings, hub=hub, rates=lambda: rates)) as url:
        yield Served(url, hub, store)


def messages(output: str) -> list[str]:
    return [line.rsplit("- ", 1)[1] for line in output.splitlines()]


async def test_a_tail_is_the_newest_logs_oldest_first(served):
    code, output, _ = await served.run(tail.tail, "", lines=3)

    assert (FOUND, ["log 3", "log 2", "log 1"]) == (code, messages(output))
    assert NOTHING_FOUND == (await served.run(tail.tail, "nothing"))[0]


class UntilLines(io.StringIO):
    """Ctrl-C after so many lines."""

    def __init__(self, lines: int) -> None:
        super().__init__()
        self._lines = lines

    def flush(self) -> None:
        if self.getvalue().count("\n") >= self._lines:
            raise KeyboardInterrupt


async def test_a_tail_follows_what_passes_once_and_ends_well_with_ctrl_c(served):
    following = asyncio.create_task(served.run(tail.tail, "log*", follow=True, lines=1, output=UntilLines(4)))
    await listened_to(served.hub, 1)
    async with asyncio.timeout(20):
        # What the first look found passes again: it is not shown twice.
        served.hub.publish([log(1).body, log(100).body, log(101, message="other").body, log(102).body])
        while not following.done():
            await asyncio.sleep(0.05)
            served.hub.publish([log(103, message=f"log {HOSTILE}").body])
    code, output, said = await following

    assert (FOUND, "") == (code, said)
    assert ["log 1", "log 100", "log 102", "log \\x1b[2J\\u202eboom"] == messages(output)


def test_events_are_read_whatever_the_logs_say_and_however_they_are_cut():
    data = json.dumps({"id": "a", "message": "x\u2028y\x85z\r"}, ensure_ascii=False).encode()
    stream = (
        b"retry: 2000\n\n:\n\nevent: log\nid: a\ndata: " + data + b'\n\nevent: skipped\ndata: {"logs":3}\n\ndata: 5\n'
    )
    pieces = (stream[i : i + 7] for i in range(0, len(stream), 7))

    assert [("log", json.loads(data)), ("skipped", {"logs": 3})] == list(tail.events(pieces))


async def test_what_came_too_quickly_is_said(served):
    following = asyncio.create_task(served.run(tail.tail, "", follow=True, lines=0, output=UntilLines(1)))
    await listened_to(served.hub, 1)
    async with asyncio.timeout(20):
        served.hub.behind(7)
        await asyncio.sleep(0)
        served.hub.publish([log(100).body])
        code, output, said = await following

    assert (FOUND, ["log 100"]) == (code, messages(output))
    assert "logsync: at least 7 logs came too quickly to be shown\n" == said


async def test_a_tail_that_is_refused_says_where_the_query_is_wrong(served):
    code, _, said = await served.run(tail.tail, 'a "b', follow=True)

    assert FAILED == code
    assert '  a "b\n    ^\n' in said


async def test_context_marks_the_log_that_is_meant(served):
    code, output, _ = await served.run(context.context, log(10).id, before=1, after=1)
    lines = output.splitlines()

    assert (FOUND, ["log 12", "log 10", "log 8"]) == (code, messages(output))
    assert [False, True, False] == [line.startswith("> ") for line in lines]
    assert (NOTHING_FOUND, "") == (await served.run(context.context, "no/such log"))[:2]


async def test_an_export_is_every_log_in_a_file_that_is_there_only_once_it_is_whole(served, tmp_path: Path):
    target = tmp_path / "logs.ndjson"
    code, _, said = await served.run(lambda *a, output, **o: export.export(*a, **o), "", to=str(target))

    assert (FOUND, "") == (code, said)
    assert [log(n).id for n in range(1, 30)] == [json.loads(line)["id"] for line in target.read_text().splitlines()]

    target.unlink()
    served.store.pages_left = 2
    code, _, said = await served.run(lambda *a, output, **o: export.export(*a, **o), "", to=str(target))

    assert FAILED == code
    assert "not complete" in said
    assert not target.exists()


async def test_an_export_to_a_pipe_is_the_bytes_and_of_nothing_it_is_exit_code_1(served):
    out = io.BytesIO()
    code = await asyncio.to_thread(export.export, '"log 5"', served.url, format="csv", fields="message", stdout=out)
    none = await asyncio.to_thread(export.export, "x", served.url, format="csv", stdout=io.BytesIO())

    assert (FOUND, b"message\r\nlog 5\r\n", NOTHING_FOUND) == (code, out.getvalue(), none)


async def test_an_export_to_a_folder_that_is_not_there_is_one_sentence(served, tmp_path: Path):
    said = io.StringIO()
    code = await asyncio.to_thread(export.export, "", served.url, to=str(tmp_path / "no" / "x"), errors=said)

    assert (FAILED, 1) == (code, said.getvalue().count("\n"))


async def test_error_rates_are_a_table_with_the_worst_first(served):
    code, output, _ = await served.run(errors.errors)
    lines = [line.split() for line in output.splitlines()]

    assert FOUND == code
    assert [["\\x1b[2J\\u202eboom", "1", "4", "25.0", "%"], ["ok", "0", "9", "0.0", "%"]] == lines[1:]
    assert ["service", "errors", "in", "5m", "logs", "ratio"] == lines[0]
    assert NOTHING_FOUND == (await served.run(errors.errors, window="1h"))[0]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_that_nothing_was_found_is_said_to_a_person_and_not_to_a_script(served):
    said = [
        (await served.run(command, *arguments, errors=where()))[2]
        for where in (Terminal, io.StringIO)
        for command, *arguments in ((tail.tail, "nowhere"), (context.context, "nope"))
    ]

    assert ["logsync: no log was found\n", "logsync: there is no log with the id 'nope'\n", "", ""] == said


async def test_colours_only_on_a_terminal_and_not_with_no_color(served, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = (await served.run(tail.tail, "", output=Terminal()))[1]
    monkeypatch.setenv("NO_COLOR", "1")
    without = (await served.run(tail.tail, "", output=Terminal()))[1]

    assert ["\x1b[2m" in coloured, "\x1b[3" in without] == [True, False]


@pytest.mark.parametrize("command", ["search", "tail", "context", "export", "errors"])
def test_each_command_has_help_with_its_exit_codes(command):
    result = CliRunner().invoke(application, [command, "--help"])

    assert 0 == result.exit_code
    assert "exit code" in " ".join(result.output.split())


@pytest.mark.parametrize("command", [["search"], ["tail"], ["context", "id"], ["export"], ["errors"]])
def test_the_query_api_of_another_machine_is_named_once_in_the_environment(command):
    result = CliRunner().invoke(application, command, env={"LOGSYNC_URL": "http://127.0.0.1:1"})

    assert 2 == result.exit_code
    assert "http://127.0.0.1:1 cannot be asked" in result.output


def test_the_shell_can_complete_the_commands():
    asked = {"_LOGSYNC_COMPLETE": "complete_bash", "COMP_WORDS": "logsync se", "COMP_CWORD": "1"}
    result = CliRunner().invoke(application, [], env=asked, prog_name="logsync")

    assert {"search", "send"} <= set(result.output.split())
