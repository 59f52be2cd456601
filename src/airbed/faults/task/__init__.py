"""Faults of the level `task`, one file a kind."""
