"""What a controller manager, a kubelet and an istiod would do in a cluster that has none, as far as an install waits for it.

It watches one API server: gives Deployments a Pod and a status, fills tokens, gives webhooks their certificate, empties
namespaces that are deleted, and answers commands run in Pods as a kubelet does. Traffic is answered from what stands: a cluster
is heard where the control plane that asks holds a remote secret for it.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import struct
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from tests.faults.client import Client, Object, Refused, path_of
from tests.faults.keys import TOKENS, Keys
from tests.faults.proxy import TlsServer
from wizard.clusters.kinds import DEPLOYMENT, KINDS, MUTATING_WEBHOOK, NAMESPACE, NODE, POD, SECRET, Ref, ref_of

NODE_NAME = "hollow"
TOKEN = "canary-token-of-the-reader-77aa01"
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_DEPLOYMENTS = "/apis/apps/v1/deployments"
_WATCHED = (
    "/api/v1/namespaces",
    _DEPLOYMENTS,
    "/api/v1/secrets?fieldSelector=type%3Dkubernetes.io/service-account-token",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
)
_PROXY = {"name": "istio-proxy", "image": "proxy"}

Hears = Callable[[], Sequence[str]]


class Hollow:
    """The hands of one cluster. `hears` tells which versions of the sample a client of it hears now."""

    def __init__(self, server: str, keys: Keys, hears: Hears) -> None:
        self._client = Client(server, keys.ca, TOKENS["rig"], "hollow")
        self._authority = base64.b64encode(keys.ca.read_bytes()).decode()
        self._ended = threading.Event()
        self._kubelet = TlsServer(keys, _kubelet(hears))
        self.register()
        for path in _WATCHED:
            threading.Thread(target=self._follow, args=(path,), daemon=True).start()

    def register(self) -> None:
        """Make the node, and give it this kubelet's address."""
        node = Ref(NODE, NODE_NAME)
        self._client.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE_NAME}}, "hollow")
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "Hollow", "message": "as ever"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._kubelet.port}},
        }
        self._client.merge(node, {"status": status}, "hollow", "/status")

    def end(self) -> None:
        self._ended.set()
        self._kubelet.end()

    def _follow(self, path: str) -> None:
        while not self._ended.is_set():
            # Refused where something changed meanwhile: watched anew, all that stands is told once more.
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException, Refused):
                if path == _DEPLOYMENTS:
                    self._sweep()  # of what was deleted while nobody watched, nobody tells
                for event in self._client.watch(path):
                    if self._ended.is_set():
                        return
                    if event.get("type") in ("ADDED", "MODIFIED"):
                        self._act(event["object"])
                    elif event.get("type") == "DELETED" and path == _DEPLOYMENTS:
                        self._sweep()
            self._ended.wait(0.02)

    def _act(self, item: Object) -> None:
        if item.get("metadata", {}).get("deletionTimestamp"):
            if item.get("kind") == "Namespace":
                self._empty(item)
            return
        match item.get("kind"):
            case "Deployment":
                self._deploy(item)
            case "Secret":
                self._fill(item)
            case "MutatingWebhookConfiguration":
                self._certify(item)

    def _empty(self, namespace: Object) -> None:
        """What a namespace controller does: all that is in it goes, then the namespace itself."""
        name = namespace["metadata"]["name"]
        for kind in KINDS:
            if kind.namespaced:
                with contextlib.suppress(Refused):  # one that is not served here, or cannot be deleted all at once
                    self._client.ask("DELETE", f"{path_of(Ref(kind, '', name))}?gracePeriodSeconds=0")
        done = {**namespace, "apiVersion": "v1", "spec": {"finalizers": []}}
        self._client.ask("PUT", f"{path_of(Ref(NAMESPACE, name))}/finalize", done)

    def _sweep(self) -> None:
        """What a garbage collector does: a Pod goes with its Deployment."""
        standing = {item["metadata"]["uid"] for item in self._client.objects(DEPLOYMENT)}
        for pod in self._client.objects(POD):
            owners = {owner["uid"] for owner in pod["metadata"].get("ownerReferences") or ()}
            if owners and not owners & standing:
                self._client.ask("DELETE", f"{path_of(ref_of(pod))}?gracePeriodSeconds=0")

    def _deploy(self, deployment: Object) -> None:
        metadata = deployment["metadata"]
        if (deployment.get("status") or {}).get("observedGeneration") == metadata["generation"]:
            return
        template = deployment["spec"]["template"]
        pod: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{metadata['name']}-hollow",
                "namespace": metadata["namespace"],
                "labels": template["metadata"]["labels"],
                "ownerReferences": [
                    {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"]}
                ],
            },
            "spec": {
                "nodeName": NODE_NAME,
                "containers": [
                    *({"name": each["name"], "image": each["image"]} for each in template["spec"]["containers"]),
                    *([_PROXY] if all(c["name"] != _PROXY["name"] for c in template["spec"]["containers"]) else []),
                ],
            },
        }
        ref = Ref(POD, pod["metadata"]["name"], metadata["namespace"])
        if self._client.get(ref) is None:
            self._client.apply(pod, "hollow")
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self._client.merge(ref, {"status": ready}, "hollow", "/status")
        status = {"observedGeneration": metadata["generation"]}
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
        place = Ref(DEPLOYMENT, metadata["name"], metadata["namespace"])
        self._client.merge(place, {"status": {**status, **counts}}, "hollow", "/status")

    def _fill(self, secret: Object) -> None:
        if (secret.get("data") or {}).get("token"):
            return
        data = {"ca.crt": self._authority, "token": base64.b64encode(TOKEN.encode()).decode()}
        ref = Ref(SECRET, secret["metadata"]["name"], secret["metadata"]["namespace"])
        self._client.merge(ref, {"data": data}, "hollow")

    def _certify(self, webhook: Object) -> None:
        hooks = webhook.get("webhooks") or []
        if all((hook.get("clientConfig") or {}).get("caBundle") for hook in hooks):
            return
        patched = [{**hook, "clientConfig": {**hook["clientConfig"], "caBundle": self._authority}} for hook in hooks]
        assert ref_of({"apiVersion": "admissionregistration.k8s.io/v1", **webhook}).kind is MUTATING_WEBHOOK
        place = Ref(MUTATING_WEBHOOK, webhook["metadata"]["name"])
        self._client.merge(place, {"webhooks": patched}, "pilot-discovery")


def _kubelet(hears: Hears) -> type[BaseHTTPRequestHandler]:
    class Kubelet(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Only commands are run here, over a websocket: each frame is a channel's number and what is on it."""
            self.close_connection = True
            words = parse_qs(urlsplit(self.path).query).get("command", [])
            key = base64.b64encode(
                hashlib.sha1(f"{self.headers['Sec-WebSocket-Key']}{_MAGIC}".encode()).digest()  # noqa: S324 - RFC 6455
            ).decode()
            self.send_response_only(101)
            for name, value in (
                ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", key),
                ("Sec-WebSocket-Protocol", "v4.channel.k8s.io"),
            ):  # fmt: skip
                self.send_header(name, value)
            self.end_headers()
            self._send(1, _answer(words, hears()).encode())
            self._send(3, json.dumps({"metadata": {}, "status": "Success"}).encode())
            self.wfile.write(b"\x88\x02" + struct.pack(">H", 1000))

        do_POST = do_GET  # noqa: N815 - the library's name

        def _send(self, channel: int, data: bytes) -> None:
            payload = bytes([channel]) + data
            length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload))
            self.wfile.write(b"\x82" + length + payload)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    return Kubelet


def _answer(words: Sequence[str], heard: Sequence[str]) -> str:
    """What the sample's client prints for its requests, spread over the versions it hears."""
    requests = int(words[-1].rpartition("-")[2].rstrip("]")) if words and "[1-" in words[-1] else 1
    return "".join(
        f"Hello version: {heard[number % len(heard)]}, instance: hollow\n" for number in range(requests if heard else 0)
    )
