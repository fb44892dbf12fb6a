"""Ways to break a finished mesh of simulated clusters, each as a person or a tool does it: the causes that a diagnosis names."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from wizard import yamltext
from wizard.certificates import authority
from wizard.clusters.kinds import (
    AUTHORIZATION_POLICY,
    CLUSTER_ROLE,
    CONFIG_MAP,
    DEPLOYMENT,
    DESTINATION_RULE,
    ISTIO_GATEWAY,
    NAMESPACE,
    PEER_AUTHENTICATION,
    POD,
    SERVICE,
    SIDECAR,
    VIRTUAL_SERVICE,
    Kind,
    Object,
    Ref,
)
from wizard.errors import BadInput
from wizard.istio import names
from wizard.mesh.model import GATEWAY_NAME, NETWORK_LABEL, SYSTEM_NAMESPACE, Cluster, Mesh
from wizard.mesh.sample import CLIENT
from wizard.mesh.sample import SERVICE as SAMPLE
from wizard.messages import msg
from wizard.objects.cacerts import CACERTS
from wizard.objects.removal import READER_TOKEN
from wizard.simulated.machine import Machine
from wizard.steps.remotesecret import secret_of
from wizard.text import listing, one_line

THEIRS = "theirs"  # the name of what somebody else puts beside the mesh's own objects
_NOWHERE = 15999  # a port at which nobody listens
_READER = "istio-reader-clusterrole"


@dataclass(frozen=True)
class Broken:
    """Where a mesh is broken: `here` is asked from, and does not hear `there` any more."""

    mesh: Mesh
    here: Cluster
    there: Cluster

    @property
    def namespace(self) -> str:
        """That of the sample."""
        return self.mesh.verify.namespace

    @property
    def host(self) -> str:
        """The sample's Service, as policies name it."""
        return f"{SAMPLE}.{self.namespace}.svc.cluster.local"


@dataclass(frozen=True)
class Break:
    """`id`: the cause, in the field's terms; `told`: what is done, in a sentence; `at`: in which cluster, of which `control` is
    the one whose istiod serves `there`; `make`: does it on that cluster's machine; `need`: what `there` must have: another
    network than `here`, gateways that meshNetworks name as well, or an istiod of its own.
    """

    id: str
    told: str
    at: Literal["here", "there", "control"]
    make: Callable[[Broken, Machine], object]
    need: Literal["", "network", "mesh-networks", "istiod"] = ""


def cause_of(name: str) -> Break:
    """The cause of that id. BadInput where there is none."""
    for each in BREAKS:
        if each.id == name:
            return each
    raise BadInput(
        msg("there is no cause {cause}", cause=repr(one_line(name))),
        msg("There are: {causes}.", causes=listing(each.id for each in BREAKS)),
    )


def break_mesh(cause: Break, mesh: Mesh, machine_of: Callable[[str], Machine]) -> str:
    """Break a finished, settled mesh; gives the sentence that says where and how. `machine_of`: context → machine. BadInput where
    it makes no sense in this mesh.
    """
    where = _where(mesh, cause)
    cluster = {"here": where.here, "there": where.there, "control": mesh.control_plane(where.there.name)}[cause.at]
    cause.make(where, machine_of(cluster.context))
    return msg("{cluster}: {told}", cluster=cluster.name, told=cause.told)


def _where(mesh: Mesh, cause: Break) -> Broken:
    here = mesh.primaries[0]
    beyond = mesh.beyond(here.name)
    # Behind a gateway there is more to break.
    for there in sorted(mesh.peers(here.name), key=lambda peer: peer not in beyond):
        has = {
            "": True,
            "network": there in beyond,
            "mesh-networks": there in beyond and not there.gateway.labelled,
            "istiod": there.role == "primary",
        }
        if has[cause.need]:
            return Broken(mesh, here, there)
    raise BadInput(
        msg("no cluster of mesh {mesh} can be broken by {cause}", mesh=mesh.name, cause=cause.id),
        msg("Take another cause."),
    )


# -- what hands do


def _removed(machine: Machine, ref: Ref) -> None:
    with machine.settled():
        machine.store.remove(ref)


def _scaled_down(machine: Machine, name: str, namespace: str = SYSTEM_NAMESPACE) -> None:
    machine.change(Ref(DEPLOYMENT, name, namespace), lambda live: live["spec"].update(replicas=0))


def _made_anew(machine: Machine, namespace: str, labels: str = "") -> None:
    """The Pods with these labels, or all. Those that no istiod injects yet wait for it."""
    with machine.settled():
        for record in machine.store.all(POD, namespace, labels):
            machine.store.remove(Ref(POD, record.manifest["metadata"]["name"], namespace))


def _all_made_anew(machine: Machine, where: Broken) -> None:
    for namespace in (SYSTEM_NAMESPACE, where.namespace):
        _made_anew(machine, namespace)


def _added(machine: Machine, where: Broken, kind: Kind, spec: Object) -> None:
    """An object of theirs in the sample's namespace."""
    metadata = {"name": THEIRS, "namespace": where.namespace}
    machine.apply_as("kubectl", {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "spec": spec})


def _config_changed(machine: Machine, mesh: Mesh, key: str, how: Callable[[Any], object]) -> None:
    """What istiod's ConfigMap says under this key."""

    def edit(live: Object) -> None:
        content = yamltext.load(live["data"][key])
        how(content)
        live["data"][key] = yaml.safe_dump(content)

    machine.change(Ref(CONFIG_MAP, names.mesh_config_name(mesh), SYSTEM_NAMESPACE), edit)


def _secret_made_anew(where: Broken, machine: Machine, how: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """The remote secret for `there`, deleted and made anew with other kubeconfigs (cluster → its text)."""
    ref = secret_of(where.there.name)
    with machine.settled():
        record = machine.store.find(ref)
        if record is None:
            raise KeyError(str(ref))
        live = record.show()
        machine.store.remove(ref)
    data = {name: base64.b64decode(content).decode() for name, content in live["data"].items()}
    kept = {
        key: live["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in live["metadata"]
    }
    machine.apply_as("kubectl", {**live, "metadata": kept, "data": {}, "stringData": how(data)})


# -- causes that need more than one of these


def _at_loopback(kubeconfigs: dict[str, str]) -> dict[str, str]:
    (name, text) = next(iter(kubeconfigs.items()))
    content = yamltext.load(text)
    content["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:6443"
    return {name: yamltext.dump(content)}


def _unselected(where: Broken, machine: Machine) -> None:
    gateway = Ref(ISTIO_GATEWAY, "cross-network-gateway", SYSTEM_NAMESPACE)
    machine.change(gateway, lambda live: live["spec"].update(selector={"istio": "nothing"}))


def _another_network(where: Broken, machine: Machine) -> None:
    machine.change(
        Ref(NAMESPACE, SYSTEM_NAMESPACE), lambda live: live["metadata"]["labels"].update({NETWORK_LABEL: "other"})
    )


def _another_gateway_port(where: Broken, machine: Machine) -> None:
    def edit(content: Object) -> None:
        for gateway in content["networks"][where.there.network]["gateways"]:
            gateway["port"] = _NOWHERE

    _config_changed(machine, where.mesh, "meshNetworks", edit)


def _trimmed(where: Broken, machine: Machine) -> None:
    revision = f"-{where.mesh.istio.revision}" if where.mesh.istio.revision else ""

    def edit(live: Object) -> None:
        for rule in live["rules"]:
            rule["resources"] = [each for each in rule["resources"] if each != "endpointslices"]
        live["rules"] = [rule for rule in live["rules"] if rule["resources"]]

    machine.change(Ref(CLUSTER_ROLE, f"{_READER}{revision}-{SYSTEM_NAMESPACE}"), edit)


def _uninjected(where: Broken, machine: Machine) -> None:
    machine.change(
        Ref(NAMESPACE, where.namespace), lambda live: live["metadata"]["labels"].update({"istio-injection": "disabled"})
    )
    _made_anew(machine, where.namespace, f"app={SAMPLE}")


def _port_renamed(where: Broken, machine: Machine) -> None:
    machine.change(
        Ref(SERVICE, SAMPLE, where.namespace), lambda live: live["spec"]["ports"][0].update(name="tcp-other")
    )


def _another_root(where: Broken, machine: Machine) -> None:
    files = authority.make_intermediate(authority.make_root("another"), where.there.name, where.mesh.trust_domain)
    data = {name: base64.b64encode(content).decode() for name, content in files.items()}
    machine.change(CACERTS, lambda live: live["data"].update(data))
    _all_made_anew(machine, where)


def _another_trust_domain(where: Broken, machine: Machine) -> None:
    _config_changed(machine, where.mesh, "mesh", lambda config: config.update(trustDomain="other.local"))
    _all_made_anew(machine, where)


def _firewall(where: Broken, machine: Machine) -> None:
    machine.blocked_ports.add(int(where.there.gateway.tls_port or 0))


def _api_server_away(where: Broken, machine: Machine) -> None:
    machine.unreachable = True


def _aborting(where: Broken) -> Object:
    fault = {"abort": {"percentage": {"value": 100}, "httpStatus": 555}}
    return {"hosts": [where.host], "http": [{"fault": fault, "route": [{"destination": {"host": where.host}}]}]}


BREAKS: tuple[Break, ...] = (
    Break(
        "gateway-gone", msg("The Deployment of the east-west gateway is scaled to 0."), "there",
        lambda where, machine: _scaled_down(machine, GATEWAY_NAME), "network",
    ),
    Break(
        "gateway-port-closed", msg("A firewall drops what comes for the east-west gateway."), "there",
        _firewall, "network",
    ),
    Break(
        "gateway-unselected", msg("The Gateway that opens port 15443 selects Pods that are not there."), "control",
        _unselected, "network",
    ),
    Break(
        "network-label", msg("Namespace istio-system has the label of another network."), "there",
        _another_network, "network",
    ),
    Break(
        "remote-secret-gone", msg("A remote secret is deleted."), "here",
        lambda where, machine: _removed(machine, secret_of(where.there.name)),
    ),
    Break(
        "remote-secret-server", msg("A remote secret names 127.0.0.1 as the API server."), "here",
        lambda where, machine: _secret_made_anew(where, machine, _at_loopback),
    ),
    Break(
        "remote-secret-name", msg("A remote secret registers its cluster under another name."), "here",
        lambda where, machine: _secret_made_anew(
            where, machine, lambda kubeconfigs: {f"{name}-other": text for name, text in kubeconfigs.items()}
        ),
    ),
    Break(
        "token-revoked", msg("The Secret with the reader's token is deleted, by which the token is revoked."), "there",
        lambda where, machine: _removed(machine, READER_TOKEN),
    ),
    Break("reader-role", msg("The reader's ClusterRole allows no EndpointSlices any more."), "there", _trimmed),
    Break(
        "mesh-networks-port", msg("meshNetworks name a port of the gateway at which nobody listens."), "here",
        _another_gateway_port, "mesh-networks",
    ),
    Break(
        "no-sidecar", msg("Injection is switched off, and the sample's server is made anew without a sidecar."), "there",
        _uninjected, "network",
    ),
    Break(
        "mtls-disabled", msg("A PeerAuthentication switches mTLS off for the sample."), "control",
        lambda where, machine: _added(machine, where, PEER_AUTHENTICATION, {"mtls": {"mode": "DISABLE"}}),
    ),
    Break(
        "plain-destination-rule", msg("A DestinationRule has clients ask the sample in plain text."), "here",
        lambda where, machine: _added(
            machine, where, DESTINATION_RULE, {"host": where.host, "trafficPolicy": {"tls": {"mode": "DISABLE"}}}
        ),
    ),
    Break(
        "abort", msg("A VirtualService aborts every request to the sample."), "here",
        lambda where, machine: _added(machine, where, VIRTUAL_SERVICE, _aborting(where)),
    ),
    Break(
        "deny", msg("An AuthorizationPolicy denies every request to the sample."), "control",
        lambda where, machine: _added(machine, where, AUTHORIZATION_POLICY, {"action": "DENY", "rules": [{}]}),
    ),
    Break(
        "service-gone", msg("The sample's Service is deleted."), "there",
        lambda where, machine: _removed(machine, Ref(SERVICE, SAMPLE, where.namespace)),
    ),
    Break("port-renamed", msg("The port of the sample's Service has another name."), "there", _port_renamed),
    Break(
        "istiod-down", msg("istiod's Deployment is scaled to 0."), "here",
        lambda where, machine: _scaled_down(machine, names.istiod_name(where.mesh)),
    ),
    Break(
        "client-gone", msg("The Deployment of the sample's client is scaled to 0."), "here",
        lambda where, machine: _scaled_down(machine, CLIENT, where.namespace),
    ),
    Break(
        "narrow-sidecar", msg("A Sidecar leaves the sample's clients nothing but istio-system."), "here",
        lambda where, machine: _added(machine, where, SIDECAR, {"egress": [{"hosts": [f"{SYSTEM_NAMESPACE}/*"]}]}),
    ),
    Break(
        "roots-differ", msg("The certificates come from another root, and all Pods have taken them up."), "there",
        _another_root, "istiod",
    ),
    Break("api-server-away", msg("The API server does not answer."), "there", _api_server_away),
    Break(
        "trust-domain", msg("The trust domain is another one, and all Pods have taken it up."), "there",
        _another_trust_domain, "istiod",
    ),
)  # fmt: skip
