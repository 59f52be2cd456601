"""Snapshots: the whole state of a bed in a folder, and new beds made of it."""
