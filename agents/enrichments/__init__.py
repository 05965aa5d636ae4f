"""One small file an enrichment, each a function that changes one event; agents/enrich.py names them in their order."""
