"""Measurements that a reader can run: `python -m benchmarks` prints them all; each module also runs alone."""
