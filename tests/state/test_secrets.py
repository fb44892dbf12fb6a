"""No secret can be represented."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from state import StateFolder, guard, redact
from tests.state.helpers import DOCUMENT, MESH, contents, start

pytestmark = pytest.mark.promise(9)

BODY = "CANARYcanaryCANARY0123456789"
PEMS = [
    f"-----BEGIN {kind}PRIVATE KEY-----\n{BODY}\n-----END {kind}PRIVATE KEY-----\n"
    for kind in ("", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH ")
]
TOKENS = [
    f"eyJhbGciOiJSUzI1NiJ9.{urlsafe_b64encode(BODY.encode()).decode().rstrip('=')}.{BODY}",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJDQU5BUlkifQ.",
]
SECRETS = [
    *PEMS,
    *TOKENS,
    *(b64encode(pem.encode()).decode() for pem in PEMS),
    f"Authorization: Bearer {BODY}",
    f"users:\n- user:\n    client-key-data: {BODY}",
    f'{{"client-key-data":"{BODY}"}}',
]
HARMLESS = [
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    b64encode(b"-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUPRIVATE").decode(),
    "sha256:0123456789abcdef", "kubernetes-admin1@kubernetes", "eyJ is how tokens begin", "docker.io/istio", "1.29.1",
    "/home/me/.kube/config", "10.201.0.11:31443", "Bearer tokens expire", "the private key is on the stick",
]  # fmt: skip


@pytest.mark.parametrize("secret", SECRETS)
def test_secrets_are_refused_wherever_they_hide(folder: StateFolder, secret: str) -> None:
    hidden: list[Any] = [secret, f"error: {secret} (retry)", {"a": [{"b": secret}]}, {secret: 1}, ("x", secret)]
    with start(folder) as journal:
        before = contents(folder.path_of(MESH))
        uses: list[Callable[[], None]] = [
            lambda: journal.end("a", "failed", f"said: {secret}"),
            lambda: journal.end("a", "failed", "x" * 600 + secret),
            lambda: journal.end(secret, "failed"),
            lambda: journal.begin(secret, ""),
            lambda: journal.begin("a", secret),
            lambda: journal.identify(secret),
        ]
        for value in hidden:
            uses += [
                partial(journal.start, "apply", {"x": value}, {}, {}),
                partial(journal.start, "apply", {}, {"x": value}, {}),
                partial(journal.start, "apply", {}, {}, {"cluster1": {"x": value}}),
                partial(journal.identify, "cluster1", x=value),
            ]
        for use in uses:
            with pytest.raises(ValueError, match="may not be stored") as caught:
                use()
            assert "CANARY" not in str(caught.value)
        assert contents(folder.path_of(MESH)) == before


@pytest.mark.parametrize(
    "key", ["client-key-data", "client-certificate-data", "certificate-authority-data", "token", "clientKeyData",
            "access_token", "password", "id-token", "PASSWORD"],
)  # fmt: skip
def test_credentials_are_refused_by_their_key(folder: StateFolder, key: str) -> None:
    with start(folder) as journal:
        with pytest.raises(ValueError, match="credential"):
            journal.start("apply", {"users": [{"user": {key: "s3cr3t"}}]}, {}, {})
        journal.start("apply", {key: None, f"{key}-file": "/path"}, {}, {})


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_public_is_let_through(folder: StateFolder, text: str) -> None:
    assert redact(text) == text
    with start(folder) as journal:
        journal.end("a", "done", text)
        journal.start("apply", {**DOCUMENT, "x": text}, {}, {})


@given(
    st.lists(st.sampled_from([*SECRETS, *HARMLESS, "-----BEGIN ", "PRIVATE KEY", "eyJ", ".", "bearer "]) | st.text())
)
@example([f"bearer {TOKENS[0]}"])
def test_what_is_redacted_may_be_recorded(parts: list[str]) -> None:
    clean = redact("".join(parts))
    assert guard.text(clean, "x") == clean


@pytest.mark.parametrize("secret", SECRETS)
def test_redacting_removes_all_of_it(secret: str) -> None:
    clean = redact(f"before {secret} after")
    assert "CANARY" not in clean
    assert clean.startswith("before ")


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), b"bytes", {1: 2}, {"a": {1, 2}}, object(), 2**63, [[[object()]]]]
)
def test_what_json_cannot_carry_is_refused(folder: StateFolder, value: object) -> None:
    with folder.open(MESH) as journal, pytest.raises(ValueError, match=r"plain JSON|not a string"):
        journal.start("apply", {"x": value}, {}, {})


def test_endless_nesting_is_refused(folder: StateFolder) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with folder.open(MESH) as journal, pytest.raises(ValueError, match="deep"):
        journal.start("apply", {"x": loop}, {}, {})
