"""F21, F22: the archiver killed at every step, on real Elasticsearch and S3's API: nothing is lost, one manifest."""

from __future__ import annotations

from retention.archiver import STEPS
from tests.faults.archive_process import runs
from tests.faults.archive_scene import Scene, moto, scene
from tests.retention import stored_ids

__all__ = ["moto", "scene"]

# One crash after the other on the same day, each run going on from what the last one left. What comes after the
# manifest comes once in a day's life: each of these has a day of its own.
ROUNDS = [STEPS[: STEPS.index("manifest") + 1], *((step,) for step in STEPS[STEPS.index("manifest") + 1 :])]


async def test_an_archiver_killed_at_every_step_loses_nothing_and_ends_with_one_manifest(scene: Scene):
    with runs(scene.store_url, scene.moto.url) as process:
        for number, steps in enumerate(ROUNDS):
            folder = scene.folder / str(number)
            await scene.new_day()
            for step in steps:
                code, _ = process.run(folder, step)
                await scene.check(f"killed at {step}")

                assert -9 == code
            ended = process.run(folder)

            assert (0, []) == ended
            await scene.check_ended()
    await scene.check_swept()


async def test_a_corrupt_object_is_named_and_the_index_stays(scene: Scene):
    await scene.new_day()
    with runs(scene.store_url, scene.moto.url) as process:
        assert -9 == process.run(scene.folder, "re-counted")[0]
        part = next(info for info in scene.objects.list("") if "part-" in info.key)
        content = b"".join(scene.objects.read(part.key))
        scene.objects.put(part.key, content[:50] + bytes([content[50] ^ 1]) + content[51:])

        code, problems = process.run(scene.folder)

    assert 0 == code
    assert [True] == [part.key in problem for problem in problems]
    assert scene.logs.keys() == await stored_ids(scene.store.admin)
