"""Looks into a cluster: why something is not ready, and whether its Pods reach an address."""
