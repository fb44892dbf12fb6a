"""A few plain requests to a cluster's API server, and the list of everything in it."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.lab.settings import ClusterSpec

# What comes and goes by itself: a comparison of before and after would only show time passing.
_NOISE = {
    "events",
    "leases",
    "endpointslices",
    "endpoints",
    "componentstatuses",
    "bindings",
    "controllerrevisions",
}


class Api:
    """Requests as the lab's own user, `lab-tool`, so that audit logs do not mix it up with a test's user."""

    def __init__(self, server: str, pki: Path) -> None:
        self._server = server
        self._context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self._context.load_cert_chain(str(pki / "lab.crt"), str(pki / "lab.key"))

    def text(self, path: str, *, timeout: float = 10) -> str:
        """The answer to a GET; raises OSError when there is none or it is an error."""
        return self._ask(urllib.request.Request(self._server + path), timeout)  # noqa: S310

    def _ask(self, request: urllib.request.Request, timeout: float) -> str:
        # A proxy from the environment must never see the lab's own addresses.
        handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._context)]
        with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
            return str(answer.read().decode())

    def get(self, path: str, *, timeout: float = 10) -> dict[str, Any]:
        """The decoded JSON answer to a GET."""
        decoded: dict[str, Any] = json.loads(self.text(path, timeout=timeout))
        return decoded

    def merge(self, path: str, document: dict[str, Any], *, timeout: float = 10) -> None:
        """Merge the document into what is at that path; raises OSError like `text`."""
        headers = {"Content-Type": "application/merge-patch+json"}
        data = json.dumps(document).encode()
        self._ask(urllib.request.Request(self._server + path, data, headers, method="PATCH"), timeout)  # noqa: S310

    def ready(self) -> bool:
        """Whether the API server calls itself ready."""
        try:
            return self.text("/readyz", timeout=2) == "ok"
        except OSError:
            return False


def _listable(api: Api) -> list[tuple[str, str, str]]:
    """(path, group, kind) of every resource that can be listed, each object kind once."""
    bases = [("", "/api/v1")]
    for group in api.get("/apis")["groups"]:
        bases.append((group["name"], f"/apis/{group['preferredVersion']['groupVersion']}"))
    found = []
    for group, base in bases:
        for resource in api.get(base)["resources"]:
            if "/" in resource["name"] or "list" not in resource["verbs"] or resource["name"] in _NOISE:
                continue
            found.append((f"{base}/{resource['name']}", group, str(resource["kind"])))
    return found


def snapshot_objects(spec: ClusterSpec) -> dict[str, str]:
    """Every object of the cluster as `group/kind/namespace/name` → its UID.

    The core group and cluster-scoped objects have an empty group and namespace. Events, leases, endpoints and
    their like are left out. Two snapshots compare by their keys; same key and other UID: deleted and made anew.
    """
    api = Api(spec.server, spec.pki)

    def listing(entry: tuple[str, str, str]) -> dict[str, str]:
        path, group, kind = entry
        try:
            items = api.get(path)["items"]
        except urllib.error.HTTPError as error:
            if error.code in (404, 405):  # gone between discovery and list
                return {}
            raise
        names = [item["metadata"] for item in items]
        return {f"{group}/{kind}/{m.get('namespace', '')}/{m['name']}": str(m.get("uid", "")) for m in names}

    found: dict[str, str] = {}
    with ThreadPoolExecutor(8) as pool:
        for part in pool.map(listing, _listable(api)):
            found.update(part)
    return found
