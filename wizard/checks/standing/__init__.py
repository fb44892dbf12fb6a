"""Checks of a mesh that stands, in layers: one folder a layer, one file a check. They write nothing."""
