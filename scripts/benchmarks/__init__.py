"""What ctserver costs, as ratios against a bare equivalent measured in the same run on the same machine.

A benchmark is one module with ABOUT, `add_options` and `run`; BENCHMARKS in __main__.py is the registry.
"""
