"""The page's ways from many logs to the one: zoom, facets, columns, context, completion, live tail, saved searches."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from logsync_streams.events import event_id, iso_time, uuid7_hex
from logsync_streams.query.app import create_app
from logsync_streams.query.tail import Hub
from logsync_streams.settings import Settings
from logsync_streams.storage.api import Document
from logsync_streams.storage.memory import MemoryStore
from tests.browser import browser_page, expect_log, log_with, open_search, search_for, serving, shown_messages

pytestmark = pytest.mark.browser

TARGET = "logsync-default-2026.11.24"
MINUTE = 60_000
XSS = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "' onmouseover='alert(1)",
    "</textarea><iframe srcdoc='<script>alert(1)</script>'>",
    "{{constructor.constructor('alert(1)')()}}",
    "<math><mtext></mtext><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=alert(1)&gt;'>",
    "\u202egnp.exe\x1b[31m\x00",
    "<a href=data:text/html,<script>alert(1)</script>>x</a>",
]


class Logs:
    """Sends logs the way they go: past the live tail, and into the store."""

    def __init__(self) -> None:
        self.store, self.hub = MemoryStore(), Hub(500)

    def document(self, message: str, age_ms: int = 0, fields: dict[str, object] | None = None) -> Document:
        now = time.time_ns() // 1_000_000 - age_ms
        id_ = event_id(uuid7_hex(now), 0)
        body = {"event": {"id": id_}, "@timestamp": iso_time(now), "message": message, **(fields or {})}
        return Document(TARGET, id_, json.dumps(body).encode())

    async def add(self, message: str, age_ms: int = 0, **fields: object) -> str:
        document = self.document(message, age_ms, fields)
        await self.store.write([document])
        return document.id

    def passing(self, message: str, **fields: object) -> None:
        """It is on its way, and not stored yet."""
        self.hub.publish([self.document(message, 0, fields).body])


@pytest.fixture
async def logs() -> Logs:
    logs = Logs()
    await logs.store.create(TARGET)
    return logs


@pytest.fixture
async def url(logs: Logs, tmp_path: Path) -> AsyncIterator[str]:
    settings = Settings(data_dir=tmp_path)
    async with serving(create_app(logs.store, settings, hub=logs.hub, rates=lambda: {"services": []})) as url:
        yield url
        logs.hub.close()


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with browser_page() as page:
        yield page


async def drag_over_plot(page: Page, start: float, end: float) -> None:
    """Drag from one place to another, as shares of the width."""
    box = await page.locator(".plot").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    await page.mouse.move(box["x"] + box["width"] * start, y)
    await page.mouse.down()
    await page.mouse.move(box["x"] + box["width"] * end, y, steps=4)
    await page.mouse.up()


async def seconds_until_found(page: Page, query: str, found: str) -> float:
    began = time.perf_counter()
    await search_for(page, query)
    await expect(page.locator("#summary")).to_contain_text(found)
    return time.perf_counter() - began


async def test_dragging_over_the_histogram_zooms_in_and_back_leads_out_again(logs, url, page):
    await logs.add("early", age_ms=55 * MINUTE, log={"level": "info"})
    await logs.add("late", age_ms=2 * MINUTE, log={"level": "error"})
    await open_search(page, url, live="0")
    await expect(page.locator(".plot .part.error")).to_have_count(1)
    await drag_over_plot(page, 0.0, 0.4)
    await expect(page.locator(".log")).to_have_count(1)
    await expect_log(page, "early")
    await expect(page.locator("#live")).to_be_disabled()

    assert "from=" in page.url
    assert "to=" in page.url

    await page.go_back()
    await expect(page.locator(".log")).to_have_count(2)
    await page.locator("#histogram").hover()
    await page.get_by_role("button", name="zoom out").click()
    await expect(page.locator(".log")).to_have_count(2)


async def test_a_facet_shows_what_is_common_and_a_click_narrows_or_leaves_out(logs, url, page):
    for number in range(6):
        await logs.add(
            f"log {number}", service={"name": f"s {number % 2}"}, labels={"region": "eu" if number else "us"}
        )
    await open_search(page, url, live="0")
    facet = page.get_by_role("region", name="service.name")
    await expect(facet).to_contain_text("3")
    await facet.get_by_title("Only s 0").click()
    await expect(page.locator(".log")).to_have_count(3)

    assert 'service.name:"s 0"' == await page.input_value("#q")

    await page.locator("#facet-field").focus()
    await page.locator("#facet-field option[value='labels.region']").wait_for(state="attached")
    await page.select_option("#facet-field", "labels.region")
    region = page.get_by_role("region", name="labels.region")
    await region.get_by_title("Without us").click()
    await expect(page.locator(".log")).to_have_count(2)


async def test_columns_are_chosen_from_the_fields_there_are_and_stay_in_the_link(logs, url, page):
    await logs.add("one", labels={"region": "eu-1"})
    await open_search(page, url, live="0")
    await page.locator("#columns summary").click()
    await page.get_by_label("labels.region").check()
    await expect(page.locator(".log td.value")).to_have_text("eu-1")
    await expect(page).to_have_url(f"{url}/?columns=log.level%2Cservice.name%2Clabels.region%2Cmessage&live=0")
    await page.reload()
    await expect(page.locator(".log td.value")).to_have_text("eu-1")
    await page.locator("#logs th.value").hover()
    await page.get_by_role("button", name="Remove the column labels.region").click()
    await expect(page.locator(".log td.value")).to_have_count(0)


async def test_the_context_of_a_log_is_what_its_host_said_before_and_after(logs, url, page):
    for number in range(40):
        await logs.add(f"line {number}", age_ms=(40 - number) * 1000, host={"name": f"h{number % 2}"})
    await open_search(page, url, q='"line 20"', live="0")
    await page.locator(".line").click()
    await page.get_by_role("button", name="Show context").click()
    lines = page.locator("#context-body li bdi")
    await expect(lines).to_have_text([f"line {number}" for number in range(0, 40, 2)][0:20])
    await page.get_by_label("What the logs have in common").select_option("everything")
    await expect(lines).to_have_text([f"line {number}" for number in range(10, 31)])
    await page.get_by_role("button", name="Earlier").click()
    await expect(lines.first).to_have_text("line 0")
    await page.keyboard.press("Escape")
    await expect(page.locator("#context")).to_be_hidden()


async def test_the_context_of_a_log_is_its_trace_across_services_when_it_has_one(logs, url, page):
    for number in range(4):
        trace = {"trace": {"id": "4bf92f3577b34da6a3ce929d0e0e4736"}} if number != 2 else {}
        fields = {"service": {"name": f"s{number}"}, "host": {"name": "h"}, **trace}
        await logs.add(f"line {number}", age_ms=(40 - number) * 1000, **fields)
    await open_search(page, url, live="0")
    row = log_with(page, "line 1")
    await row.locator(".line").click()
    await row.get_by_role("button", name="Show context").click()
    same, lines = page.get_by_label("What the logs have in common"), page.locator("#context-body .said")
    await same.select_option("same trace")
    await expect(lines).to_have_text(["s0 h line 0", "s1 h line 1", "s3 h line 3"])
    await page.keyboard.press("Escape")
    other = log_with(page, "line 2")
    await other.locator(".line").click()
    await other.get_by_role("button", name="Show context").click()
    await expect(lines).to_have_text(["line 2"])

    assert "service,host" == await same.input_value()
    assert await same.locator("[value='trace.id']").is_disabled()


async def test_fields_and_their_values_are_completed(logs, url, page):
    await logs.add("one", service={"name": "auth service"})
    await logs.add("two", service={"name": "web"})
    await open_search(page, url, live="0")
    await page.click("#q")
    await page.keyboard.type("serv")
    offered = page.locator("#completions li")
    await offered.filter(has_text="service.name").first.click()
    await expect(offered).to_have_count(2)
    await page.keyboard.type("au")
    await expect(offered).to_have_count(1)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")

    assert 'service:"auth service" ' == await page.input_value("#q")

    await page.keyboard.press("Enter")
    await expect(page.locator(".log")).to_have_count(1)


async def test_logs_appear_while_they_pass_and_wait_while_paused(logs, url, page):
    await logs.add("stored", age_ms=5000)
    await open_search(page, url, q="-noise")
    await expect_log(page, "stored")
    async with page.expect_request("**/api/logs/search*"):  # the look at what passed before the tail was there
        pass
    logs.passing("passing by")
    logs.passing("noise")
    await expect_log(page, "passing by")
    await page.get_by_role("button", name="Pause").click()
    logs.passing("while paused")
    await expect(page.locator("#arrived")).to_have_text("1 new log ↑")

    assert ["passing by", "stored"] == await shown_messages(page)

    await page.get_by_role("button", name="Go on").click()
    await expect_log(page, "while paused")
    await expect(page.locator("#arrived")).to_be_hidden()


async def test_a_search_is_saved_under_a_name_and_found_again(logs, url, page):
    await logs.add("alpha")
    await logs.add("beta")
    await open_search(page, url, live="0")
    await search_for(page, "alpha")
    await page.locator("#saved summary").click()
    await page.fill("#save-name", "The <b>alphas</b>")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.get_by_role("link", name="The <b>alphas</b>").wait_for()
    await open_search(page, url)
    await page.locator("#saved summary").click()
    await page.get_by_role("link", name="The <b>alphas</b>").click()
    await expect(page.locator(".log")).to_have_count(1)

    assert "alpha" == await page.input_value("#q")

    await page.locator("#saved summary").click()
    await page.get_by_role("button", name="Delete The <b>alphas</b>").click()
    await expect(page.locator("#saved-note")).to_contain_text("None yet")


async def test_the_keyboard_is_enough(logs, url, page):
    for number in range(3):
        await logs.add(f"log {number}", age_ms=number * 1000)
    await open_search(page, url, live="0")
    await page.keyboard.press("Escape")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(log_with(page, "log 1").locator(".details")).to_be_visible()
    await page.keyboard.press("c")
    await expect(page.locator("#context li.this")).to_contain_text("log 1")
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.locator("#help")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("/")
    await page.keyboard.type("2")
    await page.keyboard.press("Enter")
    await expect(page.locator(".log")).to_have_count(1)


async def test_no_text_of_any_log_runs_wherever_it_is_shown(logs, url, page):
    for text in XSS:
        fields = {"service": {"name": text}, "host": {"name": text}, "log": {"level": text}, "labels": {text: text}}
        await logs.add(text, **fields)
    await open_search(page, url, live="0", columns=f"log.level,labels.{XSS[0]},message")
    await expect(page.locator(".log")).to_have_count(len(XSS))
    for row in await page.locator(".line").all():
        await row.click()
    await page.get_by_role("button", name="Raw").first.click()
    await page.locator("#columns summary").click()
    await expect(page.locator("#columns-body")).to_contain_text("onerror")
    await page.locator("#facet-field").focus()
    await page.locator("#facet-field option").nth(1).wait_for(state="attached")
    await page.locator(".plot").hover()
    await page.locator(".details").last.get_by_role("button", name="Show context").click()
    await expect(page.locator("#context li.this")).to_be_visible()
    logs.passing(XSS[0])

    assert [1, 0, 0] == [
        await page.locator(selector).count() for selector in ("img", "script:not([src])", "iframe, svg[onload], math")
    ]


async def test_colours_can_be_chosen_and_are_kept(logs, url, page):
    await open_search(page, url)
    light = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.click("#theme")
    await page.click("#theme")
    dark = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.reload()

    assert light != dark
    assert dark == await page.evaluate("getComputedStyle(document.body).backgroundColor")


async def test_the_api_is_described_on_a_page_of_its_own(url, page):
    await page.goto(f"{url}/docs")
    await expect(page.locator("#searchLogs")).to_contain_text("/api/logs/search")
    await expect(page.locator("#saveSearch")).to_contain_text("application/json")
    await expect(page.locator("#schema-Page")).to_contain_text("highlights")


async def test_on_a_phone_every_menu_fits_the_screen(logs, url):
    await logs.add("word" * 100, service={"name": "s" * 100}, labels={"k" * 90: "v" * 200})
    async with browser_page(width=390, height=844) as page:
        await open_search(page, url)
        await page.locator("#facets summary").click()
        await page.get_by_role("region", name="service.name").wait_for()
        for menu in ("#columns", "#export", "#saved"):
            await page.locator(f"{menu} summary").click()
            box = await page.locator(f"{menu} > div").bounding_box()

            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390

        assert 390 == await page.evaluate("document.documentElement.scrollWidth")


@pytest.mark.embedded
async def test_of_a_search_that_finds_a_hundred_thousand_logs_only_the_pages_asked_for_are_drawn(logs, page, tmp_path):
    from logsync_streams.storage.embedded import EmbeddedStore

    store = EmbeddedStore(tmp_path / "store")
    await store.create(TARGET)
    levels = ("info", "warn", "error")
    for start in range(0, 100_000, 5000):
        numbers = range(start, start + 5000)
        await store.write([logs.document(f"log {n}", n * 200, {"log": {"level": levels[n % 3]}}) for n in numbers])
    await store.refresh()
    try:
        async with serving(create_app(store, Settings(data_dir=tmp_path))) as url:
            await open_search(page, url, live="0", **{"from": "now-6h"})
            one = await seconds_until_found(page, "77777", "1 log")
            all_of_them = await seconds_until_found(page, "log", "100,000 logs")
            for pages in range(1, 6):
                await page.locator("#more").click()
                await expect(page.locator(".log")).to_have_count(50 + 100 * pages)
            await page.evaluate("scrollTo(0, 0)")
            await drag_over_plot(page, 0.2, 0.6)
            await expect(page.locator("#summary")).not_to_contain_text("100,000")
            await expect(page.locator(".log")).to_have_count(50)
    finally:
        await store.close()
    print(f"seconds from Enter to the drawn logs: {one:.2f} for 1 hit, {all_of_them:.2f} for 100,000")
