"""The east-west gateway as it stands in a cluster, beside what its exposure asks for."""

from __future__ import annotations

from wizard.clusters.kinds import POD, SERVICE, Object, Ref
from wizard.clusters.nodes import node_addresses
from wizard.clusters.port import Cluster
from wizard.engine.step import Conflict, Difference, Job
from wizard.istio.operator import OPERATOR_NAME, service_annotations
from wizard.istio.proxies import PROXY, outdated
from wizard.mesh import model
from wizard.mesh.model import GATEWAY_NAME, GATEWAY_TLS_PORT, NETWORK_LABEL, SYSTEM_NAMESPACE
from wizard.messages import msg
from wizard.objects import foreign
from wizard.objects.eastwest import GATEWAY, GATEWAY_SERVICE, SERVICE_TYPES, node_port
from wizard.objects.ownership import ISTIO_OWNER, annotation, label, show
from wizard.objects.placing import wait_gone
from wizard.objects.pods import available, is_going, is_pod_of
from wizard.text import listing, one_line

PROXY_VERSION = "meshwizard/proxy-version"  # annotation of its Pods: for which version they were made anew
RENEW_SECONDS = 240
_AUTO = "auto"  # the image for which istiod puts the proxy's
_WISHED = ("spec.type", "spec.externalIPs", "spec.clusterIP")


def standing(cluster: Cluster, mesh: model.Mesh, member: model.Cluster) -> list[Difference]:
    """Where the gateway that stands differs from the wanted one."""
    told = []
    deployment = cluster.get(GATEWAY)
    if deployment is None:
        told.append(Difference(str(GATEWAY), "", None, msg("to be installed")))
    elif not available(deployment):
        told.append(Difference(str(GATEWAY), "status.availableReplicas", "0", msg("at least 1"), transient=True))
    told += [
        Difference(str(GATEWAY), PROXY, version, msg("that of the control plane"))
        for version in sorted(_old(cluster, mesh))
    ]
    service = cluster.get(GATEWAY_SERVICE)
    if service is None:
        return [*told, Difference(str(GATEWAY_SERVICE), "", None, msg("to be installed"))]
    annotations = [
        Difference(str(GATEWAY_SERVICE), f"annotations.{key}", found, wanted)
        for key, text in service_annotations(member).items()
        if (found := show(annotation(service, key))) != (wanted := show(text))
    ]
    return [*told, *exposed(service, member), *annotations]


def exposed(service: Object, member: model.Cluster) -> list[Difference]:
    """Where the Service that stands is exposed otherwise than it is wanted."""
    return [
        Difference(str(GATEWAY_SERVICE), field, found, wanted, _setter(service, field))
        for field, found, wanted in _fields(service, member)
        if found != wanted
    ]


def moved(cluster: Cluster, member: model.Cluster) -> Conflict | None:
    """The conflict where nodes went, at whose addresses the others look for the gateway: only a person knows where to instead."""
    gone = member.gateway.gone
    if not gone:
        return None
    field = "gateway.addresses" if member.gateway.more else "gateway.address"
    now = listing(one_line(address) for address in node_addresses(cluster)[:3])
    return Conflict(
        msg(
            "{cluster}: no node has {addresses} any more, where the others look for its gateway",
            cluster=member.name,
            addresses=listing(gone),
        ),
        msg(
            "Give in {field} of {cluster} an address of a node that is there ({addresses}), or leave it out so that one is "
            "found, and apply the mesh file.",
            field=field,
            cluster=member.name,
            addresses=now or msg("none is ready"),
        ),
    )


def remove_for_other_selector(cluster: Cluster, member: model.Cluster, job: Job) -> None:
    """Where the install will label the gateway with its network, or no more: the Deployment, which selects its Pods by that
    label too, goes before, since Kubernetes refuses another selector.
    """
    live = cluster.get(GATEWAY)
    if live is None or label(live, ISTIO_OWNER) != OPERATOR_NAME:
        return
    found = ((live["spec"].get("selector") or {}).get("matchLabels") or {}).get(NETWORK_LABEL)
    wanted = member.network if member.gateway.labelled else None
    if found != wanted:
        job.say(
            msg(
                "{cluster}: the gateway is made anew, since a Deployment's selector stays as it is: network {found} → {wanted}",
                cluster=member.name,
                found=one_line(found or msg("none")),
                wanted=wanted or msg("none"),
            )
        )
        cluster.delete(GATEWAY)
        wait_gone(cluster, [GATEWAY], job)


def renew(cluster: Cluster, mesh: model.Mesh, job: Job) -> None:
    """Have the gateway's Pods made anew where their proxies are of another minor version: an install changes nothing in them,
    since istiod injects the image. Failed where they are not within four minutes.
    """
    if not _old(cluster, mesh):
        return
    version = str(mesh.istio.version)
    job.say(
        msg(
            "{cluster}: the gateway's Pods are made anew, for a proxy of Istio {version}",
            cluster=cluster.name,
            version=version,
        )
    )
    annotations = {PROXY_VERSION: version}
    template = {"metadata": {"annotations": annotations}}
    manifest = {"apiVersion": GATEWAY.kind.api_version, "kind": GATEWAY.kind.kind, "metadata": {
        "name": GATEWAY.name, "namespace": GATEWAY.namespace}, "spec": {"template": template}}  # fmt: skip
    cluster.apply(manifest)

    def look() -> tuple[bool | None, str]:
        live, old = cluster.get(GATEWAY), _old(cluster, mesh)
        seen = msg("proxies of Istio {versions}", versions=", ".join(sorted(old)) or "?")
        return (True if live and available(live) and not old else None), seen

    job.wait(msg("the gateway's new Pods"), look, seconds=RENEW_SECONDS, every=0.5)


def replace_uninjected(cluster: Cluster, job: Job) -> None:
    """Have those of the gateway's Pods made anew that were made while nothing injected, as when an uninstall was cut off after it
    took the webhook: without istiod's answer such a Pod names no image that there is, and nothing but its end helps.
    """
    for pod in cluster.objects(POD, SYSTEM_NAMESPACE, f"app={GATEWAY_NAME}"):
        containers = (pod.get("spec") or {}).get("containers") or []
        if (
            is_pod_of(pod, GATEWAY_NAME)
            and not is_going(pod)
            and any(each.get("image") == _AUTO for each in containers)
        ):
            metadata = pod["metadata"]
            if cluster.delete(Ref(POD, metadata["name"], SYSTEM_NAMESPACE), uid=metadata["uid"]):
                job.say(
                    msg(
                        "{cluster}: Pod {name} was made while nothing injected; it is made anew",
                        cluster=cluster.name,
                        name=one_line(metadata["name"]),
                    )
                )


def _old(cluster: Cluster, mesh: model.Mesh) -> set[str]:
    """The other minor versions that the gateway's proxies are of."""
    pods = cluster.objects(POD, SYSTEM_NAMESPACE, f"app={GATEWAY_NAME}")
    return {version for pod in pods if not is_going(pod) for version in [outdated(pod, mesh)] if version}


def is_wished(kind: str, field: str) -> bool:
    """Whether the mesh file says what this field of an object of this kind should be: then differences tell of it."""
    return kind == SERVICE.kind and (field in _WISHED or field.endswith(".nodePort"))


def _setter(service: Object, field: str) -> str:
    """Who set a field of the Service, where the cluster knows."""
    return dict(foreign.set_by_others(service)).get(tuple(f"f:{part}" for part in field.split(".")), "")


def _fields(service: Object, member: model.Cluster) -> list[tuple[str, str | None, str | None]]:
    spec = service.get("spec") or {}
    gateway = member.gateway
    network = member.network if gateway.labelled else None
    told: list[tuple[str, str | None, str | None]] = [
        ("spec.type", spec.get("type", "ClusterIP"), SERVICE_TYPES[gateway.exposure]),
        (f"labels.{NETWORK_LABEL}", label(service, NETWORK_LABEL), network),
    ]
    if gateway.exposure == "node-port":
        found = node_port(service)
        field = msg("nodePort of {port}", port=GATEWAY_TLS_PORT)
        told.append((field, None if found is None else str(found), str(gateway.port)))
    elif gateway.exposure == "external-ips":
        addresses = spec.get("externalIPs") or []
        told.append(("spec.externalIPs", ", ".join(addresses) or None, ", ".join(gateway.addresses)))
    elif gateway.exposure == "cluster-ip-route":
        told.append(("spec.clusterIP", spec.get("clusterIP"), str(gateway.address)))
    return told
