"""`logsync erase`: what it asks, prints, and answers as exit code."""

from __future__ import annotations

from starlette.datastructures import QueryParams

from logsync_streams.cli.archive_prune import who
from logsync_streams.cli.confirm import confirmed
from logsync_streams.cli.erase_letters import DeadLetters
from logsync_streams.cli.printing import escape
from logsync_streams.cli.progress import progress_bar
from logsync_streams.cli.retention import DONE, FAILED, Say, in_a_sentence, opened
from logsync_streams.errors import ConfigurationError, InvalidQuery, Unavailable
from logsync_streams.events import iso_time
from logsync_streams.query.language import parse
from logsync_streams.query.parameters import time_range
from logsync_streams.query.problems import BadParameter
from logsync_streams.settings import Settings
from logsync_streams.storage.api import And, Equals
from logsync_streams.worker import now_ms
from retention.erase import Eraser, settling
from retention.erase_find import Found, Where, held_lines
from retention.erase_receipt import Receipt, new_salt, proof_of, receipt_key, receipts
from retention.settled import behind

NONE_ERASED = 1  # exit code
_SEGMENT_DAYS = 8  # Kafka keeps a record up to segment.ms (a week, by default) longer than its retention; and a day


def where(query: str, service: str, start: str, end: str) -> Where:
    """What the operator typed. Raises ConfigurationError for what cannot be meant."""
    if not query.strip():
        raise ConfigurationError(
            ["--where: a query is expected, as 'user.id:42'; of all logs, drop their days instead"]
        )
    given = {name: value for name, value in (("from", start), ("to", end)) if value}
    try:
        first, last = time_range(QueryParams(given), now_ms())
        asked = parse(query)
    except (BadParameter, InvalidQuery) as error:
        raise ConfigurationError([str(error)]) from error
    return Where(And((asked, Equals("service.name", service))) if service else asked, first, last)


def erase(
    settings: Settings, query: str, service: str, start: str, end: str, *, yes: bool, dry_run: bool, say: Say
) -> int:
    """Erase logs for ever; exit code NONE_ERASED when there are none, or nobody said yes; FAILED with what to mend."""

    async def act() -> int:
        _check(settings)
        meant = where(query, service, start, end)
        async with opened(settings) as one:
            letters = DeadLetters(settings, one.policies)
            retention = settings.retention

            async def look(eraser: Eraser) -> Found:
                with progress_bar() as progress:
                    eraser.progress = progress
                    return await eraser.find(meant)

            eraser = Eraser(
                one.store,
                one.archiver.objects,
                one.policies,
                letters,
                one.state,
                now_ms,
                one.archiver.work,
                retention.max_erased_ids,
                retention.erased_ids_days,
                settling(settings.store.request_timeout_seconds),
            )
            found = await look(eraser)
            number = len(found.days())
            for line in [*lines(found), *await on_its_way(settings)]:
                say(escape(line))
            cut_off = any(not receipt.ended_at for receipt in await receipts(one.state))
            if dry_run or not (number or cut_off):
                return FAILED if found.problems or found.held else DONE if number else NONE_ERASED
            if number and not confirmed(f"erase {number} logs for ever", number, yes=yes):
                return NONE_ERASED
            if cut_off:
                say("an erasure before was cut off: what it left is removed; run the same one again, unless this is it")
            async with one.lease() as lease:
                eraser.check = lease.check
                salt = new_salt()
                if number:
                    # Twice: until no writer knows less, and until what such a one had begun is to be seen.
                    say(f"erasing: {2 * eraser.settle_seconds:.0f} s of it is waiting for writes that may be under way")
                receipt = await eraser.run(await look(eraser), who(), proof_of(query, salt))
        for line in receipt_lines(receipt):
            say(escape(line))
        say(f"to show later that it was this query, keep: {salt}")
        return FAILED if receipt.problems else DONE

    return in_a_sentence(act)


async def on_its_way(settings: Settings) -> list[str]:
    """What is said when logs are on their way, where nobody can find them. Raises Unavailable, ConfigurationError."""
    try:
        found = await behind(settings.kafka)
    except Unavailable:
        if not settings.kafka.embedded:
            raise
        return []  # the embedded broker forgets when it stops
    since = f", received since {iso_time(found.process_from)}" if found.process_from is not None else ""
    if not since and not found.waiting and not found.index_far:
        return []
    return [f"logs are on their way to the store{since}, and are not seen: erase again when they have come"]


def lines(found: Found) -> list[str]:
    """What would be erased, for people."""
    shown = [f"{len(ids)} in {index}" for index, ids in sorted(found.store.items())]
    shown += [
        f"{len(one.ids)} in s3://{one.found.destination.bucket}/{one.found.folder}" for one in found.archives if one.ids
    ]
    if found.letters:
        shown.append(f"{len(found.letters)} among the dead letters")
    shown += [f"cannot be looked into: {problem}" for problem in found.problems]
    shown += held_lines(found)
    shown.append(f"{len(found.days())} logs are meant, each counted once")
    return shown


def receipt_lines(receipt: Receipt) -> list[str]:
    """What was done, for people."""
    shown = [f"erased {number} from {index}" for index, number in sorted(receipt.store.items())]
    shown += [f"erased {number} from {folder}" for folder, number in sorted(receipt.archives.items())]
    shown += [f"erased {receipt.dead_letters} dead letters"] if receipt.dead_letters else []
    shown += [f"could not: {problem}" for problem in receipt.problems]
    return [*shown, f"receipt {receipt_key(receipt.begun_at, 'ended')} in logs-state, by {receipt.by}"]


def _check(settings: Settings) -> None:
    """Raises ConfigurationError when ids would be forgotten while a topic can bring their logs back."""
    needed = settings.kafka.raw_retention_days + _SEGMENT_DAYS
    if settings.retention.erased_ids_days < needed:
        raise ConfigurationError(
            [
                f"LOGSYNC_RETENTION__ERASED_IDS_DAYS: {settings.retention.erased_ids_days}: at least {needed} is "
                "expected, as long as Kafka may hold a log (LOGSYNC_KAFKA__RAW_RETENTION_DAYS and its segment.ms)"
            ]
        )
