"""The tests, and under ``tests.benchmarks`` what is measured rather than asserted."""
