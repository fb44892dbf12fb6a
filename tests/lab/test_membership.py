"""A cluster joins a finished mesh and leaves it again: nothing else restarts, and nothing changes that need not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.cluster import Cluster
from tests.lab.lab import Lab
from tests.lab.shape import Shape
from tests.lab.wizard import Ran, Wizard, answers, assert_untouched
from wizard.probes.curlpod import LABEL

pytestmark = [
    pytest.mark.in_order,
    pytest.mark.lab_shape(Shape(3)),
    pytest.mark.proves("A third cluster joins a finished mesh and leaves it: no restart, no change that need not be"),
]
PODS = "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[*].restartCount}{'\\n'}{end}"
# What a probe from inside a cluster makes and takes away again.
PASSING = {"jobs", "pods"}


class Mesh:
    """Two clusters of three; the third comes and goes."""

    def __init__(self, lab: Lab, home: Path) -> None:
        self.lab = lab
        self.third = lab.cluster("cluster3")
        self.before = self.third.snapshot_objects()
        self.wizard = Wizard(lab, home)
        self.three = yaml.safe_load(self.wizard.meshfile.read_text())
        self.want(2)
        self.applied = self.wizard.apply()

    @property
    def others(self) -> list[Cluster]:
        return [self.lab.cluster("cluster1"), self.lab.cluster("cluster2")]

    def want(self, count: int) -> None:
        document = {**self.three, "clusters": self.three["clusters"][:count]}
        self.wizard.meshfile.write_text(yaml.safe_dump(document, sort_keys=False))

    def apply(self, *words: str) -> Ran:
        return self.wizard.run("apply", "-f", str(self.wizard.meshfile), *words)


@pytest.fixture(scope="module")
def mesh(module_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    yield Mesh(module_lab, tmp_path_factory.mktemp("home"))


def pods(cluster: Cluster) -> list[str]:
    """Without the probes, which are on their way out for a moment when the run has ended."""
    lasting = ("-l", f"!{LABEL}", "-o", PODS)
    told = [cluster.kubectl("get", "pods", "-n", space, *lasting) for space in ("istio-system", "sample")]
    return sorted(line for text in told for line in text.splitlines())


def changed(cluster: Cluster, mark: Any) -> list[tuple[str, str]]:
    """(resource, name) of what was written, without what controllers did by themselves and the passing probes."""
    found = [entry["objectRef"] for entry in cluster.work(mark)]
    return sorted({(ref["resource"], ref.get("name", "")) for ref in found if ref["resource"] not in PASSING})


def heard_by_all(mesh: Mesh, count: int) -> bool:
    """Whether the first clusters, and no others, hear each other's versions, and no others."""
    heard = answers(mesh.wizard)
    versions = {f"v{number}" for number in range(1, count + 1)}
    return set(heard) == {f"cluster{number}" for number in range(1, count + 1)} and all(
        set(counts) == versions for counts in heard.values()
    )


def test_two_stand(mesh: Mesh) -> None:
    assert mesh.applied.code == 0, mesh.applied.text
    assert heard_by_all(mesh, 2)


def test_a_third_joins_without_a_restart(mesh: Mesh) -> None:
    stood = [pods(cluster) for cluster in mesh.others]
    marks = [cluster.audit_mark() for cluster in mesh.others]
    mesh.want(3)
    joined = mesh.apply()
    assert joined.code == 0, joined.text
    assert heard_by_all(mesh, 3)
    assert [pods(cluster) for cluster in mesh.others] == stood
    for cluster, mark in zip(mesh.others, marks, strict=True):
        assert changed(cluster, mark) == [("configmaps", "istio"), ("secrets", "istio-remote-secret-cluster3")]


def test_it_leaves_by_consent_only(mesh: Mesh) -> None:
    mesh.want(2)
    marks = [cluster.audit_mark() for cluster in mesh.lab.clusters]
    asked = mesh.apply()
    assert asked.code == 3, asked.text
    assert "--remove cluster3" in asked.text
    assert_untouched(mesh.lab, marks)


def test_it_leaves_without_a_trace(mesh: Mesh) -> None:
    stood = [pods(cluster) for cluster in mesh.others]
    marks = [cluster.audit_mark() for cluster in mesh.others]
    left = mesh.apply("--remove", "cluster3")
    assert left.code == 0, left.text
    assert heard_by_all(mesh, 2)
    assert [pods(cluster) for cluster in mesh.others] == stood
    for cluster, mark in zip(mesh.others, marks, strict=True):
        assert changed(cluster, mark) == [("configmaps", "istio"), ("secrets", "istio-remote-secret-cluster3")]
    after = mesh.third.snapshot_objects()
    assert sorted(set(after) ^ set(mesh.before)) == []


def test_and_nothing_is_left_to_do(mesh: Mesh) -> None:
    marks = [cluster.audit_mark() for cluster in mesh.lab.clusters]
    assert mesh.apply().code == 0
    assert_untouched(mesh.lab, marks)
