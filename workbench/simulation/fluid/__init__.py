"""The embedded fluid simulator: mean-field state per pool, advanced in steps of ten seconds by compiled kernels."""
