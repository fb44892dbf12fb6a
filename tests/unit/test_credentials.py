"""What is secret in what the doors read is withheld from then on, in every place that may hold it; names and words are not."""

from __future__ import annotations

import base64
import json

import pytest

from state.withheld import withhold
from wizard.credentials import (
    hold_answer,
    hold_docker,
    hold_header,
    hold_key,
    hold_pair,
    hold_secret,
    hold_url,
    hold_user,
    opaque_withheld,
)

LINES = [letter * 63 + "=" for letter in "QRST"]
KEY = "\n".join(["-----BEGIN PRIVATE KEY-----", *LINES, "-----END PRIVATE KEY-----", ""])
PASSWORD = "correct-horse"


def encoded(content: str | bytes) -> str:
    return base64.b64encode(content.encode() if isinstance(content, str) else content).decode()


def hidden(*values: str) -> bool:
    """Whether all of each of them is withheld from a message."""
    return all(withhold(f"it said ({value})") == "it said ([withheld])" for value in values)


def stays(*values: str) -> bool:
    return all(withhold(value) == value for value in values)


def test_a_users_token_password_and_key() -> None:
    assert stays(PASSWORD, *LINES)
    hold_user({"token": "token-of-east", "username": "admin", "password": PASSWORD, "client-key-data": encoded(KEY)})
    assert hidden("token-of-east", PASSWORD, encoded(KEY), *LINES)


def test_a_password_too_short_to_be_withheld_alone_is_as_it_is_sent() -> None:
    hold_user({"username": "administrator", "password": "s3cr3t"})
    hold_pair(":tiny-1")
    assert hidden(encoded("administrator:s3cr3t"), encoded(":tiny-1"))
    assert stays("administrator", "s3cr3t", "tiny-1")


@pytest.mark.parametrize("header", [f"Bearer {PASSWORD}", PASSWORD, f"Basic {encoded(f'me:{PASSWORD}')}"])
def test_what_a_request_carries(header: str) -> None:
    hold_header(header)
    assert hidden(PASSWORD, header.rpartition(" ")[2])
    assert stays("Bearer", "Basic")


def test_a_password_that_is_no_utf8_is_withheld_as_it_would_be_shown() -> None:
    for latin in ("pässwort-von-ost", "pässwort-von-west"):
        sent = encoded(f"me:{latin}".encode("latin-1"))
        if latin.endswith("ost"):
            hold_header(f"basic {sent}")
        else:
            hold_docker(json.dumps({"auths": {"r.example.org": {"auth": sent}}}))
        assert hidden(sent, latin.replace("ä", "\ufffd"))


def test_the_user_in_a_url_as_it_stands_there_and_as_it_is_meant() -> None:
    hold_url("https://%6Danager:%63orrect-h%6Frse@10.0.0.1:6443")
    assert hidden("%63orrect-h%6Frse", PASSWORD, "%6Danager:%63orrect-h%6Frse", f"manager:{PASSWORD}")
    assert stays("10.0.0.1:6443")


def test_a_word_is_a_value_only_after_an_option_that_names_a_secret() -> None:
    hold_user({"exec": {"args": ["get-token", "production", "--token-on-stdin", "--cluster-name", "east-cluster"]}})
    hold_user({"exec": {"args": ["--client-secret", PASSWORD]}})
    assert stays("production", "--cluster-name", "east-cluster", "--client-secret")
    assert hidden(PASSWORD)


def test_what_a_command_for_credentials_printed() -> None:
    hold_answer(
        json.dumps({"status": {"token": PASSWORD, "clientKeyData": KEY, "clientCertificateData": "certificate"}})
    )
    assert hidden(PASSWORD, *LINES)
    assert stays("certificate")


@pytest.mark.parametrize("printed", ["", "no JSON", "[]", "{}", '{"status": null}', '{"status": {}}', "[" * 100_000])
def test_an_answer_that_is_none_holds_nothing(printed: str) -> None:
    hold_answer(printed)
    assert stays("no JSON", '{"status": null}')


def test_what_a_command_for_credentials_says_is_told_without_what_may_be_one() -> None:
    said = opaque_withheld("error: refused a1b2c3d4e5f6g7h8 for administrator-of-east at 2026")
    assert said == "error: refused [withheld] for administrator-of-east at 2026"


def test_each_key_in_a_file_without_its_armour() -> None:
    hold_key(f"Bag Attributes\n{KEY}-----BEGIN CERTIFICATE-----\n{'C' * 64}\n-----END CERTIFICATE-----\n".encode())
    assert hidden(*LINES)
    assert stays("Bag Attributes", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "C" * 64)


def test_what_is_secret_in_a_secret() -> None:
    auths = {"r.example.org": {"username": "robot-of-east", "password": PASSWORD}}
    hold_secret({"data": {"ca-key.pem": encoded(KEY), ".dockerconfigjson": encoded(json.dumps({"auths": auths}))}})
    assert hidden(PASSWORD, *LINES)
    assert stays("robot-of-east", "r.example.org")


def test_what_is_no_kubeconfig_keeps_its_words() -> None:
    hold_secret(
        {"stringData": {"notes": "users: all\npassword: by-request\n", "more": "current-context\ntoken: by-letter"}}
    )
    assert stays("by-request", "by-letter")
    hold_secret({"stringData": {"east": "current-context: east\nusers:\n- user:\n    password: by-request\n"}})
    assert hidden("by-request")
    assert stays("current-context")


@pytest.mark.parametrize("odd", ["abc", "schlüssel"])  # a byte is missing; no letter of base64
def test_what_is_no_base64_is_let_be(odd: str) -> None:
    hold_user({"client-key-data": odd})
    hold_header(f"Basic {odd}")
    hold_docker(json.dumps({"auths": {"r.example.org": {"auth": odd}}}))
    hold_secret({"data": {"token": odd, "ca-key.pem": odd}})
    assert stays("abc")


@pytest.mark.parametrize("where", ["answer", "docker", "user", "secret"])
def test_half_a_character_in_a_credential_is_no_failure(where: str) -> None:
    broken = json.loads('"\\ud800correct-horse"')
    if where == "answer":
        hold_answer(json.dumps({"status": {"token": broken}}))
    elif where == "docker":
        hold_docker(json.dumps({"auths": {"r.example.org": {"password": broken}}}))
    elif where == "user":
        hold_user({"username": "admin", "password": broken})
    else:
        hold_secret({"stringData": {"token": broken}})
    assert hidden(broken.replace("\ud800", "?") if where == "secret" else broken)
