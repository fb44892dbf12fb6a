"""The check `export-to`."""

from __future__ import annotations

import pytest

from tests.unit.standing import Setting, finished_mesh, found
from tests.unit.standing_policies import mesh_of
from wizard.clusters.kinds import CONFIG_MAP, SERVICE, Object, Ref

HELLO = Ref(SERVICE, "helloworld", "sample")
BOTH = {("cluster1", "cluster2"), ("cluster2", "cluster1")}


def annotate(made: Setting, number: int, value: str) -> None:
    annotations = {"networking.istio.io/exportTo": value}
    made.machine(number).change(HELLO, lambda live: live["metadata"].setdefault("annotations", {}).update(annotations))


@pytest.mark.parametrize("value", ["*", "sample, istio-system", ".,istio-system", " "])
def test_of_a_service_that_is_shown_nothing_is_said(value: str) -> None:
    made = finished_mesh()
    annotate(made, 2, value)
    assert found(made, "export-to") == []


def test_one_that_nobody_sees_is_neither_asked_nor_passed_on() -> None:
    made = finished_mesh()
    annotate(made, 2, "~")
    (finding,) = found(made, "export-to")
    assert (finding.severity, finding.object) == ("error", "Service helloworld in sample")
    assert set(finding.breaks) == BOTH
    assert finding.commands == (
        "kubectl --context=kubernetes-admin2@kubernetes -n sample annotate service helloworld networking.istio.io/exportTo-",
    )


def test_one_that_its_namespace_sees_is_not_passed_on_by_the_gateway() -> None:
    made = finished_mesh()
    annotate(made, 2, ".")
    (finding,) = found(made, "export-to")
    assert finding.breaks == (("cluster1", "cluster2"),)
    assert "not to istio-system" in finding.text


def test_what_is_shown_by_default_is_set_for_the_mesh() -> None:
    made = finished_mesh()

    def narrow(live: Object) -> None:
        live["data"]["mesh"] += "\ndefaultServiceExportTo: [other]\n"

    made.machine(1).change(Ref(CONFIG_MAP, "istio", "istio-system"), narrow)
    (finding,) = found(made, "export-to")
    assert finding.object == "ConfigMap istio in istio-system"
    assert set(finding.breaks) == BOTH


def test_an_istiod_goes_by_the_service_in_its_own_cluster() -> None:
    made = mesh_of([None, "cluster1"])
    annotate(made, 2, "~")
    assert found(made, "export-to") == []
    annotate(made, 1, "~")
    (finding,) = found(made, "export-to")
    assert set(finding.breaks) == BOTH
