"""The check `remote-secret-server`."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.discovery_fakes import put_anew, saying, secret_of, server
from tests.unit.restoring import restoring
from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.checks.standing.check import Fault
from wizard.checks.standing.discovery.remote_secret_server import CHECK
from wizard.checks.standing.view import View
from wizard.clusters.kinds import SECRET

NAME = "Secret istio-remote-secret-cluster2 in istio-system"
REF = secret_of("cluster2")
TO_2 = (("cluster1", "cluster2"),)


@pytest.fixture(scope="module")
def shared() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(shared: Setting) -> Iterator[Setting]:
    with restoring(shared, SECRET):
        yield shared


@pytest.mark.parametrize("make", [finished_mesh, finished_remote])
def test_where_they_lead_to_their_clusters_nothing_is_said(make: Callable[[], Setting]) -> None:
    assert found(make(), CHECK.id) == []


def by_hand(made: Setting) -> list[tuple[str, Fault]]:
    view = View(made.mesh, made.world.clusters, inferred=True)
    return [(here.name, fault) for here in view.all for fault in CHECK.find(here)]


def test_of_a_mesh_that_others_made_nothing_is_said() -> None:
    assert by_hand(made_by_hand()) == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("https://127.0.0.1:6443", "istiod's own Pod"),
        ("https://[::1]:6443", "istiod's own Pod"),
        ("https://0.0.0.0:6443", "istiod's own Pod"),
        ("https://localhost:6443", "istiod's own Pod"),
        ("https://LOCALHOST./", "istiod's own Pod"),
        ("http://192.0.2.12:6443", "speaks no TLS"),
        ("192.0.2.12:6443", "speaks no TLS"),
        ("https://192.0.2.11:6443", "is that of cluster1"),
        ("https://192.0.2.99:6443", "is not the one that the mesh has for it, https://192.0.2.12:6443"),
        ("https://[192.0.2.12:6443", "is not the one that the mesh has for it"),
    ],
)
def test_one_that_leads_elsewhere_is_the_cause(made: Setting, value: str, words: str) -> None:
    put_anew(made, 1, "cluster2", server("cluster2", value))
    diagnosis = whole(made)
    cause = diagnosis.cause
    assert cause is not None
    assert (cause.check, cause.cluster, cause.object, cause.breaks) == (CHECK.id, "cluster1", NAME, TO_2)
    assert words in cause.text
    assert cause.step == "cluster1/remote-secret/cluster2"
    assert cause.commands[0].endswith("-n istio-system delete secret istio-remote-secret-cluster2 && sleep 10")
    assert [each.check for each in diagnosis.findings if each.severity == "error"] == [CHECK.id]


@pytest.mark.parametrize("value", ["https://192.0.2.12:6443/", "https://192.0.2.12:6443", "HTTPS://192.0.2.12:6443"])
def test_another_spelling_is_the_same(made: Setting, value: str) -> None:
    put_anew(made, 1, "cluster2", server("cluster2", value))
    assert found(made, CHECK.id) == []


def test_another_address_over_which_istiod_reads_the_cluster_is_right() -> None:
    made = finished_mesh()
    made.machine(2).universe.nodes["192.0.2.77"] = made.machine(2)
    put_anew(made, 1, "cluster2", server("cluster2", "https://192.0.2.77:6443"))
    assert found(made, CHECK.id) == []


def test_the_kubeconfigs_address_is_not_enough_where_the_mesh_has_another() -> None:
    made = finished_mesh()
    member = replace(made.mesh.cluster("cluster2"), api_server="https://192.0.2.77:6443")
    made.machine(2).universe.nodes.pop("192.0.2.12")
    put_anew(made, 1, "cluster2", lambda secret: None)
    view = View(made.mesh.with_cluster(member), made.world.clusters)
    (fault,) = CHECK.find(view.at("cluster1"))
    assert "https://192.0.2.77:6443" in fault.text


def test_what_a_mesh_of_others_seems_to_mean_is_what_its_secrets_say() -> None:
    made = made_by_hand()
    wrong = "https://192.0.2.11:6443"
    change_by_hand(made, lambda config: config["clusters"][0]["cluster"].update(server=wrong))
    member = replace(made.mesh.cluster("cluster2"), api_server=wrong)
    view = View(made.mesh.with_cluster(member), made.world.clusters, inferred=True)
    (fault,) = CHECK.find(view.at("cluster1"))
    assert "is that of cluster1" in fault.text
    assert "--server=https://192.0.2.12:6443" in fault.commands[1]


def other_authority(config: Any) -> None:
    text = "-----BEGIN CERTIFICATE-----\nb3RoZXI=\n-----END CERTIFICATE-----\n"
    config["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(text.encode()).decode()


def test_an_authority_that_is_not_the_clusters_is_an_error_where_istiod_does_not_read_it(made: Setting) -> None:
    put_anew(made, 1, "cluster2", saying("cluster2", other_authority))
    (told,) = found(made, CHECK.id)
    assert (told.severity, told.object, told.breaks) == ("error", NAME, TO_2)
    assert "another authority" in told.text


def test_in_a_mesh_of_others_it_may_be_that_of_a_proxy() -> None:
    made = made_by_hand()
    change_by_hand(made, other_authority)
    ((cluster, fault),) = by_hand(made)
    assert (cluster, fault.severity) == ("cluster1", "unsure")


def change_by_hand(made: Setting, change: Callable[[Any], Any]) -> None:
    machine = made.machine(1)
    live = machine.found(REF)
    assert live is not None
    changed = {**live, "metadata": {"name": REF.name, "namespace": REF.namespace, "labels": live["metadata"]["labels"]}}
    changed["data"] = dict(live["data"])
    saying("cluster2", change)(changed)
    machine.store.remove(REF)
    machine.apply_as("kubectl", changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["clusters"][0]["cluster"].pop("certificate-authority-data"),
        lambda config: config["clusters"][0]["cluster"].update({"insecure-skip-tls-verify": True}),
    ],
    ids=["system", "none"],
)
def test_no_authority_is_none_to_compare(made: Setting, change: Callable[[Any], Any]) -> None:
    put_anew(made, 1, "cluster2", saying("cluster2", change))
    assert found(made, CHECK.id) == []


def test_one_that_holds_the_old_and_the_new_authority_is_right(made: Setting) -> None:

    def both(config: Any) -> None:
        cluster = config["clusters"][0]["cluster"]
        own = base64.b64decode(cluster["certificate-authority-data"]).decode()
        other_authority(config)
        other = base64.b64decode(cluster["certificate-authority-data"]).decode()
        cluster["certificate-authority-data"] = base64.b64encode((other + own).encode()).decode()

    put_anew(made, 1, "cluster2", saying("cluster2", both))
    assert found(made, CHECK.id) == []
