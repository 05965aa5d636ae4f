"""Apart from early_ack.py, which builds a worker when it is imported."""

# How long early_ack keeps what it has acknowledged before it writes it: many times the commit interval of its test, so
# that a kill finds something committed and not written.
HOLD_SECONDS = 2.0
