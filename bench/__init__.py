"""Benchmarks: the house against its peers and its limits, as ratios taken in one run."""
