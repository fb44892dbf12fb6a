"""In which version a real API server has a kind: asked of its discovery, and only where it must be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api_fakes import Api, Asked, Reaction, Said, api, kubeconfig
from wizard.clusters.kinds import AUTOSCALER, DISRUPTION_BUDGET, ISTIO_GATEWAY, Kind, Ref, kind_of
from wizard.clusters.patience import PATIENT
from wizard.clusters.real import RealCluster
from wizard.clusters.served import served

pytestmark = pytest.mark.inputs("5")

# What kube-apiserver says of a path that it does not have, and of an object that it does not have.
NO_PATH = Said(
    404,
    {
        "kind": "Status",
        "reason": "NotFound",
        "message": "the server could not find the requested resource",
        "details": {},
    },
)
NO_ROUTE = Said(404, b"404 page not found\n", {"Content-Type": "text/plain"})
NO_OBJECT = Said(404, {"kind": "Status", "reason": "NotFound", "message": "not found", "details": {"name": "one"}})
GROUP = "/apis/autoscaling"


def discovery(*versions: str, preferred: str = "", plural: str = AUTOSCALER.plural) -> dict[str, Any]:
    """The paths of a group in which each of these versions has the resource; the first of all versions has others only."""
    told = [{"groupVersion": f"autoscaling/{version}", "version": version} for version in ("v0", *versions)]
    paths: dict[str, Any] = {
        GROUP: {"versions": told, "preferredVersion": {"groupVersion": f"autoscaling/{preferred or 'v0'}"}}
    }
    paths[f"{GROUP}/v0"] = {"resources": [{"name": f"{plural}/status"}]}
    for version in versions:
        paths[f"{GROUP}/{version}"] = {"resources": [{"name": f"{plural}/status"}, {"name": plural}]}
    return paths


def server_of(paths: dict[str, Any]) -> Callable[[Asked], Reaction]:
    def react(asked: Asked) -> Reaction:
        # Of a group that it serves it says in a Status that it lacks the path, of others in plain words.
        path = asked.path.partition("?")[0]
        found = paths.get(path, NO_PATH if path.startswith(GROUP) else NO_ROUTE)
        return found if isinstance(found, Said) else Said(body=found)

    return react


def connected(server: Api, folder: Path) -> RealCluster:
    return RealCluster(
        "east", kubeconfig(folder / "config", server.url, server.authority, {"token": "a"}), "ours", PATIENT
    )


def test_the_version_is_found_once(tmp_path: Path) -> None:
    scaler = {"metadata": {"name": "istiod", "namespace": "n", "uid": "u", "resourceVersion": "1"}}
    old = "/apis/autoscaling/v2beta1/namespaces/n/horizontalpodautoscalers"
    paths = {
        **discovery("v2beta1"), old: {"items": [scaler]}, f"{old}/one": NO_OBJECT,
        f"{old}/istiod": {"apiVersion": "autoscaling/v2beta1", **scaler},
    }  # fmt: skip
    with api(tmp_path) as server:
        server.react = server_of(paths)
        cluster = connected(server, tmp_path)
        (listed,) = cluster.objects(AUTOSCALER, "n")
        assert listed["apiVersion"] == "autoscaling/v2beta1"
        asked = [each.path.partition("?")[0] for each in server.asked]
        assert asked[1:] == [GROUP, f"{GROUP}/v0", f"{GROUP}/v2beta1", old]
        server.asked.clear()
        assert cluster.get(Ref(AUTOSCALER, "istiod", "n")) is not None
        assert cluster.get(Ref(AUTOSCALER, "one", "n")) is None
        assert cluster.delete(Ref(AUTOSCALER, "istiod", "n")) is True
        assert cluster.delete(Ref(AUTOSCALER, "one", "n")) is False
        assert {each.path.rpartition("/")[0] for each in server.asked} == {old}
        assert len(server.asked) == 4  # discovery is not asked again, and not at all for an object that is missing


def test_a_server_that_was_upgraded_meanwhile_is_asked_again(tmp_path: Path) -> None:
    place = "/apis/autoscaling/{}/horizontalpodautoscalers"
    with api(tmp_path) as server:
        server.react = server_of({**discovery("v1"), place.format("v1"): {"items": []}})
        cluster = connected(server, tmp_path)
        assert cluster.objects(AUTOSCALER) == []
        found = {
            place.format("v2"): {
                "items": [{"metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "1"}}]
            }
        }
        server.react = server_of({**discovery("v2"), **found})
        assert [item["apiVersion"] for item in cluster.objects(AUTOSCALER)] == ["autoscaling/v2"]


def test_a_kind_that_no_version_has_is_absent(tmp_path: Path) -> None:
    with api(tmp_path) as server:
        server.react = server_of(discovery("v1", plural="others"))
        cluster = connected(server, tmp_path)
        for kind in (AUTOSCALER, ISTIO_GATEWAY, Kind("v1", "Nothing", "nothings")):
            assert cluster.objects(kind) == []
            assert cluster.get(Ref(kind, "one", "n")) is None
            assert cluster.delete(Ref(kind, "one", "n")) is False


def test_the_preferred_version_comes_first() -> None:
    paths = discovery("v1", "v2", preferred="v2")
    assert served(AUTOSCALER, paths.get) == Kind("autoscaling/v2", AUTOSCALER.kind, AUTOSCALER.plural)
    paths[f"{GROUP}/v2"] = {"resources": []}
    assert served(AUTOSCALER, paths.get) == Kind("autoscaling/v1", AUTOSCALER.kind, AUTOSCALER.plural)


@pytest.mark.parametrize(
    "group",
    [
        None, {}, {"versions": 7}, {"versions": [1, {}, {"groupVersion": 3}]}, {"preferredVersion": "v1"},
        {"versions": [{"groupVersion": "../../api/v1"}]}, {"versions": [{"groupVersion": "elsewhere/v1"}]},
    ],
)  # fmt: skip
def test_a_misshapen_answer_tells_nothing(group: Any) -> None:
    """In particular, no version of another group is taken."""

    def ask(path: str) -> Any:
        return group if path == GROUP else {"resources": [None, {"name": AUTOSCALER.plural}]}

    assert served(AUTOSCALER, ask) is None


def test_an_object_is_of_its_own_version() -> None:
    old = {"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget"}
    assert kind_of(old) == Kind("policy/v1beta1", DISRUPTION_BUDGET.kind, DISRUPTION_BUDGET.plural)
    assert kind_of({**old, "apiVersion": "policy/v1"}) is DISRUPTION_BUDGET
    with pytest.raises(KeyError):
        kind_of({**old, "apiVersion": "elsewhere/v1"})
