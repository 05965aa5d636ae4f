"""The page in headless Chromium, over the in-memory store."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from playwright.async_api import Page as BrowserPage
from playwright.async_api import expect

from logsync_streams.errors import Unavailable
from logsync_streams.events import event_id, iso_time, uuid7_hex
from logsync_streams.query.app import create_app
from logsync_streams.settings import Settings
from logsync_streams.storage.api import Document, Page, SearchRequest
from logsync_streams.storage.memory import MemoryStore
from tests.browser import browser_page, expect_log, log_with, open_search, search_for, serving, shown_messages

pytestmark = pytest.mark.browser

TARGET = "logsync-default-2026.11.24"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202egnp.exe\x1b[31m &amp; {{7*7}}"


class Store(MemoryStore):
    away = False

    async def search(self, request: SearchRequest) -> Page:
        if self.away:
            raise Unavailable("the store is away")
        return await super().search(request)

    async def add(self, message: str, *, age_ms: int = 0, **fields: object) -> str:
        now = time.time_ns() // 1_000_000 - age_ms
        id_ = event_id(uuid7_hex(now), 0)
        document = {"event": {"id": id_}, "@timestamp": iso_time(now), "message": message, **fields}
        await self.write([Document(TARGET, id_, json.dumps(document).encode())])
        return id_


@dataclass
class Rates:
    services: list[dict[str, object]] = field(default_factory=list)

    def __call__(self) -> dict[str, object]:
        return {"as_of_ms": 0, "services": self.services}


@pytest.fixture
async def store() -> Store:
    store = Store()
    await store.create(TARGET)
    return store


@pytest.fixture
def rates() -> Rates:
    return Rates()


@pytest.fixture
async def url(store: Store, rates: Rates) -> AsyncIterator[str]:
    async with serving(create_app(store, Settings(), rates=rates)) as url:
        yield url


@pytest.fixture
async def page() -> AsyncIterator[BrowserPage]:
    async with browser_page() as page:
        yield page


async def test_a_log_that_was_sent_a_moment_ago_appears_by_itself_on_top(store, url, page):
    await store.add("the first", age_ms=5000)
    await open_search(page, url)
    await expect_log(page, "the first")
    await store.add("the second")
    await expect_log(page, "the second")

    assert ["the second", "the first"] == await shown_messages(page)


async def test_the_empty_page_says_how_to_send_a_log_and_shows_the_first_that_comes(store, url, page):
    await open_search(page, url, **{"from": ""})
    await expect(page.locator("#empty")).to_contain_text("curl -d")
    await store.add("hello")
    await expect_log(page, "hello")
    await expect(page.locator("#empty")).to_be_hidden()


async def test_hostile_text_is_shown_as_text(store, url, page, rates):
    rates.services = [
        {
            "service": HOSTILE,
            "windows": {"5m": {"events": 4, "errors": 1, "error_ratio": 0.25, "errors_per_second": 0.1}},
        }
    ]
    await store.add(
        HOSTILE, service={"name": HOSTILE}, log={"level": HOSTILE}, host={"name": HOSTILE}, labels={HOSTILE: HOSTILE}
    )
    await open_search(page, url, q=f'labels.x:"{HOSTILE}" OR *')
    row = await expect_log(page, "<img src=x onerror=alert(1)>")
    await row.locator(".line").click()
    await expect(row.locator(".details")).to_contain_text("<script>alert(2)</script>\\u202egnp.exe\\u001b[31m &amp;")
    await expect(page.locator("#rates")).to_contain_text("<img src=x")
    await expect(page.locator("#rates")).to_contain_text("25 %")

    assert [1, 0, 0] == [
        await page.locator(selector).count() for selector in ("img", "script:not([src])", "#logs img, #rates img")
    ]


async def test_a_row_opens_to_all_fields_and_stays_open_while_new_logs_come(store, url, page):
    id_ = await store.add("with fields", age_ms=1000, labels={"order": {"id": "9"}}, tags=["a", "b"])
    await open_search(page, url)
    row = await expect_log(page, "with fields")
    await row.get_by_role("button", name="Show all fields").click()
    details = row.locator(".details")
    for text in ("labels.order.id", "event.id", id_, "logsync-default-2026.11.24-000001"):
        await expect(details).to_contain_text(text)
    await store.add("newer")
    await expect_log(page, "newer")
    await expect(details).to_be_visible()
    await row.locator("td.message").click()
    await expect(details).to_be_hidden()


async def test_a_field_narrows_the_search_and_the_link_leads_to_the_one_log(store, url, page):
    await store.add("one", host={"name": "web 1"})
    await store.add("two", host={"name": "web 2"})
    await open_search(page, url)
    row = await expect_log(page, "one")
    await row.locator(".line").click()
    await row.get_by_title("Only logs with host.name like this").click()
    await expect(page.locator(".log")).to_have_count(1)

    assert 'host.name:"web 1"' == await page.input_value("#q")

    await log_with(page, "one").locator(".line").click()
    await page.get_by_role("link", name="Link to this log").click()
    await expect(page.locator(".log")).to_have_count(1)

    assert (await page.input_value("#q")).startswith("id:")


async def test_load_more_brings_every_log_once_in_order(store, url, page):
    for number in range(170):
        await store.add(f"log {number}", age_ms=number * 1000)
    await open_search(page, url, live="0")
    for shown in (50, 150, 170):
        await expect(page.locator(".log")).to_have_count(shown)
        if shown < 170:
            await page.get_by_role("button", name="Load more").click()
    await expect(page.get_by_role("button", name="Load more")).to_be_hidden()

    assert [f"log {number}" for number in range(170)] == await shown_messages(page)


async def test_a_bad_query_shows_the_column_and_is_gone_with_the_next(store, url, page):
    await store.add("fine")
    await open_search(page, url)
    await search_for(page, '"🙂 fine" servce:auth')
    problem = page.locator("#problem")
    await expect(problem).to_contain_text("did you mean service?")
    await expect(problem.locator("mark")).to_have_text("s")
    await expect(problem.get_by_label("column 10")).to_have_text('"🙂 fine" servce:auth')
    await search_for(page, "fine")
    await expect_log(page, "fine")
    await expect(problem).to_be_hidden()


async def test_a_store_that_is_away_is_said_and_the_page_comes_back_by_itself(store, url, page):
    await store.add("back again")
    store.away = True
    await open_search(page, url)
    await expect(page.locator("#problem")).to_contain_text("the store is away")
    await expect(page.locator("#problem")).to_contain_text("Trying again")
    store.away = False
    await expect_log(page, "back again")
    await expect(page.locator("#problem")).to_be_hidden()


async def test_the_search_stands_in_the_url_and_the_way_back_leads_through_it(store, url, page):
    await store.add("alpha")
    await store.add("beta")
    await open_search(page, url, live="0")
    await search_for(page, "alpha")
    await expect(page.locator(".log")).to_have_count(1)
    await page.get_by_label("Time range").select_option("Last 7 days")
    await expect(page).to_have_url(f"{url}/?q=alpha&from=now-7d&live=0")
    await page.reload()
    await expect_log(page, "alpha")

    assert ("alpha", "now-7d", False) == (
        await page.input_value("#q"),
        await page.input_value("#range"),
        await page.is_checked("#live"),
    )

    await page.go_back()
    await page.go_back()
    await expect(page.locator(".log")).to_have_count(2)


async def test_the_order_can_be_turned_round(store, url, page):
    await store.add("early", age_ms=1000)
    await store.add("late")
    await open_search(page, url, live="0")
    await page.get_by_role("button", name="Time").click()
    await expect(page.locator(".log td.message").first).to_have_text("early")

    assert ["early", "late"] == await shown_messages(page)


async def test_an_empty_range_offers_to_search_all_time(store, url, page):
    await store.add("long ago", age_ms=30 * 86_400_000)
    await open_search(page, url, q="ago")
    await page.get_by_role("button", name="Search all time").click()
    await expect_log(page, "long ago")


async def test_a_query_that_finds_nothing_offers_to_leave_it_out(store, url, page):
    await store.add("something")
    await open_search(page, url, q="level:errr", live="0")
    await page.get_by_role("button", name="Leave the query out").click()
    await expect_log(page, "something")

    assert "" == await page.input_value("#q")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_on_a_phone_nothing_is_wider_than_the_screen(store, url, rates, scheme):
    rates.services = [
        {"service": "s" * 60, "windows": {"5m": {"events": 4, "errors": 1, "error_ratio": 0.25}}},
    ]
    await store.add("word" * 200, service={"name": "s" * 200}, log={"level": "l" * 32}, labels={"k" * 200: "v" * 200})
    async with browser_page(width=390, height=844, scheme=scheme) as page:
        await open_search(page, url)
        await page.locator(".line").click()
        await page.locator("#rates summary").click()
        await expect(page.locator("#rates")).to_contain_text("25 %")

        assert 390 == await page.evaluate("document.documentElement.scrollWidth")
