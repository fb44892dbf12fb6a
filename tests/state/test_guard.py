"""What may be stored is stored as it is, to its last bound, and the rest is refused and redacted alike."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from state import guard
from state.withheld import hold

PRIVATE = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIB\n-----END EC PRIVATE KEY-----"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl"
HELD = "canary-of-the-east"
REFUSED = {
    PRIVATE: "a private key",
    b64encode(PRIVATE.encode()).decode(): "a private key",
    JWT: "a token",
    "Bearer abcdefghijklmnop": "a token",
    "client-key-data: abc": "credentials of a kubeconfig",
    HELD: "a credential that this program holds",
}
LET_BE = [
    "eyJhbGciOi and on",  # only the first part of a token
    "LS0tLS1CRUdJTi=A",  # no base64
    b64encode(b"-----BEGIN CERTIFICATE-----\nMIIB").decode(),
]


@pytest.mark.parametrize("secret", REFUSED)
def test_a_secret_is_refused_by_what_it_is_and_redacted(secret: str) -> None:
    hold(HELD)
    for value in (secret, ["x", {"a": f"it said {secret}"}], {secret: 1}, {"a": 1, f"x {secret}": 2}):
        with pytest.raises(ValueError, match=f"holds {REFUSED[secret]}, which may not be stored") as told:
            guard.plain(value, "document")
        assert secret not in str(told.value)
    clean = guard.redact(f"before {secret} after")
    assert secret not in clean
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert guard.text(clean, "message") == clean


@pytest.mark.parametrize("text", LET_BE)
def test_what_only_begins_like_a_secret_is_let_be(text: str) -> None:
    assert guard.plain({text: text}, "document") == {text: text}
    assert guard.redact(f"before {text} after") == f"before {text} after"


def test_what_json_carries_is_copied_as_it_is() -> None:
    class Name(str):
        pass

    class Count(int):
        pass

    inner = {
        "texts": ("a", Name("b")),
        "numbers": [0, Count(7), -1.5, 2**63 - 1, 1 - 2**63],
        "rest": [None, True, False, ""],
    }
    copy = guard.plain(inner, "document")
    assert copy == {**inner, "texts": ["a", "b"]}
    assert [type(each) for each in (*copy["texts"], *copy["numbers"][:3], *copy["rest"])] == [
        str, str, int, int, float, type(None), bool, bool, str,
    ]  # fmt: skip
    copy["numbers"].clear()
    assert len(inner["numbers"]) == 5


@pytest.mark.parametrize(
    "value", [2**63, -(2**63), float("nan"), float("inf"), b"x", {1}, object()], ids=lambda value: type(value).__name__
)
def test_what_json_does_not_carry_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(ValueError, match=r"^document\.a\[1\] is not plain JSON data"):
        guard.plain({"a": [0, value]}, "document")
    with pytest.raises(ValueError, match=r"^a key of document\.a is not a string"):
        guard.plain({"a": {7: value}}, "document")


def test_a_value_under_the_name_of_a_credential_is_refused_an_empty_one_or_a_number_is_not() -> None:
    with pytest.raises(ValueError, match=r"^user\.password is a credential"):
        guard.plain({"name": "me", "password": "x"}, "user")
    kept = {"password": "", "token": None, "tokens": "three", "private_key": ["somewhere"]}
    assert guard.plain(kept, "user") == kept


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: (inner,), lambda inner: {"a": inner}])
def test_what_is_as_deep_as_allowed_is_stored_and_no_deeper(wrap: Any) -> None:
    value: Any = "x"
    for _ in range(guard.DEEPEST):
        value = wrap(value)
    assert guard.plain(value, "document")
    with pytest.raises(ValueError, match="nested more than"):
        guard.plain(wrap(value), "document")
