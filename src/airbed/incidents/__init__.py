"""Scenarios: break chosen parts of a bed at exact moments of a run, and hold what came of it against a file.

`library` finds the files, `load` reads and checks them, `play` plays one case, `expect` and `invariants` judge it.
"""
