"""The mesh as plain data (the shape of the mesh file), checked, and turned into the model and back.

Front ends fill such a document and get either a `Mesh` or every mistake at once, each with its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wizard.errors import BadInput, Mistake
from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS, Field
from wizard.mesh.model import API_VERSION, Certificates, Cluster, Gateway, Istio, Mesh, Verify
from wizard.mesh.rules import exposure_of, gateway_addresses, mistakes_together, primary_of, value_at
from wizard.mesh.tolerations import toleration_of
from wizard.paths import expanded

Document = dict[str, Any]
MAX_CLUSTERS = 200


def put(data: Document, key: str, value: object) -> None:
    """Set a dotted key; None removes it, and with it a section that became empty."""
    head, _, rest = key.partition(".")
    if not rest:
        if value is None:
            data.pop(head, None)
        else:
            data[head] = value
        return
    section = data.setdefault(head, {})
    put(section, rest, value)
    if not section:
        del data[head]


def mistakes_in(data: object, lines: Mapping[str, int] | None = None) -> tuple[Mistake, ...]:
    """Everything wrong with this document, in its order. Empty: `mesh_from` will succeed."""
    return tuple(_Reader(lines or {}).read(data))


def contexts_of(data: object, base: Path = Path()) -> Mesh:
    """A mesh of just the names and contexts that this document tells, however wrong the rest is. What is missing stays
    empty, so that each cluster keeps its place.
    """

    def text(entry: object, key: str) -> str:
        value = entry.get(key) if isinstance(entry, dict) else None
        return value if isinstance(value, str) else ""

    entries = data.get("clusters") if isinstance(data, dict) else None
    clusters = []
    for entry in entries[:MAX_CLUSTERS] if isinstance(entries, list) else []:
        kubeconfig = text(entry, "kubeconfig")
        path = base / expanded(kubeconfig) if kubeconfig else None
        clusters.append(Cluster(name=text(entry, "name"), context=text(entry, "context"), network="", kubeconfig=path))
    return Mesh(name="", clusters=tuple(clusters))


def mesh_from(
    data: object,
    *,
    base: Path = Path(),
    lines: Mapping[str, int] | None = None,
    source: str = "",
    more: Sequence[Mistake] = (),
) -> Mesh:
    """The mesh that this document describes. Relative paths are taken from `base`.

    Raises BadInput with every mistake, each with its line where `lines` knows it; `more` are mistakes that the caller
    found already.
    """
    mistakes = mistakes_in(data, lines)
    known = {mistake.path for mistake in mistakes}
    mistakes += tuple(
        replace(mistake, line=_line_of(mistake.path, lines or {})) for mistake in more if mistake.path not in known
    )
    mistakes = tuple(sorted(mistakes, key=lambda mistake: mistake.line or 0))
    if mistakes:
        count = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "a mistake"
        raise BadInput(f"{count} in {source or 'the mesh'}; nothing was touched", "Correct it and try again.", mistakes)
    if not isinstance(data, dict):
        raise TypeError("unreachable: mistakes_in refuses what is no mapping")

    def path(value: object) -> Path | None:
        return (base / expanded(str(value))) if value else None

    def setting(field: Field, of: Mapping[str, Any] = data) -> Any:
        value = value_at(of, field.key)
        return field.default if value in (None, "", [], {}) else value

    def paths(names: Sequence[str] | None) -> tuple[Path, ...]:
        return tuple(base / expanded(name) for name in names or ())

    mesh = {field.key: setting(field) for field in MESH_FIELDS}
    clusters = []
    for entry in data["clusters"]:
        of = {field.key: setting(field, entry) for field in CLUSTER_FIELDS}
        addresses = gateway_addresses(entry)
        clusters.append(
            Cluster(
                name=of["name"],
                context=of["context"],
                network=of["network"],
                kubeconfig=path(of["kubeconfig"]),
                role=of["role"],
                primary=primary_of(entry, data["clusters"]),
                discovery=of["discoveryAddress"],
                api_server=of["apiServer"],
                service_cidr=of["serviceCidr"],
                gateway=Gateway(
                    exposure_of(entry, data["clusters"]),
                    next(iter(addresses), None),
                    of["gateway.port"],
                    of["gateway.node"],
                    tuple(addresses[1:]),
                    annotations=tuple((of["gateway.annotations"] or {}).items()),
                ),
                sample=of["sample"],
                overlays=paths(of["overlays"]),
            )
        )
    return Mesh(
        name=mesh["name"],
        clusters=tuple(clusters),
        topology=mesh["topology"],
        trust_domain=mesh["trustDomain"],
        istio=Istio(
            version=mesh["istio.version"],
            revision=mesh["istio.revision"],
            hub=mesh["istio.hub"],
            image_pull_policy=mesh["istio.imagePullPolicy"],
            pull_secret=mesh["istio.pullSecret"],
            pull_secret_file=path(mesh["istio.pullSecretFile"]),
            overlays=paths(mesh["istio.overlays"]),
        ),
        certificates=Certificates(mesh["certificates.source"], path(mesh["certificates.path"])),
        verify=Verify(mesh["verify.namespace"], mesh["verify.hub"], mesh["verify.curlImage"], mesh["verify.probes"]),
        tolerations=tuple(toleration_of(entry) for entry in mesh["tolerations"] or ()),
    )


def document_of(mesh: Mesh) -> Document:
    """The document that reads back as this mesh: the shape of the mesh file, ready for JSON or YAML."""
    document: Document = {"apiVersion": API_VERSION, "kind": "Mesh"}
    values: dict[str, Any] = {
        "name": mesh.name,
        "topology": mesh.topology,
        "trustDomain": mesh.trust_domain,
        "istio.version": mesh.istio.version,
        "istio.revision": mesh.istio.revision,
        "istio.hub": mesh.istio.hub,
        "istio.imagePullPolicy": mesh.istio.image_pull_policy,
        "istio.pullSecret": mesh.istio.pull_secret,
        "istio.pullSecretFile": str(mesh.istio.pull_secret_file) if mesh.istio.pull_secret_file else None,
        "istio.overlays": [str(path) for path in mesh.istio.overlays] or None,
        "tolerations": [each.manifest() for each in mesh.tolerations] or None,
        "certificates.source": mesh.certificates.source,
        "certificates.path": str(mesh.certificates.path) if mesh.certificates.path else None,
        "verify.namespace": mesh.verify.namespace,
        "verify.hub": mesh.verify.hub,
        "verify.curlImage": mesh.verify.curl_image,
        "verify.probes": mesh.verify.probes,
    }
    for key, value in values.items():
        put(document, key, value)
    document["clusters"] = []
    for cluster in mesh.clusters:
        entry: Document = {}
        of: dict[str, Any] = {
            "name": cluster.name,
            "kubeconfig": str(cluster.kubeconfig) if cluster.kubeconfig else None,
            "context": cluster.context,
            "network": cluster.network,
            "role": cluster.role,
            "primary": cluster.primary,
            "discoveryAddress": cluster.discovery,
            "apiServer": cluster.api_server,
            "serviceCidr": cluster.service_cidr,
            "gateway.exposure": cluster.gateway.exposure,
            "gateway.address": None if cluster.gateway.more else cluster.gateway.address,
            "gateway.addresses": list(cluster.gateway.addresses) if cluster.gateway.more else None,
            "gateway.port": cluster.gateway.port,
            "gateway.node": cluster.gateway.node,
            "gateway.annotations": dict(cluster.gateway.annotations) or None,
            "overlays": [str(path) for path in cluster.overlays] or None,
            "sample": cluster.sample,
        }
        for key, value in of.items():
            put(entry, key, value)
        document["clusters"].append(entry)
    return document


def _line_of(path: str, lines: Mapping[str, int]) -> int | None:
    """The line of this path; of what holds it where the key itself is missing."""
    while path and path not in lines:
        path = path.rpartition(".")[0]
    return lines.get(path)


class _Reader:
    """Walks a document beside the declared fields and collects what does not fit."""

    def __init__(self, lines: Mapping[str, int]) -> None:
        self._lines = lines

    def read(self, data: object) -> Iterable[Mistake]:
        if not isinstance(data, dict):
            yield Mistake(
                "",
                "the mesh file must be a mapping that starts with apiVersion and kind",
                self._lines.get(""),
            )
            return
        for key, wanted in (("apiVersion", API_VERSION), ("kind", "Mesh")):
            if data.get(key) != wanted:
                yield self._mistake(key, f"must be {wanted}", data)
        yield from self._fields(data, MESH_FIELDS, "", also={"apiVersion", "kind", "clusters"})
        clusters = data.get("clusters")
        if not isinstance(clusters, list) or len(clusters) < 2:
            yield self._mistake("clusters", "must be a list of at least two clusters", data)
            return
        if len(clusters) > MAX_CLUSTERS:
            yield self._mistake(
                "clusters", f"holds {len(clusters)} clusters; at most {MAX_CLUSTERS} are supported", data
            )
            return
        for index, entry in enumerate(clusters):
            prefix = f"clusters[{index}]"
            if not isinstance(entry, dict):
                yield self._mistake(prefix, "must be a mapping with name, context and network", data)
                continue
            yield from self._fields(entry, CLUSTER_FIELDS, prefix)
        for path, text in mistakes_together(data, [entry if isinstance(entry, dict) else {} for entry in clusters]):
            yield self._mistake(path, text)

    def _mistake(self, path: str, text: str, data: object = None) -> Mistake:
        return Mistake(path, text, _line_of(path, self._lines))

    def _fields(
        self,
        data: Mapping[str, Any],
        fields: tuple[Field, ...],
        prefix: str,
        also: frozenset[str] | set[str] = frozenset(),
    ) -> Iterable[Mistake]:
        def at(key: str) -> str:
            return f"{prefix}.{key}" if prefix else key

        known = {field.key for field in fields}
        sections = {key.split(".")[0] for key in known if "." in key}
        for key, value in data.items():
            if key in sections:
                if not isinstance(value, dict):
                    yield self._mistake(at(str(key)), "must be a mapping")
                    continue
                inside = [name.split(".")[1] for name in known if name.startswith(f"{key}.")]
                for name in value:
                    if name not in inside:
                        yield self._mistake(at(f"{key}.{name}"), f"unknown key; {key} has {', '.join(sorted(inside))}")
            elif key not in known and key not in also:
                names = sorted({name.split(".")[0] for name in known} | set(also))
                yield self._mistake(at(str(key)), f"unknown key; known are {', '.join(names)}")
        for field in fields:
            value = value_at(data, field.key)
            if value is None and field.default is not None:
                continue
            text = field.mistake(value)
            if text:
                yield self._mistake(at(field.key), text)
