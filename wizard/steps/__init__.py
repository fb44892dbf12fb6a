"""The steps of a mesh, one file a kind. To add one: subclass `Step` (or `Declared` where it only makes objects) and let
`wizard/plan.py` put it in its place.
"""
