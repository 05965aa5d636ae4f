"""Running the pipeline: the real servers for development and tests, and what an installation needs."""
