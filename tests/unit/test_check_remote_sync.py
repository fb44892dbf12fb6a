"""The check `remote-sync`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.discovery_fakes import SYSTEM, TOKEN, encoded, put_anew, secret_of, server
from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.checks.standing.check import Fault
from wizard.checks.standing.discovery.remote_sync import CHECK
from wizard.checks.standing.view import View
from wizard.clusters.kinds import CLUSTER_ROLE, DEPLOYMENT, Ref
from wizard.clusters.port import Executed
from wizard.errors import Failed

NAME = "Secret istio-remote-secret-cluster2 in istio-system"
TO_2 = (("cluster1", "cluster2"),)


@pytest.mark.parametrize("make", [finished_mesh, finished_remote])
def test_where_each_istiod_reads_its_clusters_nothing_is_said(make: Callable[[], Setting]) -> None:
    assert found(make(), CHECK.id) == []


def test_of_a_mesh_that_others_made_nothing_is_said() -> None:
    made = made_by_hand()
    view = View(made.mesh, made.world.clusters, inferred=True)
    assert [fault for here in view.all for fault in CHECK.find(here)] == []


def test_an_api_server_that_istiod_does_not_reach_is_the_cause() -> None:
    made = finished_mesh()
    made.machine(2).blocked_ports = {6443}
    put_anew(made, 1, "cluster2", lambda secret: None)
    diagnosis = whole(made)
    cause = diagnosis.cause
    assert cause is not None
    assert (cause.check, cause.cluster, cause.object, cause.breaks) == (CHECK.id, "cluster1", NAME, TO_2)
    assert "could not read cluster2 at https://192.0.2.12:6443" in cause.text
    assert cause.commands[0].endswith("-c discovery --tail=500 | grep -F cluster2")
    assert "timeout" in cause.evidence[0]


def in_other_bytes(secret: Any) -> None:
    kubeconfig = base64.b64decode(secret["data"]["cluster2"]).decode()
    secret["data"]["cluster2"] = encoded(f"# other bytes\n{kubeconfig}")


def test_a_secret_that_changed_in_place_is_to_be_made_anew() -> None:
    made = finished_mesh()
    assert found(made, CHECK.id) == []  # it was taken up
    made.machine(1).change(secret_of("cluster2"), in_other_bytes)
    (told,) = found(made, CHECK.id)
    assert (told.severity, told.object, told.breaks) == ("error", NAME, TO_2)
    assert "was changed in place" in told.text
    assert told.commands[0].endswith("delete secret istio-remote-secret-cluster2 && sleep 10")
    assert told.step == "cluster1/remote-secret/cluster2"


BROKEN: dict[str, Callable[[Setting], Any]] = {
    "gone": lambda made: made.machine(1).store.remove(secret_of("cluster2")),
    "server": lambda made: put_anew(made, 1, "cluster2", server("cluster2", "https://127.0.0.1:6443")),
    "token": lambda made: made.machine(2).store.remove(TOKEN),
    "rights": lambda made: made.machine(2).store.remove(Ref(CLUSTER_ROLE, "istio-reader-clusterrole-istio-system")),
    "istiod": lambda made: made.machine(1).store.remove(Ref(DEPLOYMENT, "istiod", SYSTEM)),
    "away": lambda made: setattr(made.machine(2), "unreachable", True),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_follows_from_something_else_is_told_of_that(how: str) -> None:
    made = finished_mesh()
    BROKEN[how](made)
    if how == "rights":
        made.machine(2).blocked_ports = {6443}
    assert [each for each in whole(made).findings if each.check == CHECK.id] == []


class Saying:
    """A cluster whose istiod says this of the clusters that it reads."""

    def __init__(self, cluster: Any, page: str) -> None:
        self._cluster = cluster
        self._page = page

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    def execute(self, pod: Ref, container: str, argv: Sequence[str], *, seconds: float, stdin: str = "") -> Executed:
        return Executed(self._page, "", 0)


def faults(made: Setting, page: object) -> list[Fault]:
    text = page if isinstance(page, str) else json.dumps(page)
    clusters: Any = {**made.world.clusters, "cluster1": Saying(made.world.clusters["cluster1"], text)}
    return list(CHECK.find(View(made.mesh, clusters).at("cluster1")))


@pytest.fixture(scope="module")
def made() -> Setting:
    return finished_mesh()


def says(status: str) -> list[dict[str, str]]:
    return [
        {"id": "cluster1", "syncStatus": "synced"},
        {"id": "cluster2", "secretName": "istio-system/istio-remote-secret-cluster2", "syncStatus": status},
    ]


def test_what_it_says_is_held_against_what_it_has(made: Setting) -> None:
    assert faults(made, says("synced")) == []
    (late,) = faults(made, says("syncing"))
    assert late.severity == "unsure"
    (closed,) = faults(made, says("closed"))
    assert "has closed cluster2" in closed.text
    (timed_out,) = faults(made, says("timeout"))
    assert timed_out.severity is None


def test_one_that_it_does_not_list_is_a_doubt_while_the_secret_is_new(made: Setting) -> None:
    (fault,) = faults(made, [{"id": "cluster1", "syncStatus": "synced"}])
    assert fault.severity == "unsure"
    made.machine(1).clock_skew = 300
    (fault,) = faults(made, [{"id": "cluster1", "syncStatus": "synced"}])
    made.machine(1).clock_skew = 0
    assert (fault.severity, fault.breaks) == (None, TO_2)
    assert "does not list cluster2" in fault.text


def test_an_istiod_that_is_too_old_to_tell_is_not_asked() -> None:
    made = finished_mesh()
    made.machine(1).change(
        Ref(DEPLOYMENT, "istiod", SYSTEM),
        lambda live: live["spec"]["template"]["spec"]["containers"][0].update(image="docker.io/istio/pilot:1.10.4"),
    )
    assert faults(made, "404 page not found") == []


@pytest.mark.parametrize("page", ["", "{}", '["x"]', '[{"id": 1}]'])
def test_a_page_of_another_shape_is_trouble(made: Setting, page: str) -> None:
    with pytest.raises(Failed, match="gives no answer to /debug/clusterz"):
        faults(made, page)
