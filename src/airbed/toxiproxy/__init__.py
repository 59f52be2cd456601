"""Toxiproxy: the TCP half of the fault plane, built from its Go module and started with what it has to restore."""
