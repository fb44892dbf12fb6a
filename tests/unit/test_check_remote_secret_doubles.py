"""The check `remote-secret-doubles`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.discovery_fakes import SYSTEM, put_anew, secret_of, server, token
from tests.unit.restoring import restoring
from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.checks.standing.check import Fault
from wizard.checks.standing.discovery.remote_secret_doubles import CHECK
from wizard.checks.standing.view import View
from wizard.clusters.kinds import SECRET, Object

AT_1 = "kubectl --context=kubernetes-admin1@kubernetes"
TO_2 = (("cluster1", "cluster2"),)


@pytest.fixture(scope="module")
def shared() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(shared: Setting) -> Iterator[Setting]:
    with restoring(shared, SECRET):
        yield shared


@pytest.mark.parametrize("make", [finished_mesh, finished_remote])
def test_where_each_cluster_is_registered_once_nothing_is_said(make: Callable[[], Setting]) -> None:
    assert found(make(), CHECK.id) == []


def by_hand(made: Setting) -> list[tuple[str, Fault]]:
    view = View(made.mesh, made.world.clusters, inferred=True)
    return [(here.name, fault) for here in view.all for fault in CHECK.find(here)]


def add(made: Setting, name: str, key: str, change: Callable[[Object], None] = lambda secret: None) -> None:
    """A further Secret in cluster1 that registers what that of cluster2 does."""
    live = made.machine(1).found(secret_of("cluster2"))
    assert live is not None
    metadata = {"name": name, "namespace": SYSTEM, "labels": {"istio/multiCluster": "true"}}
    made_of = {**live, "metadata": metadata, "data": dict(live["data"])}
    change(made_of)
    made_of["data"] = {key: made_of["data"]["cluster2"]}
    made.machine(1).apply_as("helm", made_of)


def test_two_of_one_content_are_a_warning(made: Setting) -> None:
    add(made, "again", "cluster2")
    diagnosis = whole(made)
    assert diagnosis.proven
    (told,) = [each for each in diagnosis.findings if each.severity in ("error", "warning")]
    assert (told.check, told.cluster, told.severity) == (CHECK.id, "cluster1", "warning")
    assert (told.object, told.breaks) == ("Secret again in istio-system", ())
    assert told.commands == (f"{AT_1} -n istio-system delete secret again",)


def test_two_that_differ_are_an_error_where_istiod_took_the_wrong_one() -> None:
    made = finished_mesh()
    made.machine(2).blocked_ports = {6443}
    put_anew(made, 1, "cluster2", lambda secret: None)
    add(made, "again", "cluster2", token("cluster2", "another"))
    (told,) = found(made, CHECK.id)
    assert (told.severity, told.breaks) == ("error", TO_2)
    assert "which differ" in told.text
    assert "another" not in told.text.replace("may be another", "")


def test_two_that_differ_are_a_warning_while_istiod_reads_the_cluster(made: Setting) -> None:
    add(made, "zzz", "cluster2", server("cluster2", "https://192.0.2.12:6443/"))
    (told,) = found(made, CHECK.id)
    assert told.severity == "warning"


def test_one_that_registers_the_cluster_itself_is_a_warning(made: Setting) -> None:
    add(made, "itself", "cluster1")
    (told,) = found(made, CHECK.id)
    assert (told.severity, told.object) == ("warning", "Secret itself in istio-system")
    assert "registers cluster1 itself" in told.text


def test_one_of_a_cluster_that_is_none_of_the_mesh_is_a_warning_that_says_whose_it_is(made: Setting) -> None:
    add(made, "left", "gone", server("cluster2", "https://192.0.2.44:6443"))
    (told,) = found(made, CHECK.id)
    assert (told.severity, told.object, told.breaks) == ("warning", "Secret left in istio-system", ())
    assert "(written by helm) has istiod read cluster gone at https://192.0.2.44:6443" in told.text


def test_one_that_only_has_the_wrong_key_is_told_elsewhere(made: Setting) -> None:
    put_anew(made, 1, "cluster2", lambda secret: secret.update(data={"other": secret["data"]["cluster2"]}))
    assert found(made, CHECK.id) == []


def test_in_a_mesh_of_others_the_secrets_may_have_any_name() -> None:
    made = made_by_hand()
    assert by_hand(made) == []
    add(made, "theirs", "cluster2")
    made.machine(1).store.remove(secret_of("cluster2"))
    assert by_hand(made) == []


def test_what_a_secret_names_is_shown_printable(made: Setting) -> None:
    live = made.machine(1).found(secret_of("cluster2"))
    assert live is not None
    metadata = {"name": "odd", "namespace": SYSTEM, "labels": {"istio/multiCluster": "true"}}
    made.machine(1).apply_as("x\x1b[31m", {**live, "metadata": metadata, "data": {"gone": "bm90aGluZw=="}})
    (told,) = found(made, CHECK.id)
    assert "\x1b" not in told.text
