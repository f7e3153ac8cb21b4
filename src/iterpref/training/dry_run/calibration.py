"""What was measured instead of derived: `python -m benchmarks.dry_run --calibrate`, on one shape (docs/training.md)."""

WORKING_LAYERS = {"cpu": 3.4, "cuda": 1.0}
"""Activations of so many layers more: what operations need while they run, and on a CPU what malloc keeps of it. On a
GPU not measured."""
PASSES = 24.0
"""How often a step writes as many bytes as autograd saves of the layers, matrix products and attention left out."""
