from __future__ import annotations

from datetime import date

import orjson
import pytest

from logsync_streams.query.language import parse
from logsync_streams.storage.api import All, SearchRequest, Text
from logsync_streams.storage.evaluate import compiled
from logsync_streams.storage.factory import Store
from logsync_streams.storage.memory import MemoryStore
from retention.archive import ArchiveDamaged
from retention.objects import MemoryObjects
from retention.plan import Action, restored_until
from retention.restore import Wanted, archives, restore, restored_dataset, search
from tests.contract.documents import NOON, stored
from tests.contract.steps import all_hits, found
from tests.retention import AUTH_TARGET, POLICIES, archived, archiver, documents, fill, stored_ids
from tests.unit.test_retention_archiver import run_once

UNTIL = date(2026, 12, 10)


@pytest.fixture
async def kept(tmp_path):
    """A store that is empty again, the archive of what it held, and that."""
    one = MemoryStore()
    store, objects, logs = Store(one, one, one), MemoryObjects(), documents(120, AUTH_TARGET, "auth")
    await fill(store, logs)
    await run_once(archiver(store.admin, objects, tmp_path))
    (archive,) = archives(POLICIES, lambda _: objects)
    return store, objects, archive, logs


async def test_what_is_restored_is_document_for_document_what_was_there_and_is_found(kept):
    store, objects, archive, logs = kept
    before = archived(objects)

    done = await restore(objects, archive, Wanted(), store, UNTIL, dry_run=False)
    hits = await all_hits(store.reader, SearchRequest(All()))

    assert (120, 0) == (done.documents, done.there)
    assert {log.id: stored(log) for log in logs} == {hit.id: hit.document for hit in hits} == before
    assert {logs[7].id} == await found(store.reader, Text("line 7"))  # a sub-word: the words are there again
    assert {"logsync-restored-20261210-auth-2026.11.24-000001"} == {hit.index for hit in hits}


async def test_restoring_twice_brings_each_log_back_once(kept):
    store, objects, archive, _ = kept
    await restore(objects, archive, Wanted(), store, UNTIL, dry_run=False)

    again = await restore(objects, archive, Wanted(), store, date(2027, 1, 1), dry_run=False)

    assert (0, 120) == (again.documents, again.there)
    assert 120 == len(await stored_ids(store.admin))


async def test_a_service_a_time_and_a_query_choose(kept):
    store, objects, archive, logs = kept
    wanted = Wanted("auth", NOON + 10, NOON + 60, compiled(parse("user.id:42 OR user.id:77")))

    done = await restore(objects, archive, wanted, store, UNTIL, dry_run=False)

    assert 1 == done.documents
    assert {logs[42].id} == await stored_ids(store.admin)
    assert [stored(logs[42])] == list(search(objects, archive, wanted, lambda _: None))
    assert [] == list(search(objects, archive, Wanted("pay"), lambda _: None))


async def test_a_dry_run_restores_nothing(kept):
    store, objects, archive, _ = kept

    done = await restore(objects, archive, Wanted(), store, UNTIL, dry_run=True)

    assert 120 == done.documents
    assert [] == await store.admin.indices()


async def test_what_is_erased_while_the_index_is_being_made_is_not_brought_back(kept):
    store, objects, archive, logs = kept
    creating = store.admin.create

    async def slow_create(target):
        erased.add(logs[3].id)
        await creating(target)

    erased: set[str] = set()
    store.admin.create = slow_create

    async def among(ids):
        return erased & set(ids)

    await restore(objects, archive, Wanted(), store, UNTIL, dry_run=False, erased=among)

    assert {log.id for log in logs} - {logs[3].id} == await stored_ids(store.admin)


async def test_nothing_of_a_damaged_part_is_restored(kept):
    store, objects, archive, _ = kept
    key = archive.manifest.parts[0].key
    objects.held[key] = objects.held[key][:-1]

    with pytest.raises(ArchiveDamaged, match=key):
        await restore(objects, archive, Wanted(), store, UNTIL, dry_run=False)

    assert [] == await store.admin.indices()


async def test_restored_logs_go_at_their_expiry_and_are_not_archived_again(kept, tmp_path):
    store, objects, archive, _ = kept
    await restore(objects, archive, Wanted(), store, date(2026, 12, 1), dry_run=False)
    held = dict(objects.held)

    early = (await archiver(store.admin, objects, tmp_path, now=lambda: NOON).plan({})).entries
    receipt = await run_once(archiver(store.admin, objects, tmp_path, now=lambda: NOON + 30 * 86_400_000))

    assert [Action.KEEP] == [entry.action for entry in early]
    assert [120] == list(receipt.dropped.values())
    assert held == objects.held


def test_the_name_of_a_restored_dataset_says_its_last_day_however_long_the_name():
    name = restored_dataset(UNTIL, "a" * 63)

    assert (63, UNTIL) == (len(name), restored_until(name))
    assert name != restored_dataset(UNTIL, "a" * 62)


def test_a_manifest_of_another_make_is_refused(kept):
    from retention.archive import decode_manifest

    with pytest.raises(ArchiveDamaged, match="some/manifest"):
        decode_manifest("some/manifest", orjson.dumps({"format": "other", "sha256": ""}))
