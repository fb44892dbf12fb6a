"""Every topology people run, on real clusters: from nothing to traffic, again without a change, and back to nothing."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.lab import Lab
from tests.lab.shape import Shape
from tests.lab.standing import LabOf
from tests.lab.versions import SECOND_HUB
from tests.lab.wizard import Ran, Wizard, assert_as_before, assert_untouched, assert_verified
from wizard.certificates import authority

pytestmark = pytest.mark.in_order("life")
Document = dict[str, Any]
OLD = "1.26.0"


def multi_primary(document: Document) -> None:
    """As the mesh file says when it says nothing."""


def primary_remote(document: Document) -> None:
    document["topology"] = "primary-remote"
    document["clusters"][1]["role"] = "remote"


def two_pairs(document: Document) -> None:
    document["topology"] = "primary-remote"
    for remote, primary in ((2, "cluster1"), (3, "cluster2")):
        document["clusters"][remote] |= {"role": "remote", "primary": primary}


def exposed(how: str, *changes: Callable[[Document], None]) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        for each in changes:
            each(document)
        for cluster in document["clusters"]:
            cluster["gateway"] = {"exposure": how}

    return change


def one_network(document: Document) -> None:
    for cluster in document["clusters"]:
        cluster["network"] = "network1"


def revised(document: Document) -> None:
    primary_remote(document)
    document["istio"]["revision"] = "canary"


def private(document: Document) -> None:
    document["istio"] |= {"hub": SECOND_HUB, "pullSecret": "registry", "pullSecretFile": "registry.json"}
    document["verify"] = {"hub": SECOND_HUB}
    document["certificates"] = {"source": "directory", "path": "certificates"}


def brought(home: Path) -> None:
    """What a person brings: credentials of the registry, and certificates made elsewhere."""
    (home / "registry.json").write_text(json.dumps({"auths": {"registry.lab": {"auth": "dXNlcjpwYXNz"}}}))
    root = authority.make_root("elsewhere")
    for cluster in ("cluster1", "cluster2"):
        folder = home / "certificates" / cluster
        folder.mkdir(parents=True)
        for name, content in authority.make_intermediate(root, cluster, "cluster.local").items():
            (folder / name).write_bytes(content)


def balanced(lab: Lab) -> None:
    for cluster in lab.clusters:
        cluster.start_load_balancer(delay=3.0)


@dataclass(frozen=True)
class Case:
    """One topology. `core`: proven at every commit; `prepare`: what the lab needs beside its shape;
    `bring`: files beside the mesh file.
    """

    title: str
    changes: Callable[[Document], None]
    shape: Shape = field(default_factory=Shape)
    core: bool = False
    prepare: Callable[[Lab], None] = lambda lab: None
    bring: Callable[[Path], None] = lambda home: None


CASES = {
    "primary-remote-external-ips": Case("Primary-remote, external-ips", primary_remote, core=True),
    "primary-remote-cluster-ip-route": Case(
        "Primary-remote, cluster-ip-route", exposed("cluster-ip-route", primary_remote), Shape(services="distinct")
    ),
    "primary-remote-load-balancer": Case(
        "Primary-remote, load-balancer", exposed("load-balancer", primary_remote), prepare=balanced
    ),
    "three-primaries": Case("Three primaries, node-port", multi_primary, Shape(3)),
    "two-primaries-two-remotes": Case("Two primaries and a remote of each", two_pairs, Shape(4)),
    "one-network": Case("Two primaries on the same network, no gateways", one_network, Shape(networks=(1, 1))),
    "multi-primary-1.26": Case("Multi-primary, node-port", multi_primary, Shape(istio=OLD)),
    "primary-remote-1.26": Case("Primary-remote, external-ips", primary_remote, Shape(istio=OLD)),
    "private-registry": Case(
        "Multi-primary, private registry with a pull secret, certificates from a folder", private, bring=brought
    ),
    "revision": Case("Primary-remote with a revision, external-ips", revised),
}


class Life:
    """One mesh through its life; the tests below follow it in order."""

    def __init__(self, case: Case, lab: Lab, home: Path) -> None:
        case.prepare(lab)
        case.bring(home)
        self.lab = lab
        self.before = [cluster.snapshot_objects() for cluster in lab.clusters]
        self.wizard = Wizard(lab, home, changes=case.changes)
        self.applied: Ran = self._applied()

    def _applied(self) -> Ran:
        """Apply, and do on the nodes what a manual step asks for, as a person would."""
        ran = self.wizard.apply()
        while ran.code == 3 and type_in_routes(self.lab, ran):
            ran = self.wizard.run("resume", self.wizard.name)
        return ran


def type_in_routes(lab: Lab, ran: Ran) -> int:
    """Run every route command that was printed on the node it was printed for; gives how many."""
    done = 0
    for node, command in re.findall(r"on (?:node )?(\S+?)[ (:].*?\n\s*(sudo ip route add \S+ via \S+)", ran.text):
        cluster = next(cluster for cluster in lab.clusters if cluster.spec.node == node)
        words = shlex.split(command)[1:]
        cluster.machine.run(["ip", "route", "replace", *words[3:]])
        done += 1
    return done


def _marks(case: Case) -> tuple[pytest.MarkDecorator, ...]:
    marks = pytest.mark.lab_shape(case.shape), pytest.mark.proves(case.title, istio=case.shape.istio)
    return (*marks, pytest.mark.core) if case.core else marks


@pytest.fixture(scope="module", params=[pytest.param(name, marks=_marks(case)) for name, case in CASES.items()])
def life(request: pytest.FixtureRequest, lab_of: LabOf, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    case = CASES[request.param]
    yield Life(case, lab_of(case.shape), tmp_path_factory.mktemp("home"))


def test_from_nothing_to_traffic(life: Life) -> None:
    assert life.applied.code == 0, life.applied.text
    assert_verified(life.wizard)


def test_again_nothing_is_changed(life: Life) -> None:
    marks = [cluster.audit_mark() for cluster in life.lab.clusters]
    again = life.wizard.apply()
    assert again.code == 0, again.text
    assert_untouched(life.lab, marks)


def test_of_a_healthy_mesh_a_diagnosis_says_nothing(life: Life) -> None:
    ran = life.wizard.run("diagnose", "--json")
    assert ran.code == 0, ran.text
    assert ran.json["proven"] is True
    assert ran.json["findings"] == [], ran.text


def _only(name: str) -> pytest.MarkDecorator:
    shape = pytest.mark.lab_shape(CASES[name].shape)
    return pytest.mark.parametrize("life", [pytest.param(name, marks=shape)], indirect=True, scope="module")


@pytest.mark.proves("Another exposure of a gateway, load-balancer to external-ips, in a mesh that stands")
@_only("primary-remote-load-balancer")
def test_another_exposure_asks_for_another_selector(life: Life) -> None:
    document = yaml.safe_load(life.wizard.meshfile.read_text())
    exposed("external-ips")(document)
    life.wizard.meshfile.write_text(yaml.safe_dump(document))
    ran = life.wizard.apply()
    assert ran.code == 0, ran.text
    assert_verified(life.wizard)


@pytest.mark.proves("A lost webhook of the default tag comes back, in a mesh with a revision")
@_only("revision")
def test_a_lost_webhook_of_the_default_tag_comes_back(life: Life) -> None:
    cluster = life.lab.clusters[0]
    lost = ("validatingwebhookconfiguration", "istiod-default-validator")
    tag = ("mutatingwebhookconfiguration", "istio-revision-tag-default")
    uid = cluster.kubectl("get", *tag, "-o", "jsonpath={.metadata.uid}")
    cluster.kubectl("delete", *lost)
    ran = life.wizard.apply()
    assert ran.code == 0, ran.text
    assert cluster.kubectl("get", *lost, "-o", "name")
    told = cluster.kubectl("get", *tag, "-o", r"jsonpath={.metadata.uid} {.metadata.labels.istio\.io/tag}")
    assert told == f"{uid} default"  # it injected all the time


@pytest.mark.proves("A gateway's Pod that was made while nothing injected is made anew")
@_only("revision")
def test_a_gateway_pod_that_was_made_while_nothing_injected_is_made_anew(life: Life) -> None:
    cluster = life.lab.clusters[0]
    pods = ("-n", "istio-system", "get", "pods", "-l", "app=istio-eastwestgateway", "-o", "jsonpath={..image}")
    cluster.kubectl("delete", "mutatingwebhookconfiguration", "-l", "app=sidecar-injector")
    cluster.kubectl("-n", "istio-system", "delete", "pod", "-l", "app=istio-eastwestgateway")
    assert "auto" in cluster.kubectl(*pods).split()
    ran = life.wizard.apply()
    assert ran.code == 0, ran.text
    assert "made while nothing injected" in ran.text
    assert "auto" not in cluster.kubectl(*pods).split()
    assert_verified(life.wizard)


def test_uninstall_leaves_what_was_there_before(life: Life) -> None:
    undone = life.wizard.run("uninstall", "--yes")
    assert undone.code == 0, undone.text
    assert_as_before(life.lab, life.before)
