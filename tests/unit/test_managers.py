"""Who of those that wrote something of an object decided it."""

from __future__ import annotations

from wizard.clusters.kinds import Object
from wizard.objects.managers import others


def written_by(*entries: Object) -> list[str]:
    return others({"metadata": {"managedFields": list(entries)}})


def test_all_but_machinery_are_named_once_and_in_order() -> None:
    names = ("meshwizard", "kubectl-edit", "istio-operator", "helm", "kube-controller-manager", "kubectl-edit")
    assert written_by(*({"manager": each} for each in names)) == ["kubectl-edit", "helm"]


def test_a_status_is_what_came_of_it_not_what_somebody_wanted() -> None:
    assert written_by({"manager": "vendor", "subresource": "status"}) == []
    assert written_by({"manager": "kubectl", "subresource": "scale"}) == ["kubectl"]


def test_an_object_of_which_the_server_does_not_tell_has_no_others() -> None:
    assert others({"metadata": {}}) == []
