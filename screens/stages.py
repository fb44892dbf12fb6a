"""The stages in their order, and what they are called."""

from __future__ import annotations

from wizard.messages import msg

PATH = ("contexts", "topology", "names", "istio", "networks", "review", "install", "verify", "done")
TITLES = {
    "start": msg("Start"),
    "contexts": msg("Contexts"),
    "topology": msg("Topology"),
    "names": msg("Names"),
    "istio": msg("Istio"),
    "networks": msg("Networks"),
    "review": msg("Review"),
    "install": msg("Install"),
    "verify": msg("Verify"),
    "done": msg("Done"),
}
