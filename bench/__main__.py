"""`python -m bench [ROW …]`: run rows of the benchmark, print them, and write them to bench/RESULTS.md."""

from __future__ import annotations

import argparse
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from bench import alone, archive, measure, metrics_cost, query, rates
from bench.contenders import Contender, Missing
from bench.doors import DoorContender, run_door
from bench.load import Traffic
from bench.pairs import in_pairs
from bench.results import ENOUGH_PAIRS, Result, section, update, versions
from bench.rows import DEFAULT_ROWS, ROWS, Row, row
from bench.run import Bench, Run, RunFailed, run
from bench.stores import RealStore, StandIn
from deploy.fetch import MissingTool
from deploy.servers import ElasticsearchServer, KafkaServer

RESULTS = Path(__file__).with_name("RESULTS.md")
_WARM_UP_EVENTS = 10_000
_ROW_SECONDS = 480  # with the servers' start: "runnable alone in under ten minutes"


# No pairs: each makes its section of the results.
_ALONE: dict[str, Callable[[Bench, Iterator[int]], str]] = {
    "M1": lambda bench, numbers: alone.memory(bench, next(numbers)),
    "R1": lambda bench, numbers: alone.killed(bench, next(numbers)),
    "R3": lambda bench, numbers: rates.ready(bench, next(numbers)),
    "O1": lambda bench, numbers: metrics_cost.section(bench, [next(numbers) for _ in range(metrics_cost.RUNS)]),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 when every row ran or said why not, 1 when a contender lost or doubled something."""
    options = _parser().parse_args(arguments)
    if [name.upper() for name in options.rows] == ["Q1"]:  # no pairs of pipelines: it asks stores
        return query.main(["--dry"] if options.dry else [])
    names = [name.upper() for name in options.rows or DEFAULT_ROWS]
    if set(names) <= archive.ROWS.keys():  # no pipeline either: an operator's commands
        given = ["--documents", str(options.events), "--pairs", str(options.pairs), *(["--dry"] if options.dry else [])]
        return archive.main([*names, *given])
    try:
        wanted = [None if name in _ALONE else row(name) for name in names]
    except KeyError as error:
        print(error.args[0], file=sys.stderr)
        return 2
    logging.getLogger("aiokafka").setLevel(logging.ERROR)  # a new topic's first try, before its leader is known
    try:
        with tempfile.TemporaryDirectory(prefix="logsync-bench-") as folder, _servers(Path(folder)) as (kafka, port):
            os.chmod(folder, 0o755)  # Elasticsearch runs as a user of its own
            bench = _bench(Path(folder), kafka.bootstrap, port, events=options.events, seed=options.seed)
            numbers = count()
            made = []
            for name, each in zip(names, wanted, strict=True):
                if each is None:
                    made.append(_ALONE[name](bench, numbers))
                elif each.whole:
                    made.append(section(_whole_result(bench, kafka, each, numbers, options.pairs)))
                else:
                    made.append(section(_result(bench, each, numbers, options.pairs)))
    except (RunFailed, MissingTool) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print("\n" + "\n".join(made))
    if not options.dry:
        update(RESULTS, made)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    ids = ", ".join([*(each.id for each in ROWS), *_ALONE, *archive.ROWS, "Q1"])
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of {ids}")
    parser.add_argument("--pairs", type=int, default=ENOUGH_PAIRS, help="pairs to keep a row (default %(default)s)")
    parser.add_argument("--events", type=int, default=300_000, help="events a run (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the traffic (default %(default)s)")
    parser.add_argument("--dry", action="store_true", help="print only, leave bench/RESULTS.md as it is")
    return parser


def _bench(folder: Path, bootstrap: str, standin_port: int, *, events: int, seed: int) -> Bench:
    now_ms = int(time.time() * 1000)
    warm_up = Traffic.make(_WARM_UP_EVENTS, seed=seed + 1, now_ms=now_ms)
    return Bench(folder, bootstrap, StandIn(standin_port), warm_up, Traffic.make(events, seed=seed, now_ms=now_ms))


def _whole_result(bench: Bench, kafka: KafkaServer, wanted: Row, numbers: Iterator[int], pairs: int) -> Result:
    """With Elasticsearch in the stand-in's place, and the servers' CPU. Its first run is in no figure: a JVM is slow
    until it has compiled what it runs most.
    """
    elasticsearch = ElasticsearchServer(bench.folder / "elasticsearch", heap_mib=1024)
    try:
        elasticsearch.start()
        whole = replace(bench, store=RealStore(elasticsearch), pids=(kafka.pid,) if kafka.pid else ())
        run(whole, wanted.ours(), next(numbers))  # type: ignore[arg-type]  # no door
        return _result(whole, wanted, numbers, pairs)
    finally:
        elasticsearch.stop()


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
    return Result(wanted, kept, discarded, versions(list(dict.fromkeys(contenders)), whole=wanted.whole))


@contextmanager
def _servers(folder: Path) -> Iterator[tuple[KafkaServer, int]]:
    """Kafka and the stand-in's port."""
    kafka = KafkaServer(folder / "kafka", heap_mib=768)
    try:
        kafka.start()
        with subprocess.Popen([sys.executable, "-m", "bench.standin"], stdout=subprocess.PIPE, text=True) as store:
            try:
                first = store.stdout.readline() if store.stdout else ""
                if not first.startswith("ready "):
                    raise RunFailed(f"the stand-in store did not come up: {first!r}")
                yield kafka, int(first.split()[1])
            finally:
                store.terminate()
    finally:
        kafka.stop()


if __name__ == "__main__":
    sys.exit(main())
