"""`logsync dlq list`, `show`, `replay` and `drop`: what they ask, print, and answer as exit code."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec

import orjson

from logsync_streams import dead_letter
from logsync_streams.cli.confirm import confirmed
from logsync_streams.cli.printing import escape
from logsync_streams.dead_letter import DeadLetterRecord
from logsync_streams.dlq import journal
from logsync_streams.dlq.letters import Group, Letter, Selection, groups
from logsync_streams.dlq.replay import Outgoing, Stays, replayed
from logsync_streams.errors import DEAD_LETTER_CATEGORIES, ConfigurationError, Unavailable
from logsync_streams.events import iso_time
from logsync_streams.settings import Settings

DONE, NOT_ALL, FAILED = 0, 1, 2  # exit codes

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which letters the operator named, as typed."""

    ids: tuple[str, ...] = ()
    category: str = ""
    stage: str = ""
    since: str = ""
    everything: bool = False

    def selection(self, *, named: bool = False) -> Selection:
        """named: something must be chosen, be it `--all`. Raises ConfigurationError for what cannot be meant."""
        problems = []
        if self.category and self.category not in DEAD_LETTER_CATEGORIES:
            problems.append(f"--category {self.category!r}: one of {', '.join(DEAD_LETTER_CATEGORIES)} is expected")
        chosen = self.ids or self.category or self.stage or self.since
        if named and not chosen and not self.everything:
            problems.append("which? name ids, --category, --stage or --since; or all of them with --all")
        if self.everything and chosen:
            problems.append("--all is everything: leave it out, or leave out what else was named")
        since = None
        if self.since:
            try:
                since = _moment(self.since)
            except ValueError as error:
                problems.append(f"--since {error}")
        if problems:
            raise ConfigurationError(problems)
        return Selection(frozenset(self.ids), self.category, self.stage, since)


def _in_a_sentence(
    act: Callable[Concatenate[Settings, P], Awaitable[int]],
) -> Callable[Concatenate[Settings, P], int]:
    """The action as a plain function; what an operator can mend is said in a sentence, and is exit code 2."""

    @wraps(act)
    def run(settings: Settings, /, *args: P.args, **kwargs: P.kwargs) -> int:
        async def acting() -> int:
            return await act(settings, *args, **kwargs)

        try:
            return asyncio.run(acting())
        except Unavailable as error:
            print(f"logsync: {escape(str(error))}", file=sys.stderr)
        except ConfigurationError as error:
            for problem in error.problems:
                print(f"logsync: {escape(problem)}", file=sys.stderr)
        return FAILED

    return run


@_in_a_sentence
async def list_(settings: Settings, wanted: Wanted, *, as_json: bool) -> int:
    """Print the open letters by group, and how many were dropped for ever."""
    selection = wanted.selection()
    ledger = await journal.read(settings.kafka)
    letters = [letter for letter in ledger.open() if selection.takes(letter)]
    found = groups(letters)
    dropped = sorted(ledger.dropped().items())
    if as_json:
        answer = {
            "open": len(letters),
            "groups": [_as_json(group) for group in found],
            "dropped": [{"stage": s, "category": c, "letters": number} for (s, c), number in dropped],
            "unreadable": ledger.unreadable,
        }
        print(orjson.dumps(answer).decode())
        return DONE
    print(f"{_letters(len(letters))} open" + (":" if found else ""))
    for group in found:
        print(f"\n{group.letters:>7}  {escape(group.category)} in {escape(group.stage)}: {escape(group.reason)}")
        print(
            f"         first {iso_time(group.first)}, last {iso_time(group.last)}, "
            f"attempts {group.most_attempts}, e.g. {escape(group.example)}"
        )
    for (stage, category), number in dropped:
        print(f"\n{number:>7}  dropped for ever: {escape(category)} in {escape(stage)}")
    if ledger.unreadable:
        print(f"\n{ledger.unreadable:>7}  records of logs-dlq that are no letters of ours")
    return DONE


@_in_a_sentence
async def show(settings: Settings, event_id: str, *, raw: bool) -> int:
    """Print the headers and the bytes of every open letter of this event."""
    letters = await _open(settings, Selection(frozenset({event_id})))
    async for chunk in journal.chunks(settings.kafka, letters):
        for letter, record in chunk:
            if raw:
                sys.stdout.buffer.write(record.value)
            else:
                print("\n".join(described(letter, record)))
    if not letters:
        print(f"logsync: no open dead letter has the id {escape(event_id)}", file=sys.stderr)
    return DONE if letters else NOT_ALL


@_in_a_sentence
async def replay(settings: Settings, wanted: Wanted, *, dry_run: bool) -> int:
    """Send back what is wanted; what must stay is named, and is exit code 1, as is finding nothing."""
    letters = await _open(settings, wanted.selection(named=True))
    if not letters:
        print("no open dead letter is meant")
        return NOT_ALL
    stays: Counter[str] = Counter()
    examples: dict[str, str] = {}
    sent: Counter[str] = Counter()

    def keep(letter: Letter, why: Stays) -> None:
        stays[str(why)] += 1
        examples.setdefault(str(why), letter.event_id)

    async with journal.open_journal(settings.kafka) as out:
        async for chunk in journal.chunks(settings.kafka, letters):
            going: list[tuple[Letter, DeadLetterRecord, Outgoing]] = []
            for letter, record in chunk:
                try:
                    going.append((letter, record, replayed(record, settings)))
                except Stays as why:
                    keep(letter, why)
            if dry_run:
                sent.update(outgoing.topic for _, _, outgoing in going)
                continue
            answers = await out.replay(going)
            for (_, _, outgoing), (letter, refused) in zip(going, answers, strict=True):
                if refused is None:
                    sent[outgoing.topic] += 1
                else:
                    keep(letter, refused)
    for topic, number in sorted(sent.items()):
        print(f"{_letters(number)} {'would go' if dry_run else 'went'} back to {topic}")
    for reason, number in stays.most_common():
        print(f"{_letters(number)} {'stays' if number == 1 else 'stay'} (e.g. {escape(examples[reason])}): {reason}")
    if sent and not dry_run:
        print("what fails again is listed again, with one attempt more: logsync dlq list")
    return DONE if sent and not stays else NOT_ALL


@_in_a_sentence
async def drop(settings: Settings, wanted: Wanted, *, yes: bool, dry_run: bool = False) -> int:
    """Mark what is wanted as dropped, once the operator has typed how many that are. dry_run: only show these."""
    letters = await _open(settings, wanted.selection(named=True))
    if not letters:
        print("no open dead letter is meant")
        return NOT_ALL
    for group in groups(letters):
        print(f"{group.letters:>7}  {escape(group.category)} in {escape(group.stage)}: {escape(group.reason)}")
    if dry_run:
        print(f"{_letters(len(letters))} would be dropped for ever")
        return DONE
    if not confirmed(f"drop {_letters(len(letters))} for ever", len(letters), yes=yes):
        return NOT_ALL
    number = 0
    async with journal.open_journal(settings.kafka) as out:
        async for chunk in journal.chunks(settings.kafka, letters):
            await out.mark(chunk, dead_letter.DROPPED)
            number += len(chunk)
    print(f"{_letters(number)} dropped for ever")
    return DONE


def described(letter: Letter, record: DeadLetterRecord) -> list[str]:
    """A letter in lines that are safe to print: nothing in it steers the terminal."""
    source = f"{record.topic}, partition {record.partition}, offset {record.offset}, event {record.index}"
    lines = {
        "id": record.event_id,
        "failed": f"in {record.stage}, {record.category}, attempts {record.attempts}",
        "error": record.error,
        "first": iso_time(letter.first),
        "last": iso_time(letter.last),
        "received": iso_time(record.received_at),
        "source": source,
        "door": " ".join(filter(None, (record.source, record.format, record.peer))),
        "target": record.target,
        "holds": f"{record.holds}, {len(record.value)} bytes",
    }
    shown = [f"{name + ':':<10}{escape(text)}" for name, text in lines.items() if text]
    return [*shown, "", escape(record.value.decode(errors="backslashreplace")), ""]


async def _open(settings: Settings, selection: Selection) -> list[Letter]:
    return [letter for letter in (await journal.read(settings.kafka)).open() if selection.takes(letter)]


def _letters(number: int) -> str:
    return f"{number} dead letter{'' if number == 1 else 's'}"


def _as_json(group: Group) -> dict[str, object]:
    return {
        "category": group.category,
        "stage": group.stage,
        "reason": group.reason,
        "letters": group.letters,
        "first": iso_time(group.first),
        "last": iso_time(group.last),
        "attempts": group.most_attempts,
        "example": group.example,
    }


def _moment(text: str) -> int:
    """Epoch ms of a time as the query API takes it. Raises ValueError with what is expected."""
    from starlette.datastructures import QueryParams

    from logsync_streams.query.parameters import time_range
    from logsync_streams.query.problems import BadParameter

    try:
        start, _ = time_range(QueryParams({"from": text}), time.time_ns() // 1_000_000)
    except BadParameter as error:
        raise ValueError(f"{text!r} is no time: 2026-11-24T10:00:00Z, milliseconds since 1970, or now-15m") from error
    return start or 0
