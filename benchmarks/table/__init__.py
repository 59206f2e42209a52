"""The rows of ``make bench``, by subject; ``benchmarks/bench.py`` prints them."""
