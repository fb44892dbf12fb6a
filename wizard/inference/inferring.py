"""The mesh that stands in some clusters, from what they tell: facts of each, put together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wizard.clusters.port import Cluster
from wizard.errors import BadInput
from wizard.fanout import of_each
from wizard.inference.exposed import exposure_of
from wizard.inference.seen import DEFAULT, Seen, look
from wizard.inference.unexpressed import unexpressed
from wizard.mesh import model
from wizard.mesh.field import Field
from wizard.mesh.fields import cluster_field, mesh_field
from wizard.mesh.model import BY_OTHERS, Certificates, Gateway, Istio, Mesh, Verify
from wizard.messages import msg
from wizard.text import listing, one_line

_IMAGE = re.compile(r"(.+)/pilot:([0-9]+\.[0-9]+\.[0-9]+)([-.][0-9A-Za-z.-]+)?(?:@.*)?")
_UNNAMED_NETWORK = "network1"


@dataclass(frozen=True)
class Named:
    """A cluster that is said to belong to the mesh, by its context. `cluster`: the door to it."""

    context: str
    kubeconfig: Path | None
    cluster: Cluster


@dataclass(frozen=True)
class Inferred:
    """The mesh, as far as a mesh file can say it. `unexpressed`: what it cannot, each in a sentence. `mute`: why answers of the
    sample tell nothing; empty where they tell which cluster they came from.
    """

    mesh: Mesh
    unexpressed: tuple[str, ...]
    mute: str = ""


def infer(members: Sequence[Named], *, lenient: bool = False) -> Inferred:
    """The mesh that stands in these clusters; reads only. Where two things contradict each other, what proxies were injected with
    counts. `lenient`: a cluster that does not answer is left as its peers know it, as long as one answers. Raises Unreachable;
    BadInput where no Istio stands, or where two contexts lead to one cluster; Failed and NotAllowed where one cannot be read.
    """
    _refuse_few(members)
    seen = of_each(members, lambda each: look(each.cluster, lenient=lenient))
    dead = [each.trouble for each in seen if each.trouble]
    if dead and len(dead) == len(seen):
        raise dead[0]
    _refuse_twins(members, seen)
    named = dict(zip(_names(members, seen), seen, strict=True))
    networks = _networks(named)
    clusters = [
        model.Cluster(
            name,
            member.context,
            networks[name],
            kubeconfig=member.kubeconfig,
            role="remote" if each.remote else "primary",
            api_server=_api_server(name, named),
            gateway=_gateway(name, named, networks),
        )
        for (name, each), member in zip(named.items(), members, strict=True)
    ]
    mesh = _common(named, tuple(_served(clusters, named)))
    mesh, mute = _with_samples(mesh, named)
    return Inferred(mesh, unexpressed(mesh, named), mute)


def _refuse_few(members: Sequence[Named]) -> None:
    if len({each.context for each in members}) < 2:
        raise BadInput(
            msg("a mesh needs at least two clusters"), msg("Give --context once for each cluster of the mesh.")
        )


def _refuse_twins(members: Sequence[Named], seen: Sequence[Seen]) -> None:
    first: dict[str, str] = {}
    for member, each in zip(members, seen, strict=True):
        if each.uid and each.uid in first:
            what = msg(
                "{context} leads to the same cluster as {other}; each must be another one",
                context=repr(one_line(member.context)),
                other=one_line(first[each.uid]),
            )
            raise BadInput(what, msg("Take it out."))
        first[each.uid] = member.context


def _names(members: Sequence[Named], seen: Sequence[Seen]) -> list[str]:
    """What istiod calls each cluster, where a mesh can have such names; else of their contexts."""
    ids = [each.id or _known_as(each, seen) for each in seen]
    rule = cluster_field("name")
    often = Counter(ids)
    names: list[str] = []
    for member, told in zip(members, ids, strict=True):
        name = told if told and often[told] == 1 and rule.mistake(told) is None else _as_name(member.context)
        number = 2
        while name in names or (name != told and name in ids):
            name, number = f"{_as_name(member.context)[:60]}-{number}", number + 1
        names.append(name)
    return names


def _known_as(of: Seen, seen: Sequence[Seen]) -> str:
    """The name under which others read this cluster."""
    found = {name for each in seen for name, server in each.servers.items() if server == of.server}
    return found.pop() if len(found) == 1 else ""


def _as_name(context: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", context.lower()).strip("-")[:63].strip("-")
    return plain or "cluster"


def _networks(named: Mapping[str, Seen]) -> dict[str, str]:
    """The network of each cluster; where nobody names any, one for all."""
    rule = cluster_field("network")
    found = {}
    for name, each in named.items():
        network = each.network or _registered_in(name, named)
        found[name] = network if network and rule.mistake(network) is None else ""
    if not any(found.values()):
        return dict.fromkeys(found, _UNNAMED_NETWORK)
    return {name: network or f"unnamed-{name}"[:63] for name, network in found.items()}


def _registered_in(name: str, named: Mapping[str, Seen]) -> str:
    """The network to which meshNetworks count this cluster."""
    for each in named.values():
        for network, entry in each.networks.items():
            endpoints = entry.get("endpoints") if isinstance(entry, dict) else None
            for end in endpoints if isinstance(endpoints, list) else ():
                if isinstance(end, dict) and end.get("fromRegistry") == name:
                    return str(network)
    return ""


def _api_server(name: str, named: Mapping[str, Seen]) -> str | None:
    """Where others read this cluster, if that is not what its kubeconfig says."""
    rule, own = cluster_field("apiServer"), named[name].server
    told = [each.servers[name] for other, each in named.items() if other != name and name in each.servers]
    return None if own in told else next((each for each in told if rule.mistake(each) is None), None)


def _gateway(name: str, named: Mapping[str, Seen], networks: Mapping[str, str]) -> Gateway:
    network = networks[name]
    alone = list(networks.values()).count(network) == 1
    return exposure_of(named[name], network, [each.networks for each in named.values()], alone=alone)


def _served(clusters: Sequence[model.Cluster], named: Mapping[str, Seen]) -> Iterator[model.Cluster]:
    """Each remote with the primary that serves it."""
    primaries = [each for each in clusters if each.role == "primary"]
    if not primaries:
        raise BadInput(
            msg(
                "{clusters} are served by an istiod in a cluster that is not named",
                clusters=listing(each.name for each in clusters),
            ),
            msg("Give its --context, too."),
        )
    for cluster in clusters:
        if cluster.role == "primary":
            yield cluster
            continue
        seen = named[cluster.name]
        primary = _primary(seen, primaries, named)
        told = primary.gateway.addresses or tuple(each.given for each in named[primary.name].gateways)
        through = seen.discovery in told[:1] and primary.gateway.exposure != "node-port"
        discovery = None if through or not seen.discovery else seen.discovery
        yield replace(cluster, primary=primary.name, discovery=discovery)


def _primary(seen: Seen, primaries: Sequence[model.Cluster], named: Mapping[str, Seen]) -> model.Cluster:
    for primary in primaries:
        at = {*primary.gateway.addresses, *(each.given for each in named[primary.name].gateways)}
        if seen.discovery and seen.discovery in at:
            return primary
    return next((each for each in primaries if each.name in seen.controls), primaries[0])


def _common(named: Mapping[str, Seen], clusters: tuple[model.Cluster, ...]) -> Mesh:
    """What is the same for all, as the first tells it that does."""
    alive = [each for each in named.values() if not each.trouble]
    primaries = [each for each in alive if not each.remote] or alive
    images = [found for each in primaries if (found := _IMAGE.fullmatch(each.image))]
    settings = [each.settings for each in primaries]
    remotes = any(each.role == "remote" for each in clusters)
    secrets = next((found for each in settings if isinstance(found := each.get("imagePullSecrets"), list)), [])
    revision = primaries[0].revision
    istio = Istio(
        version=images[0][2] if images else None,
        revision=None if revision == DEFAULT else revision,
        hub=_fitting(mesh_field("istio.hub"), [found[1] for found in images], Istio.hub),
        image_pull_policy=_fitting(
            mesh_field("istio.imagePullPolicy"),
            [each.get("imagePullPolicy") for each in settings],
            Istio.image_pull_policy,
        ),
        pull_secret=_fitting(mesh_field("istio.pullSecret"), secrets, "") or None,
        installed=None if all(each.ours for each in alive) else BY_OTHERS,
    )
    return Mesh(
        _fitting(mesh_field("name"), [each.get("meshID") for each in settings], str(mesh_field("name").default)),
        clusters,
        topology="primary-remote" if remotes else "multi-primary",
        trust_domain=_fitting(
            mesh_field("trustDomain"), [each.config.get("trustDomain") for each in primaries], Mesh.trust_domain
        ),
        istio=istio,
        certificates=Certificates(source="existing"),
    )


def _fitting(field: Field, told: Sequence[object], default: str) -> str:
    """The first of these that the field allows."""
    return next((each for each in told if isinstance(each, str) and each and field.mistake(each) is None), default)


def _with_samples(mesh: Mesh, named: Mapping[str, Seen]) -> tuple[Mesh, str]:
    """The mesh with the sample where it runs, and why its answers tell nothing."""
    rule = mesh_field("verify.namespace")
    often = Counter(place for each in named.values() for place in each.samples if rule.mistake(place) is None)
    usual = Verify.namespace
    namespace = max(often, key=lambda place: (often[place], place == usual), default=usual)
    mesh = replace(mesh, verify=replace(mesh.verify, namespace=namespace))
    versions = {name: each.samples.get(namespace, frozenset()) for name, each in named.items() if not each.trouble}
    own = {name: next(iter(each)) for name, each in versions.items() if len(each) == 1}
    rule = cluster_field("sample")
    for name, version in own.items():
        if list(own.values()).count(version) == 1 and rule.mistake(version) is None:
            mesh = mesh.with_cluster(replace(mesh.cluster(name), sample=version))
    without = [name for name, each in versions.items() if not each]
    if without:
        told = {"clusters": listing(without), "namespace": namespace}
        return mesh, msg("{clusters}: no helloworld runs in namespace {namespace}", **told)
    alike = [name for name in versions if mesh.cluster(name).sample is None]
    if alike:
        return mesh, msg(
            "{clusters}: no version of helloworld in namespace {namespace} that only this cluster runs",
            clusters=listing(alike),
            namespace=namespace,
        )
    return mesh, ""
