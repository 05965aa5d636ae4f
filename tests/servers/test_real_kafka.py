"""The Kafka server that the tests share, from the side of a client."""

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.servers import KafkaServer, server_folder

pytestmark = pytest.mark.real


async def test_what_was_acknowledged_survives_a_kill_on_the_same_address(kafka):  # kafka: is it to be had at all?
    own = KafkaServer(server_folder("test-kill"))
    own.start()
    try:
        bootstrap = own.bootstrap
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic("kept", 1, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})])
        await admin.close()
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
        await producer.start()
        sent = await producer.send_and_wait("kept", b"boom")
        await producer.stop()
        own.kill()
        own.start()
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
        await consumer.start()
        consumer.assign([TopicPartition("kept", 0)])
        consumer.seek(TopicPartition("kept", 0), 0)
        record = await consumer.getone()
        await consumer.stop()

        assert (sent.offset, 1, b"boom") == (record.offset, record.timestamp_type, record.value)
    finally:
        own.remove()
