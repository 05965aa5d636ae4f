"""The plumbing between Kafka and the stages: take messages, run the stage, send, await, acknowledge in order.

One module a consumer group (process, index, count) and one for the fold of the error rates, which has no group.
"""
