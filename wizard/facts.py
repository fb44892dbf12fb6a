"""A live look at one cluster, for the person who chooses among contexts. Changes nothing."""

from __future__ import annotations

from wizard.clusters.clock import clock_offset
from wizard.clusters.contexts import ContextFacts
from wizard.clusters.kinds import DEPLOYMENT, NODE, SERVICE
from wizard.clusters.nodeports import used_node_ports
from wizard.clusters.nodes import addresses_to_rely_on, is_ready
from wizard.clusters.port import Cluster
from wizard.errors import Trouble
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.messages import joined, msg
from wizard.objects.installed import RECORD
from wizard.objects.ownership import MESH, annotation
from wizard.text import one_line


def facts_of(cluster: Cluster) -> ContextFacts:
    """What there is to know before choosing it. Never raises: what fails is told in `problem`."""
    from wizard.plan import RIGHTS  # all steps, which who only chooses contexts needs later

    try:
        version = cluster.version()
        denied = cluster.denied(RIGHTS)
        if denied:
            # What this user may not list cannot be told; that it may not is what matters.
            return ContextFacts(
                reachable=True,
                problem=msg("this context lacks rights that installing Istio needs"),
                version=version.git,
                missing_rights=tuple(str(right) for right in denied),
                clock_offset=clock_offset(version),
            )
        nodes = cluster.objects(NODE)
        return ContextFacts(
            reachable=True,
            uid=cluster.identity(),
            version=version.git,
            nodes=len(nodes),
            ready_nodes=sum(1 for node in nodes if is_ready(node)),
            addresses=tuple(one_line(address) for address in addresses_to_rely_on(nodes)),
            istio=_istio(cluster),
            clock_offset=clock_offset(version),
            node_ports=frozenset(used_node_ports(cluster)),
            load_balancer=_load_balancer(cluster),
        )
    except Trouble as trouble:
        return ContextFacts(reachable=False, problem=joined((trouble.what, trouble.remedy), " "))


def _istio(cluster: Cluster) -> str:
    """What Istio stands there, in a few words; empty where none does."""
    record = cluster.get(RECORD)
    mesh = annotation(record, MESH)
    istiods = cluster.objects(DEPLOYMENT, SYSTEM_NAMESPACE, "app=istiod")
    if not istiods:
        return ""
    containers = istiods[0]["spec"]["template"]["spec"]["containers"]
    version = one_line(str(containers[0].get("image", "")).rpartition(":")[2], 30)
    if mesh:
        return msg("{version}, mesh {mesh}", version=version, mesh=one_line(mesh, 63))
    return msg("{version}, not by meshwizard", version=version)


def _load_balancer(cluster: Cluster) -> str:
    """A Service that got its address from a load balancer; empty where none has."""
    for service in cluster.objects(SERVICE):
        given = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
        address = next((one.get("ip") or one.get("hostname") for one in given if one), None)
        if (service.get("spec") or {}).get("type") == "LoadBalancer" and address:
            metadata = service["metadata"]
            name, namespace = metadata["name"], metadata.get("namespace", "")
            told = msg("Service {name} in {namespace} has {address}", name=name, namespace=namespace, address=address)
            return one_line(told, 200)
    return ""
