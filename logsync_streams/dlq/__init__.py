"""The dead letters as a work queue: which are open, what goes back, what is dropped for ever (docs/adr/0006)."""
