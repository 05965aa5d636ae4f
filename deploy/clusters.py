"""Several brokers, several nodes: redundancy as in production, on loopback ports of one machine."""

from __future__ import annotations

import uuid
from pathlib import Path

from deploy.server_process import free_port
from deploy.servers import ElasticsearchServer, KafkaServer


def kafka_cluster(folder: Path, brokers: int = 3) -> list[KafkaServer]:
    """Brokers that know each other; start them all at once (start_all): one alone waits for a majority."""
    made = [KafkaServer(folder / f"kafka-{number}", heap_mib=384) for number in range(1, brokers + 1)]
    controllers = {number: free_port() for number in range(1, brokers + 1)}
    cluster_id = uuid.uuid4().hex[:22]
    for number, broker in enumerate(made, start=1):
        broker.join(number, controllers, cluster_id)
    return made


def elasticsearch_cluster(folder: Path, nodes: int = 2) -> list[ElasticsearchServer]:
    """Nodes that know each other; the first is the only one that may be master, so do not kill that one."""
    made = [ElasticsearchServer(folder / f"elasticsearch-{number}") for number in range(1, nodes + 1)]
    cluster = {f"node-{number}": node.transport_port for number, node in enumerate(made, start=1)}
    for name, node in zip(cluster, made, strict=True):
        node.join(name, cluster)
    return made
