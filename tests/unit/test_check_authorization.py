"""The check `authorization`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.standing import Setting, finished_mesh, found
from tests.unit.standing_policies import clear, found_in, heard, mesh_of, put
from wizard.clusters.kinds import AUTHORIZATION_POLICY

INTO = {("cluster1", "cluster2"), ("cluster2", "cluster2")}


@pytest.fixture(scope="module")
def standing() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(standing: Setting) -> Iterator[Setting]:
    yield standing
    clear(standing, AUTHORIZATION_POLICY)


def rule(
    source: dict[str, Any] | None = None, operation: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    told: dict[str, Any] = {**fields}
    if source is not None:
        told["from"] = [{"source": source}]
    if operation is not None:
        told["to"] = [{"operation": operation}]
    return told


@pytest.mark.parametrize(
    "spec",
    [
        {"rules": [{}]},
        {"action": "DENY"},  # without a rule it denies nothing
        {"rules": [rule({"namespaces": ["sample"]})]},
        {"rules": [rule({"namespaces": ["other"]}), rule({"principals": ["*/ns/sample/sa/default"]})]},
        {"rules": [rule({"principals": ["cluster.local/ns/sample/*"]}, {"paths": ["/hello*"], "methods": ["GET"]})]},
        {"rules": [rule({"notNamespaces": ["other"]}, {"notPorts": ["80"]})]},
        {"action": "DENY", "rules": [rule({"notNamespaces": ["sample"]})]},
        {"action": "DENY", "rules": [rule({"requestPrincipals": ["*"]})]},
        {"action": "DENY", "rules": [rule(operation={"methods": ["POST"]})]},
        {"action": "AUDIT", "rules": [{}]},
        {"action": "DENY", "rules": [{}], "selector": {"matchLabels": {"app": "curl"}}},
        {"action": "DENY", "rules": [{}], "targetRefs": [{"kind": "Gateway", "name": "some"}]},
        {"action": "DENY", "rules": "all"},
    ],
)
def test_of_what_lets_the_client_ask_nothing_is_said(made: Setting, spec: object) -> None:
    put(made, 2, AUTHORIZATION_POLICY, spec)
    assert found(made, "authorization") == []


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"action": "DENY", "rules": [{}]}, "denies what the sample's client asks"),
        ({"action": "DENY", "rules": [rule({"principals": ["cluster.local/ns/sample/sa/default"]})]}, "denies what"),
        ({}, "has no rule, and so allows nobody"),
        ({"selector": {"matchLabels": {"app": "helloworld"}}, "action": "ALLOW"}, "has no rule"),
        ({"rules": [rule({"namespaces": ["other"]})]}, "allows others than the sample's client"),
        ({"rules": [rule({"principals": ["cluster.local/ns/sample/sa/other"]})]}, "allows others"),
        ({"rules": [rule(operation={"ports": ["80"]})]}, "allows others"),
    ],
)
@pytest.mark.parametrize("namespace", ["sample", "istio-system"])
def test_what_refuses_it_breaks_what_goes_in_and_within(
    made: Setting, spec: dict[str, Any], says: str, namespace: str
) -> None:
    put(made, 2, AUTHORIZATION_POLICY, spec, namespace=namespace)
    (finding,) = found(made, "authorization")
    assert (finding.severity, finding.cluster) == ("error", "cluster2")
    assert finding.object == f"AuthorizationPolicy theirs in {namespace}"
    assert says in finding.text
    assert set(finding.breaks) == INTO
    assert finding.commands == (
        f"kubectl --context=kubernetes-admin2@kubernetes -n {namespace} edit authorizationpolicies.security.istio.io theirs",
    )


def test_what_another_policy_allows_is_allowed(made: Setting) -> None:
    put(made, 2, AUTHORIZATION_POLICY, {})
    put(made, 2, AUTHORIZATION_POLICY, {"rules": [{}]}, name="open", namespace="istio-system")
    assert found(made, "authorization") == []


@pytest.mark.parametrize(
    "spec",
    [
        {"action": "CUSTOM", "rules": [{}], "provider": {"name": "asked"}},
        {"rules": [rule({"ipBlocks": ["10.0.0.0/8"]})]},
        {"rules": [rule(when=[{"key": "request.headers[x]", "values": ["1"]}])]},
        {"rules": [rule({"principals": ["old.domain/ns/sample/sa/default"]})]},
        {"action": "DENY", "rules": [rule(operation={"paths": ["/{*}/hello"]})]},
    ],
)
def test_what_cannot_be_judged_is_a_guess_while_answers_are_missing(made: Setting, spec: dict[str, Any]) -> None:
    put(made, 2, AUTHORIZATION_POLICY, spec)
    assert [each.severity for each in found(made, "authorization")] == ["unsure"]
    assert found_in(heard(made, {}), "authorization") == []
    (finding,) = found_in(heard(made, {"cluster1": ["cluster2"]}), "authorization")
    assert finding.breaks == (("cluster1", "cluster2"),)


def test_what_is_only_tried_denies_nothing(made: Setting) -> None:
    put(made, 2, AUTHORIZATION_POLICY, {"action": "DENY", "rules": [{}]}, annotations={"istio.io/dry-run": "true"})
    assert found(made, "authorization") == []


def test_a_remotes_pods_go_by_the_policies_of_their_primary() -> None:
    made = mesh_of([None, "cluster1"])
    put(made, 2, AUTHORIZATION_POLICY, {})
    assert found(made, "authorization") == []
    put(made, 1, AUTHORIZATION_POLICY, {"action": "DENY", "rules": [{}]})
    (finding,) = found(made, "authorization")
    assert set(finding.breaks) == {*INTO, ("cluster1", "cluster1"), ("cluster2", "cluster1")}
