"""A real cluster, asked through the official Kubernetes client. The only module that opens Kubernetes clients.

Objects stay plain dictionaries: server-side apply sends just the fields we mean, and no typed model may add to them.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from wizard.clusters.kinds import NAMESPACE, Kind, Object, Ref, ref_of
from wizard.clusters.port import MANAGER, Conflicting, Executed, Right, ServerVersion
from wizard.errors import BadInput, Failed, NotAllowed, Unreachable
from wizard.text import one_line, printable

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
PAGE = 500
MAX_OUTPUT = 1 << 20
_INLINE = {
    "client-certificate-data": "client-certificate",
    "client-key-data": "client-key",
    "certificate-authority-data": "certificate-authority",
}


# The client library loads its modules lazily, which is not safe from several threads at once.
_loading = threading.Lock()


class RealCluster:
    """One kubeconfig context. Implements `wizard.clusters.port.Cluster`; connects at the first call."""

    def __init__(self, name: str, kubeconfig: Path | None, context: str) -> None:
        self.name = name
        self._kubeconfig = kubeconfig
        self._context = context
        self._lock = threading.Lock()
        self._client: Any = None
        self._files: list[int] = []
        self._server = ""

    @property
    def server(self) -> str:
        self._connected()
        return self._server

    def version(self) -> ServerVersion:
        began = time.monotonic()
        body, headers = self._ask("GET", "/version")
        date = headers.get("Date")
        stamp: datetime | None = parsedate_to_datetime(date) if date else None
        minor = "".join(ch for ch in str(body.get("minor", "0")) if ch.isdigit())
        return ServerVersion(
            one_line(body.get("gitVersion", "")),
            int(body.get("major") or 1),
            int(minor or 0),
            stamp,
            time.monotonic() - began,
        )

    def identity(self) -> str:
        found = self.get(Ref(NAMESPACE, "kube-system"))
        if found is None:
            raise Failed(f"{self.name} has no namespace kube-system", "Is this a Kubernetes cluster?")
        return str(found["metadata"]["uid"])

    def get(self, ref: Ref) -> Object | None:
        try:
            body, _ = self._ask("GET", _path(ref.kind, ref.namespace, ref.name), what=f"get {ref}")
        except _Missing:
            return None
        return dict(body)

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        found: list[Object] = []
        token = ""
        while True:
            query = (
                {"limit": str(PAGE)}
                | ({"labelSelector": labels} if labels else {})
                | ({"continue": token} if token else {})
            )
            try:
                body, _ = self._ask("GET", _path(kind, namespace), query, what=f"list {kind.resource}")
            except _Missing:
                return found
            # A list names kind and version once, for all of its items.
            found += [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in body.get("items") or []]
            token = body.get("metadata", {}).get("continue") or ""
            if not token:
                return found

    def apply(self, manifest: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        ref = ref_of(manifest)
        query = {"fieldManager": MANAGER, "force": str(force).lower()} | ({"dryRun": "All"} if dry_run else {})
        try:
            body, _ = self._ask(
                "PATCH", _path(ref.kind, ref.namespace, ref.name), query, manifest,
                "application/apply-patch+yaml", what=f"apply {ref}",
            )  # fmt: skip
        except _Missing as missing:
            raise Failed(f"{self.name}: {ref} cannot be made: {missing}", "") from missing
        return dict(body)

    def delete(self, ref: Ref, *, uid: str = "") -> bool:
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            self._ask("DELETE", _path(ref.kind, ref.namespace, ref.name), body=body, what=f"delete {ref}")
        except _Missing:
            return False
        return True

    def denied(self, rights: Sequence[Right]) -> list[Right]:
        lacking = []
        for right in rights:
            review: Object = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {
                    "resourceAttributes": {
                        "verb": right.verb,
                        "group": right.kind.group,
                        "resource": right.kind.plural,
                        "subresource": right.subresource,
                        "namespace": right.namespace,
                    }
                },
            }
            body, _ = self._ask(
                "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=review, what="review access"
            )
            if not body.get("status", {}).get("allowed"):
                lacking.append(right)
        return lacking

    def execute(self, pod: Ref, container: str, argv: Sequence[str], *, seconds: float) -> Executed:
        # The websocket client wants an API client of its own; this path builds the URL only.
        with _loading:
            import websocket
            from kubernetes.stream.ws_client import WSClient, get_websocket_url

        # The websocket client takes no timeout of its own, and would wait for a silent address for ever.
        websocket.setdefaulttimeout(READ_SECONDS)

        client = self._connected()
        pairs = [("command", word) for word in argv] + [
            ("container", container),
            ("stdout", "true"),
            ("stderr", "true"),
        ]
        query = "&".join(f"{key}={quote(value, safe='')}" for key, value in pairs)
        url = get_websocket_url(f"{client.configuration.host}{_path(pod.kind, pod.namespace, pod.name)}/exec", None)
        headers = dict(client.default_headers)
        client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
        headers["sec-websocket-protocol"] = "v4.channel.k8s.io"
        deadline = time.monotonic() + seconds
        out, err = "", ""
        try:
            socket = WSClient(client.configuration, f"{url}?{query}", headers, capture_all=False)
            try:
                while socket.is_open() and time.monotonic() < deadline:
                    socket.update(timeout=min(1.0, max(0.0, deadline - time.monotonic())))
                    out = (out + socket.read_stdout(timeout=0))[:MAX_OUTPUT]
                    err = (err + socket.read_stderr(timeout=0))[:MAX_OUTPUT]
                if socket.is_open():
                    return Executed(out, f"{err}\nno end within {seconds:.0f} s", -1)
                # The last channel tells how it ended; where it says nothing, the connection was lost before that.
                status = json.loads(socket.read_channel(3))
            finally:
                socket.close()
        except Exception as error:
            raise Failed(f"{self.name}: no command could be run in {pod}: {one_line(error)}", "") from error
        causes = (status.get("details") or {}).get("causes") or []
        code = next((int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"), 0)
        return Executed(out, err, code if status.get("status") != "Success" else 0)

    def logs(self, pod: Ref, container: str, *, lines: int = 20) -> str:
        query = {"container": container, "tailLines": str(lines), "limitBytes": "65536"}
        try:
            body, _ = self._ask(
                "GET", f"{_path(pod.kind, pod.namespace, pod.name)}/log", query, raw=True, what=f"logs of {pod}"
            )
        except (_Missing, Failed):
            return ""
        return printable(body)

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None
            for descriptor in self._files:
                os.close(descriptor)
            self._files = []

    # -- the wire

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> Any:
        with _loading:
            from kubernetes.client import ApiClient, Configuration
            from kubernetes.config.config_exception import ConfigException
            from kubernetes.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, KubeConfigLoader, KubeConfigMerger

        source = str(self._kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION)
        try:
            merged = KubeConfigMerger(source).config
            if merged is None:
                raise ConfigException("there is no such file")
            chosen, base = _only(merged.value, self._context)
            loader = KubeConfigLoader(self._in_memory(chosen), active_context=self._context, config_base_path=base)
            configuration = Configuration()
            loader.load_and_set(configuration)
        except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadInput(
                f"{self.name}: context {one_line(self._context)} of {one_line(source)} cannot be used: {one_line(error)}",
                "Check it with `kubectl config get-contexts`.",
            ) from error
        configuration.retries = False  # retrying is the steps' business: they know what is safe to repeat
        client = ApiClient(configuration)
        client.user_agent = "meshwizard"
        self._server = str(configuration.host)
        return client

    def _in_memory(self, config: Object) -> Object:
        """The kubeconfig with inline keys moved to anonymous memory files. The client library would write them to the
        temporary folder, where they stay when the program is killed.
        """
        if not hasattr(os, "memfd_create"):
            return config
        for part in (config["clusters"][0]["cluster"], config["users"][0]["user"]):
            for inline, by_path in _INLINE.items():
                if part.get(inline):
                    descriptor = os.memfd_create("meshwizard", os.MFD_CLOEXEC)
                    self._files.append(descriptor)
                    os.write(descriptor, base64.b64decode(part.pop(inline)))
                    part[by_path] = f"/proc/self/fd/{descriptor}"
        return config

    def _ask(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
        *,
        what: str = "ask",
        raw: bool = False,
    ) -> tuple[Any, Any]:
        from urllib3.exceptions import HTTPError

        client = self._connected()
        headers = {"Accept": "*/*" if raw else "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            request = client.param_serialize(
                method, path, query_params=list((query or {}).items()), header_params=headers,
                body=body, auth_settings=["BearerToken"],
            )  # fmt: skip
            response = client.call_api(*request, _request_timeout=(CONNECT_SECONDS, READ_SECONDS))
            data = response.read()
        except (HTTPError, OSError) as error:
            raise Unreachable(
                f"{self.name}: the API server {one_line(self._server)} does not answer: {_reason(error)}",
                "Check that it runs and that this machine reaches it, then try again.",
            ) from error
        if 200 <= response.status < 300:
            return (data.decode(errors="replace") if raw else json.loads(data or b"{}")), response.headers
        raise self._refusal(response.status, data, what)

    def _refusal(self, status: int, data: bytes, what: str) -> Exception:
        try:
            told = json.loads(data)
            message = one_line(told.get("message", ""), 500)
        except ValueError:
            told, message = {}, one_line(data.decode(errors="replace"), 300)
        if status == 404:
            return _Missing(message)
        if status == 401:
            return NotAllowed(
                f"{self.name}: the API server does not accept the credentials of context {one_line(self._context)}: {message}",
                "They may have expired: check with `kubectl auth whoami`.",
            )
        causes = (told.get("details") or {}).get("causes") or []
        if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
            return Failed(f"{self.name}: {what}: {message}", "Wait until the namespace is gone, then try again.")
        if status == 403:
            return NotAllowed(
                f"{self.name}: not allowed to {what}: {message}", "Ask for a context of a cluster administrator."
            )
        owners = {
            one_line(cause.get("field", "")): _manager_in(str(cause.get("message", "")))
            for cause in causes
            if cause.get("reason") == "FieldManagerConflict"
        }
        if status == 409 and owners:
            fields = ", ".join(f"{field} (by {owner})" for field, owner in owners.items())
            return Conflicting(f"{self.name}: {what}: others own {fields}", "Agree with them who sets it.", owners)
        return Failed(f"{self.name}: {what}: {message or f'the API server answered {status}'}", "")


class _Missing(Failed):
    """404: the object, its namespace or its kind."""


def _only(config: Any, context: str) -> tuple[Object, str]:
    """The one context of a merged kubeconfig with its cluster and user, and the folder its relative paths start from."""

    def named(section: str, name: str) -> Any:
        for node in config.get(section) or []:
            if node.value.get("name") == name:
                return node
        raise KeyError(f"there is no {section[:-1]} {name!r} in it")

    chosen = named("contexts", context).value["context"]
    cluster, user = named("clusters", chosen["cluster"]), named("users", chosen["user"])
    parts: Object = {
        "current-context": context,
        "contexts": [{"name": context, "context": dict(chosen)}],
        "clusters": [{"name": chosen["cluster"], "cluster": _absolute(cluster.value["cluster"], cluster.path)}],
        "users": [{"name": chosen["user"], "user": _absolute(user.value["user"], user.path)}],
    }
    return parts, str(Path(user.path).parent)


def _absolute(part: Object, file: str) -> Object:
    paths = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
    return {key: str(Path(file).parent / value) if key in paths and value else value for key, value in part.items()}


def _manager_in(message: str) -> str:
    # The API server's words: conflict with "MANAGER" using v1 / conflict with "MANAGER"
    parts = message.split('"')
    return one_line(parts[1]) if len(parts) > 2 else one_line(message)


def _reason(error: BaseException) -> str:
    """The last cause, which is the one that a person can act on."""
    seen: BaseException | None = error
    while seen is not None:
        last = seen
        seen = (
            getattr(last, "reason", None)
            if isinstance(getattr(last, "reason", None), BaseException)
            else last.__cause__
        )
    text = last.strerror if isinstance(last, OSError) and last.strerror else str(last)
    return one_line(text.rsplit(": ", 1)[-1] if "urllib3" in text or "HTTPSConnection" in text else text)


def _path(kind: Kind, namespace: str = "", name: str = "") -> str:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    place = f"/namespaces/{quote(namespace, safe='')}" if namespace and kind.namespaced else ""
    return f"{root}{place}/{kind.plural}" + (f"/{quote(name, safe='')}" if name else "")
