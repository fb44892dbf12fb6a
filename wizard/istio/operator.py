"""The one IstioOperator of a cluster: control plane, east-west gateway and meshNetworks in a single install.

It is named, and keeps its name for life: applied again without a name, istioctl would prune the gateway. meshNetworks stands in
its values, because istioctl overwrites the ConfigMap from there on every install.
"""

from __future__ import annotations

import functools

from wizard import yamltext
from wizard.clusters.kinds import Object
from wizard.istio import versions
from wizard.mesh.model import GATEWAY_NAME, GATEWAY_TLS_PORT, NETWORK_LABEL, SYSTEM_NAMESPACE, Cluster, Mesh

OPERATOR_NAME = "meshwizard"
UNKNOWN_ADDRESS = "<what the load balancer of its primary gives>"
_LABELS = {"app": GATEWAY_NAME, "istio": "eastwestgateway"}
# `istioctl analyze` takes Services of one name for one service and wants them alike (IST0170). The gateways' are not: each has
# the ports of its own cluster's role, and those of a load balancer have NodePorts that Kubernetes draws.
_SUPPRESS, _NOT_ALIKE = "galley.istio.io/analyze-suppress", "IST0170"


def mesh_networks(mesh: Mesh) -> Object:
    """The `meshNetworks` of this mesh: for each network the clusters in it and the gateways that lead there. Empty where
    there is one network. A network whose gateways istiod finds by their labels is left out: what is named here would be
    used beside what is found there.
    """
    networks: Object = {}
    if len({cluster.network for cluster in mesh.clusters}) < 2:
        return networks
    for cluster in mesh.clusters:
        if all(each.gateway.labelled for each in mesh.clusters if each.network == cluster.network):
            continue
        entry = networks.setdefault(cluster.network, {"endpoints": [], "gateways": []})
        entry["endpoints"].append({"fromRegistry": cluster.name})
        if not cluster.gateway.labelled:
            for address in cluster.gateway.addresses or (None,):  # None: to be found
                entry["gateways"].append({"address": address, "port": cluster.gateway.tls_port})
    return networks


def operator_of(mesh: Mesh, cluster: Cluster, discovery: str | None = None) -> Object:
    """The IstioOperator of this cluster, as its Istio version understands it. The mesh must be settled: version, addresses and
    ports known. `discovery`: where a remote reaches its primary's istiod; None: as planned, and shown as open where only the
    load balancer will tell.
    """
    remote = cluster.role == "remote"
    version = str(mesh.istio.version)
    values: Object = {
        "global": {
            "meshID": mesh.name,
            "network": cluster.network,
            "multiCluster": {"clusterName": cluster.name},
            # Also for the gateway, whose `image: auto` would otherwise be pulled every time.
            "imagePullPolicy": mesh.istio.image_pull_policy,
        }
    }
    if mesh.istio.pull_secret:
        values["global"]["imagePullSecrets"] = [mesh.istio.pull_secret]
    if remote:
        values["global"]["remotePilotAddress"] = discovery or planned_discovery(mesh, cluster) or UNKNOWN_ADDRESS
        if not versions.remote_runs_istiod(version):
            values["istiodRemote"] = {"injectionPath": f"/inject/cluster/{cluster.name}/net/{cluster.network}"}
    else:
        values["global"]["meshNetworks"] = mesh_networks(mesh)
        if mesh.remotes_of(cluster.name) and not versions.remote_runs_istiod(version):
            values["global"]["externalIstiod"] = True
            if versions.needs_external_flag(version):
                values["pilot"] = {"env": {"EXTERNAL_ISTIOD": "true"}}
    spec: Object = {
        # No ingress gateway: the mesh does not need one, and without a load balancer it would stay <pending>.
        "profile": versions.remote_profile(version) if remote else "minimal",
        "hub": mesh.istio.hub,
        "tag": mesh.istio.version,
        "meshConfig": {
            "trustDomain": mesh.trust_domain,
            # Sidecars answer DNS themselves, so that a Service that exists only in another cluster can be named.
            "defaultConfig": {"proxyMetadata": {"ISTIO_META_DNS_CAPTURE": "true"}},
        },
        "values": values,
    }
    if mesh.istio.revision:
        spec["revision"] = mesh.istio.revision
    components: Object = {}
    if mesh.tolerations and (not remote or versions.remote_runs_istiod(version)):
        components["pilot"] = {"k8s": {"tolerations": _tolerations(mesh)}}
    if mesh.has_gateway(cluster.name):
        components["ingressGateways"] = [_gateway(mesh, cluster)]
        if versions.injects_gateways(version):
            values["gateways"] = {"istio-ingressgateway": {"injectionTemplate": "gateway"}}
    if components:
        spec["components"] = components
    return {
        "apiVersion": "install.istio.io/v1alpha1",
        "kind": "IstioOperator",
        "metadata": {"name": OPERATOR_NAME, "namespace": SYSTEM_NAMESPACE},
        "spec": spec,
    }


@functools.lru_cache(maxsize=1024)
def operator_yaml(mesh: Mesh, cluster: Cluster, discovery: str | None = None) -> str:
    """`operator_of`, as istioctl reads it."""
    return yamltext.dump(operator_of(mesh, cluster, discovery))


def planned_discovery(mesh: Mesh, remote: Cluster) -> str | None:
    """Where this remote reaches its primary's istiod, as far as that is known beforehand; None: a load balancer will tell."""
    return remote.discovery or mesh.control_plane(remote.name).gateway.address


def service_annotations(cluster: Cluster) -> dict[str, str]:
    """The annotations of the gateway's Service."""
    return {_SUPPRESS: _NOT_ALIKE, **dict(cluster.gateway.annotations)}


def _tolerations(mesh: Mesh) -> list[Object]:
    return [each.manifest() for each in mesh.tolerations]


def _gateway(mesh: Mesh, cluster: Cluster) -> Object:
    env = [{"name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": cluster.network}]
    if not versions.injects_gateways(str(mesh.istio.version)):
        env.append({"name": "ISTIO_META_ROUTER_MODE", "value": "sni-dnat"})
    labels = dict(_LABELS)
    if cluster.gateway.labelled:
        labels[NETWORK_LABEL] = cluster.network
    k8s: Object = {
        "env": env,
        "service": _service(mesh, cluster),
        "serviceAnnotations": service_annotations(cluster),
    }
    if mesh.tolerations:
        k8s["tolerations"] = _tolerations(mesh)
    return {"name": GATEWAY_NAME, "enabled": True, "label": labels, "k8s": k8s}


def ports_of(mesh: Mesh, cluster: Cluster) -> list[Object]:
    """The ports that this gateway's role needs, and no other: each is open to whoever reaches the Service."""
    told = [("tls", GATEWAY_TLS_PORT)]
    if cluster.gateway.exposure == "load-balancer":
        # Their health checks ask it; some ask the first port, whatever it is.
        told.insert(0, ("status-port", 15021))
    if mesh.remotes_of(cluster.name):
        told += [("tls-istiod", 15012), ("tls-webhook", 15017)]
    return [{"name": name, "port": port, "targetPort": port} for name, port in told]


def _service(mesh: Mesh, cluster: Cluster) -> Object:
    ports = ports_of(mesh, cluster)
    match cluster.gateway.exposure:
        case "node-port":
            # It comes first: Kubernetes draws those of the others at random, in their order, and might draw this one.
            return {"type": "NodePort", "ports": [{**ports[0], "nodePort": cluster.gateway.port}, *ports[1:]]}
        case "external-ips":
            return {"type": "ClusterIP", "externalIPs": list(cluster.gateway.addresses), "ports": ports}
        case "cluster-ip-route":
            return {"type": "ClusterIP", "clusterIP": cluster.gateway.address, "ports": ports}
        case _:
            return {"type": "LoadBalancer", "ports": ports}
