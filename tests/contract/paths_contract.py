"""What curl in a Pod tells of an address: taken, refused or silent."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.contract.filling_contract import endpoints
from tests.contract.manifests import NAME, deployment, ref, service, soon
from tests.contract.objects_contract import InNamespace
from wizard.clusters.kinds import DEPLOYMENT, NODE, POD, SERVICE, Ref
from wizard.clusters.port import Cluster, Executed

LISTENS, SILENT = 8080, 18081


class PathsContract(InNamespace):
    """Fixtures also: `image`, as for Pods and with python3; `closed`, the URL of a port behind a firewall that drops what comes
    from this cluster.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def asking(cls, cluster: Cluster, image: str, namespace: None) -> Ref:
        """A Pod that asks, and itself listens on 8080."""
        manifest = deployment("asking", image)
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        container["command"] = ["python3", "-m", "http.server", str(LISTENS)]
        container["ports"] = [{"containerPort": LISTENS, "protocol": "TCP"}]
        container["readinessProbe"] = {"tcpSocket": {"port": LISTENS}, "periodSeconds": 1}
        cluster.apply(manifest)

        def running() -> Ref | None:
            status = (cluster.get(ref(DEPLOYMENT, "asking")) or {}).get("status") or {}
            if not status.get("availableReplicas"):
                return None
            (pod,) = cluster.objects(POD, NAME, "app=asking")
            return ref(POD, pod["metadata"]["name"])

        return soon(running, "the pod to run", seconds=180)

    def test_an_api_server_answers(self, cluster: Cluster, asking: Ref) -> None:
        found = cluster.get(Ref(SERVICE, "kubernetes", "default"))
        assert found is not None
        for url in (cluster.server, f"https://{found['spec']['clusterIP']}:443"):
            assert outcome(cluster, asking, url) == "taken"

    def test_nobody_listens(self, cluster: Cluster, asking: Ref) -> None:
        assert outcome(cluster, asking, f"https://{node_of(cluster)}:{SILENT}") == "refused"

    def test_a_firewall_is_silent(self, cluster: Cluster, asking: Ref, closed: str) -> None:
        assert outcome(cluster, asking, closed) == "silent"

    def test_pods_and_their_ports(self, cluster: Cluster, asking: Ref) -> None:
        pods = [cluster.get(asking), *cluster.objects(POD, "kube-system", "k8s-app=kube-dns")]
        for pod, port in zip(pods, (LISTENS, 53), strict=False):
            assert pod is not None
            assert outcome(cluster, asking, f"https://{pod['status']['podIP']}:{port}") == "taken"
        assert outcome(cluster, asking, f"https://{pods[0]['status']['podIP']}:{SILENT}") == "refused"

    def test_a_service_leads_to_its_pods(self, cluster: Cluster, asking: Ref) -> None:
        node = node_of(cluster)
        port = {"name": "https", "port": 18443, "targetPort": LISTENS}
        made = cluster.apply(service("asking", port, type="NodePort", externalIPs=[node]))
        inside, outside = made["spec"]["clusterIP"], made["spec"]["ports"][0]["nodePort"]
        for url in (f"https://{inside}:18443", f"https://{node}:18443", f"https://{node}:{outside}"):
            soon(lambda url=url: outcome(cluster, asking, url) == "taken", url, seconds=30)

    def test_a_service_without_pods_refuses(self, cluster: Cluster, asking: Ref) -> None:
        made = cluster.apply(service("nobody", {"name": "https", "port": 443}))
        url = f"https://{made['spec']['clusterIP']}:443"
        soon(lambda: outcome(cluster, asking, url) == "refused", url, seconds=30)

    def test_endpoints_lead_a_service_elsewhere(self, cluster: Cluster, asking: Ref) -> None:
        manifest = service("elsewhere", {"name": "https", "port": 443})
        del manifest["spec"]["selector"]
        made = cluster.apply(manifest)
        parts = urlsplit(cluster.server)
        cluster.apply(endpoints("elsewhere", str(parts.hostname), int(parts.port or 443)))
        url = f"https://{made['spec']['clusterIP']}:443"
        soon(lambda: outcome(cluster, asking, url) == "taken", url, seconds=30)

    def test_many_addresses_at_once(self, cluster: Cluster, asking: Ref, closed: str) -> None:
        urls = [cluster.server, f"https://{node_of(cluster)}:{SILENT}", closed]
        done = curl(cluster, asking, urls)
        assert sorted(line.split(" ")[0] for line in done.stdout.splitlines()) == sorted(urls)


def curl(cluster: Cluster, pod: Ref, urls: list[str]) -> Executed:
    """What curl in that Pod says of these addresses."""
    argv = ["curl", "-skv", "--noproxy", "*", "--parallel", "--connect-timeout", "4", "--max-time", "6",
            "-w", r"%{url} %{exitcode} %{time_connect} %{errormsg}\n"]  # fmt: skip
    for url in urls:
        argv += ["-o", "/dev/null", url]
    return cluster.execute(pod, "sleeper", argv, seconds=30)


def outcome(cluster: Cluster, pod: Ref, url: str) -> str:
    """What became of one connection."""
    done = curl(cluster, pod, [url])
    (line,) = done.stdout.splitlines()
    told, code, seconds, _ = line.split(" ", 3)
    parts = urlsplit(url)
    assert told == url
    if code == "7" and any(words in done.stderr for words in ("No route to host", "Host is unreachable")):
        # A Service's address that kube-proxy does not know yet leaves the node, where nobody answers for it.
        return "silent"
    if code == "7":
        assert "Connection refused" in done.stderr
        assert f"Failed to connect to {parts.hostname} port {parts.port} " in line
        return "refused"
    if code == "28":
        assert "Timeout was reached" in line or "timed out" in line
        return "silent"
    assert code in ("0", "35", "52", "56"), line
    # What was taken and then failed has no time: only curl's verbose words tell the two apart.
    assert f"onnected to {parts.hostname} ({parts.hostname}) port {parts.port}" in done.stderr or (
        f"Established connection to {parts.hostname} ({parts.hostname} port {parts.port})" in done.stderr
    )
    assert (float(seconds) > 0) == (code == "0"), line
    return "taken"


def node_of(cluster: Cluster) -> str:
    """The address of the cluster's node."""
    (node,) = cluster.objects(NODE)
    return next(each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP")
