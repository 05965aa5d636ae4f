"""Pairs, ratios and the table: what the benchmark may claim."""

from datetime import UTC, datetime

from bench import measure
from bench.pairs import Pair, Spread, in_pairs
from bench.results import Result, section, update
from bench.rows import ROWS, row
from bench.run import Run


def a_run(name="LogSync Streams", cpu_us=10.0):
    return Run(name, 1000, cpu_us, 50_000.0, 100.0, 5)


def pairs_of(number, *, control, seconds=1e9, clock=lambda: 0.0):
    order = []

    def side(name, cpu_us):
        order.append(name)
        return a_run(name, cpu_us)

    kept, discarded = in_pairs(
        lambda: side("A", 10.0),
        lambda: side("B", 5.0),
        pairs=number,
        seconds=seconds,
        control=iter(control).__next__,
        clock=clock,
    )
    return "".join(order), kept, discarded


def test_the_order_is_a_b_b_a():
    order, kept, discarded = pairs_of(4, control=[1.0] * 8)

    assert order == "ABBAABBA"
    assert [pair.cpu_ratio for pair in kept] == [2.0] * 4
    assert discarded == []


def test_a_pair_is_discarded_when_the_control_loop_moved_by_more_than_a_tenth():
    _, kept, discarded = pairs_of(1, control=[1.0, 1.2, 1.0, 1.05])

    assert len(kept) == 1
    assert [round(pair.moved, 2) for pair in discarded] == [0.2]


def test_a_restless_machine_ends_the_row_instead_of_repeating_for_ever():
    _, kept, discarded = pairs_of(3, control=[1.0, 2.0] * 10)

    assert kept == []
    assert len(discarded) == 6


def test_no_pair_is_begun_that_would_not_end_in_time():
    ticks = iter(range(0, 10_000, 100))
    _, kept, _ = pairs_of(50, control=[1.0] * 200, seconds=1000, clock=lambda: next(ticks))

    assert 0 < len(kept) < 10


def test_the_ratio_is_taken_within_a_pair_and_given_with_its_spread():
    pairs = [Pair(a_run(cpu_us=ours), a_run(cpu_us=10.0), 0.0) for ours in (4.0, 6.0, 5.0)]

    assert str(Spread.of([pair.cpu_ratio for pair in pairs])) == "0.50 (0.40–0.60)"


def test_few_pairs_are_called_indicative_and_a_missing_program_is_named():
    few = section(Result(row("P3"), [Pair(a_run(), a_run(), 0.0)] * 2, [], ["v"]), now=datetime(2026, 1, 2, tzinfo=UTC))
    none = section(Result(row("p2"), [], [], [], "rsyslog is missing"))

    assert "**indicative**" in few
    assert "**1.00 (1.00–1.00)**" in few
    assert "not run: rsyslog is missing" in none


def test_rows_that_did_not_run_now_keep_their_results(tmp_path):
    path = tmp_path / "RESULTS.md"
    update(path, ["## P2 – first\n\nold\n", "## P3 – second\n\nold\n"])
    update(path, ["## P3 – second\n\nnew\n", section(Result(row("p2"), [], [], [], "rsyslog is missing"))])
    text = path.read_text()

    assert "## P2 – first\n\nold" in text
    assert "## P3 – second\n\nnew" in text
    assert text.count("## ") == 2


def test_row_ids_are_unique_and_of_one_word():
    ids = [each.id for each in ROWS]

    assert sorted(set(ids)) == sorted(ids)
    assert all(name.isalnum() for name in ids)


def test_a_process_tree_includes_children_and_only_grows():
    import subprocess
    import sys

    code = "import subprocess,sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        try:
            found = measure.tree(process.pid)
            while len(found.pids) < 2 and process.poll() is None:
                found = measure.tree(process.pid)
            later = measure.tree(process.pid)
        finally:
            process.communicate(b"\n", timeout=60)

    assert len(found.pids) == 2
    assert later.cpu_seconds >= found.cpu_seconds
    assert found.peak_rss_mb > 1
