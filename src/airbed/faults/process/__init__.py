"""Faults of the level `process`, one file a kind."""
