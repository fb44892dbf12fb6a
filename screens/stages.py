"""The stages in their order, and what they are called."""

from __future__ import annotations

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
