"""Guards prove the right thing on real clusters: addresses that lead back to whoever uses them, API servers behind others'
certificates and names, nodes that went.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization

from tests.lab import certs
from tests.lab.cluster import Cluster
from tests.lab.lab import Lab
from tests.lab.wizard import Ran, Wizard, answers, assert_untouched, assert_verified, statuses
from wizard.mesh.model import DEFAULT_NODE_PORT

FRONT_PORT = 7443
_NAT = "10.0.2.15"


def give_node(cluster: Cluster, address: str) -> None:
    """From now on its node has this InternalIP, as the API server tells it. The kubelet, which would correct it, is stopped: Pods
    run on, and for 40 seconds the node counts as Ready.
    """
    cluster.machine.stop("kubelet")
    addresses = [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": cluster.spec.node}]
    patch = json.dumps({"status": {"addresses": addresses}})
    cluster.kubectl("patch", "node", cluster.spec.node, "--subresource=status", "--type=merge", "-p", patch)


def of_second(**fields: Any) -> Callable[[dict[str, Any]], None]:
    """Changes of the mesh file: these fields of cluster2."""

    def change(document: dict[str, Any]) -> None:
        document["clusters"][1].update(fields)

    return change


def beside(cluster: Cluster, offset: int) -> str:
    """Another address of the lab's wire, which the cluster's machine gets."""
    network, _, last = cluster.address.rpartition(".")
    address = f"{network}.{int(last) + offset}"
    cluster.machine.run(["ip", "address", "add", f"{address}/32", "dev", "eth0"])
    return address


def last_statuses(ran: Ran) -> dict[str, str]:
    return statuses([json.loads(line) for line in ran.stdout.splitlines()])


@pytest.mark.inputs("6")
def test_nodes_that_have_one_address_are_refused_before_anything_is_touched(fresh_lab: Lab, tmp_path: Path) -> None:
    marks = [cluster.audit_mark() for cluster in fresh_lab.clusters]
    wizard = Wizard(fresh_lab, tmp_path)
    for cluster in fresh_lab.clusters:
        give_node(cluster, _NAT)
    ran = wizard.apply()
    assert ran.code == 2, ran.text
    assert f"{_NAT}:{DEFAULT_NODE_PORT}" in ran.text
    assert "gateway.address" in ran.text
    assert "--node-ip" in ran.text
    assert_untouched(fresh_lab, marks)


@pytest.mark.inputs("7")
def test_a_proxy_with_another_certificate_is_told_before_anything_depends_on_it(fresh_lab: Lab, tmp_path: Path) -> None:
    first, second = fresh_lab.clusters
    pair = certs.issue("proxy", [], certs.issue("proxy-ca", [], None), [second.address], server=True)
    certificate, key = tmp_path / "proxy.crt", tmp_path / "proxy.key"
    certificate.write_bytes(pair.certificate.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(certs.key_pem(pair.key))
    front = ["openssl", "s_server", "-quiet", "-accept", str(FRONT_PORT), "-cert", certificate, "-key", key, "-www"]
    second.machine.spawn("front", front)
    wizard = Wizard(fresh_lab, tmp_path, changes=of_second(apiServer=f"https://{second.address}:{FRONT_PORT}"))
    ran = wizard.run("apply", "-f", str(wizard.meshfile), "--json")
    assert ran.code == 1, ran.text
    told = last_statuses(ran)
    assert told["cluster1/reach-api"] == "failed"
    assert told["cluster2/reach-api"] == "done"
    assert told["cluster1/remote-secret/cluster2"] == "blocked"
    assert "istiod of cluster1 cannot read cluster2" in ran.text
    assert "not one of cluster2's own authority" in ran.text
    assert first.kubectl("get", "secrets", "-n", "istio-system", "-l", "istio/multiCluster=true", "-o", "name") == ""
    second.machine.stop("front")
    right = Wizard(fresh_lab, tmp_path, changes=of_second(apiServer=f"https://{second.address}:6443"))
    mended = right.apply()
    assert mended.code == 0, mended.text
    assert_verified(right)


@pytest.mark.inputs("7")
def test_an_address_that_the_certificate_does_not_name_is_told(fresh_lab: Lab, tmp_path: Path) -> None:
    another = beside(fresh_lab.cluster("cluster2"), 100)
    wizard = Wizard(fresh_lab, tmp_path, changes=of_second(apiServer=f"https://{another}:6443"))
    ran = wizard.apply()
    assert ran.code == 1, ran.text
    assert f"does not name {another}" in ran.text
    assert "certSANs" in ran.text


@pytest.mark.inputs("7")
def test_a_remote_secret_that_leads_elsewhere_is_told_where_traffic_stops(fresh_lab: Lab, tmp_path: Path) -> None:
    """The second guard asks with the secret itself: address, authority and token."""
    first, second = fresh_lab.clusters
    wizard = Wizard(fresh_lab, tmp_path)
    assert wizard.apply().code == 0
    # Its API server is made anew with other keys, and everything that trusts the old one is left behind.
    second.kubectl("delete", "secret", "-n", "istio-system", "istio-reader-service-account-istio-remote-secret-token")
    second.kubectl("delete", "pods", "-n", "sample", "--all", "--wait=false")
    ran = wizard.apply()
    assert ran.code == 0, ran.text  # a new token, a new secret, and the guard lets it pass
    assert_verified(wizard)
    secrets = first.kubectl(
        "get", "secret", "-n", "istio-system", "istio-remote-secret-cluster2", "-o", "jsonpath={.data.cluster2}"
    )
    assert secrets
    pods = first.kubectl("get", "jobs,pods", "-n", "istio-system", "-l", "meshwizard/reach", "-o", "yaml")
    assert "Bearer" not in pods


@pytest.mark.inputs("20")
def test_several_addresses_stand_in_mesh_networks_and_change_nothing_the_second_time(
    fresh_lab: Lab, tmp_path: Path
) -> None:
    first, second = fresh_lab.clusters
    another = beside(second, 100)
    wizard = Wizard(fresh_lab, tmp_path, changes=of_second(gateway={"addresses": [second.address, another]}))
    ran = wizard.apply()
    assert ran.code == 0, ran.text
    assert_verified(wizard)
    config = first.kubectl("get", "configmap", "-n", "istio-system", "istio", "-o", "jsonpath={.data.meshNetworks}")
    gateways = yaml.safe_load(config)["networks"]["network2"]["gateways"]
    assert [each["address"] for each in gateways] == [second.address, another]
    assert answers(wizard)["cluster1"]["v2"]
    marks = [cluster.audit_mark() for cluster in fresh_lab.clusters]
    assert wizard.apply().code == 0
    assert_untouched(fresh_lab, marks)


@pytest.mark.inputs("20")
@pytest.mark.parametrize("given", [False, True], ids=["found", "given"])
def test_a_node_that_went_is_drift(fresh_lab: Lab, tmp_path: Path, given: bool) -> None:
    second = fresh_lab.cluster("cluster2")
    old = second.address
    gateway = {"gateway": {"address": old}} if given else {}
    wizard = Wizard(fresh_lab, tmp_path, changes=of_second(**gateway))
    assert wizard.apply().code == 0
    new = beside(second, 100)
    give_node(second, new)
    planned = wizard.run("plan", "-f", str(wizard.meshfile), "--json")
    steps = {step["id"]: step for step in planned.json["steps"]}
    if given:
        assert planned.code == 3, planned.text
        assert f"no node has {old} any more" in steps["cluster2/install"]["what"]
        assert new in steps["cluster2/install"]["remedy"]
    else:
        assert planned.code == 0, planned.text
        changes = [(each["found"], each["wanted"]) for each in steps["cluster1/mesh-networks"]["differences"]]
        assert (old, new) in changes
    status = wizard.run("status", wizard.name)
    assert status.code == (3 if given else 1), status.text
    assert old in status.stdout
