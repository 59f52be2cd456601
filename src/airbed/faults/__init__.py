"""Faults: break any part of a bed at a chosen moment, and put it back.

One kind, one file, in the folder of its level: `task`, `protocol`, `process`, `platform`. `registry` finds them.
"""
