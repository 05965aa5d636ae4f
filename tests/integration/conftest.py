from tests.pipeline.fixtures import oracle, pipeline, seed

__all__ = ["oracle", "pipeline", "seed"]
