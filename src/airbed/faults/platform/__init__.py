"""Faults of the level `platform`, one file a kind."""
