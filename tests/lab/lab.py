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

from tests.lab import build, certs, cgroups, cluster, images, network, packages, versions
from tests.lab.cluster import Cluster
from tests.lab.proc import LabError, locked, run, say
from tests.lab.settings import MAX_CLUSTERS, Settings, from_environment

# Containers run as other users, and must read what the lab makes whatever the umask of the one who starts it.
READABLE = 0o022


@dataclass(frozen=True)
class Lab:
    """A lab that is up, as tests use it."""

    settings: Settings
    istio: str
    programs: build.Programs
    clusters: list[Cluster]

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


def _read_record(settings: Settings) -> dict[str, object]:
    try:
        record: dict[str, object] = json.loads(settings.record.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return record


def _write_record(settings: Settings, count: int, istio: str, phase: str) -> None:
    """Say what may exist from now on. All names follow from the id, so this comes before anything is made."""
    record = {
        "id": settings.lab_id,
        "clusters": count,
        "istio": istio,
        "phase": phase,
        "bridge": settings.bridge,
        "links": [settings.cluster(i).link for i in range(1, count + 1)],
        "cgroup": settings.name,
    }
    settings.root.mkdir(parents=True, exist_ok=True)
    temporary = settings.record.with_suffix(".new")
    temporary.write_text(json.dumps(record, indent=1))
    temporary.replace(settings.record)


def _lab(settings: Settings, count: int, istio: str) -> Lab:
    os.umask(READABLE)
    if istio not in versions.ISTIO:
        raise LabError(f"Istio {istio} is not among the lab's: {', '.join(versions.ISTIO)}")
    packages.ensure_debian_packages(settings.cache)
    programs = build.programs(settings.cache, istio)
    store = images.store(settings.cache, programs, istio) / "root"
    return Lab(settings, istio, programs, list(cluster.clusters(settings, count, programs, store)))


def prepare(settings: Settings, istio: str) -> None:
    """Fill the cache, so that `up` has nothing left to build."""
    _need_root()
    _lab(settings, 1, istio)


def up(count: int = 2, istio: str = versions.ISTIO_DEFAULT, settings: Settings | None = None) -> Lab:
    """Bring the lab up, or find it up already; the same size and Istio version is a no-op."""
    _need_root()
    settings = settings or from_environment()
    if not 1 <= count <= MAX_CLUSTERS:
        raise LabError(f"a lab has 1 to {MAX_CLUSTERS} clusters")
    with locked(settings.lock, transient=True):
        lab = _lab(settings, count, istio)
        record = _read_record(settings)
        if record.get("phase") == "up":
            if (record.get("clusters"), record.get("istio")) != (count, istio):
                raise LabError(
                    f"the lab is up with {record.get('clusters')} clusters and Istio {record.get('istio')}:"
                    " take it down first"
                )
            if all(each.alive() for each in lab.clusters):
                return lab
            say("the lab is up but not healthy: starting it anew")
        _sweep(settings)
        began = time.monotonic()
        _write_record(settings, count, istio, "starting")
        network.create_bridge(settings)
        _together(lab.clusters, Cluster.create)
        specs = [each.spec for each in lab.clusters]
        certs.merge_kubeconfigs(specs, certs.ADMIN, lab.kubeconfig)
        certs.merge_kubeconfigs(specs, certs.WEAK, lab.kubeconfig_weak)
        _together(lab.clusters, Cluster.start)
        _write_record(settings, count, istio, "up")
        say(f"{count} clusters up in {time.monotonic() - began:.1f} s, kubeconfig {lab.kubeconfig}")
        return lab


def find(settings: Settings | None = None) -> Lab:
    """The lab that is up now; raises when there is none."""
    settings = settings or from_environment()
    record = _read_record(settings)
    count = record.get("clusters")
    if record.get("phase") != "up" or not isinstance(count, int):
        raise LabError("the lab is not up: `python -m tests.lab up`")
    return _lab(settings, count, str(record["istio"]))


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
