"""Trunk-and-branch training: the two-sequence loss of a batch, computed with every shared token run once.

Reading order: layout (rows → one packed row), attention (who sees whom), install (for one call), choice (may this model
be run this way, and does it give the same values?). Importing this package loads nothing.
"""
