"""What client-go refuses of a context whose file it loads: fields that are missing, exclude each other, or name files that are
not there. Reads those files; runs nothing, asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wizard.clusters.clientcmd import Item
from wizard.clusters.kubeconfig_read import Entry, Found
from wizard.errors import words_of
from wizard.messages import msg
from wizard.reading import read
from wizard.text import listing, one_line

MAX_PEM = 1 << 20
OMITTED = frozenset(
    ("DATA+OMITTED", "REDACTED")
)  # what `kubectl config view` shows in place of keys; both are base64 of something
_EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_MODES = ("Never", "IfAvailable", "Always")


def flaws(found: Found) -> list[str]:
    """Each a sentence that names the field, where it stands, and what to do."""
    return list(_flaws(found))


def _flaws(found: Found) -> Iterator[str]:
    context, cluster, user = found.context, found.cluster, found.user
    if cluster.body is None:
        place = context.at("cluster")
        if cluster.name:
            name = repr(one_line(cluster.name, 120))
            yield msg("it names a cluster that is not there, {cluster} ({place})", cluster=name, place=place)
        else:
            yield msg("it names no cluster ({place})", place=place)
    else:
        yield from _cluster(cluster, cluster.body)
    if user.body is not None:
        yield from _user(user, user.body)
    elif user.name:  # without any, it is anonymous
        name = repr(one_line(user.name, 120))
        yield msg("it names a user that is not there, {user} ({place})", user=name, place=context.at("user"))


def _cluster(cluster: Entry, body: Item) -> Iterator[str]:
    server = body.get("server", "")
    if not server:
        yield _flaw(cluster, "cluster", "server", msg("is missing"))
    elif why := _no_server(server):
        yield _flaw(cluster, "cluster", "server", why)
    if why := _no_proxy(body.get("proxy-url", "")):
        yield _flaw(cluster, "cluster", "proxy-url", why)
    yield from _omitted(cluster, "cluster", body, "certificate-authority-data")
    yield from _one_of(cluster, "cluster", body, "certificate-authority")
    for key in ("certificate-authority-data", "certificate-authority"):
        if body.get(key) and body.get("insecure-skip-tls-verify"):
            why = msg(
                "is never looked at with insecure-skip-tls-verify, and kubectl refuses the two together: remove that flag"
            )
            yield _flaw(cluster, "cluster", key, why)
            break


def _no_server(server: str) -> str:
    try:
        parts = urlsplit(server)
        bad = not parts.hostname or parts.port == 0
    except ValueError:
        bad = True
    if " " in server or not server.isprintable() or "://" not in server or bad:
        return msg("is no address such as https://10.0.0.1:6443")
    return "" if parts.scheme in {"https", "http"} else msg("must begin with https://")


def _no_proxy(proxy: str) -> str:
    if not proxy:
        return ""
    try:
        scheme, host = urlsplit(proxy).scheme, urlsplit(proxy).hostname
        _ = urlsplit(proxy).port
    except ValueError:
        scheme = host = ""
    if scheme in {"http", "https", "socks5"} and host:
        return ""
    return msg("must begin with http://, https:// or socks5:// and name a host, as in http://proxy:3128")


def _user(user: Entry, body: Item) -> Iterator[str]:
    yield from _omitted(user, "user", body, "token", "password", "client-certificate-data", "client-key-data")
    basic = body.get("username") or (body.get("token") and body.get("password"))
    for key in ("token", "tokenFile"):
        if body.get(key) and basic:
            why = msg("excludes username and password, and kubectl refuses them together: remove one of them")
            yield _flaw(user, "user", key, why)
    token = body.get("token", "")
    if token and not _fits_header(token):
        why = msg("holds characters that no token has, such as the end of a line")
        yield _flaw(user, "user", "token", why)
    if body.get("tokenFile"):
        yield from _token_file(user, body)
    if body.get("client-certificate") or body.get("client-certificate-data"):
        yield from _one_of(user, "user", body, "client-certificate")
        yield from _one_of(user, "user", body, "client-key")
        if not (body.get("client-key") or body.get("client-key-data")):
            key = next(each for each in ("client-certificate-data", "client-certificate") if body.get(each))
            yield _flaw(user, "user", key, msg("needs client-key or client-key-data beside it"))
    if body.get("exec") is not None:
        yield from _exec(user, body["exec"], body)
    yield from _impersonation(user, body)


def _omitted(entry: Entry, kind: str, body: Item, *keys: str) -> Iterator[str]:
    for key in keys:
        if body.get(key) in OMITTED:
            why = msg(
                "holds {value}, as `kubectl config view` shows it; write the file with `kubectl config view --raw`",
                value=body[key],
            )
            yield _flaw(entry, kind, key, why)


def _one_of(entry: Entry, kind: str, body: Item, key: str) -> Iterator[str]:
    """A file or its content, not both; a file that can be read."""
    if body.get(key) and body.get(f"{key}-data"):
        other = f"{key}-data"
        why = msg("and {field} are both set, and kubectl refuses that: remove one of them", field=other)
        yield _flaw(entry, kind, key, why)
    elif body.get(key):
        try:
            read(Path(body[key]), MAX_PEM)
        except ValueError as error:
            why = msg("names {file}, which {problem}", file=one_line(body[key]), problem=words_of(error))
            yield _flaw(entry, kind, key, why)


def _token_file(user: Entry, body: Item) -> Iterator[str]:
    if body.get("token"):
        return  # it is used where the file has none
    try:
        token_in(Path(body["tokenFile"]))
    except ValueError as error:
        why = msg("names {file}, which {problem}", file=one_line(body["tokenFile"]), problem=words_of(error))
        yield _flaw(user, "user", "tokenFile", why)


def token_in(path: Path) -> str:
    """The token that this file holds. Raises ValueError, with a sentence's end, where it holds none."""
    token = read(path, MAX_PEM).decode(errors="replace").strip()
    if not token:
        raise ValueError(msg("is empty"))
    if not _fits_header(token):
        raise ValueError(msg("holds more than one token"))
    return token


def _exec(user: Entry, run: Item, body: Item) -> Iterator[str]:
    if body.get("auth-provider") is not None:
        why = msg("excludes auth-provider, and kubectl refuses them together: remove one of them")
        yield _flaw(user, "user", "exec", why)
    if not run.get("command"):
        yield _flaw(user, "user", "exec.command", msg("is missing"), "exec")
    version = run.get("apiVersion", "")
    if version not in _EXEC_VERSIONS:
        known = listing(_EXEC_VERSIONS, last="or")
        why = (
            msg(
                "is {version}, which kubectl does not know: write the one that the command speaks, {versions}",
                version=one_line(version, 80),
                versions=known,
            )
            if version
            else msg("is missing: write the one that the command speaks, {versions}", versions=known)
        )
        yield _flaw(user, "user", "exec.apiVersion", why, "exec")
    if any(not each.get("name") for each in run.get("env") or ()):
        yield _flaw(user, "user", "exec.env", msg("holds a variable without a name"), "exec")
    mode = run.get("interactiveMode", "")
    if mode not in _MODES and (mode or version == _EXEC_VERSIONS[0]):
        modes = listing(_MODES, last="or")
        why = (
            msg("is {mode}: write {modes}", mode=one_line(mode, 80), modes=modes)
            if mode
            else msg("is missing: write {modes}", modes=modes)
        )
        yield _flaw(user, "user", "exec.interactiveMode", why, "exec")


def _impersonation(user: Entry, body: Item) -> Iterator[str]:
    more = [key for key in ("as-uid", "as-groups", "as-user-extra") if body.get(key)]
    if more and not body.get("as"):
        yield _flaw(user, "user", more[0], msg("needs `as` beside it, the user to act as"))
    for key in ("as", *more):
        if not all(_one_header(each) for each in _texts(body.get(key))):
            why = msg("holds characters that cannot be sent, such as the end of a line")
            yield _flaw(user, "user", key, why)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from value
    elif isinstance(value, dict):
        for key, values in value.items():
            yield key
            yield from values


def _one_header(text: str) -> bool:
    return all(ch == "\t" or (ord(ch) >= 32 and ch != "\x7f") for ch in text)


def _fits_header(token: str) -> bool:
    return token.isascii() and _one_header(token)


def _flaw(entry: Entry, kind: str, key: str, why: str, parent: str = "") -> str:
    return flaw(entry, kind, key, entry.at(key if key in entry.lines or not parent else parent), why)


def flaw(entry: Entry, kind: str, field: str, place: str, why: str) -> str:
    """The sentence that says of a field of this cluster or user what is wrong; `why` ends it."""
    name = one_line(entry.name, 120)
    if kind == "cluster":
        return msg(
            "{field} of cluster {cluster} ({place}) {problem}", field=field, cluster=name, place=place, problem=why
        )
    return msg("{field} of user {user} ({place}) {problem}", field=field, user=name, place=place, problem=why)
