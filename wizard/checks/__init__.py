"""Checks: one file each, what it asks, how it looks and what it says. They write nothing."""
