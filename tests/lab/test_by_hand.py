"""A mesh that other hands made, by the runbook as a script: diagnosed by its contexts alone, whole and broken, adopted and left
as it was.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.bench.__main__ import SCRIPT
from tests.lab.breaks import GATEWAY, SAMPLE, SYSTEM, added, deleted, edited, mesh_networks, policy, scaled
from tests.lab.causes import NETWORKING, TLS_OFF
from tests.lab.lab import Lab
from tests.lab.test_diagnosis import is_silent, until
from tests.lab.wizard import Ran, Wizard, assert_as_before, assert_untouched

pytestmark = [pytest.mark.in_order, pytest.mark.proves("A mesh made by hand is diagnosed, adopted and left as it was")]
CONTEXTS = ("--context", "cluster1", "--context", "cluster2")
SECRET = "istio-remote-secret-cluster2"
Broken = Callable[[Lab], AbstractContextManager[None]]
BREAKS: dict[str, tuple[Broken, str, str]] = {
    "gateway": (lambda lab: scaled(lab.clusters[1], GATEWAY), "gateway-pods", f"Deployment {GATEWAY}"),
    "secret": (lambda lab: deleted(lab.clusters[0], "secret", SECRET), "remote-secret", "cluster2"),
    "port": (
        lambda lab: edited(
            lab.clusters[0], "configmap", "istio", mesh_networks(lambda n: n["network2"]["gateways"][0].update(port=15999))
        ),
        "mesh-networks",
        "ConfigMap istio",
    ),
    "exposed": (
        lambda lab: deleted(lab.clusters[1], "gateways.networking.istio.io", "cross-network-gateway"),
        "gateway-open",
        "Gateway",
    ),
    "rule": (
        lambda lab: added(lab.clusters[0], policy(NETWORKING, "DestinationRule", TLS_OFF)),
        "destination-rule",
        "DestinationRule theirs",
    ),
}  # fmt: skip


class Hand(Wizard):
    """Somebody with these contexts in their kubeconfig, and nothing recorded."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "KUBECONFIG": str(self.lab.kubeconfig)}

    def run(self, *words: str, seconds: float = 420) -> Ran:
        return super().run(*(("diagnose", *CONTEXTS, *words[1:]) if words[0] == "diagnose" else words), seconds=seconds)


@pytest.fixture(scope="module")
def hand(module_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Hand:
    folder = tmp_path_factory.mktemp("script")
    hand = Hand(module_lab, tmp_path_factory.mktemp("home"))
    argv = ["bash", str(SCRIPT), "2", str(module_lab.kubeconfig), module_lab.istio, str(module_lab.overlay)]
    done = subprocess.run(
        argv, cwd=folder, env=hand.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return hand


def test_of_the_whole_mesh_nothing_is_said(hand: Hand) -> None:
    ran = until(hand, is_silent)
    assert is_silent(ran), ran.text
    assert ran.json["proven"] is True


@pytest.mark.parametrize("name", BREAKS)
def test_broken_it_names_the_cause_first(hand: Hand, name: str) -> None:
    make, check, thing = BREAKS[name]
    with make(hand.lab):
        ran = until(hand, lambda ran: bool(ran.json["findings"]) and not ran.json["proven"])
        assert ran.code == 4, ran.text
        assert ran.json["cause"]["check"] == check, ran.text
        assert thing in ran.json["cause"]["object"], ran.text
    ran = until(hand, is_silent)
    assert is_silent(ran), ran.text


def test_adopted_it_has_nothing_to_be_done_and_an_uninstall_leaves_what_others_made(hand: Hand, tmp_path: Path) -> None:
    mesh = tmp_path / "mesh.yaml"
    before = [cluster.snapshot_objects() for cluster in hand.lab.clusters]
    marks = [cluster.audit_mark() for cluster in hand.lab.clusters]
    adopted = hand.run("adopt", *CONTEXTS, "-o", str(mesh))
    assert adopted.code == 0, adopted.text
    plan = hand.run("plan", "-f", str(mesh), "--json")
    assert plan.code == 0, plan.text
    assert {step["id"]: step["state"] for step in plan.json["steps"] if step["state"] != "done"} == {}, plan.text
    assert_untouched(hand.lab, marks)
    applied = hand.run("apply", "-f", str(mesh))
    assert applied.code == 0, applied.text
    assert_untouched(hand.lab, marks)
    undone = hand.run("uninstall", "--yes")
    assert undone.code == 0, undone.text
    assert_as_before(hand.lab, before)
    assert SAMPLE in hand.lab.clusters[0].kubectl("get", "namespaces", "-o", "name")
    assert SYSTEM in hand.lab.clusters[1].kubectl("get", "namespaces", "-o", "name")
