"""The colours of the wizard."""

from __future__ import annotations

from textual.theme import Theme

THEME = Theme(
    name="meshwizard",
    primary="#6ea8fe",
    secondary="#8ab4c8",
    accent="#7dd3fc",
    warning="#f5c451",
    error="#ff7b72",
    success="#7ee787",
    foreground="#d7dde8",
    background="#10151f",
    surface="#182030",
    panel="#1f2a3d",
    dark=True,
    variables={"footer-key-foreground": "#7dd3fc", "input-selection-background": "#6ea8fe 35%"},
)
# Opaque colours of our own: lines of spans cannot blend transparent ones.
OWN = {"dim-text": "#8792a6", "cursor-row": "#243a5e"}
