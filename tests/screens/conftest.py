"""Screens are tested without animations: what is painted is what stays."""

from __future__ import annotations

import os

os.environ["TEXTUAL_ANIMATIONS"] = "none"
