"""How a kubeconfig context leads to its API server, and with which credentials. Read anew at each `login`: token files are
rotated, certificates renewed.

Reading kubeconfigs is the official client's business, but for the commands that some run for credentials: it would wait for them
for ever.
"""

from __future__ import annotations

import base64
import json
import math
import os
import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from wizard import process
from wizard.clusters.kinds import Object
from wizard.clusters.patience import within
from wizard.clusters.typed import file_option, kubectl
from wizard.clusters.wire import Route, tls_context
from wizard.credentials import hold_answer, hold_header, hold_key, hold_url, hold_user, opaque_withheld
from wizard.errors import BadInput, Failed
from wizard.text import one_line, redact

_INLINE = {
    "client-certificate-data": "client-certificate",
    "client-key-data": "client-key",
    "certificate-authority-data": "certificate-authority",
}
_TOLD_TO_PLUGINS = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
_EARLY = 30.0  # seconds before a credential ends, from when on it is renewed
_SHORTEST = 60.0  # seconds that a credential is used at least, whatever it says and this machine's clock
# The client library loads its modules lazily, which is not safe from several threads at once.
_loading = threading.Lock()


@dataclass(frozen=True)
class Login:
    """`headers`: what a request carries for credentials. `certificate`: the client's own, in PEM. `renew`: on the monotonic
    clock, when it should be made anew.
    """

    route: Route
    headers: Mapping[str, str]
    certificate: bytes = b""
    renew: float = math.inf


@dataclass(frozen=True)
class Chosen:
    """One context with its cluster and user, as the kubeconfig has them; `folder` is where relative paths start from."""

    name: str
    context: str
    kubeconfig: Path | None
    config: Object
    folder: str

    @property
    def server(self) -> str:
        return str(self.cluster.get("server") or "").rstrip("/")

    @property
    def cluster(self) -> Object:
        found: Object = self.config["clusters"][0]["cluster"]
        return found

    @property
    def user(self) -> Object:
        found: Object = self.config["users"][0]["user"]
        return found


def chosen(name: str, kubeconfig: Path | None, context: str) -> Chosen:
    """Read it; runs nothing. Raises BadInput naming the cluster `name`."""
    with _loading:
        from kubernetes.config.config_exception import ConfigException
        from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigMerger

    source = str(kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION)
    try:
        merged = KubeConfigMerger(source).config
        if merged is None:
            raise ConfigException("there is no such file")
        config, folder = _only(merged.value, context)
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unusable(name, context, kubeconfig, source, error) from error
    found = Chosen(name, context, kubeconfig, config, folder)
    hold_user(found.user)
    for key in ("server", "proxy-url"):
        hold_url(found.cluster.get(key))
    return found


def login(which: Chosen, *, seconds: float) -> Login:
    """Get the credentials, for which a command may have to be run, `seconds` long at most. BadInput where the kubeconfig
    cannot be used, Failed where the command gives none.
    """
    with _loading:
        from kubernetes.client import Configuration
        from kubernetes.client.rest import should_bypass_proxies
        from kubernetes.config.config_exception import ConfigException
        from kubernetes.config.kube_config import KubeConfigLoader

    user, renew = which.user, math.inf
    if isinstance(user.get("exec"), dict) and not (user.get("token") or user.get("tokenFile")):
        user, renew = _from_command(which, seconds)
    cluster = dict(which.cluster)
    config = {
        **which.config,
        "clusters": [{**which.config["clusters"][0], "cluster": cluster}],
        "users": [{**which.config["users"][0], "user": user}],
    }
    files: list[int] = []
    try:
        _into_memory(files, cluster, user)
        loader = KubeConfigLoader(config, active_context=which.context, config_base_path=which.folder)
        configuration = Configuration()
        # An identity provider may be asked here, without any deadline.
        within(seconds, lambda: loader.load_and_set(configuration))
        certificate = Path(configuration.cert_file).read_bytes() if configuration.cert_file else b""
        if configuration.key_file:
            hold_key(Path(configuration.key_file).read_bytes())
        proxy = str(configuration.proxy or "")
        hold_url(proxy)
        if proxy and should_bypass_proxies(which.server, configuration.no_proxy or ""):
            proxy = ""
        if proxy.startswith("socks"):
            raise ValueError("its proxy speaks SOCKS, which is not supported here")
        route = Route(
            which.server,
            _tls(configuration) if which.server.startswith("https") else None,
            str(configuration.tls_server_name or ""),
            proxy,
            configuration.proxy_headers,
        )
    except TimeoutError as error:
        raise Failed(
            f"{which.name}: the identity provider of context {one_line(which.context)} gave no token within {seconds:.0f} s",
            f"Try it with `{kubectl(which)} get namespaces`.",
        ) from error
    except (ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _unusable(which.name, which.context, which.kubeconfig, "its kubeconfig", error) from error
    finally:
        for descriptor in files:
            os.close(descriptor)
    token = configuration.api_key.get("BearerToken")
    hold_header(str(token or ""))
    return Login(route, {"Authorization": str(token)} if token else {}, certificate, renew)


def _unusable(name: str, context: str, kubeconfig: Path | None, source: str, error: Exception) -> BadInput:
    return BadInput(
        f"{name}: context {one_line(context)} of {one_line(source)} cannot be used: {one_line(error)}",
        f"Check it with `kubectl {file_option(kubeconfig)}config get-contexts`.",
    )


def _tls(configuration: Any) -> Any:
    context = tls_context(verify=bool(configuration.verify_ssl))
    if configuration.ssl_ca_cert:
        context.load_verify_locations(configuration.ssl_ca_cert)
    elif configuration.verify_ssl:
        context.load_default_certs()
    if configuration.cert_file:
        # An empty password: OpenSSL would ask for one at the terminal.
        context.load_cert_chain(configuration.cert_file, configuration.key_file, "")
    return context


def _only(config: Any, context: str) -> tuple[Object, str]:
    """The one context of a merged kubeconfig with its cluster and user, and the folder its relative paths start from."""

    def named(section: str, name: str) -> Any:
        for node in config.get(section) or []:
            if node.value.get("name") == name:
                return node
        raise KeyError(f"there is no {section[:-1]} {name!r} in it")

    found = named("contexts", context).value["context"]
    cluster, user = named("clusters", found["cluster"]), named("users", found["user"])
    parts: Object = {
        "current-context": context,
        "contexts": [{"name": context, "context": dict(found)}],
        "clusters": [{"name": found["cluster"], "cluster": _absolute(cluster.value["cluster"], cluster.path)}],
        "users": [{"name": found["user"], "user": _absolute(user.value["user"], user.path)}],
    }
    return parts, str(Path(user.path).parent)


def _absolute(part: Object, file: str) -> Object:
    paths = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
    return {key: str(Path(file).parent / value) if key in paths and value else value for key, value in part.items()}


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


def _from_command(which: Chosen, seconds: float) -> tuple[Object, float]:
    """The user as the command makes it, and when to run it again."""
    wanted: Mapping[str, Any] = which.user["exec"]
    command = str(wanted.get("command") or "")
    shown, at = one_line(command, 120), f"{which.name}: context {one_line(which.context)}"
    try_it = f"Run `{kubectl(which)} get namespaces` in a terminal: it may want a login."
    hint = one_line(wanted.get("installHint") or "", 300)
    if wanted.get("interactiveMode") == "Always":
        raise Failed(
            f"{at} runs `{shown}` for credentials, which must ask a person", "Give a context that need not ask."
        )
    # As kubectl: one with a slash in it is taken from the kubeconfig's folder.
    path = shutil.which(str(Path(which.folder) / command) if "/" in command else command)
    if path is None:
        raise Failed(
            f"{at} runs `{shown}` for credentials, which is not installed or not on the PATH",
            hint or f"Install it, or give another context. {try_it}",
        )
    version = str(wanted.get("apiVersion") or "")
    about = {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    if wanted.get("provideClusterInfo"):
        about["spec"] = {"interactive": False, "cluster": _about(which.cluster)}
    more = {str(each["name"]): str(each["value"]) for each in wanted.get("env") or () if isinstance(each, dict)}
    done = process.run(
        [path, *map(str, wanted.get("args") or ())],
        seconds=seconds,
        env={**more, "KUBERNETES_EXEC_INFO": json.dumps(about)},
    )
    if done.stopped:
        raise Failed(
            f"{at} runs `{shown}` for credentials, and it did not end within {seconds:.0f} s: it was ended", try_it
        )
    hold_answer(done.stdout)
    # Redacted before it is cut: half a token is not known for one.
    said = one_line(opaque_withheld(redact(done.stderr[-20_000:])).strip()[-600:], 300)
    if done.code != 0:
        raise Failed(
            f"{at} runs `{shown}` for credentials, and it failed ({done.code}): {said or 'it said nothing'}", try_it
        )
    try:
        told = json.loads(done.stdout)
        status = dict(told["status"])
        if str(told["apiVersion"]) != version:
            raise ValueError(f"it speaks {one_line(told['apiVersion'], 80)}, not {one_line(version, 80)}")
        given = _given(status)
        renew = _renewal(status)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        why = "no JSON" if isinstance(error, json.JSONDecodeError) else one_line(error)
        raise Failed(f"{at} runs `{shown}` for credentials, and what it answers is none: {why}", try_it) from error
    kept = {key: value for key, value in which.user.items() if key != "exec"}
    return {**kept, **given}, renew


def _about(cluster: Object) -> Object:
    told = {key: cluster[key] for key in _TOLD_TO_PLUGINS if key in cluster}
    file = cluster.get("certificate-authority")
    if file and "certificate-authority-data" not in told:
        told["certificate-authority-data"] = base64.b64encode(Path(str(file)).read_bytes()).decode()
    for each in cluster.get("extensions") or ():
        if each.get("name") == "client.authentication.k8s.io/exec":
            told["config"] = each.get("extension")
    return told


def _given(status: Mapping[str, Any]) -> Object:
    """What a command answered, in the words of a kubeconfig."""
    given: Object = {}
    if status.get("token"):
        given["token"] = str(status["token"])
    if status.get("clientCertificateData"):
        for ours, theirs in (
            ("client-certificate-data", "clientCertificateData"),
            ("client-key-data", "clientKeyData"),
        ):
            given[ours] = base64.b64encode(str(status[theirs]).encode()).decode()
    if not given:
        raise ValueError("neither a token nor a certificate")
    return given


def _renewal(status: Mapping[str, Any]) -> float:
    told = status.get("expirationTimestamp")
    if not told:
        return math.inf
    until = datetime.fromisoformat(str(told))
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    lasts = (until - datetime.now(UTC)).total_seconds()
    return time.monotonic() + max(_SHORTEST, lasts - _EARLY)
