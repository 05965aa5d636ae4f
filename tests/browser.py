"""The page in headless Chromium: helpers for every test that looks at it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlencode

import pytest
import uvicorn
from playwright.async_api import ConsoleMessage, Locator, Page, async_playwright, expect
from starlette.types import ASGIApp

WAIT_MS = 20_000  # generous: the machine may be busy with other tests
expect.set_options(timeout=WAIT_MS)


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):
        yield  # the test's process keeps its own


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """The base URL of the app, served by uvicorn on a free loopback port in this event loop."""
    with socket.create_server(("127.0.0.1", 0)) as listener:  # requests wait in it until the server is up
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as the real server's
        server = _Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            await task


def chromium() -> str:
    """Where Chromium is. Skips the test, or fails it where everything is required, when there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    if os.environ.get("LOGSYNC_REQUIRE_REAL") == "1":
        pytest.fail("chromium is not installed, and LOGSYNC_REQUIRE_REAL=1 asks for it")
    pytest.skip("chromium is not installed")


@asynccontextmanager
async def browser_page(
    *, width: int = 1440, height: int = 900, scheme: Literal["light", "dark"] = "light"
) -> AsyncIterator[Page]:
    """A fresh page. Fails afterwards when it asked for something elsewhere, or a script of it failed."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium(), args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        try:
            context = await browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            page = await context.new_page()
            page.set_default_timeout(WAIT_MS)
            complaints: list[str] = []

            def on_console(message: ConsoleMessage) -> None:
                # An answer of 400 or 503 is logged as an error as well, and tests ask for those.
                if message.type == "error" and "Failed to load resource" not in message.text:
                    complaints.append(message.text)

            page.on("console", on_console)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
            yield page

            assert [] == complaints
        finally:
            await browser.close()


async def open_search(page: Page, base_url: str, **parameters: str) -> None:
    """Open the page with these parameters (q, from, to, sort, live) and wait for its first answer."""
    await page.goto(f"{base_url}/?{urlencode(parameters)}")
    await expect(page.locator("#logs.waiting")).to_have_count(0)
    await expect(page.locator(".log, #empty:visible, #problem:visible").first).to_be_visible(timeout=WAIT_MS)


async def search_for(page: Page, query: str) -> None:
    """Type a query and press Enter."""
    await page.fill("#q", query)
    await page.press("#q", "Enter")


def log_with(page: Page, text: str) -> Locator:
    """The row of the log whose message has this text."""
    return page.locator(".log", has=page.locator("td.message", has_text=text))


async def expect_log(page: Page, text: str) -> Locator:
    """The first row whose message has this text; waits for it (live refresh brings what is new)."""
    row = log_with(page, text).first
    await expect(row).to_be_visible(timeout=WAIT_MS)
    return row


async def shown_messages(page: Page) -> list[str]:
    """The messages in the table, from top to bottom."""
    return await page.locator(".log td.message").all_inner_texts()
