"""Faults of the level `protocol`, one file a kind."""
