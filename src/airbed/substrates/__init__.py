"""How a bed's processes exist: one substrate, one module."""
