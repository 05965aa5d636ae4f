"""`logsync archive prune`: what it asks, prints, and answers as exit code."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
from collections.abc import Callable
from functools import partial

from logsync_streams.cli.confirm import confirmed
from logsync_streams.cli.damaged import Damaged
from logsync_streams.cli.printing import escape
from logsync_streams.cli.progress import progress_bar
from logsync_streams.cli.retention import DONE, Say, in_a_sentence, opened
from logsync_streams.errors import LogSyncError
from logsync_streams.settings import Settings
from logsync_streams.worker import now_ms
from retention.prune import Pruned, PrunePlan, Pruner, make_plan, unfinished
from retention.restore import archives

NONE_PRUNED = 1  # exit code


def prune(settings: Settings, *, yes: bool, dry_run: bool, say: Say) -> int:
    """Remove the archives that have had their time; exit code NONE_PRUNED when there are none, or nobody said yes.

    An archive whose manifest is damaged is named and stays; exit code FAILED.
    """

    async def act() -> int:
        async with opened(settings) as one:
            damaged = Damaged()

            async def look(damaged: Callable[[LogSyncError], None]) -> PrunePlan:
                aliases = {info.name.alias for info in await one.store.admin.indices()}
                left = await unfinished(one.state, one.archiver.objects)
                listed = partial(archives, one.policies, one.archiver.objects, damaged=damaged)
                found = await asyncio.to_thread(lambda: list(listed()))
                return make_plan(one.policies, found, aliases, now_ms(), left)

            plan = await look(damaged)
            for line in lines(plan):
                say(escape(line))
            going = [*plan.left, *plan.due]
            if not going or dry_run:
                return damaged.or_else(DONE if going else NONE_PRUNED)
            if not confirmed(f"remove {len(going)} archives for ever", len(going), yes=yes):
                return damaged.or_else(NONE_PRUNED)
            async with one.lease() as lease:
                # Looked at again: what was confirmed is what goes, without what must stay since then.
                now, agreed = await look(lambda _: None), {pruned.folder for pruned in going}
                plan = PrunePlan(_of(now.due, agreed), now.held, _of(now.left, agreed))
                with progress_bar() as progress:
                    pruner = Pruner(one.archiver.objects, one.state, now_ms, who(), lease.check, progress=progress)
                    done = await pruner.run(plan)
        say(f"removed {len(done)} archives with {sum(one.documents for one in done)} documents for ever")
        return damaged.or_else(DONE)

    return in_a_sentence(act)


def who() -> str:
    """Who deletes, for the receipt."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in many containers
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def lines(plan: PrunePlan) -> list[str]:
    """The plan for people."""
    shown = []
    for pruned in (*plan.left, *plan.due):
        shown.append(
            f"{pruned.day}  {pruned.dataset}  {pruned.documents} documents  {pruned.size_bytes} bytes  "
            f"s3://{pruned.bucket}/{pruned.folder}"
        )
        shown.append(f"    {pruned.reason}")
        shown += [f"    {service or '(no service)'}: {n} documents" for service, n in sorted(pruned.services.items())]
        if pruned in plan.left:
            shown.append("    an earlier run has begun to remove it")
    shown += [f"held back {folder}: {why}" for folder, why in plan.held]
    going = [*plan.left, *plan.due]
    size, documents = sum(one.size_bytes for one in going), sum(one.documents for one in going)
    shown.append(f"due now: {len(going)} archives, {documents} documents, {size} bytes; {plan.kept} are to be kept")
    return shown


def _of(some: tuple[Pruned, ...], folders: set[str]) -> tuple[Pruned, ...]:
    return tuple(one for one in some if one.folder in folders)
