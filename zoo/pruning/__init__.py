"""Pruning: whole channels with all that depends on them, or single weights."""
