"""What an API server fills in, allocates and refuses when an object is written."""

from __future__ import annotations

import base64
import ipaddress
from typing import Any

from wizard.clusters.kinds import DEPLOYMENT, JOB, NAMESPACE, SECRET, SERVICE, Object, Ref, kind_of
from wizard.errors import Failed
from wizard.mesh.model import NODE_PORTS
from wizard.simulated.answers import not_allowed, refused, request
from wizard.simulated.fields import clone

_CLUSTER_SCOPE_DEFAULTS = {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}


def admit(manifest: Object) -> Object:
    """A copy with those conversions and defaults that decide who owns what: keys of list items, `stringData`."""
    result: Object = clone(manifest)
    kind = kind_of(result)
    if kind == SECRET and result.get("stringData"):
        texts = result.pop("stringData")
        encoded = {name: base64.b64encode(str(text).encode()).decode() for name, text in texts.items()}
        result["data"] = {**(result.get("data") or {}), **encoded}
    if kind == SERVICE:
        for port in result.get("spec", {}).get("ports") or []:
            port.setdefault("protocol", "TCP")
    for spec in _pod_specs(result):
        for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
            for port in container.get("ports") or []:
                port.setdefault("protocol", "TCP")
    return result


def _pod_specs(manifest: Object) -> list[Object]:
    spec = manifest.get("spec")
    if not isinstance(spec, dict):
        return []
    template = spec.get("template")
    return [spec, template["spec"]] if isinstance(template, dict) and "spec" in template else [spec]


class Admission:
    """Fills in and allocates; keeps who has which of the cluster's Service addresses and node ports."""

    def __init__(self, service_cidr: str) -> None:
        self._range = ipaddress.ip_network(service_cidr)
        self._nodes: dict[int, Ref] = {}
        self._addresses: dict[str, Ref] = {}
        self.node_ports = NODE_PORTS  # the API server's --service-node-port-range
        self._given_ports = 1200
        self._next_address = 10

    def allocate(self, cluster: str, ref: Ref, manifest: Object, before: Object | None, *, dry_run: bool) -> Object:
        """The manifest with defaults and allocations filled in. Failed where the API server would call it invalid."""
        if ref.kind == SERVICE:
            return self._service(cluster, ref, manifest, before, dry_run)
        if ref.kind == NAMESPACE:
            return _namespace(ref, manifest)
        if ref.kind == SECRET:
            return _secret(cluster, ref, manifest, before)
        if ref.kind == DEPLOYMENT:
            return _deployment(cluster, ref, manifest, before)
        if ref.kind == JOB:
            return _job(cluster, ref, manifest, before)
        return manifest

    def owner(self, address: str) -> Ref | None:
        """The Service that has this address as its own."""
        return self._addresses.get(address)

    def release(self, ref: Ref) -> None:
        """Give up what this Service had."""
        if ref.kind == SERVICE:
            self._nodes = {port: owner for port, owner in self._nodes.items() if owner != ref}
            self._addresses = {address: owner for address, owner in self._addresses.items() if owner != ref}

    def _service(self, cluster: str, ref: Ref, manifest: Object, before: Object | None, dry_run: bool) -> Object:
        spec: dict[str, Any] = {**_CLUSTER_SCOPE_DEFAULTS, **manifest.get("spec", {})}
        if not spec.get("ports") and spec["type"] != "ExternalName":
            raise _invalid(cluster, ref, "spec.ports: Required value")
        address = spec.get("clusterIP")
        if address and address != "None":
            self._allowed(cluster, ref, address, dry_run)
        old = (before or {}).get("spec", {}).get("clusterIP")
        if old and address and address != old:
            raise _invalid(cluster, ref, f'spec.clusterIPs[0]: Invalid value: ["{address}"]: may not change once set')
        if not address and spec["type"] != "ExternalName":
            # A dry run finds none: it shows the range's first, which no Service ever has.
            spec["clusterIP"] = old or (str(self._range[0]) if dry_run else self._address())
        if spec.get("clusterIP"):
            spec["clusterIPs"] = [spec["clusterIP"]]
        outside = spec["type"] in ("NodePort", "LoadBalancer")
        taken = {port for port, owner in self._nodes.items() if owner != ref}
        mine: set[int] = set()
        ports = []
        for index, given in enumerate(spec.get("ports") or []):
            port = {"protocol": "TCP", "targetPort": given["port"], **given}
            if not outside:
                port.pop("nodePort", None)
            else:
                node = port.get("nodePort") or self._free(taken | mine)
                where = f"spec.ports[{index}].nodePort: Invalid value: {node}"
                if node in taken | mine:
                    raise _invalid(cluster, ref, f"{where}: provided port is already allocated")
                # As Kubernetes does it: a dry run looks only whether the port is taken.
                if node not in self.node_ports and not dry_run:
                    raise _invalid(
                        cluster, ref,
                        f"{where}: provided port is not in the valid range. The range of valid ports is "
                        f"{self.node_ports.start}-{self.node_ports.stop - 1}",
                    )  # fmt: skip
                mine.add(node)
                port["nodePort"] = node
            ports.append(port)
        spec["ports"] = ports
        if outside:
            spec.setdefault("externalTrafficPolicy", "Cluster")
        elif (before or {}).get("spec", {}).get("externalTrafficPolicy") == spec.get("externalTrafficPolicy"):
            spec.pop("externalTrafficPolicy", None)  # the API server drops what the new type has no use for
        if not dry_run:
            self.release(ref)
            self._nodes |= dict.fromkeys(mine, ref)
            if spec.get("clusterIP", "None") != "None":
                self._addresses[spec["clusterIP"]] = ref
        return {**manifest, "spec": spec, "status": manifest.get("status") or {"loadBalancer": {}}}

    def _allowed(self, cluster: str, ref: Ref, address: str, dry_run: bool) -> None:
        where = f'spec.clusterIPs: Invalid value: ["{address}"]: failed to allocate IP {address}'
        if ipaddress.ip_address(address) not in self._range:
            raise _invalid(
                cluster, ref,
                f"{where}: the provided IP ({address}) is not in the valid range. The range of valid IPs is {self._range}",
            )  # fmt: skip
        if self._addresses.get(address, ref) != ref and not dry_run:
            raise _invalid(cluster, ref, f"{where}: provided IP is already allocated")

    def _address(self) -> str:
        while True:
            self._next_address += 1
            address = str(self._range[self._next_address])
            if address not in self._addresses:
                return address

    def _free(self, taken: set[int]) -> int:
        size = len(self.node_ports)
        for _ in range(size):
            self._given_ports = (self._given_ports + 37) % size
            if self.node_ports[self._given_ports] not in taken:
                return self.node_ports[self._given_ports]
        raise Failed("no node port is free")


def refuse_external_ips(cluster: str, manifest: Object, before: Object | None) -> None:
    """What the admission plugin DenyServiceExternalIPs does. NotAllowed where the Service gets new ones."""
    held = (before or {}).get("spec", {}).get("externalIPs") or []
    if set(manifest.get("spec", {}).get("externalIPs") or []) <= set(held):
        return
    name = manifest["metadata"]["name"]
    raise not_allowed(
        cluster,
        request("apply", str(Ref(SERVICE, name))),
        f'services "{name}" is forbidden: Use of external IPs is denied by admission control',
    )


def _namespace(ref: Ref, manifest: Object) -> Object:
    labels = {**(manifest["metadata"].get("labels") or {}), "kubernetes.io/metadata.name": ref.name}
    return {
        **manifest,
        "metadata": {**manifest["metadata"], "labels": labels},
        "spec": manifest.get("spec") or {"finalizers": ["kubernetes"]},
        "status": manifest.get("status") or {"phase": "Active"},
    }


def _secret(cluster: str, ref: Ref, manifest: Object, before: Object | None) -> Object:
    type_ = manifest.get("type") or "Opaque"
    if before and before.get("type") != type_:
        raise _invalid(cluster, ref, f'type: Invalid value: "{type_}": field is immutable')
    return {**manifest, "type": type_}


def _deployment(cluster: str, ref: Ref, manifest: Object, before: Object | None) -> Object:
    spec = {"replicas": 1, **manifest.get("spec", {})}
    selector = spec.get("selector")
    if not selector:
        raise _invalid(cluster, ref, "spec.selector: Required value")
    if before and before["spec"].get("selector") != selector:
        raise _invalid(cluster, ref, "spec.selector: Invalid value: field is immutable")
    wanted = selector.get("matchLabels") or {}
    labels = (spec.get("template", {}).get("metadata") or {}).get("labels") or {}
    if any(labels.get(name) != value for name, value in wanted.items()):
        raise _invalid(
            cluster, ref, "spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`"
        )
    return {**manifest, "spec": spec}


def _job(cluster: str, ref: Ref, manifest: Object, before: Object | None) -> Object:
    spec = {"parallelism": 1, "completions": 1, "backoffLimit": 6, **manifest.get("spec", {})}
    template = spec.get("template") or {}
    policy = (template.get("spec") or {}).get("restartPolicy", "Always")
    if policy == "Always":
        why = 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
        raise _invalid(cluster, ref, why)
    if before and before["spec"].get("template") != template:
        raise _invalid(cluster, ref, "spec.template: Invalid value: field is immutable")
    return {**manifest, "spec": spec}


def _invalid(cluster: str, ref: Ref, why: str) -> Failed:
    group = f".{ref.kind.group}" if ref.kind.group else ""
    told = f'{ref.kind.kind}{group} "{ref.name}" is invalid: {why}'
    return Failed(refused(cluster, request("apply", str(ref)), told), "")
