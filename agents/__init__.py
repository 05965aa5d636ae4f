"""Stages, verbs: each a function over events that knows nothing of Kafka or Faust (worker.py does the wiring)."""
