"""The ways to isolate a run, one file a rung; table.py lists them."""
