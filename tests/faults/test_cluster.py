"""Scale and redundancy: three brokers, two Elasticsearch nodes, one to three workers; one broker and one node die.

Too much for every run: with LOGSYNC_ALL_FAULTS=1 and by `make soak`. Servers of its own, 4 GiB of memory.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.clusters import elasticsearch_cluster, kafka_cluster
from deploy.fetch import MissingTool
from deploy.server_process import start_all
from deploy.servers import ElasticsearchServer, KafkaServer, server_folder
from tests.faults.scene import Scene, assert_kept
from tests.faults.test_workers import partitions
from tests.pipeline.oracle import Oracle, eventually
from tests.pipeline.processes import Pipeline
from tests.servers.shared import unavailable
from tests.servers.wiping import request

HEALTHY_SECONDS = 300.0
EVENTS = 5000  # acknowledged in each of the states

Clusters = tuple[list[KafkaServer], list[ElasticsearchServer]]

pytestmark = pytest.mark.real


@pytest.fixture
def clusters() -> Iterator[Clusters]:
    folder = server_folder("cluster")
    brokers, nodes = kafka_cluster(folder), elasticsearch_cluster(folder)
    try:
        start_all([*brokers, *nodes])
        yield brokers, nodes
    except MissingTool as error:
        unavailable("a cluster", str(error))
    finally:
        for server in (*brokers, *nodes):
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pipeline(clusters: Clusters, tmp_path: Path) -> Iterator[Pipeline]:
    """Our processes on the clusters, with the product's defaults of redundancy."""
    brokers, nodes = clusters
    made = Pipeline(
        tmp_path,
        ",".join(broker.bootstrap for broker in brokers),
        ",".join(node.url for node in nodes),
        LOGSYNC_KAFKA__REPLICATION_FACTOR="3",
        LOGSYNC_KAFKA__MIN_INSYNC_REPLICAS="2",
        LOGSYNC_STORE__REPLICAS="1",
    )
    made.create_topics()
    yield made
    made.close()


def test_a_broker_and_a_node_die_and_come_back_under_load(clusters: Clusters, pipeline: Pipeline, oracle: Oracle):
    brokers, nodes = clusters
    oracle_url = nodes[0].url
    scene = Scene("cluster 3 brokers, 2 nodes", pipeline, oracle)
    spread, seconds = [], {}

    with scene:
        for _ in range(2):
            scene.add_worker()
            scene.acknowledge(EVENTS)
            spread.append(partitions(scene))
        brokers[1].kill()
        seconds["without_a_broker"] = acknowledged_in(scene)
        nodes[1].kill()
        seconds["without_a_node_too"] = acknowledged_in(scene)
        start_all([brokers[1], nodes[1]])
        seconds["both_back"] = acknowledged_in(scene)
        for leaving in scene.workers[:2]:
            assert leaving.stop() == 0
            scene.acknowledge(EVENTS)
        spread.append(partitions(scene, scene.workers[2:]))
    pipeline.elasticsearch_url = oracle_url  # one node is asked; the store has both
    verdict = scene.settle(partitions_by_worker=spread, seconds_for_5000=seconds)

    assert_kept(verdict)
    assert [2, 3, 1] == [len(counted) for counted in spread]
    assert all(number > 0 for counted in spread for worker in counted for number in worker)
    eventually(lambda: health(oracle_url) == "green", HEALTHY_SECONDS, "each shard has its replica again")
    print(f"cluster: {health(oracle_url)}, {copies(oracle_url)}")


def acknowledged_in(scene: Scene) -> float:
    """Seconds until so many more events were acknowledged."""
    started = time.monotonic()
    scene.acknowledge(EVENTS)
    return round(time.monotonic() - started, 1)


def health(url: str) -> object:
    return request("GET", f"{url}/_cluster/health/logsync-*")[1].get("status")


def copies(url: str) -> dict[str, list[str]]:
    """Documents of each copy of each index, by node."""
    status, rows = request("GET", f"{url}/_cat/shards/logsync-*?h=index,docs,node,prirep&format=json")
    assert status == 200
    found: dict[str, list[str]] = {}
    for row in rows:  # a list here
        shard: dict[str, str] = row  # type: ignore[assignment]  # `request` promises an object
        found.setdefault(shard["index"], []).append(f"{shard['node']} {shard['prirep']} {shard['docs']}")
    return found
