"""The stages in their order, what they are called, and where their screens are. Screens are imported when first shown."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from screens.base import WizardScreen

PATH = ("contexts", "topology", "names", "istio", "networks", "review", "install", "verify", "done")
TITLES = {
    "start": "Start",
    "contexts": "Contexts",
    "topology": "Topology",
    "names": "Names",
    "istio": "Istio",
    "networks": "Networks",
    "review": "Review",
    "install": "Install",
    "verify": "Verify",
    "done": "Done",
}


def screen_of(stage: str) -> WizardScreen:
    """A fresh screen of that stage; what it shows lives in the app, not in it."""
    made: WizardScreen = getattr(import_module(f"screens.{stage}"), f"{TITLES[stage]}Screen")()
    return made
