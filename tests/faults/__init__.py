"""Faults: what is killed, cut off, filled up or answered wrongly, and that nothing is lost by it."""
