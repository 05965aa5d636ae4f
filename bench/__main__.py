"""`python -m bench [ROW …]`: run rows of the benchmark, print them, and write them to bench/RESULTS.md."""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from bench import measure, metrics_cost, query
from bench.contenders import Contender, Missing
from bench.doors import DoorContender, run_door
from bench.load import Traffic
from bench.pairs import in_pairs
from bench.results import ENOUGH_PAIRS, Result, section, update, versions
from bench.rows import DEFAULT_ROWS, ROWS, Row, row
from bench.run import Bench, Run, RunFailed, run
from deploy.fetch import MissingTool
from deploy.servers import KafkaServer

RESULTS = Path(__file__).with_name("RESULTS.md")
_WARM_UP_EVENTS = 10_000
_ROW_SECONDS = 480  # with the servers' start: "runnable alone in under ten minutes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 when every row ran or said why not, 1 when a contender lost or doubled something."""
    options = _parser().parse_args(arguments)
    if [name.upper() for name in options.rows] == ["Q1"]:  # no pairs of pipelines: it asks stores
        return query.main(["--dry"] if options.dry else [])
    metered = [name.upper() for name in options.rows] == ["O1"]  # no pairs either: its share of one run
    try:
        wanted = [] if metered else [row(name) for name in options.rows or DEFAULT_ROWS]
    except KeyError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # a new topic's first try, before its leader is known
    try:
        with tempfile.TemporaryDirectory(prefix="logsync-bench-") as folder, _servers(Path(folder)) as servers:
            bench = _bench(Path(folder), *servers, events=options.events, seed=options.seed)
            numbers = count()
            made = [section(_result(bench, each, numbers, options.pairs)) for each in wanted]
            if metered:
                made = [metrics_cost.section(bench, [next(numbers) for _ in range(metrics_cost.RUNS)])]
    except (RunFailed, MissingTool) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print("\n" + "\n".join(made))
    if not options.dry:
        update(RESULTS, made)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {', '.join(each.id for each in ROWS)}, Q1, O1")
    parser.add_argument("--pairs", type=int, default=ENOUGH_PAIRS, help="pairs to keep a row (default %(default)s)")
    parser.add_argument("--events", type=int, default=300_000, help="events a run (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the traffic (default %(default)s)")
    parser.add_argument("--dry", action="store_true", help="print only, leave bench/RESULTS.md as it is")
    return parser


def _bench(folder: Path, bootstrap: str, standin_port: int, *, events: int, seed: int) -> Bench:
    now_ms = int(time.time() * 1000)
    warm_up = Traffic.make(_WARM_UP_EVENTS, seed=seed + 1, now_ms=now_ms)
    return Bench(folder, bootstrap, standin_port, warm_up, Traffic.make(events, seed=seed, now_ms=now_ms))


def _result(bench: Bench, wanted: Row, numbers: Iterator[int], pairs: int) -> Result:
    ours = wanted.ours()
    try:
        other = wanted.other()
        contenders = [f"{each.name}: {each.version()}" for each in (ours, other)]
    except Missing as missing:
        return Result(wanted, [], [], [], str(missing))

    def measured(contender: Contender | DoorContender) -> Run:
        one_run = run_door if isinstance(contender, DoorContender) else run
        done = one_run(bench, contender, next(numbers))  # type: ignore[arg-type]  # chosen by its type
        print(
            f"{wanted.id}  {done.contender:<18} {done.cpu_us:6.2f} µs an event  {done.events_per_second:9,.0f} events/s"
            f"  {done.peak_rss_mb:4.0f} MB  {done.bulks} bulks",
            flush=True,
        )
        return done

    kept, discarded = in_pairs(
        lambda: measured(ours),
        lambda: measured(other),
        pairs=pairs,
        seconds=_ROW_SECONDS,
        control=measure.control_seconds,
    )
    return Result(wanted, kept, discarded, versions(list(dict.fromkeys(contenders))))


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[str, int]]:
    """Kafka's address and the stand-in's port."""
    kafka = KafkaServer(folder / "kafka", heap_mib=768)
    try:
        kafka.start()
        with subprocess.Popen([sys.executable, "-m", "bench.standin"], stdout=subprocess.PIPE, text=True) as store:
            try:
                first = store.stdout.readline() if store.stdout else ""
                if not first.startswith("ready "):
                    raise RunFailed(f"the stand-in store did not come up: {first!r}")
                yield kafka.bootstrap, int(first.split()[1])
            finally:
                store.terminate()
    finally:
        kafka.stop()


if __name__ == "__main__":
    sys.exit(main())
