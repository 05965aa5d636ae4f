"""`logsync alerts backtest` over every store: the command as it is, asking the query API over HTTP."""

from __future__ import annotations

import asyncio
import json
import sys

from logsync_streams.query.app import create_app
from logsync_streams.settings import Settings
from tests.backtest_logs import documents
from tests.browser import serving
from tests.contract.documents import NOON
from tests.contract.steps import put
from tests.contract.stores import Opened

RANGE = ("--from", "2026-11-24T12:00:00Z", "--to", "2026-11-24T13:00:00Z")
BURST = {"start": "2026-11-24T12:14:00Z", "minutes": 2, "highest": 4000 / 300}


async def backtest(url: str, *arguments: str) -> dict[str, dict[str, object]]:
    command = [sys.executable, "-m", "logsync_streams.cli", "alerts", "backtest", "--json", "--url", url]
    process = await asyncio.create_subprocess_exec(*command, *RANGE, *arguments, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()

    assert 0 == process.returncode
    return {row["service"]: row for row in json.loads(printed)["services"]}


async def test_a_rule_and_a_threshold_are_tried_on_what_is_stored(ready: Opened):
    await put(ready.store, documents())
    app = create_app(ready.store.reader, Settings(), now=lambda: NOON + 3_600_000)
    async with asyncio.timeout(300), serving(app) as url:
        rule = await backtest(url, "--per-day", "0")
        threshold = await backtest(url, "--threshold", "0.1", "--service", "steady")
        silent = await backtest(url, "--alert", "ServiceSilent", "--service", "night-job")

    # When, how long, how often, and what would have been quiet.
    assert {"auth-service": [BURST], "shop": [], "steady": []} == {name: row["firings"] for name, row in rule.items()}
    assert (1, 2, 10.6667) == tuple(rule["auth-service"][key] for key in ("fired", "minutes", "suggested"))
    assert (1, 59) == tuple(threshold["steady"][key] for key in ("fired", "minutes"))
    assert ["2026-11-24T12:01:00Z"] == [one["start"] for one in silent["night-job"]["firings"]]  # type: ignore[attr-defined]
