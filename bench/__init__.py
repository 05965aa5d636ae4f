"""The benchmark: ratios of two things measured side by side. `python -m bench [ROW …]`, or `make bench ROW=P2`.

It is not part of the package. What is measured and why stands in `rows.py`, how in `pairs.py`.
"""
