"""Definitions that an API server forgot half-way."""

from __future__ import annotations

import pytest

from wizard.clusters.kinds import CRD, Ref
from wizard.objects.crds import establish
from wizard.simulated.fields import clone
from wizard.simulated.outside import SimulatedOutside

NAME = "wasmplugins.extensions.istio.io"


@pytest.mark.parametrize(
    ("name", "accepted", "established", "touched"),
    [
        (NAME, "True", "False", True),
        (NAME, "True", "True", False),
        (NAME, "False", "False", False),
        ("somebodys.example.com", "True", "False", False),
    ],
)
def test_the_server_is_made_to_look_again_and_nothing_is_left(
    name: str, accepted: str, established: str, touched: bool
) -> None:
    outside = SimulatedOutside(1, 0)
    (machine,) = outside.machines
    conditions = [{"type": "NamesAccepted", "status": accepted}, {"type": "Established", "status": established}]
    plural, _, group = name.partition(".")
    crd = {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": name},
        "spec": {"group": group, "names": {"plural": plural}},
        "status": {"conditions": conditions},
    }
    with machine.settled():
        before = clone(machine.store.update(crd, "kube-apiserver").manifest)
    said: list[str] = []
    establish(outside.cluster("cluster1", machine.context), said.append)
    record = machine.store.find(Ref(CRD, name))
    assert record is not None
    after = clone(record.manifest)
    versions = [int(each["metadata"].pop("resourceVersion")) for each in (before, after)]
    assert before == after
    assert versions[1] - versions[0] == (2 if touched else 0)
    assert said == (
        [f"cluster1: the API server accepted CRD {name} and does not serve it; it is written again"] if touched else []
    )
