"""The check `remote-secret-token`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.discovery_fakes import SYSTEM, TOKEN, encoded, put_anew, secret_of, token, token_in
from tests.unit.restoring import restoring
from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.checks.standing.check import Fault
from wizard.checks.standing.discovery.remote_secret_token import CHECK
from wizard.checks.standing.reader import READER
from wizard.checks.standing.view import View
from wizard.clusters.kinds import SECRET, SERVICE_ACCOUNT, Ref

NAME = "Secret istio-remote-secret-cluster2 in istio-system"
TO_2 = (("cluster1", "cluster2"),)
LEGACY = "kubernetes.io/serviceaccount/"
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def shared() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(shared: Setting) -> Iterator[Setting]:
    with restoring(shared, SECRET, SERVICE_ACCOUNT):
        yield shared


@pytest.mark.parametrize("make", [finished_mesh, finished_remote])
def test_where_the_tokens_are_those_of_the_readers_nothing_is_said(make: Callable[[], Setting]) -> None:
    assert found(make(), CHECK.id) == []


def by_hand(made: Setting) -> list[tuple[str, Fault]]:
    view = View(made.mesh, made.world.clusters, inferred=True)
    return [(here.name, fault) for here in view.all for fault in CHECK.find(here)]


def test_of_a_mesh_that_others_made_nothing_is_said() -> None:
    assert by_hand(made_by_hand()) == []


def test_a_revoked_one_is_the_cause_and_shown_by_its_fingerprint_only(made: Setting) -> None:
    value = token_in(made, 1, "cluster2")
    made.machine(2).store.remove(TOKEN)
    diagnosis = whole(made)
    cause = diagnosis.cause
    assert cause is not None
    assert (cause.check, cause.cluster, cause.object, cause.breaks) == (CHECK.id, "cluster1", NAME, TO_2)
    assert "until it restarts" in cause.text
    assert cause.step == "cluster1/remote-secret/cluster2"
    assert value not in f"{diagnosis.findings}"
    assert "sha256:" in cause.evidence[0]
    assert [each.check for each in diagnosis.findings if each.severity == "error"] == [CHECK.id]


def test_one_that_was_made_anew_is_another(made: Setting) -> None:
    made.machine(2).change(TOKEN, lambda secret: secret["data"].update(token=encoded("another-token")))
    (told,) = found(made, CHECK.id)
    assert (told.object, told.breaks) == (NAME, TO_2)


def test_in_a_mesh_of_others_a_token_that_says_nothing_is_a_doubt() -> None:
    made = made_by_hand()
    made.machine(2).change(TOKEN, lambda secret: secret["data"].update(token=encoded("another-token")))
    ((_, fault),) = by_hand(made)
    assert fault.severity == "unsure"


def test_of_an_account_that_is_gone_another_check_tells(made: Setting) -> None:
    for ref in (TOKEN, READER):
        made.machine(2).store.remove(ref)
    assert found(made, CHECK.id) == []
    assert [each.object for each in found(made, "reader-rights")] == [str(READER)]


def jwt(said: dict[str, Any]) -> str:
    parts = ({"alg": "RS256"}, said)
    text = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join((*text, "c2lnbmF0dXJl"))


def legacy(secret: str = TOKEN.name, **more: str) -> str:
    """As Kubernetes fills it into a Secret."""
    said = {
        f"{LEGACY}namespace": SYSTEM, f"{LEGACY}secret.name": secret, f"{LEGACY}service-account.name": READER.name, **more,
    }  # fmt: skip
    return jwt(said)


def bound(days: float, **more: Any) -> str:
    """As `kubectl create token` gives it."""
    owner = {"namespace": SYSTEM, "serviceaccount": {"name": READER.name, **more}}
    return jwt({"exp": (NOW + timedelta(days=days)).timestamp(), "kubernetes.io": owner})


def with_token(made: Setting, value: str) -> Setting:
    put_anew(made, 1, "cluster2", token("cluster2", value))
    return made


def test_one_of_a_secret_that_is_gone_names_that_secret(made: Setting) -> None:
    (told,) = found(with_token(made, legacy("gone")), CHECK.id)
    assert "Secret gone in istio-system there, of which it was, is gone" in told.text


def test_one_of_a_secret_that_has_another_names_that_secret(made: Setting) -> None:
    (told,) = found(with_token(made, legacy()), CHECK.id)
    assert f"Secret {TOKEN.name} in istio-system there has another by now" in told.text


def test_one_of_a_secret_elsewhere_is_found_there(made: Setting) -> None:
    value = legacy("theirs", **{f"{LEGACY}namespace": "default"})
    with_token(made, value)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "theirs", "namespace": "default"}}
    made.machine(2).apply_as("kubectl", {**secret, "data": {"token": encoded(value)}})
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": READER.name, "namespace": "default"}}
    made.machine(2).apply_as("kubectl", account)
    assert found(made, CHECK.id) == []


def test_an_expired_one_is_an_error(made: Setting) -> None:
    (told,) = found(with_token(made, bound(-1)), CHECK.id)
    assert (told.severity, told.breaks) == ("error", TO_2)
    assert "it expired on" in told.text


def test_one_that_ends_within_a_week_is_a_warning_that_says_what_will_be(made: Setting) -> None:
    (told,) = found(with_token(made, bound(3.5)), CHECK.id)
    assert (told.severity, told.breaks) == ("warning", ())
    assert "in 3 days: from then on istiod learns nothing new" in told.text


def test_one_that_ends_later_is_let_be(made: Setting) -> None:
    assert found(with_token(made, bound(60)), CHECK.id) == []


def test_one_that_is_bound_to_a_secret_that_stands_is_let_be(made: Setting) -> None:
    owner = {"namespace": SYSTEM, "serviceaccount": {"name": READER.name}, "secret": {"name": TOKEN.name}}
    value = jwt({"exp": (NOW + timedelta(days=60)).timestamp(), "kubernetes.io": owner})
    assert found(with_token(made, value), CHECK.id) == []


def test_one_of_an_account_that_was_made_anew_is_an_error(made: Setting) -> None:
    (told,) = found(with_token(made, bound(60, uid="another")), CHECK.id)
    assert "the account that it is of was made anew" in told.text


@pytest.mark.parametrize(
    "value",
    [
        "a.b.c",
        jwt({"exp": "soon", "kubernetes.io": [1]}),
        jwt({"exp": 1e300}),
        jwt({"kubernetes.io": {"serviceaccount": 1, "secret": []}}),
        ".".join(("e30", base64.urlsafe_b64encode(b"[1]").decode(), "x")),
    ],
)
def test_whatever_a_token_says_nothing_ends_badly(made: Setting, value: str) -> None:
    for told in found(with_token(made, value), CHECK.id):
        assert told.object == NAME


def test_the_secrets_that_are_looked_at_are_those_of_the_cluster_that_is_read(made: Setting) -> None:
    assert made.machine(1).found(Ref(SECRET, TOKEN.name, SYSTEM)) is not None
    made.machine(1).store.remove(TOKEN)
    assert [(each.cluster, each.object) for each in found(made, CHECK.id)] == [("cluster2", str(secret_of("cluster1")))]
