from __future__ import annotations

from logsync_streams.kafka_topics import differences
from logsync_streams.settings import KafkaSettings
from logsync_streams.topics import topics


def test_topics_come_in_flow_order_and_the_raw_one_is_stamped_by_the_broker():
    found = topics(KafkaSettings())

    assert ["logs", "logs-enriched", "logs-counts", "logs-dlq", "logs-state"] == [topic.name for topic in found]
    assert "LogAppendTime" == found[0].config["message.timestamp.type"]


def test_a_topic_as_it_should_be_has_no_differences():
    topic = topics(KafkaSettings())[0]

    assert [] == differences(topic, topic.config, topic.partitions)


def test_a_difference_says_what_is_expected_and_how_to_change_it():
    topic = topics(KafkaSettings())[0]
    [sentence] = differences(topic, {**topic.config, "retention.ms": "1000"}, topic.partitions)

    assert "retention.ms is '1000'" in sentence
    assert "--add-config retention.ms=259200000" in sentence
