"""Plain requests to an API server with a bearer token: for the stand-ins, which must not share code with what they test."""

from __future__ import annotations

import http.client
import json
import select
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from wizard.clusters.kinds import Kind, Ref, ref_of

Object = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


class Refused(Exception):
    """The API server answered with an error; `status` is its code."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Client:
    """Thread-safe: each thread keeps a connection of its own."""

    def __init__(self, server: str, ca: Path | str, token: str, agent: str) -> None:
        """`ca`: a PEM file, or the PEM itself."""
        self._where = urlsplit(server)
        pem = {"cadata": ca} if isinstance(ca, str) else {"cafile": str(ca)}
        self._context = ssl.create_default_context(**pem)
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": agent, "Accept": "application/json"}
        self._mine = threading.local()

    def ask(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Object:
        """The decoded answer. Refused, or OSError where none came; a read that got none is tried once more."""
        data = None if body is None else json.dumps(body).encode()
        headers = {**self._headers, **({"Content-Type": kind} if data is not None else {})}
        for last in (False, True):
            connection = self._connection()
            try:
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                text = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if last or method != "GET":
                    raise OSError(f"no answer to {method} {path}: {error}") from error
                continue
            if answer.status >= 300:
                raise Refused(answer.status, text.decode(errors="replace")[:500])
            decoded: Object = json.loads(text or b"{}")
            return decoded
        raise AssertionError

    def watch(self, path: str) -> Iterator[Object]:
        """What is there, then every change, for some seconds: begun again and again, nothing is missed for long."""
        connection = http.client.HTTPSConnection(
            str(self._where.hostname), self._where.port, context=self._context, timeout=60
        )
        try:
            # From the cache: without a version the API server first waits until the cache is as new as the database, which a
            # database shared with others keeps it from.
            query = "watch=1&resourceVersion=0&timeoutSeconds=20"
            connection.request("GET", f"{path}{'&' if '?' in path else '?'}{query}", headers=self._headers)
            answer = connection.getresponse()
            while line := answer.readline():
                yield json.loads(line)
        finally:
            connection.close()

    def get(self, ref: Ref) -> Object | None:
        try:
            return self.ask("GET", path_of(ref))
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        query = f"?labelSelector={quote(labels)}" if labels else ""
        items: list[Object] = self.ask("GET", path_of(Ref(kind, "", namespace)) + query)["items"]
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in items]

    def apply(self, manifest: Object, manager: str) -> Object:
        """Server-side apply, with force, as istioctl does it."""
        return self.ask("PATCH", f"{path_of(ref_of(manifest))}?fieldManager={manager}&force=true", manifest, APPLY)

    def merge(self, ref: Ref, document: Object, manager: str, subresource: str = "") -> Object:
        return self.ask("PATCH", f"{path_of(ref)}{subresource}?fieldManager={manager}", document, MERGE)

    def _connection(self) -> http.client.HTTPSConnection:
        found: http.client.HTTPSConnection | None = getattr(self._mine, "connection", None)
        if found is None:
            found = self._mine.connection = http.client.HTTPSConnection(
                str(self._where.hostname), self._where.port, context=self._context, timeout=60
            )
        # Of a connection at rest there is nothing to read but its end: the server ends what was idle for minutes.
        if found.sock is not None and select.select([found.sock], [], [], 0)[0]:
            found.close()
        return found


def path_of(ref: Ref) -> str:
    """The URL path of an object, or of all of its kind where it has no name."""
    kind = ref.kind
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    place = f"/namespaces/{ref.namespace}" if ref.namespace and kind.namespaced else ""
    return f"{root}{place}/{kind.plural}" + (f"/{ref.name}" if ref.name else "")
