"""The networks of a mesh: as ConfigMap istio names them, and as istiods merged them with what they found themselves."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import yaml

from wizard import yamltext
from wizard.checks.finding import Pair
from wizard.checks.standing.foreign import mapping, mappings, number
from wizard.checks.standing.gateways import Place
from wizard.checks.standing.view import Here, View
from wizard.clusters.kinds import CONFIG_MAP, Ref
from wizard.clusters.shapes import Shape
from wizard.istio import names
from wizard.istio.versions import minor_of
from wizard.mesh.addresses import bracketed, canonical
from wizard.mesh.model import SYSTEM_NAMESPACE, Mesh
from wizard.messages import msg
from wizard.text import listing, one_line

_PORTS = range(1, 65536)
_NETWORKZ: Shape = [{"Network": str, "Cluster": str, "Addr": str, "Port": int}]
_WITH_PAGE = (1, 10)  # the first that has the page
_SHOWN = 6


@dataclass(frozen=True)
class Entry:
    """One network. `registries`: the clusters in it; `gateways`: their addresses; `services`: names of Services before them."""

    registries: frozenset[str] = frozenset()
    gateways: frozenset[Place] = frozenset()
    services: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Written:
    """meshNetworks as they stand in a text. `problem`: why istiod cannot take them, so that it keeps those before."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Known:
    """A gateway that an istiod knows. `cluster`: where it found it; empty: in meshNetworks."""

    network: str
    cluster: str
    place: Place


def networks_of(mesh: Mesh) -> list[str]:
    """The networks of the mesh, in its order."""
    return list(dict.fromkeys(each.network for each in mesh.clusters))


def across(view: View, control: str, network: str) -> tuple[Pair, ...]:
    """The traffic to the clusters on that network from those on others whose proxies this cluster's istiod serves."""
    return tuple(
        (source, target.name)
        for source in view.served_by(control)
        if view.mesh.cluster(source).network != network
        for target in view.mesh.clusters
        if target.network == network
    )


def config_ref(here: Here) -> Ref:
    """The ConfigMap with the meshNetworks of the istiod here."""
    return Ref(CONFIG_MAP, names.mesh_config_name(here.mesh), SYSTEM_NAMESPACE)


def written(here: Here) -> Written | None:
    """What that ConfigMap says; None where there is no such ConfigMap."""
    live = here.get(config_ref(here))
    return None if live is None else _read(str((live.get("data") or {}).get("meshNetworks") or ""))


def merged(here: Here) -> list[tuple[str, list[Known]]]:
    """(Pod, the gateways that it knows) of each istiod here that is Ready; none where this Istio does not tell. Host names in
    meshNetworks are addresses here.
    """
    if (minor_of(str(here.mesh.istio.version)) or _WITH_PAGE) < _WITH_PAGE:
        return []
    return [(pod, [_known(each) for each in page]) for pod, page in here.istiod_pages("/debug/networkz", _NETWORKZ)]


def spelled(place: Place) -> str:
    """An address and its port, printable."""
    return one_line(f"{bracketed(place[0])}:{place[1]}")


def places(found: Iterable[Place]) -> str:
    """Some of them, as a text; a word for none."""
    told = [spelled(each) for each in sorted(found)]
    if not told:
        return msg("none")
    return listing(told) if len(told) <= _SHOWN else msg("{places} and more", places=", ".join(told[:_SHOWN]))


def _known(told: Mapping[str, Any]) -> Known:
    place = (canonical(told.get("Addr", "")), int(told.get("Port", 0)))
    return Known(told.get("Network", ""), told.get("Cluster", ""), place)


@lru_cache(maxsize=512)  # every cluster of a mesh has the same, and several checks read it
def _read(text: str) -> Written:
    try:
        found = yamltext.load(text)
    except yaml.YAMLError as error:
        return Written(problem=msg("it is no YAML: {problem}", problem=one_line(error)))
    if found is None:
        return Written()
    strange = [key for key in mapping(found) if key != "networks"]
    if strange:
        return Written(problem=msg("{field} is no field of it", field=one_line(strange[0])))
    listed = found.get("networks") if isinstance(found, dict) else found
    if listed is None:
        return Written()
    if not isinstance(listed, dict):
        return Written(problem=msg("networks is no mapping"))
    for name, entry in listed.items():
        problem = _problem(entry)
        if problem:
            return Written(problem=msg("network {network}: {problem}", network=one_line(name), problem=problem))
    return Written({str(name): _entry(mapping(entry)) for name, entry in listed.items()})


def _entry(entry: Mapping[str, Any]) -> Entry:
    gateways = mappings(entry.get("gateways"))
    return Entry(
        frozenset(str(each["fromRegistry"]) for each in mappings(entry.get("endpoints")) if each.get("fromRegistry")),
        frozenset((canonical(str(each["address"])), number(each["port"]) or 0) for each in gateways if each.get("address")),
        frozenset(str(each["registryServiceName"]) for each in gateways if each.get("registryServiceName")),
    )  # fmt: skip


def _problem(entry: Any) -> str:
    """Why istiod refuses this network, and with it all of them; empty where it does not."""
    if entry is None:
        return ""
    if not isinstance(entry, dict):
        return msg("it is no mapping")
    for field_name in ("endpoints", "gateways"):
        listed = entry.get(field_name)
        if listed is not None and (not isinstance(listed, list) or len(mappings(listed)) != len(listed)):
            return msg("{field} is no list of mappings", field=field_name)
    for each in mappings(entry.get("endpoints")):
        cidr = each.get("fromCidr")
        if cidr and not _is_range(cidr):
            return msg("{range} is no range of addresses", range=one_line(cidr))
    for each in mappings(entry.get("gateways")):
        if number(each.get("port")) not in _PORTS:
            return msg("{port} is no port", port=one_line(each.get("port")))
        if not each.get("address") and not each.get("registryServiceName"):
            return msg("a gateway has neither address nor registryServiceName")
    return ""


def _is_range(text: Any) -> bool:
    try:
        ipaddress.ip_network(str(text), strict=False)
    except ValueError:
        return False
    return True
