"""Figures measured on the spot, each beside a rival or a bound of the same run.

Every module here has a `main()` that prints one JSON object a line:
`{"name": ..., "value": ..., "unit": ...}`. `python -m bench` runs them all, prints a table and
writes `bench-results.json`. Machines differ and are noisy: read the ratios and the medians.
"""
