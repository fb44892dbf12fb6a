"""Service CIDRs and free Service addresses, from what a real API server was seen to answer."""

from __future__ import annotations

from typing import Any

import pytest

from wizard.clusters.kinds import SERVICE_CIDR, Kind, Object
from wizard.clusters.services import free_service_address, overlap, service_cidrs
from wizard.errors import Failed, NotAllowed, Unreachable

REFUSED = (
    'cluster1: apply Service meshwizard-range in default: Service "meshwizard-range" is invalid: spec.clusterIPs: Invalid '
    'value: ["192.0.2.1"]: failed to allocate IP 192.0.2.1: the provided IP (192.0.2.1) is not in the valid range. The range '
    "of valid IPs is {}"
)
NOT_CONFIGURED = "cluster1: apply Service: spec.clusterIPs[0]: Invalid value: IPv{} is not configured on this cluster"


class Server:
    """As much of a cluster as is asked. `answers`: what a Service with an address of that family is refused with."""

    name = "cluster1"

    def __init__(self, declared: list[str] | Exception, ipv4: str = "", ipv6: str = "") -> None:
        self.declared = declared
        self.answers = {4: ipv4, 6: ipv6}
        self.services: list[Object] = []
        self.written = 0

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        if kind is not SERVICE_CIDR:
            return self.services
        if isinstance(self.declared, Exception):
            raise self.declared
        return [{"spec": {"cidrs": self.declared}}] if self.declared else []

    def apply(self, manifest: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        self.written += not dry_run
        answer = self.answers[6 if ":" in manifest["spec"]["clusterIP"] else 4]
        if answer:
            raise Failed(answer)
        return manifest


def cidrs(server: Server) -> list[str]:
    made: Any = server
    found = service_cidrs(made)
    assert server.written == 0
    return found


def test_declared_ranges_are_taken() -> None:
    assert cidrs(Server(["fd00::/112", "10.96.0.0/16"])) == ["10.96.0.0/16", "fd00::/112"]


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "found"),
    [
        (REFUSED.format("10.96.0.0/16"), NOT_CONFIGURED.format(6), ["10.96.0.0/16"]),
        (REFUSED.format("10.96.0.0/16"), REFUSED.format("fd00:10:96::/112"), ["10.96.0.0/16", "fd00:10:96::/112"]),
        (NOT_CONFIGURED.format(4), REFUSED.format("fd00:10:96::/112"), ["fd00:10:96::/112"]),
        ("denied by admission", "denied by admission", []),
        ("", "", []),
    ],
)
def test_otherwise_the_refusal_of_another_address_names_them(ipv4: str, ipv6: str, found: list[str]) -> None:
    assert cidrs(Server([], ipv4, ipv6)) == found


def test_who_may_not_list_them_asks_the_other_way() -> None:
    assert cidrs(Server(NotAllowed("no"), REFUSED.format("10.96.0.0/16"))) == ["10.96.0.0/16"]


def test_a_silent_cluster_is_told_so() -> None:
    with pytest.raises(Unreachable):
        cidrs(Server(Unreachable("silent")))


def free(cidr: str, *taken: str) -> str:
    server: Any = Server([cidr])
    server.services = [{"spec": {"clusterIP": address, "clusterIPs": [address]}} for address in taken]
    return free_service_address(server)


def test_a_free_address_is_one_that_no_service_has() -> None:
    assert free("10.96.0.0/16") == "10.96.0.255"
    assert free("10.96.0.0/16", "10.96.0.255", "10.96.0.254", "None") == "10.96.0.253"
    assert free("10.96.0.0/24") == "10.96.0.15"
    assert free("10.96.0.0/30", "10.96.0.1") == "10.96.0.2"


def test_a_range_without_a_free_address_is_told() -> None:
    with pytest.raises(Failed, match=r"10\.96\.0\.0/30"):
        free("10.96.0.0/30", "10.96.0.1", "10.96.0.2")


def test_overlap() -> None:
    assert overlap("10.96.0.0/16", "10.96.128.0/17")
    assert not overlap("10.96.0.0/16", "10.97.0.0/16")
    assert not overlap("10.96.0.0/16", "fd00::/112")
    assert not overlap("10.96.0.0/16", None)
