"""Remote secrets that say something else, in a mesh that stands."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from tests.unit.conftest import Setting
from wizard import yamltext
from wizard.clusters.kinds import SECRET, Object, Ref

SYSTEM = "istio-system"
TOKEN = Ref(SECRET, "istio-reader-service-account-istio-remote-secret-token", SYSTEM)


def secret_of(peer: str) -> Ref:
    return Ref(SECRET, f"istio-remote-secret-{peer}", SYSTEM)


def put_anew(made: Setting, number: int, peer: str, change: Callable[[Object], Any]) -> None:
    """The Secret deleted and made anew with this change, as istiod takes it up."""
    machine = made.machine(number)
    live = machine.found(secret_of(peer))
    assert live is not None
    metadata = {key: live["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
    changed = {**live, "metadata": {**metadata, "labels": dict(metadata["labels"])}, "data": dict(live["data"])}
    machine.store.remove(secret_of(peer))
    change(changed)
    machine.apply_as("kubectl", changed)
    machine.settle()


def saying(peer: str, change: Callable[[Any], Any]) -> Callable[[Object], None]:
    """The kubeconfig in it changed."""

    def edit(secret: Object) -> None:
        kubeconfig = yamltext.load(base64.b64decode(secret["data"][peer]))
        change(kubeconfig)
        secret["data"][peer] = encoded(yamltext.dump(kubeconfig))

    return edit


def server(peer: str, value: str) -> Callable[[Object], None]:
    return saying(peer, lambda config: config["clusters"][0]["cluster"].update(server=value))


def token(peer: str, value: str) -> Callable[[Object], None]:
    return saying(peer, lambda config: config["users"][0]["user"].update(token=value))


def token_in(made: Setting, number: int, peer: str) -> str:
    live = made.machine(number).found(secret_of(peer))
    assert live is not None
    return str(yamltext.load(base64.b64decode(live["data"][peer]))["users"][0]["user"]["token"])


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
