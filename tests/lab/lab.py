"""The whole lab: some clusters on one bridge, and the kubeconfigs to reach them."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import build, certs, cgroups, cluster, images, network, packages
from tests.lab.cluster import Cluster
from tests.lab.proc import LabError, locked, run, say
from tests.lab.settings import Settings, from_environment
from tests.lab.shape import MAX_CLUSTERS, Shape

# Containers run as other users, and must read what the lab makes whatever the umask of the one who starts it.
READABLE = 0o022


@dataclass(frozen=True)
class Lab:
    """A lab that is up, as tests use it."""

    settings: Settings
    shape: Shape
    programs: build.Programs
    clusters: list[Cluster]

    @property
    def istio(self) -> str:
        """The lab's Istio version."""
        return self.shape.istio

    @property
    def kubeconfig(self) -> Path:
        """Contexts cluster1, cluster2 …, user lab-admin, who may do everything."""
        return self.settings.root / "kubeconfig"

    @property
    def kubeconfig_weak(self) -> Path:
        """The same contexts for user lab-weak, who may do next to nothing."""
        return self.settings.root / "kubeconfig-weak"

    @property
    def istioctl(self) -> Path:
        """istioctl of the lab's Istio version."""
        return self.programs.istioctl

    @property
    def kubectl(self) -> Path:
        """kubectl of the clusters' version."""
        return self.programs.kubectl

    @property
    def overlay(self) -> Path:
        """The IstioOperator settings that the lab's upstream Envoy needs."""
        return Path(__file__).with_name("overlay.yaml")

    def cluster(self, name: str) -> Cluster:
        """The cluster of that name."""
        return next(c for c in self.clusters if c.name == name)

    def is_untouched(self) -> bool:
        """Whether every cluster is as it came up."""
        return all(each.is_untouched() for each in self.clusters)

    def reset(self) -> None:
        """Bring every cluster back to its baseline; kubeconfigs stay valid."""
        os.umask(READABLE)
        with locked(self.settings.lock, transient=True):
            _together(self.clusters, Cluster.reset)


def _together(clusters: Iterable[Cluster], action: Callable[[Cluster], None]) -> None:
    with ThreadPoolExecutor(MAX_CLUSTERS) as pool:
        for future in [pool.submit(action, each) for each in clusters]:
            future.result()


def _need_root() -> None:
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not Path("/proc/self/ns/net").exists():
        raise LabError("the lab makes network namespaces and containers: it needs Linux and root")


def _read_record(settings: Settings) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(settings.record.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return record


def _shape_of(record: dict[str, Any]) -> Shape:
    try:
        return Shape.recorded(record["shape"])
    except (KeyError, TypeError):
        raise LabError("another version of these tests brought the lab up: `python -m tests.lab down`") from None


def _write_record(settings: Settings, shape: Shape, phase: str) -> None:
    """Say what may exist from now on. All names follow from the id, so this comes before anything is made."""
    record = {
        "id": settings.lab_id,
        "shape": shape.record(),
        "phase": phase,
        "bridge": settings.bridge,
        "links": [settings.cluster(i, shape).link for i in range(1, shape.clusters + 1)],
        "cgroup": settings.name,
    }
    settings.root.mkdir(parents=True, exist_ok=True)
    temporary = settings.record.with_suffix(".new")
    temporary.write_text(json.dumps(record, indent=1))
    temporary.replace(settings.record)


def _lab(settings: Settings, shape: Shape) -> Lab:
    os.umask(READABLE)
    packages.ensure_debian_packages(settings.cache)
    programs = build.programs(settings.cache, shape.istio)
    store = images.store(settings.cache, programs, shape.istio) / "root"
    return Lab(settings, shape, programs, list(cluster.clusters(settings, shape, programs, store)))


def prepare(settings: Settings, istio: str) -> None:
    """Fill the cache, so that `up` has nothing left to build."""
    _need_root()
    _lab(settings, Shape(1, istio))


def up(shape: Shape | None = None, settings: Settings | None = None) -> Lab:
    """Bring the lab up, or find it up already; the same shape is a no-op, another one is refused."""
    _need_root()
    shape, settings = shape or Shape(), settings or from_environment()
    with locked(settings.lock, transient=True):
        lab = _lab(settings, shape)
        record = _read_record(settings)
        if record.get("phase") == "up":
            standing = _shape_of(record)
            if standing != shape:
                raise LabError(f"the lab is up with {standing}: take it down first")
            if all(each.alive() for each in lab.clusters):
                return lab
            say("the lab is up but not healthy: starting it anew")
        _sweep(settings)
        began = time.monotonic()
        _write_record(settings, shape, "starting")
        network.create_bridge(settings)
        _together(lab.clusters, Cluster.create)
        specs = [each.spec for each in lab.clusters]
        certs.merge_kubeconfigs(specs, certs.ADMIN, lab.kubeconfig)
        certs.merge_kubeconfigs(specs, certs.WEAK, lab.kubeconfig_weak)
        _together(lab.clusters, Cluster.start)
        _write_record(settings, shape, "up")
        say(f"{shape.clusters} clusters up in {time.monotonic() - began:.1f} s, kubeconfig {lab.kubeconfig}")
        return lab


def find(settings: Settings | None = None) -> Lab:
    """The lab that is up now; raises when there is none."""
    settings = settings or from_environment()
    record = _read_record(settings)
    if record.get("phase") != "up":
        raise LabError("the lab is not up: `python -m tests.lab up`")
    return _lab(settings, _shape_of(record))


def _sweep(settings: Settings) -> None:
    cgroups.kill(settings.name)
    network.remove_links(settings)
    cgroups.remove(settings.name)
    if settings.root.exists():
        # Mounts live in the machines' own namespaces and went with them: nothing to unmount here.
        shutil.rmtree(settings.root, ignore_errors=True)


def leftovers(settings: Settings) -> list[str]:
    """What of the lab is still there, each as a line for a person."""
    found = [f"process {pid}" for pid in cgroups.processes(settings.name)]
    found += [f"link {name}" for name in network.links(settings)]
    found += [f"cgroup {path}" for path in cgroups.left(settings.name)]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    found += [f"mount {line.split()[1]}" for line in mounts if line.split()[1].startswith(f"{settings.root}/")]
    rules = run(["iptables-save"], check=False)
    found += [f"iptables rule {line}" for line in rules.splitlines() if settings.name in line]
    if settings.root.exists():
        found.append(f"folder {settings.root}")
    return found


def down(settings: Settings | None = None) -> None:
    """Remove the lab, whatever state it is in; raises and names what could not be removed."""
    _need_root()
    settings = settings or from_environment()
    with locked(settings.lock, transient=True):
        # A helper command of a killed `up` may still have been at work during the first sweep.
        for _ in range(5):
            _sweep(settings)
            left = leftovers(settings)
            if not left:
                return
            time.sleep(0.2)
        raise LabError("left behind:\n  " + "\n  ".join(left))
