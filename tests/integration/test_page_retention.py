"""The panel of the retention on the page, in Chromium."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from logsync_streams.query.app import create_app
from logsync_streams.settings import Settings
from logsync_streams.storage.memory import MemoryStore
from tests.browser import browser_page, open_search, serving
from tests.query import RETENTION

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1440, 390])
async def test_the_panel_shows_what_is_due_what_holds_it_back_and_the_last_runs(width: int):
    answers = [{"plan": None, "runs": []}, RETENTION]

    async def retention() -> dict[str, Any]:
        return answers.pop(0)

    app = create_app(MemoryStore(), Settings(), retention=retention)
    async with serving(app) as url, browser_page(width=width) as page:
        await open_search(page, url)
        panel = page.locator("#retention")
        await panel.locator("summary").click()
        await expect(panel).to_contain_text("has not run yet")
        await panel.locator("summary").click()
        await panel.locator("summary").click()
        await expect(panel).to_contain_text("pay 2026-11-01")

        text = await panel.inner_text()
        overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    assert 0 == overflow
    assert "held back · 1,234 logs" in text
    assert "<img src=x onerror=alert(1)>" in text
    assert "\u202e" not in text
    assert "to be dropped · 1,234 logs" in text
    assert "due 2026-11-24 00:00 UTC" in text
    assert "70,000 archived, 1 day held back" in text
    assert "and 2 more" in text
