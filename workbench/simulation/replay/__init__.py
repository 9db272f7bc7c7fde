"""The request-level simulator: continuous batching with exact macro-steps, under the same rules as the fluid one.

Every request keeps its own time to first token and end; nothing about an iteration is averaged. It is the truth that
the fluid simulator is judged and calibrated against (simulation.md section 2).
"""
