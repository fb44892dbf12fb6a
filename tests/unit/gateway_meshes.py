"""Finished meshes of every kind of gateway, for the checks of networks and gateways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.unit.conftest import Setting
from tests.unit.standing import finished_mesh, finished_remote
from tests.unit.test_simulated_topologies import members, mesh
from wizard.checks.finding import Finding
from wizard.checks.standing.diagnosis import checks
from wizard.checks.standing.view import View
from wizard.clusters.kinds import POD, SERVICE, Object, Ref
from wizard.mesh.model import Istio
from wizard.operations.diagnosing import diagnosis_of
from wizard.resolve import check_istioctl, resolve
from wizard.simulated.outside import SimulatedOutside

GATEWAY = Ref(SERVICE, "istio-eastwestgateway", "istio-system")


def finished(
    exposure: str, primaries: Sequence[str | None] = (None, None), networks: Sequence[str] = (), *,
    istio: Istio | None = None, outside: SimulatedOutside | None = None,
) -> Setting:  # fmt: skip
    """A mesh that stands and answers. `primaries`: that of each cluster, None for a primary."""
    outside = outside or SimulatedOutside(len(primaries), 0, own_services=exposure == "cluster-ip-route")
    for machine in outside.machines:
        machine.load_balancer = True
        for peer in outside.machines:
            if exposure == "cluster-ip-route" and peer is not machine:
                machine.routes[peer.service_cidr] = peer.node_address
    wanted = mesh(members(outside, exposure, primaries, networks), istio)
    world = outside.world(wanted)
    wanted = replace(wanted, istio=replace(wanted.istio, version=check_istioctl(wanted, world)))
    made = Setting(outside, resolve(wanted, world), world)
    outcome = made.run()
    assert outcome.ok, outcome.what
    return made


def shared_network() -> Setting:
    """Two networks of two clusters each."""
    outside = SimulatedOutside(4, 0, flat=[1, 1, 2, 2])
    return finished("node-port", [None] * 4, ["network1", "network1", "network2", "network2"], outside=outside)


def one_network() -> Setting:
    """Two clusters whose Pods reach each other."""
    return finished("node-port", networks=["network1"] * 2, outside=SimulatedOutside(2, 0, flat=True))


HEALTHY = {
    "node-port": finished_mesh,
    "external-ips": lambda: finished("external-ips"),
    "load-balancer": lambda: finished("load-balancer"),
    "cluster-ip-route": lambda: finished("cluster-ip-route"),
    "primary-remote": finished_remote,
    "primary-remote, load-balancer": lambda: finished("load-balancer", (None, "cluster1")),
    "revision": lambda: finished("external-ips", (None, "cluster1"), istio=Istio(revision="canary")),
    "two networks of two": shared_network,
    "one network": one_network,
}


def judged(made: Setting, check: str, *, traffic: bool = False, version: str = "1.29.1") -> list[Finding]:
    """What the check finds where nobody recorded the mesh."""
    wanted = replace(made.mesh, istio=replace(made.mesh.istio, version=version))
    heard = diagnosis_of(wanted, made.world.clusters, inferred=True).traffic if traffic else {}
    view = View(wanted, made.world.clusters, inferred=True, traffic=heard)
    one = next(each for each in checks() if each.id == check)
    return [one.finding(fault, here.name) for here in view.all for fault in one.find(here)]


def service(made: Setting, number: int) -> Object:
    """The gateway's Service in that cluster."""
    found = made.machine(number).found(GATEWAY)
    assert found is not None
    return found


def pod_of(made: Setting, number: int, app: str, namespace: str = "istio-system") -> Ref:
    """The one Pod of that app in that cluster."""
    (pod,) = made.machine(number).listed(POD, namespace, f"app={app}")
    return Ref(POD, pod["metadata"]["name"], namespace)
