"""Sample data of the six patterns: deterministic for a seed number, independent of how the bed exists."""

from airbed.seed.registry import PATTERNS, Clients, Pattern, find_pattern, seed_pattern
from airbed.seed.summary import Summary

__all__ = ["PATTERNS", "Clients", "Pattern", "Summary", "find_pattern", "seed_pattern"]
