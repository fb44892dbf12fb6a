"""The lab's own wire: one bridge, with this machine on its first address."""

from __future__ import annotations

import json

from tests.lab.proc import LabError, run
from tests.lab.settings import Settings


def links(settings: Settings) -> list[str]:
    """The lab's links on this machine, the bridge among them."""
    found = json.loads(run(["ip", "-json", "link", "show"]))
    prefixes = (settings.bridge, f"{settings.name}c")
    return [str(link["ifname"]) for link in found if str(link["ifname"]).startswith(prefixes)]


def create_bridge(settings: Settings) -> None:
    """Make the bridge, unless somebody else already uses these addresses."""
    taken = json.loads(run(["ip", "-json", "address", "show"]))
    for link in taken:
        for address in link.get("addr_info", []):
            if str(address.get("local", "")).startswith(settings.subnet + "."):
                raise LabError(f"{link['ifname']} already has {address['local']}: choose another MESHWIZARD_LAB_ID")
    run(["ip", "link", "add", settings.bridge, "type", "bridge"])
    run(["ip", "address", "add", f"{settings.host_address}/24", "dev", settings.bridge])
    run(["ip", "link", "set", settings.bridge, "up"])


def remove_links(settings: Settings) -> None:
    """Remove every link of the lab."""
    for name in links(settings):
        run(["ip", "link", "delete", name], check=False)
