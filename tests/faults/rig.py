"""Some clusters on real API servers with hollow hands, each behind a fault proxy, and a wizard over them."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.faults import launcher
from tests.faults.client import Object
from tests.faults.controlplane import ControlPlane, Etcd, Snapshot
from tests.faults.hollow import TOKEN, Hollow
from tests.faults.keys import TOKENS, Keys
from tests.faults.proxy import Drop, Fault, Proxy, Request
from tests.faults.zygote import Death, Ended, Wizard, Zygote
from tests.lab import audit
from wizard.clusters.kinds import CRD, DEPLOYMENT, KINDS, LEASE, SECRET, Kind, Ref, ref_of

MESH = "mesh1"
SAMPLE = "sample"
SYSTEM = "istio-system"
_CRDS = {"gateways": "Gateway", "virtualservices": "VirtualService", "destinationrules": "DestinationRule"}
_LOOSE = frozenset({"Node", "Pod", "Event", "Lease", "Endpoints", "EndpointSlice", "CustomResourceDefinition"})
_FIRM = [kind for kind in KINDS if kind.kind not in _LOOSE]
_FLEETING = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")


@dataclass(frozen=True)
class Shape:
    """A mesh to be made: every cluster after the first is a remote of it, or every one is a primary."""

    clusters: int
    topology: str

    def __str__(self) -> str:
        return f"{self.topology}-{self.clusters}"


class Rig:
    """`clusters` control planes with all that stands around them. Everything lies in one folder, which `end` removes."""

    def __init__(self, clusters: int) -> None:
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="meshwizard-faults-", dir=memory if memory.is_dir() else None))
        self._undo: list[Callable[[], object]] = [lambda: shutil.rmtree(self.folder, ignore_errors=True)]
        try:
            self._build(clusters)
        except BaseException:
            self.end()
            raise

    def _build(self, clusters: int) -> None:
        self.zygote = Zygote()
        self._undo.append(self.zygote.end)
        keys = Keys(self.folder / "keys")
        etcd = Etcd(self.folder)
        self._undo.append(etcd.end)
        self.planes = []
        for number in range(1, clusters + 1):
            plane = ControlPlane(f"cluster{number}", etcd, keys, self.folder)
            self._undo.append(plane.end)
            self.planes.append(plane)
        for plane in self.planes:
            plane.wait()
        self.proxies = [Proxy(plane.url, keys) for plane in self.planes]
        self.shape = Shape(clusters, "multi-primary")
        hands = []
        for plane in self.planes:
            _define(plane)
            hands.append(Hollow(plane.url, keys, lambda name=plane.name: self.heard(name)))  # type: ignore[misc]
        self._undo += [each.end for each in (*self.proxies, *hands)]
        for plane in self.planes:
            plane.settle()
        self.kubeconfig = self.folder / "kubeconfig"
        self._keys = keys
        self._canaries = _canaries(keys)
        self.istioctl = self.folder / "istioctl"
        self._undo.append(launcher.serve(self.istioctl))
        self._homes = 0
        self.fresh(self.shape)

    def end(self) -> None:
        for undo in reversed(self._undo):
            with contextlib.suppress(OSError):
                undo()
        self._undo = []

    def lead(self, *, through_proxies: bool) -> None:
        """Where the person's kubeconfig leads from now on, until the next `fresh`. Nothing goes wrong on the direct way, and it
        takes less of the machine.
        """
        keys, servers = self._keys, self.proxies if through_proxies else self.planes
        authority = base64.b64encode(keys.ca.read_bytes()).decode()
        names = [plane.name for plane in self.planes]
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": names[0],
            "clusters": [
                {"name": name, "cluster": {"server": server.url, "certificate-authority-data": authority}}
                for name, server in zip(names, servers, strict=True)
            ],
            "users": [
                {
                    "name": "person",
                    "user": {
                        "token": TOKENS["person"],
                        "client-certificate-data": base64.b64encode(keys.client_certificate).decode(),
                        "client-key-data": base64.b64encode(keys.client_key).decode(),
                    },
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "person"}} for name in names],
        }
        beside = self.kubeconfig.with_suffix(".new")
        beside.write_text(yaml.safe_dump(config))
        beside.chmod(0o600)
        beside.replace(self.kubeconfig)  # an orphan may just be reading it

    # -- a scenario

    def fresh(self, shape: Shape) -> None:
        """Empty clusters, no faults, and a home in which nothing was done yet."""
        self.shape = shape
        self._quiet()
        for plane in self.planes:
            plane.reset()
        self._homes += 1
        self.home = self.folder / f"home{self._homes}"
        for gone in self.folder.glob(f"home{self._homes - 1}*"):
            shutil.rmtree(gone, ignore_errors=True)
        (self.home / "tmp").mkdir(parents=True)
        self.meshfile = self.home / "mesh.yaml"
        self.meshfile.write_text(yaml.safe_dump(self._document(), sort_keys=False))

    def keep(self) -> Kept:
        """What stands now, in the clusters and in the home, for `back`; until the next `fresh`."""
        beside = self.home.with_name(f"{self.home.name}-kept")
        shutil.rmtree(beside, ignore_errors=True)
        shutil.copytree(self.home, beside)
        return Kept(beside, [plane.snapshot() for plane in self.planes])

    def back(self, kept: Kept) -> None:
        """All as it was when that was kept, and no faults."""
        self._quiet()
        for plane, snapshot in zip(self.planes, kept.snapshots, strict=True):
            plane.reset(snapshot)
        shutil.rmtree(self.home)
        shutil.copytree(kept.home, self.home)

    def _quiet(self) -> None:
        """No istioctl lives, nothing goes wrong, and wizards ask the proxies."""
        for pid in self.istioctls():
            os.kill(pid, signal.SIGKILL)
        for proxy in self.proxies:
            proxy.forget()
        self.lead(through_proxies=True)

    def _document(self) -> Object:
        remote = self.shape.topology == "primary-remote"
        clusters = []
        for number in range(1, self.shape.clusters + 1):
            exposure = "external-ips" if remote else "node-port"
            gateway = {"exposure": exposure, "address": f"10.201.0.{10 + number}"}
            clusters.append(
                {
                    "name": f"cluster{number}",
                    "kubeconfig": str(self.kubeconfig),
                    "context": f"cluster{number}",
                    "network": f"network{number}",
                    "apiServer": f"https://10.201.0.{10 + number}:6443",
                    "gateway": gateway | ({} if remote else {"port": 31443}),
                }
                | ({"role": "remote", "primary": "cluster1"} if remote and number > 1 else {})
            )
        return {
            "apiVersion": "meshwizard/v1", "kind": "Mesh", "name": MESH, "topology": self.shape.topology,
            "clusters": clusters, "verify": {"probes": "never"},
        }  # fmt: skip

    def machine(self, name: str) -> Path:
        """The home of somebody on another machine, below this scenario's."""
        home = self.home / name
        (home / "tmp").mkdir(parents=True)
        return home

    def start(
        self,
        *words: str,
        death: Death | None = None,
        environment: dict[str, str] | None = None,
        home: Path | None = None,
        state: str = "",
    ) -> Wizard:
        """Start `meshwizard` with these words, in a home of its own and with nothing else of this machine. `state`: where its
        state is, if not in the home.
        """
        place = home or self.home
        told = {"PATH": "/usr/bin:/bin", "HOME": str(place), "TMPDIR": str(place / "tmp"), "LANG": "C.UTF-8"}
        told |= {"KUBECONFIG": str(self.kubeconfig), **(environment or {})}
        where = ("--state", state) if state else ("--state-dir", str(place / "state"))
        common = (*where, "--istioctl", str(self.istioctl), "--log", str(place / "log"))
        return self.zygote.start((*words, *common), environment=told, home=place, death=death)

    def run(self, *words: str, **more: Any) -> Ended:
        """Run `meshwizard` with these words to its end; the rest as for `start`."""
        return self.start(*words, **more).wait()

    def apply(self) -> Ended:
        return self.run("apply", "-f", str(self.meshfile))

    # -- what is looked at

    def istioctls(self) -> list[int]:
        """The installs of the stand-in istioctl that live, orphans among them."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = entry.read_bytes().split(b"\0")
                if str(self.istioctl).encode() in words and b"install" in words:
                    found.append(int(entry.parent.name))
        return found

    def heard(self, name: str) -> list[str]:
        """The versions that a client in this cluster hears: of those that its control plane may read, and its own."""
        remote = self.shape.topology == "primary-remote"
        control = self.planes[0] if remote else next(each for each in self.planes if each.name == name)
        prefix = "istio-remote-secret-"
        secrets = [item["metadata"]["name"] for item in control.client.objects(SECRET, SYSTEM)]
        read = {each.removeprefix(prefix) for each in secrets if each.startswith(prefix)} | {name, control.name}
        heard = []
        for plane in self.planes:
            if plane.name in read:
                names = [item["metadata"]["name"] for item in plane.client.objects(DEPLOYMENT, SAMPLE)]
                heard += [each.removeprefix("helloworld-") for each in names if each.startswith("helloworld-")]
        return sorted(heard)

    def objects(self) -> dict[str, Object]:
        """Every object of a mesh in every cluster, without what differs between two runs that did the same."""
        found = {}
        for plane in self.planes[: self.shape.clusters]:
            for kind in _FIRM:
                for item in _listed(plane, kind):
                    place = ref_of(item)
                    if "kube-" not in place.namespace + place.name:
                        found[f"{plane.name}/{place}"] = _normal(item)
        return found

    def leaks(self, more: dict[str, bytes] | None = None) -> list[str]:
        """Where a secret is found in what the wizards of this scenario left behind, and in `more` (name → content)."""
        places = dict(more or {})
        for file in self.home.rglob("*"):
            if file.is_file() and file.name != "root-key.pem":  # which is where it belongs
                places[file.relative_to(self.home).as_posix()] = file.read_bytes()
        return [
            f"{what} in {place}"
            for place, content in places.items()
            for what, secret in self._canaries.items()
            if secret in content
        ]

    def roots(self) -> set[str]:
        """The root certificates that stand in the clusters."""
        found = set()
        for plane in self.planes[: self.shape.clusters]:
            secret = plane.client.get(Ref(SECRET, "cacerts", SYSTEM))
            if secret:
                found.add(secret["data"]["root-cert.pem"])
        return found

    def begun(self) -> list[str]:
        """The steps that the state says were begun and not ended."""
        file = self.home / "state" / MESH / "state.json"
        steps = json.loads(file.read_text())["state"]["steps"] if file.exists() else {}
        return [step for step, record in steps.items() if record["status"] == "running"]

    def leases(self) -> list[str]:
        """The clusters in which a run holds the mesh, or left its Lease."""
        lease = Ref(LEASE, f"meshwizard-{MESH}", "kube-system")
        return [plane.name for plane in self.planes[: self.shape.clusters] if plane.client.get(lease)]

    def marks(self) -> list[int]:
        return [plane.mark() for plane in self.planes]

    def changes(self, marks: Sequence[int]) -> list[Change]:
        """What the audit logs say that the person's programs changed since the marks, leases left out."""
        told = []
        time.sleep(0.1)  # an entry is written when its answer has been sent
        for plane, marker in zip(self.planes, marks, strict=True):
            for entry in audit.mutations(plane.entries(marker), "person"):
                target = entry.get("objectRef") or {}
                code = int((entry.get("responseStatus") or {}).get("code", 0))
                if target.get("resource") != "leases":
                    what = (
                        f"{plane.name}/{target.get('resource')}/{target.get('namespace', '')}/{target.get('name', '')}"
                    )
                    told.append(Change(what, str(entry["verb"]), code, "istioctl" in str(entry.get("userAgent"))))
        return told


@dataclass(frozen=True)
class Kept:
    """What a rig was like at one moment: a copy of its home, and the databases of its API servers."""

    home: Path
    snapshots: list[Snapshot]


@dataclass(frozen=True)
class Change:
    """One mutating request, from an audit log."""

    what: str
    verb: str
    code: int
    by_istioctl: bool


def tally(changes: Sequence[Change]) -> Counter[tuple[str, str]]:
    """How often the wizard itself changed what, successfully."""
    return Counter((each.verb, each.what) for each in changes if not each.by_istioctl and each.code < 300)


def made(changes: Sequence[Change]) -> Counter[str]:
    """How often each object was made, by whomever."""
    return Counter(each.what for each in changes if each.code == 201)


class Reaper:
    """Kills a wizard at the N-th mutating request that reaches any of the proxies, before or after its commit."""

    def __init__(self, rig: Rig, number: int, *, after: bool) -> None:
        self.fired = False
        self._wizard: Wizard | None = None
        self._known = threading.Event()
        self._left = number
        self._after = after
        self._lock = threading.Lock()
        for proxy in rig.proxies:
            proxy.rule = self._rule

    def aim(self, wizard: Wizard) -> None:
        """This is the one to be killed."""
        self._wizard = wizard
        self._known.set()

    def _rule(self, request: Request) -> Fault | None:
        if not request.mutating or request.path.endswith("/leases") or "/leases/" in request.path:
            return None
        with self._lock:
            self._left -= 1
            if self._left:
                return None
        whole = request.agent.startswith("istioctl")
        return Drop(after_commit=self._after, then=lambda: self._kill(whole))

    def _kill(self, whole: bool) -> None:
        """`whole`: with its children, as when a machine dies; else the wizard alone, whose istioctl lives on."""
        self._known.wait(10)
        assert self._wizard
        self.fired = True
        children = list(_children(self._wizard.pid)) if whole else []
        self._wizard.kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> Iterator[int]:
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in tasks.read_text().split():
                yield int(child)
                yield from _children(int(child))


def _canaries(keys: Keys) -> dict[str, bytes]:
    """What must not be found, by name: the planted secrets as they are and as kubeconfigs and Secrets hold them."""
    found = {"a private key": b"PRIVATE KEY-----"}
    secrets = {"the person's token": TOKENS["person"].encode(), "the reader's token": TOKEN.encode()}
    secrets["the client key"] = keys.client_key.splitlines()[1]
    for what, secret in secrets.items():
        found[what] = secret
        for before in range(3):  # how it looks depends on what stands before it
            encoded = base64.b64encode(b"x" * before + secret)
            found[f"{what}, encoded {before} on"] = encoded[4 * bool(before) : -4]
    found["the client key's file, encoded"] = base64.b64encode(keys.client_key)[60:120]
    found["the client certificate"] = keys.client_certificate.splitlines()[2]
    return found


def _define(plane: ControlPlane) -> None:
    """The CRDs that an earlier Istio left, and their kinds being served."""
    for plural, kind in _CRDS.items():
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        plane.client.apply(
            {
                "apiVersion": CRD.api_version,
                "kind": CRD.kind,
                "metadata": {"name": f"{plural}.networking.istio.io"},
                "spec": {
                    "group": "networking.istio.io",
                    "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
                    "scope": "Namespaced",
                    "versions": [
                        {"name": version, "served": True, "storage": version == "v1", "schema": schema}
                        for version in ("v1alpha3", "v1beta1", "v1")
                    ],
                },
            },
            "rig",
        )

    def served() -> bool:
        return all(_served(plane, plural) for plural in _CRDS)

    from tests.lab.proc import wait_for

    wait_for("the CRDs", served, timeout=60)


def _served(plane: ControlPlane, plural: str) -> bool:
    try:
        plane.client.ask("GET", f"/apis/networking.istio.io/v1alpha3/{plural}")
    except Exception:
        return False
    return True


def _listed(plane: ControlPlane, kind: Kind) -> list[Object]:
    from tests.faults.client import Refused

    try:
        # All but what each API server makes by itself.
        return plane.client.objects(kind, labels="!kubernetes.io/bootstrapping")
    except Refused:
        return []


def _normal(item: Object) -> Object:
    told = json.loads(json.dumps(item))
    for field in _FLEETING:
        told["metadata"].pop(field, None)
    told.pop("status", None)
    if item["kind"] == "Secret" and item["metadata"]["name"] == "cacerts":
        told["data"] = sorted(item["data"])
    for hook in told.get("webhooks") or []:
        hook["clientConfig"].pop("caBundle", None)  # comes when istiod gets to it
    if item["kind"] == "Service":
        for field in ("clusterIP", "clusterIPs"):
            told["spec"].pop(field, None)
        for port in told["spec"].get("ports") or []:
            if port.get("nodePort") != 31443:
                port.pop("nodePort", None)
    return told  # type: ignore[no-any-return]


@contextmanager
def rig_of(clusters: int) -> Iterator[Rig]:
    rig = Rig(clusters)
    try:
        yield rig
    finally:
        rig.end()
