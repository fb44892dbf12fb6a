"""The check `version`."""

from __future__ import annotations

import pytest

from tests.unit.standing import Setting, finished_mesh, found
from wizard.clusters.kinds import DEPLOYMENT, Object, Ref
from wizard.mesh.model import SYSTEM_NAMESPACE


def set_version(made: Setting, version: str) -> None:
    def edit(istiod: Object) -> None:
        istiod["spec"]["template"]["spec"]["containers"][0]["image"] = f"docker.io/istio/pilot:{version}"

    made.machine(1).change(Ref(DEPLOYMENT, "istiod", SYSTEM_NAMESPACE), edit)


@pytest.mark.parametrize("version", ["1.29.1", "1.26.0", "latest", "1.99.0"])
def test_of_what_goes_together_or_is_not_known_nothing_is_said(version: str) -> None:
    made = finished_mesh()
    set_version(made, version)
    assert found(made, "version") == []


def test_a_pair_that_cannot_work_is_a_warning() -> None:
    made = finished_mesh()
    set_version(made, "1.13.9")
    (one,) = found(made, "version")
    assert (one.severity, one.cluster, one.breaks) == ("warning", "cluster1", ())
    assert "1.34" in one.text


def test_a_pair_that_nobody_tests_is_only_told_where_traffic_does_not_pass() -> None:
    made = finished_mesh()
    set_version(made, "1.26.0")
    made.machine(2).blocked_ports.add(31443)
    (one,) = found(made, "version", traffic=True)
    assert (one.severity, one.cluster) == ("unsure", "cluster1")
