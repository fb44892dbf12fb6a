"""The address that a load balancer gives to an east-west gateway: the one thing of a gateway that cannot be planned."""

from __future__ import annotations

from wizard import kinds
from wizard.clusters.typed import kubectl
from wizard.engine.step import Command, Conflict, Difference, Done, Job, Needed, Probe, Step
from wizard.istio.versions import host_names_of_gateways
from wizard.mesh import model
from wizard.mesh.addresses import is_ip
from wizard.mesh.model import SYSTEM_NAMESPACE, Mesh
from wizard.messages import joined, msg
from wizard.objects.eastwest import GATEWAY_SERVICE, ingress_of
from wizard.probes.warnings import latest_warning
from wizard.world import World

ADDRESS_SECONDS = 600


def awaits_address(mesh: Mesh, cluster: model.Cluster) -> bool:
    """Whether a load balancer gives this cluster's gateway its address, so that the mesh has such a step for it."""
    return mesh.has_gateway(cluster.name) and cluster.gateway.labelled


class GatewayAddress(Step):
    """The load balancer has given the gateway's Service an address."""

    kind = kinds.GATEWAY_ADDRESS
    waits = True

    def __init__(self, mesh: Mesh, cluster: model.Cluster) -> None:
        super().__init__(
            msg("Gateway's address"), cluster=cluster.name,
            needs=(kinds.NAMESPACE.id(cluster.name),), joins=(kinds.INSTALL.id(cluster.name),),
        )  # fmt: skip
        self.mesh = mesh
        self.member = cluster

    def probe(self, world: World) -> Probe:
        service = world.cluster(self.cluster).get(GATEWAY_SERVICE)
        address = ingress_of(service)
        istio = str(self.mesh.istio.version)
        if address and not is_ip(address) and not host_names_of_gateways(istio):
            return Conflict(
                msg(
                    "the load balancer of {cluster} gave the host name {host}, which Istio {version} cannot use",
                    cluster=self.cluster,
                    host=address,
                    version=istio,
                ),
                msg(
                    "Give the IP address behind it in gateway.address of {cluster}, or use Istio 1.13 or later.",
                    cluster=self.cluster,
                ),
            )
        if address:
            return Done(address)
        seen = "<pending>" if service else None
        return Needed((Difference(str(GATEWAY_SERVICE), "EXTERNAL-IP", seen, msg("an address")),))

    def apply(self, world: World, job: Job) -> None:
        cluster = world.cluster(self.cluster)

        def look() -> tuple[str | None, str]:
            service = cluster.get(GATEWAY_SERVICE)
            if service is None:
                return None, msg("no {object} yet", object=str(GATEWAY_SERVICE))
            return ingress_of(service), latest_warning(cluster, GATEWAY_SERVICE) or msg("EXTERNAL-IP is <pending>")

        job.wait(
            msg("the load balancer of {cluster} to give the gateway an address", cluster=self.cluster), look,
            seconds=ADDRESS_SECONDS, every=2.0, remedy=self._remedy(),
        )  # fmt: skip

    def commands(self) -> list[Command]:
        return [
            Command(
                f"{kubectl(self.member)} -n {SYSTEM_NAMESPACE} wait service/{GATEWAY_SERVICE.name} "
                f"--for=jsonpath='{{.status.loadBalancer.ingress}}' --timeout={ADDRESS_SECONDS}s",
                msg("The address that the load balancer gives; istiod reads it from the Service."),
            )
        ]

    def _remedy(self) -> str:
        serves = bool(self.mesh.remotes_of(self.member.name))
        others = [
            msg("external-ips (a node's address)"),
            msg("cluster-ip-route (a route on the other clusters' nodes)"),
        ]
        if not serves:
            others.insert(0, msg("node-port (a port on every node)"))
        look = msg(
            "Does {cluster} have a load balancer controller, with an address to give? Look at it: {command}",
            cluster=self.cluster,
            command=f"{kubectl(self.member)} -n {SYSTEM_NAMESPACE} describe service {GATEWAY_SERVICE.name}",
        )
        choose = msg(
            "Or choose another gateway.exposure for {cluster}: {exposures}.",
            cluster=self.cluster,
            exposures=joined(others, ", "),
        )
        return joined((look, choose))
