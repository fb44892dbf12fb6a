"""What Istio's Gateway objects open on the east-west gateways, as an istiod reads them in its own cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from wizard.checks.standing.answering import answering
from wizard.checks.standing.foreign import mapping, mappings, number, texts
from wizard.checks.standing.view import Here
from wizard.clusters.kinds import ISTIO_GATEWAY, Object, Ref
from wizard.messages import msg
from wizard.text import listing, one_line

_THROUGH = "AUTO_PASSTHROUGH"


@dataclass(frozen=True)
class Server:
    """One server of a Gateway. `hosts`: without the namespace that may stand before each."""

    port: int
    mode: str
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Opened:
    """One Gateway object."""

    ref: Ref
    selector: Mapping[str, str]
    servers: tuple[Server, ...]

    @property
    def passes(self) -> bool:
        """Whether it passes TLS on by the name that is asked for, at any port."""
        return any(each.mode == _THROUGH for each in self.servers)

    def passes_at(self, port: int) -> bool:
        """The same, at this port."""
        return any(each.mode == _THROUGH and each.port == port for each in self.servers)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether it is for Pods with these labels. One without a selector is for all."""
        return self.selector.items() <= labels.items()

    @property
    def told(self) -> str:
        """In a few words, printable."""
        selector = ",".join(f"{key}={value}" for key, value in sorted(self.selector.items()))
        servers = listing(f"{each.port} {each.mode} {','.join(each.hosts)}" for each in self.servers)
        return one_line(
            msg(
                "{object}: selector {selector}; servers {servers}",
                object=str(self.ref),
                selector=selector,
                servers=servers,
            )
        )


def gateways_of(control: Here) -> list[Opened]:
    """All Gateways of a cluster."""
    return [_opened(each) for each in control.objects(ISTIO_GATEWAY)]


def opens(gateway: Opened, labels: Mapping[str, str], port: int, host: str) -> bool:
    """Whether this Gateway lets traffic for a host through Pods with these labels, at the port on which they listen."""
    return gateway.selects(labels) and any(
        each.mode == _THROUGH and each.port == port and any(fnmatchcase(host, pattern) for pattern in each.hosts)
        for each in gateway.servers
    )


def served_with_gateway(control: Here) -> list[Here]:
    """The clusters with a gateway for other networks whose proxies this cluster's istiod serves, as far as they answer."""
    view = control.view
    names = [name for name in view.served_by(control.name) if view.mesh.has_gateway(name) and view.mesh.beyond(name)]
    return answering(map(view.at, names))


def _opened(live: Object) -> Opened:
    metadata, spec = live["metadata"], mapping(live.get("spec"))
    ref = Ref(ISTIO_GATEWAY, str(metadata["name"]), str(metadata.get("namespace", "")))
    selector = {str(key): str(value) for key, value in mapping(spec.get("selector")).items()}
    return Opened(ref, selector, tuple(_server(each) for each in mappings(spec.get("servers"))))


def _server(server: Object) -> Server:
    hosts = tuple(each.rpartition("/")[2] for each in texts(server.get("hosts")))
    mode = str(mapping(server.get("tls")).get("mode", ""))
    return Server(number(mapping(server.get("port")).get("number")) or 0, mode, hosts)
