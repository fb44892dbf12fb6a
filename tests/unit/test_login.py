"""From a context of a kubeconfig to what a request carries: which credentials count, whom they trust, and what is told where
they cannot be used.
"""

from __future__ import annotations

import base64
import json
import math
import os
import re
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from urllib3 import HTTPHeaderDict

from state.withheld import holds, withhold
from tests.unit.api_fakes import Pair, pair
from wizard.clusters.login import Login, chosen, login, problem_of
from wizard.errors import BadInput, Failed

SERVER = "https://192.0.2.1:6443"
VERSION = "client.authentication.k8s.io/v1"
ABSENT = {"apiVersion": VERSION, "command": "nowhere-to-be-found", "interactiveMode": "Never"}


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def written(folder: Path, user: Any = None, **cluster: Any) -> Path:
    """A kubeconfig with the one context `here`."""
    content = {
        "clusters": [{"name": "c", "cluster": {"server": SERVER, **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    path = folder / "config"
    path.write_text(json.dumps(content, indent=1))
    return path


def entered(path: Path) -> Login:
    return login(chosen("east", path, "here"), seconds=60)


def inline(content: bytes) -> str:
    return base64.b64encode(content).decode()


def basic(pair: str) -> str:
    return f"Basic {inline(pair.encode())}"


# -- which credentials count


@pytest.mark.parametrize(
    ("user", "sent"),
    [
        (None, None),
        ({"token": "abc"}, "Bearer abc"),
        ({"token": "abc", "tokenFile": "", "username": "", "password": ""}, "Bearer abc"),
        ({"token": "abc", "exec": ABSENT}, "Bearer abc"),
        ({"token": "abc", "auth-provider": {"name": "gcp"}}, "Bearer abc"),
        ({"token": "abc", "client-key": "gone.pem"}, "Bearer abc"),  # a key without its certificate is not looked at
        ({"username": "u", "password": "pä"}, basic("u:pä")),
        ({"username": "u"}, basic("u:")),
        ({"password": "alone"}, None),
    ],
)
def test_what_kubectl_would_send_is_sent(tmp_path: Path, user: Any, sent: str | None) -> None:
    assert entered(written(tmp_path, user)).headers.get("Authorization") == sent


def test_a_token_file_counts_as_it_is_now_and_the_token_beside_it_where_it_is_empty(tmp_path: Path) -> None:
    file = tmp_path / "token"
    path = written(tmp_path, {"tokenFile": "token", "token": "beside"})
    for content, sent in (("first\n", "Bearer first"), ("second", "Bearer second"), ("\n", "Bearer beside")):
        file.write_text(content)
        assert entered(path).headers["Authorization"] == sent


def test_a_token_file_that_was_emptied_is_named(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc")
    which = chosen("east", written(tmp_path, {"tokenFile": "token"}), "here")
    file.write_text("")
    with pytest.raises(BadInput, match=f"tokenFile of user u .* names {file}, which is empty"):
        login(which, seconds=60)


def test_who_acts_as_another_says_as_whom(tmp_path: Path) -> None:
    user = {"as": "jürgen", "as-uid": "42", "as-groups": ["a", "b"], "as-user-extra": {"scopes/%": ["u", "v"]}}
    headers = entered(written(tmp_path, user)).headers
    assert isinstance(headers, HTTPHeaderDict)
    assert [(name, value.encode("latin-1").decode()) for name, value in headers.iteritems()] == [
        ("Impersonate-User", "jürgen"), ("Impersonate-Uid", "42"),
        ("Impersonate-Group", "a"), ("Impersonate-Group", "b"),
        ("Impersonate-Extra-scopes%2F%25", "u"), ("Impersonate-Extra-scopes%2F%25", "v"),
    ]  # fmt: skip


def oidc(**config: str) -> dict[str, Any]:
    return {"auth-provider": {"name": "oidc", "config": config}}


def test_the_token_of_an_identity_provider_is_sent_without_asking_it(tmp_path: Path) -> None:
    """Even where it ended: the API server decides."""
    token = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, {"exp": 1})
    )
    nobody = {"idp-issuer-url": "http://127.0.0.1:1", "client-id": "a", "client-secret": "b", "refresh-token": "c"}
    user = oidc(**nobody, **{"id-token": f"{token}.x"})
    assert entered(written(tmp_path, user)).headers["Authorization"] == f"Bearer {token}.x"


@pytest.mark.parametrize(
    ("user", "said", "cure"),
    [
        ({"auth-provider": {"name": "gcp"}}, "auth-provider 'gcp' is not supported", "exec"),
        ({"auth-provider": {}}, "auth-provider '' is not supported", "exec"),
        ({"auth-provider": {"name": "oidc"}}, "holds no id-token", "--context=here get namespaces"),
        (oidc(**{"id-token": ""}), "holds no id-token", "Log in first"),
    ],
)
def test_an_identity_provider_that_gave_nothing_is_told(tmp_path: Path, user: Any, said: str, cure: str) -> None:
    with pytest.raises(BadInput, match=f"east: context here: its .*{said}") as told:
        entered(written(tmp_path, user))
    assert cure in told.value.remedy


# -- certificates


@pytest.fixture
def authority() -> Pair:
    return pair("authority")


@pytest.fixture
def mine(authority: Pair) -> Pair:
    return pair("me", authority)


def trusted(made: Login) -> list[bytes]:
    return made.route.tls.get_ca_certs(binary_form=True)


def der(of: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(of.pem.decode())


def test_certificates_in_files_are_used_and_their_key_is_withheld(tmp_path: Path, authority: Pair, mine: Pair) -> None:
    for name, content in (("ca", authority.pem), ("cert", mine.pem), ("key", mine.key_pem)):
        (tmp_path / name).write_bytes(content)
    user = {"client-certificate-data": "", "client-certificate": "cert", "client-key": "key", "exec": ABSENT}
    made = entered(written(tmp_path, user, **{"certificate-authority-data": "", "certificate-authority": "ca"}))
    assert made.certificate == mine.pem
    assert trusted(made) == [der(authority)]
    line = mine.key_pem.decode().splitlines()[1]
    assert line not in withhold(f"it said {line}")


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no files in memory")
def test_inline_certificates_are_used_and_nothing_of_them_is_left(
    tmp_path: Path, authority: Pair, mine: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    user = {"client-certificate-data": inline(mine.pem), "client-key-data": inline(mine.key_pem), "exec": ABSENT}
    made = entered(written(tmp_path, user, **{"certificate-authority-data": inline(authority.pem)}))
    assert made.certificate == mine.pem
    assert trusted(made) == [der(authority)]
    assert not list(temporary.iterdir())
    descriptors = [each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    assert not [each for each in descriptors if "meshwizard" in each.name]


@pytest.mark.parametrize("by_path", [True, False])
@pytest.mark.parametrize("key", ["certificate-authority", "client-key"])
def test_a_certificate_or_key_that_does_not_work_is_named(
    tmp_path: Path, authority: Pair, mine: Pair, key: str, by_path: bool
) -> None:
    good = {"certificate-authority": authority.pem, "client-certificate": mine.pem, "client-key": mine.key_pem}
    parts = good | {key: pair("other").key_pem}
    given: dict[str, str] = {}
    for name, content in parts.items():
        (tmp_path / name).write_bytes(content)
        given |= {name: name} if by_path else {f"{name}-data": inline(content)}
    user = {name: value for name, value in given.items() if name.startswith("client")}
    path = written(tmp_path, user, **{name: value for name, value in given.items() if name not in user})
    field = f"{key}, {tmp_path / key}," if by_path else f"{key}-data"
    of, why = ("user u", "is not the key of") if key == "client-key" else ("cluster c", "not a certificate")
    with pytest.raises(BadInput, match=rf"cannot be used: {field} of {of} \(line \d+ of {path}\) .*{why}"):
        entered(path)


def test_the_authority_of_the_cluster_is_trusted_or_what_the_system_trusts(
    tmp_path: Path, authority: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = pair("system")
    (tmp_path / "system").write_bytes(system.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "system"))
    assert trusted(entered(written(tmp_path))) == [der(system)]
    named = entered(written(tmp_path, **{"certificate-authority-data": inline(authority.pem)}))
    assert trusted(named) == [der(authority)]
    assert named.route.tls.verify_mode is ssl.CERT_REQUIRED


def test_nothing_is_verified_only_where_the_kubeconfig_says_so(tmp_path: Path) -> None:
    for unverified in (True, False):
        which = chosen("east", written(tmp_path, **{"insecure-skip-tls-verify": unverified}), "here")
        assert which.verified == (not unverified)
        mode = login(which, seconds=60).route.tls.verify_mode
        assert mode is (ssl.CERT_NONE if unverified else ssl.CERT_REQUIRED)


# -- the way


def test_a_proxy_gets_its_credentials_apart_and_they_are_withheld(tmp_path: Path) -> None:
    password = uuid4().hex
    made = entered(written(tmp_path, **{"proxy-url": f"http://me:{password}@proxy.example.com:3128"}))
    assert made.route.proxy == "http://proxy.example.com:3128"
    assert made.route.proxy_headers == {"Proxy-Authorization": basic(f"me:{password}")}
    assert holds(password)


def test_a_proxy_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"context here .* cannot be used: its proxy-url names a proxy that speaks SOCKS"
    ):
        entered(written(tmp_path, **{"proxy-url": "socks5://proxy.example.com"}))


def test_nothing_is_sent_in_clear(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"east: context here: its API server http://192\.0\.2\.1 is not https"):
        entered(written(tmp_path, {"token": "abc"}, server="http://192.0.2.1"))


@pytest.mark.parametrize("how", ["token that is not sent", "token file"])
def test_what_is_read_is_withheld(tmp_path: Path, how: str) -> None:
    secret, other = uuid4().hex, uuid4().hex
    in_file, beside = (secret, other) if how == "token file" else (other, secret)
    (tmp_path / "token").write_text(in_file)
    entered(written(tmp_path, {"tokenFile": "token", "token": beside}))
    assert holds(secret)


# -- a context that cannot be used


def test_a_context_that_is_not_there_is_told_with_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    with pytest.raises(BadInput, match=f"^east: context nowhere of {path} cannot be used: it is not there$") as told:
        chosen("east", path, "nowhere")
    assert f"--kubeconfig={path} config get-contexts" in told.value.remedy
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(BadInput, match=r"^east: context nowhere cannot be used: it is not there$"):
        chosen("east", None, "nowhere")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("users: {}", "cannot be used as a kubeconfig: line 1: users: must be a list"),
        ("contexts: [{name: here, context: {}}]", "it names no cluster"),
    ],
)
def test_what_is_wrong_with_the_file_is_told_of_the_context(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BadInput, match=f"east: context here of {path} cannot be used: .*{said}"):
        chosen("east", path, "here")


def test_a_file_that_went_meanwhile_is_told_of_the_user(tmp_path: Path, mine: Pair) -> None:
    for name, content in (("cert", mine.pem), ("key", mine.key_pem)):
        (tmp_path / name).write_bytes(content)
    which = chosen("east", written(tmp_path, {"client-certificate": "cert", "client-key": "key"}), "here")
    (tmp_path / "key").unlink()
    with pytest.raises(BadInput, match="cannot be used: the credentials of user 'u' cannot be used"):
        login(which, seconds=60)


def test_a_login_that_breaks_down_is_a_problem_of_its_context_and_its_cause_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    with pytest.raises(BadInput, match=r"east: context here .*\(ZeroDivisionError\)"), problem_of("east", None, "here"):
        raise ZeroDivisionError("the cause")
    assert "ZeroDivisionError: the cause" in caplog.text


def test_trouble_that_has_its_own_words_keeps_them() -> None:
    mine = Failed("it is silent", "Wait.")
    with pytest.raises(Failed) as told, problem_of("east", None, "here"):
        raise mine
    assert told.value is mine


# -- commands that give credentials


def command(folder: Path, **more: Any) -> dict[str, Any]:
    """A user whose command gives a token that lasts ten minutes; each of its runs is a line of what it was told in `told`."""
    until = (datetime.now(UTC) + timedelta(minutes=10)).isoformat()
    status = {"token": "given", "expirationTimestamp": until}
    (folder / "answer").write_text(json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status}))
    program = folder / "give-me"
    program.write_text(f'#!/bin/sh\necho "$KUBERNETES_EXEC_INFO" >> {folder}/told\ncat {folder}/answer\n')
    program.chmod(0o755)
    return {"exec": {"apiVersion": VERSION, "command": "./give-me", "interactiveMode": "Never", **more}}


def told(folder: Path) -> list[Any]:
    file = folder / "told"
    return [json.loads(line)["spec"] for line in file.read_text().splitlines()] if file.exists() else []


def test_a_command_is_run_again_only_where_its_token_was_refused(tmp_path: Path) -> None:
    path = written(tmp_path, command(tmp_path) | {"client-certificate": ""})
    entered(path)
    made = entered(path)
    assert made.headers["Authorization"] == "Bearer given"
    assert made.renew < math.inf
    assert len(told(tmp_path)) == 1
    made.refused()
    entered(path)
    assert len(told(tmp_path)) == 2


CONFIG = {"audience": "us"}
EXTENSIONS = [
    {"name": "other", "extension": {"audience": "them"}},
    {"name": "client.authentication.k8s.io/exec", "extension": CONFIG},
]


@pytest.mark.parametrize(
    ("cluster", "about"),
    [
        ({"proxy-url": "", "tls-server-name": "two"}, {"tls-server-name": "two"}),
        ({"insecure-skip-tls-verify": True}, {"insecure-skip-tls-verify": True}),
        ({"extensions": EXTENSIONS}, {"config": CONFIG}),
        ({"certificate-authority": "ca"}, {"certificate-authority-data": "the file's"}),
        ({"certificate-authority-data": "the file's"}, {"certificate-authority-data": "the file's"}),
    ],
)
def test_a_command_is_told_what_the_kubeconfig_says_of_its_cluster(
    tmp_path: Path, authority: Pair, cluster: dict[str, Any], about: dict[str, Any]
) -> None:
    (tmp_path / "ca").write_bytes(authority.pem)
    data = inline(authority.pem)
    cluster, about = (
        {key: data if value == "the file's" else value for key, value in each.items()} for each in (cluster, about)
    )
    entered(written(tmp_path, command(tmp_path, provideClusterInfo=True), **cluster))
    assert told(tmp_path) == [{"interactive": False, "cluster": {"server": SERVER, **about}}]


def test_a_command_that_need_not_know_its_cluster_is_not_told(tmp_path: Path) -> None:
    entered(written(tmp_path, command(tmp_path)))
    assert told(tmp_path) == [{"interactive": False}]


def test_a_command_that_is_not_there_is_told_with_the_hint_of_the_kubeconfig(tmp_path: Path) -> None:
    for hint, remedy in ({}, "get namespaces` in a terminal"), ({"installHint": "Install it."}, "^Install it.$"):
        with pytest.raises(Failed, match=r"east: context here runs `nowhere-to-be-found` .* not installed") as failed:
            entered(written(tmp_path, {"exec": ABSENT | hint}))
        assert re.search(remedy, failed.value.remedy)


def test_a_command_that_must_ask_a_person_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="which must ask a person"):
        entered(written(tmp_path, command(tmp_path, interactiveMode="Always")))
    assert not told(tmp_path)
