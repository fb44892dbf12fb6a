"""How a kubeconfig context leads to its API server, and with which credentials. Read anew at each `login`: token files are
rotated, certificates renewed.

Authenticating is the official client's business; it gets one context, checked before and written so that it leaves nothing to
guess. Commands that some run for credentials are not left to it: it would wait for them for ever.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import functools
import logging
import math
import os
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from urllib3 import HTTPHeaderDict

from wizard.clusters import pems, plugin_runs
from wizard.clusters.kinds import Object
from wizard.clusters.kubeconfig_read import Found, files_of, found_in
from wizard.clusters.proxies import NoProxy, proxy_to
from wizard.clusters.typed import file_option, kubectl
from wizard.clusters.usable import MAX_PEM, flaw, flaws, token_in
from wizard.clusters.wire import Route, tls_context
from wizard.credentials import hold_header, hold_key, hold_url, hold_user
from wizard.errors import BadInput, Failed, Trouble, words_of
from wizard.messages import joined, msg
from wizard.reading import read
from wizard.text import one_line

log = logging.getLogger(__name__)

_INLINE = {
    "client-certificate-data": "client-certificate",
    "client-key-data": "client-key",
    "certificate-authority-data": "certificate-authority",
}
_TOLD_TO_PLUGINS = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
# The client library loads its modules lazily, which is not safe from several threads at once.
_loading = threading.Lock()


@dataclass(frozen=True)
class Login:
    """`headers`: what a request carries for credentials, and as whom it acts. `certificate`: the client's own, in PEM. `renew`:
    on the monotonic clock, when it should be made anew. `refused`: to be called where an API server did not accept it.
    """

    route: Route
    headers: Mapping[str, str]
    certificate: bytes = b""
    renew: float = math.inf
    refused: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Chosen:
    """One context with its cluster and user, as the kubeconfig has them: all paths absolute, all fields of their type, and none
    that kubectl would not use.
    """

    name: str
    context: str
    kubeconfig: Path | None
    found: Found
    cluster: Object
    user: Object

    @property
    def server(self) -> str:
        scheme, _, rest = str(self.cluster.get("server", "")).partition("://")
        return f"{scheme.lower()}://{re.split('[?#]', rest)[0]}".rstrip("/")  # as client-go: no query

    @property
    def verified(self) -> bool:
        """Whether the API server's certificate is."""
        return not self.cluster.get("insecure-skip-tls-verify")


def chosen(name: str, kubeconfig: Path | None, context: str) -> Chosen:
    """Read it; runs nothing. Raises BadInput naming the cluster `name`."""
    try:
        found = found_in(files_of(kubeconfig), context)
    except BadInput as refused:
        said = refused.what
        if refused.mistakes:
            said = msg("{problem}: {mistake}", problem=said, mistake=one_line(str(refused.mistakes[0])))
        raise _unusable(name, context, kubeconfig, [said]) from refused
    wrong: list[str] = flaws(found) if found else [msg("it is not there")]
    if found is None or wrong:
        raise _unusable(name, context, kubeconfig, wrong)
    cluster = {key: value for key, value in (found.cluster.body or {}).items() if value}
    user = found.user.body or {}
    hold_user(user)
    for key in ("server", "proxy-url"):
        hold_url(cluster.get(key))
    return Chosen(name, context, kubeconfig, found, cluster, _used(user))


def _used(user: Object) -> Object:
    """What of this user counts, where it names several credentials: client-go's order, not the library's."""
    used = {key: value for key, value in user.items() if value or key in {"exec", "auth-provider"}}
    if not (used.get("client-certificate") or used.get("client-certificate-data")):
        used = {key: value for key, value in used.items() if not key.startswith("client-key")}
    if any(used.get(key) for key in ("token", "tokenFile", "username")):
        used.pop("auth-provider", None)
        used.pop("exec", None)
    if "client-certificate" in used or "client-certificate-data" in used:
        used.pop("exec", None)
    return used


def login(which: Chosen, *, seconds: float) -> Login:
    """Get the credentials, for which a command may have to be run, `seconds` long at most. BadInput where the kubeconfig
    cannot be used, Failed where the command gives none.
    """
    with _loading:
        from kubernetes.config.config_exception import ConfigException
        from kubernetes.config.kube_config import KubeConfigLoader

    _refuse_plain(which)
    user = _of_provider(which) if "auth-provider" in which.user else dict(which.user)
    cluster = {**which.cluster, "server": which.server}
    given = _from_command(which, seconds) if "exec" in user else None
    if given is not None:
        del user["exec"]
        user |= given.user
    if "tokenFile" in user:
        user["token"] = _token(which, user)
        del user["tokenFile"]
    if "username" in user:  # the library sends Latin-1, and kubectl UTF-8
        user |= {key: str(user.get(key, "")).encode().decode("latin-1") for key in ("username", "password")}
    files: list[int] = []
    try:
        _into_memory(files, cluster, user)
        loader = KubeConfigLoader(_alone(which.context, cluster, user))
        with _loading:
            configuration = copy.copy(_blank())
        configuration.api_key, configuration.api_key_prefix = {}, {}
        loader.load_and_set(configuration)
        certificate = Path(configuration.cert_file).read_bytes() if configuration.cert_file else b""
        if configuration.key_file:
            hold_key(Path(configuration.key_file).read_bytes())
        proxy = proxy_to(which.server, cluster)
        route = Route(
            which.server,
            tls_of(which, configuration),
            str(configuration.tls_server_name or ""),
            proxy.url if proxy else "",
            proxy.headers if proxy else None,
        )
    except NoProxy as error:
        raise _unusable(which.name, which.context, which.kubeconfig, [words_of(error)]) from error
    except (ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        # What the library says of it is Python's, and tells nobody what to do.
        entry = which.found.user
        named = repr(one_line(entry.name, 120))
        why = msg("the credentials of user {user} cannot be used ({place})", user=named, place=entry.at())
        raise _unusable(which.name, which.context, which.kubeconfig, [why]) from error
    finally:
        for descriptor in files:
            os.close(descriptor)
    token = configuration.api_key.get("BearerToken")
    hold_header(str(token or ""))
    headers = HTTPHeaderDict({"Authorization": str(token)} if token else {})
    _act_as(which.user, headers)
    refused = (lambda: plugin_runs.refused(given)) if given else (lambda: None)
    return Login(route, headers, certificate, given.renew if given else math.inf, refused)


def _alone(context: str, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> dict[str, Any]:
    """A kubeconfig that holds this one context."""
    return {
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": user}],
    }


@functools.cache
def _blank() -> Any:
    """What the library knows before it has read anything: slow to make. Which proxy leads where, `proxy_to` says; left out, the
    library would look through the environment.
    """
    from kubernetes.client import Configuration

    return Configuration(proxy="", no_proxy="")


@contextmanager
def problem_of(name: str, kubeconfig: Path | None, context: str) -> Iterator[None]:
    """Whatever else is raised inside is a problem of this context, and of no other. Raises BadInput for it."""
    try:
        yield
    except Trouble:
        raise
    except Exception as error:
        log.info("%s: the login of its context broke down", name, exc_info=True)
        why = msg("its login broke down ({error})", error=type(error).__name__)
        raise _unusable(name, context, kubeconfig, [why]) from error


def _refuse_plain(which: Chosen) -> None:
    """BadInput where the API server would be spoken to in clear. kubectl sends no credentials there; and a mesh cannot be made
    without sending keys.
    """
    if urlsplit(which.server).scheme.lower() != "https":
        raise BadInput(
            msg(
                "{cluster}: context {context}: its API server {server} is not https://…: credentials and keys would be "
                "sent in clear, so nothing is",
                cluster=which.name,
                context=one_line(which.context),
                server=one_line(which.server) or msg("(none)"),
            ),
            msg("Give a context whose server begins with https://; that of a `kubectl proxy` does not."),
        )


def _of_provider(which: Chosen) -> Object:
    """The user whose `auth-provider` gives credentials, with them. No identity provider is asked: only kubectl may use up a
    refresh token, since it alone writes the next one back.
    """
    told, context = which.user["auth-provider"], one_line(which.context)
    if told.get("name") != "oidc":
        raise BadInput(
            msg(
                "{cluster}: context {context}: its auth-provider {provider} is not supported, by kubectl neither",
                cluster=which.name,
                context=context,
                provider=repr(one_line(told.get("name") or "", 80)),
            ),
            msg(
                "Get a kubeconfig that runs a command for credentials (exec), such as gke-gcloud-auth-plugin or kubelogin."
            ),
        )
    user = {key: value for key, value in which.user.items() if key != "auth-provider"}
    token = told.get("config", {}).get("id-token")
    if not token:
        raise BadInput(
            msg(
                "{cluster}: context {context}: its auth-provider oidc holds no id-token",
                cluster=which.name,
                context=context,
            ),
            msg("Log in first: `{command}`.", command=f"{kubectl(which)} get namespaces"),
        )
    return {**user, "token": token}


def _unusable(name: str, context: str, kubeconfig: Path | None, problems: list[str]) -> BadInput:
    shown, told = one_line(context), joined(problems[:3], "; ")
    what = (
        msg(
            "{cluster}: context {context} of {kubeconfig} cannot be used: {problems}",
            cluster=name,
            context=shown,
            kubeconfig=one_line(kubeconfig),
            problems=told,
        )
        if kubeconfig
        else msg("{cluster}: context {context} cannot be used: {problems}", cluster=name, context=shown, problems=told)
    )
    return BadInput(
        what, msg("Check it with `{command}`.", command=f"kubectl {file_option(kubeconfig)}config get-contexts")
    )


def _token(which: Chosen, user: Object) -> str:
    """As kubectl: what the file holds now; where it holds none, the token beside it, if there is one."""
    try:
        return token_in(Path(user["tokenFile"]))
    except ValueError as error:
        if user.get("token"):
            return str(user["token"])
        entry = which.found.user
        why = msg("names {file}, which {problem}", file=one_line(user["tokenFile"]), problem=words_of(error))
        sentence = flaw(entry, "user", "tokenFile", entry.at("tokenFile"), why)
        raise _unusable(which.name, which.context, which.kubeconfig, [sentence]) from error


def _act_as(user: Object, headers: HTTPHeaderDict) -> None:
    """Impersonation. What stands more than once is more than one header; the wire has bytes, and a name may be any text."""
    named = [(what, user[key]) for what, key in (("User", "as"), ("Uid", "as-uid")) if user.get(key)]
    named += [("Group", each) for each in user.get("as-groups", ())]
    extra = user.get("as-user-extra", {})
    named += [(f"Extra-{quote(key, safe=_IN_A_NAME)}", each) for key, values in extra.items() for each in values]
    for what, value in named:
        headers.add(f"Impersonate-{what}", value.encode().decode("latin-1"))


_IN_A_NAME = (
    "!#$&'*+-.^_`|~"  # what the name of a header may hold beside letters and digits; `%` begins what is escaped
)


def tls_of(which: Chosen, configuration: Any) -> ssl.SSLContext:
    """Whom this context trusts and what it shows of itself. BadInput where its files cannot be used."""
    context = tls_context(verify=bool(configuration.verify_ssl))
    if configuration.ssl_ca_cert:
        try:
            context.load_verify_locations(configuration.ssl_ca_cert)
        except ssl.SSLError as error:
            why = pems.authority_trouble(read(Path(configuration.ssl_ca_cert), MAX_PEM))
            raise _not_usable_file(which, "certificate-authority", why) from error
    elif configuration.verify_ssl:
        context.load_default_certs()
    if configuration.cert_file:
        try:
            # An empty password: OpenSSL would ask for one at the terminal.
            context.load_cert_chain(configuration.cert_file, configuration.key_file, "")
        except ssl.SSLError as error:
            files = (configuration.cert_file, configuration.key_file)
            raise _not_usable_file(which, *pems.pair_trouble(*(read(Path(each), MAX_PEM) for each in files))) from error
    return context


def _not_usable_file(which: Chosen, key: str, why: str) -> BadInput:
    kind, entry = ("cluster", which.found.cluster) if key == "certificate-authority" else ("user", which.found.user)
    body = entry.body or {}
    field = key if body.get(key) else f"{key}-data"
    named = f"{field}, {one_line(body[key])}," if body.get(key) else field
    sentence = flaw(entry, kind, named, entry.at(field), why)
    return _unusable(which.name, which.context, which.kubeconfig, [sentence])


def _into_memory(files: list[int], *parts: Object) -> None:
    """Move inline keys to anonymous memory files. The client library would write them to the temporary folder, where they stay
    when the program is killed.
    """
    if not hasattr(os, "memfd_create"):
        return
    for part in parts:
        for inline, by_path in _INLINE.items():
            if part.get(inline):
                descriptor = os.memfd_create("meshwizard", os.MFD_CLOEXEC)
                files.append(descriptor)
                os.write(descriptor, base64.b64decode(part.pop(inline)))
                part[by_path] = f"/proc/self/fd/{descriptor}"


# -- commands that give credentials


def _from_command(which: Chosen, seconds: float) -> plugin_runs.Given:
    run: Mapping[str, Any] = which.user["exec"]
    shown, context = one_line(run["command"], 120), one_line(which.context)
    if run.get("interactiveMode") == "Always":
        raise Failed(
            msg(
                "{cluster}: context {context} runs `{command}` for credentials, which must ask a person",
                cluster=which.name,
                context=context,
                command=shown,
            ),
            msg("Give a context that need not ask."),
        )
    try:
        about = _about(which.cluster) if run.get("provideClusterInfo") else None
        return plugin_runs.credentials(run, about, seconds)
    except plugin_runs.NoCredentials as none:
        what = msg(
            "{cluster}: context {context} runs `{command}` for credentials, {problem}",
            cluster=which.name,
            context=context,
            command=shown,
            problem=none.why,
        )
        try_it = f"{kubectl(which)} get namespaces"
        remedy = none.hint or msg("Run `{command}` in a terminal: it may want a login.", command=try_it)
        raise Failed(what, remedy) from none


def _about(cluster: Object) -> Object:
    told = {key: cluster[key] for key in _TOLD_TO_PLUGINS if key in cluster}
    file = cluster.get("certificate-authority")
    if file and "certificate-authority-data" not in told:
        with contextlib.suppress(ValueError):  # then the connection tells of it
            told["certificate-authority-data"] = base64.b64encode(read(Path(file), MAX_PEM)).decode()
    for each in cluster.get("extensions") or ():
        if each.get("name") == "client.authentication.k8s.io/exec":
            told["config"] = each.get("extension")
    return told
