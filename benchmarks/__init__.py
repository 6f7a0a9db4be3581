"""`python -m benchmarks`: the figures of design.md §9, measured on whole processes against simulated modems.

`figures` says what a figure is, `box` sets up a box to measure; one file per group of figures measures them. Nothing here is a
test: no wall time is ever asserted, only told, with its noise.
"""
