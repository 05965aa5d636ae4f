"""Where the CPU of `process` and `index` goes, without Kafka and store: `python -m bench.parts`, µs an event by part.

Each line is measured alone over the same seeded envelopes, the best of a few rounds, so that a change of one part is
seen at once; the rows of `python -m bench` say what the whole costs.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import orjson
from aiokafka.codec import zstd_encode

from agents.count import Tally, count
from agents.document import document
from agents.enrich import enrich, enrichments
from agents.filter import drop_noise
from agents.process import Outcome, Processor
from bench.generator import envelopes, events
from bench.handloop import lines, stamp
from bench.results import update, versions
from logsync_streams import enriched
from logsync_streams.envelope import RawRecord, as_event, encode
from logsync_streams.events import Event
from logsync_streams.parsing import PARSERS
from logsync_streams.settings import ProcessSettings
from logsync_streams.storage.api import Document
from logsync_streams.storage.elasticsearch_client import MODERN, BulkJson
from logsync_streams.storage.elasticsearch_writer import bulk_body, unfit
from logsync_streams.words import words_field

RESULTS = Path(__file__).with_name("RESULTS.md")
_WHY = """\
Each part alone, over all events at once, so that caches are cold and the sum is above a worker's own figure. What
keeps P2, P3 and P5 from their goals is what the hand-written loop does not do: a second topic (pack, send, fetch,
unpack, find the ids), the search for secrets, counts and the fold, events as objects that stages hand on, checks of
every document and answer. The largest parts, parsing and the document, are orjson and dictionaries for the most, which
the loop has as well."""
_ROUNDS = 5
_RECORDS_A_BATCH = 4
_BULK = 2000
_TARGET = "logsync-default-2026.01.01"


class _OneDataset:
    routes = "[]"

    def dataset(self, service: str) -> str:
        return "default"


class _AnyDay(dict[date, _OneDataset]):
    def __missing__(self, day: date) -> _OneDataset:
        return _OneDataset()


def measure(number: int, rounds: int = _ROUNDS) -> dict[str, float]:
    """µs of CPU an event, by part, over `number` events."""
    now_ms = int(time.time() * 1000)
    made = list(events(number, seed=1, now_ms=now_ms))
    records = []
    for offset, envelope in enumerate(envelopes(made, seed=1, now_ms=now_ms)):
        value, headers = encode(envelope)
        records.append(RawRecord("logs", 0, offset, now_ms, value, headers))
    processor = _processor()
    decoded = processor.decode(records, Outcome())
    parse = PARSERS["json"]
    messages = [orjson.loads(event.data)["message"] for event in made]
    serializer = BulkJson()
    common = stamp(now_ms, "http", "192.0.2.1:4711")
    whole = asyncio.run(_outcome(processor, records))
    packed = [enriched.encode(record) for record in processor.enriched(whole, "logs", 0, 0, len(records))]

    def fresh() -> list[Event]:
        return [as_event(record, i, parse(data, now_ms)) for record in decoded for i, data in enumerate(record.events)]

    parts: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
        "hand loop: document, action": (
            lambda: None,
            lambda _: [lines("0" * 38, common, e.data) for e in made],
        ),
        "orjson loads": (lambda: None, lambda _: [orjson.loads(event.data) for event in made]),
        "words of the message": (lambda: None, lambda _: [words_field(message) for message in messages]),
        "process: decode envelopes": (Outcome, lambda outcome: processor.decode(records, outcome)),
        "process: parse": (lambda: None, lambda _: fresh()),
        "process: count": (fresh, lambda given: _drain(count(_stream(given), tally=Tally()))),
        "process: filter": (
            fresh,
            lambda given: _drain(drop_noise(_stream(given), rules=processor.rules, dropped=Counter())),
        ),
        "process: enrich": (fresh, lambda given: _drain(enrich(_stream(given), steps=processor.steps))),
        "an empty async generator": (fresh, lambda given: _drain(_stream(given))),
        "process: document": (
            lambda: _enriched_events(fresh(), processor),
            lambda given: [document(event, "default", keep_original=True) for event in given],
        ),
        "process: all stages": (lambda: None, lambda _: _outcome(processor, records)),
        "process: records of logs-enriched": (
            lambda: whole,
            lambda outcome: [enriched.encode(r) for r in processor.enriched(outcome, "logs", 0, 0, len(records))],
        ),
        "index: decode and ids": (lambda: None, lambda _: _documents(packed)),
        "index: is it fit to be sent": (lambda: _documents(packed), lambda given: [unfit(each) for each in given]),
        "index: the bulk request": (lambda: _documents(packed), lambda given: _requests(given)),
        "index: its answer": (lambda: _answers(whole), lambda given: [serializer.loads(each) for each in given]),
        "Kafka: pack logs-enriched (zstd)": (lambda: None, lambda _: [zstd_encode(value) for value, _ in packed]),
    }
    return {name: _best(prepare, work, rounds) / number * 1e6 for name, (prepare, work) in parts.items()}


def _best(prepare: Callable[[], Any], work: Callable[[Any], Any], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        given = prepare()
        begin = time.process_time()
        done = work(given)
        if isinstance(done, Awaitable):
            asyncio.run(_awaited(done))
        best = min(best, time.process_time() - begin)
    return best


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


def _processor() -> Processor:
    settings = ProcessSettings()
    return Processor(
        parsers=PARSERS,
        rules=settings.filter_rules,
        steps=enrichments({}),
        keep_original=True,
        max_enriched_bytes=settings.max_enriched_bytes,
        receive_time=lambda received_at, _: received_at,
    )


async def _outcome(processor: Processor, records: list[RawRecord]) -> Outcome:
    whole = Outcome()
    for first in range(0, len(records), _RECORDS_A_BATCH):
        outcome = Outcome()
        decoded = processor.decode(records[first : first + _RECORDS_A_BATCH], outcome)
        outcome = await processor.run(decoded, outcome, _AnyDay())
        whole.documents += outcome.documents
    return whole


def _enriched_events(given: list[Event], processor: Processor) -> list[Event]:
    for event in given:
        for step in processor.steps:
            step(event)
    return given


async def _stream(given: Iterable[Event]) -> AsyncIterator[Event]:
    for event in given:
        yield event


async def _drain(stream: AsyncIterator[Event]) -> None:
    async for _ in stream:
        pass


def _documents(packed: list[tuple[bytes, list[tuple[str, bytes]]]]) -> list[Document]:
    found = []
    for value, headers in packed:
        record = enriched.decode(value, headers)
        found += [Document(record.target, enriched.document_id(body), body) for body in record.documents]
    return found


def _requests(documents: list[Document]) -> list[bytes]:
    return [bulk_body(documents[first : first + _BULK], MODERN) for first in range(0, len(documents), _BULK)]


def _answers(outcome: Outcome) -> list[bytes]:
    """What Elasticsearch answers to these documents' bulk requests when all is well."""
    item = orjson.dumps({"create": {"_index": f"{_TARGET}-000001", "status": 201}})
    number = len(outcome.documents)
    return [b'{"items":[' + b",".join([item] * min(_BULK, number - first)) + b"]}" for first in range(0, number, _BULK)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.parts", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--dry", action="store_true", help="print only, leave bench/RESULTS.md as it is")
    options = parser.parse_args()
    found = measure(options.events)
    for name, microseconds in found.items():
        print(f"{microseconds:7.2f}  {name}")
    if not options.dry:
        update(RESULTS, [section(found, options.events)])


def section(found: dict[str, float], number: int) -> str:
    """The parts as Markdown."""
    head = f"## parts – where the CPU of process and index goes, µs an event ({number:,} events, best of {_ROUNDS})"
    rows = "\n".join(f"| {name} | {microseconds:.2f} |" for name, microseconds in found.items())
    foot = f"{time.strftime('%Y-%m-%d', time.gmtime())}; {'; '.join(versions([]))}"
    return f"{head}\n\n{_WHY}\n\n| part | µs |\n|---|---|\n{rows}\n\n{foot}\n"


if __name__ == "__main__":
    main()
