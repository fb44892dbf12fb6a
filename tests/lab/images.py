"""Container images without a registry: one OCI archive per Istio version, and an image store made from it.

The store is a containerd root folder with everything imported and unpacked. A cluster gets it as a tree of hard
links in a fraction of a second, where an import takes many. Layers are never written in place (overlayfs copies
up, containerd only adds and unlinks); the databases, which are, are copied.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab import cache, versions
from tests.lab.build import Programs
from tests.lab.proc import run, say, wait_for

_RECIPE = "2"  # count up when the images' shape changes
_BASE_PACKAGES = "ca-certificates,curl,iptables,iproute2,python3,procps"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
_HELLOWORLD = Path(__file__).with_name("helloworld.py")


@dataclass(frozen=True)
class _Image:
    names: Sequence[str]
    layers: Sequence[Path]
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    user: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


def _entry(name: str, mode: int, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mode, info.type, info.size = mode, kind, size
    return info


def _layer(out: Path, files: Mapping[str, Path | bytes]) -> Path:
    """A layer with these files, all executable and owned by root, with the folders they need."""
    folders: set[str] = set()
    with tarfile.open(out, "w") as tar:
        for target, source in files.items():
            for parent in reversed(Path(target).parents[:-1]):
                if str(parent) not in folders:
                    folders.add(str(parent))
                    tar.addfile(_entry(str(parent), 0o755, tarfile.DIRTYPE))
            if isinstance(source, bytes):
                tar.addfile(_entry(target, 0o755, size=len(source)), io.BytesIO(source))
            else:
                with source.open("rb") as data:
                    tar.addfile(_entry(target, 0o755, size=source.stat().st_size), data)
    return out


def base_layer(cache_dir: Path) -> Path:
    """A small Debian with python3, curl and iptables, as one layer that all images with a shell share."""

    def build(target: Path) -> None:
        root = target / "rootfs"
        options = ["--variant=minbase", f"--include={_BASE_PACKAGES}"]
        run(["debootstrap", *options, versions.DEBIAN_SUITE, root], timeout=1200)
        for folder in ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"):
            shutil.rmtree(root / folder, ignore_errors=True)
        for folder in ("var/cache/apt", "var/lib/apt/lists", "var/log"):
            shutil.rmtree(root / folder, ignore_errors=True)
            (root / folder).mkdir(parents=True)
        with (root / "etc/passwd").open("a") as passwd:
            passwd.write("istio-proxy:x:1337:1337::/home:/usr/sbin/nologin\ncurl_user:x:100:101::/home:/bin/sh\n")
        with (root / "etc/group").open("a") as group:
            group.write("istio-proxy:x:1337:\ncurl_group:x:101:\n")
        options = ["--numeric-owner", "--sort=name", "--mtime=@0", "--exclude=./dev/*", "--exclude=./proc/*"]
        run(["tar", "-C", root, *options, "-cf", target / "layer.tar", "."], timeout=300)
        shutil.rmtree(root)

    folder = cache.ensure(cache_dir, "base", [versions.DEBIAN_SUITE, _BASE_PACKAGES, platform.machine()], build)
    return folder / "layer.tar"


def _catalogue(programs: Programs, base: Path, istio_version: str, work: Path) -> list[_Image]:
    def both(name: str) -> list[str]:
        return [f"docker.io/istio/{name}", f"{versions.SECOND_HUB}/{name}"]

    def layer(name: str, files: Mapping[str, Path | bytes]) -> Path:
        return _layer(work / f"{name}.tar", files)

    pilot = layer("pilot", {"usr/local/bin/pilot-discovery": programs.istio / "pilot-discovery"})
    proxy = layer(
        "proxy",
        {
            "usr/local/bin/pilot-agent": programs.istio / "pilot-agent",
            "usr/local/bin/envoy": programs.envoy / "envoy",
            "var/lib/istio/envoy/envoy_bootstrap_tmpl.json": programs.istio / "envoy_bootstrap.json",
        },
    )
    hello = layer("helloworld", {"opt/microservices/app.py": _HELLOWORLD})
    coredns = layer("coredns", {"coredns": programs.coredns / "coredns"})
    pause = layer("pause", {"busybox": Path("/bin/busybox")})
    images = [
        _Image(both(f"pilot:{istio_version}"), [base, pilot], ["/usr/local/bin/pilot-discovery"], user="1337:1337"),
        _Image(
            both(f"proxyv2:{istio_version}"),
            [base, proxy],
            ["/usr/local/bin/pilot-agent"],
            env={"ISTIO_META_ISTIO_PROXY_SHA": f"envoy-{versions.ENVOY}"},
        ),
        _Image(
            [f"docker.io/curlimages/curl:{versions.CURL}", f"{versions.SECOND_HUB}/curl:{versions.CURL}"],
            [base],
            ["curl"],
            ["--version"],
            user="100:101",
        ),
        _Image([versions.COREDNS_IMAGE], [coredns], ["/coredns"]),
        _Image([versions.PAUSE_IMAGE], [pause], ["/busybox", "sleep", "infinity"]),
    ]
    for version in ("v1", "v2"):
        name = f"examples-helloworld-{version}:{versions.HELLOWORLD}"
        command = ["python3", "/opt/microservices/app.py"]
        images.append(_Image(both(name), [base, hello], command=command, env={"SERVICE_VERSION": version}))
    return images


class _Layout:
    """An OCI image layout being written; blobs are stored once, whoever uses them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index: list[dict[str, Any]] = []
        self._layers: dict[Path, dict[str, Any]] = {}
        (folder / "blobs/sha256").mkdir(parents=True)

    def _blob(self, document: object, media_type: str) -> dict[str, Any]:
        data = json.dumps(document, sort_keys=True).encode()
        checksum = hashlib.sha256(data).hexdigest()
        (self._folder / "blobs/sha256" / checksum).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{checksum}", "size": len(data)}

    def _add_layer(self, layer: Path) -> dict[str, Any]:
        if layer not in self._layers:
            with layer.open("rb") as data:
                checksum = hashlib.file_digest(data, "sha256").hexdigest()
            shutil.copyfile(layer, self._folder / "blobs/sha256" / checksum)
            self._layers[layer] = {
                "mediaType": "application/vnd.oci.image.layer.v1.tar",
                "digest": f"sha256:{checksum}",
                "size": layer.stat().st_size,
            }
        return self._layers[layer]

    def add(self, image: _Image) -> None:
        """Add one image under all its names."""
        layers = [self._add_layer(layer) for layer in image.layers]
        architecture = _ARCH.get(platform.machine(), platform.machine())
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {
                "Entrypoint": list(image.entrypoint),
                "Cmd": list(image.command),
                "Env": [_PATH, *(f"{key}={value}" for key, value in image.env.items())],
                "User": image.user,
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        }
        manifest_type = "application/vnd.oci.image.manifest.v1+json"
        manifest = {
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": self._blob(config, "application/vnd.oci.image.config.v1+json"),
            "layers": layers,
        }
        descriptor = self._blob(manifest, manifest_type)
        for name in image.names:
            platform_ = {"architecture": architecture, "os": "linux"}
            annotations = {"io.containerd.image.name": name}
            self._index.append({**descriptor, "platform": platform_, "annotations": annotations})

    def finish(self, out: Path) -> None:
        """Write the archive."""
        (self._folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        (self._folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self._index}))
        run(["tar", "-C", self._folder, "-cf", out, "oci-layout", "index.json", "blobs"], timeout=300)


def _unpack(archive: Path, target: Path) -> None:
    """Import the archive into a containerd of its own, whose root folder becomes the store."""
    socket = target / "containerd.sock"
    config = target / "config.toml"
    config.write_text(
        f'version = 2\nroot = "{target}/root"\nstate = "{target}/state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{socket}"\n[ttrpc]\naddress = "{socket}.ttrpc"\n'
    )
    with (target / "containerd.log").open("wb") as log:
        # A mount namespace of its own: if this is killed, no mount of it stays.
        argv = ["unshare", "--mount", "--propagation", "slave", "containerd", "--config", str(config)]
        process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    ctr = ["ctr", "--address", str(socket), "--namespace", "k8s.io"]
    try:
        wait_for("containerd", lambda: bool(run([*ctr, "version"], check=False)), timeout=30)
        run([*ctr, "images", "import", "--digests=false", archive], timeout=600)
    finally:
        process.terminate()
        process.wait(timeout=30)
    for name in ("state", "containerd.sock", "containerd.sock.ttrpc", "config.toml", "containerd.log"):
        path = target / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def store(cache_dir: Path, programs: Programs, istio_version: str) -> Path:
    """The folder whose `root` is the image store for that Istio version."""

    def build(target: Path) -> None:
        base = base_layer(cache_dir)
        work = target / "work"
        work.mkdir()
        start = time.monotonic()
        layout = _Layout(work / "layout")
        for image in _catalogue(programs, base, istio_version, work):
            layout.add(image)
        archive = work / "images.tar"
        layout.finish(archive)
        say(f"  archive: {time.monotonic() - start:.0f} s")
        _unpack(archive, target)
        shutil.rmtree(work)

    folders = [programs.istio.name, programs.envoy.name, programs.coredns.name]
    inputs: list[str | Path] = [
        *folders,
        _RECIPE,
        _BASE_PACKAGES,
        _HELLOWORLD,
        versions.CURL,
        versions.HELLOWORLD,
        versions.SECOND_HUB,
    ]
    return cache.ensure(cache_dir, f"images-istio-{istio_version}", inputs, build)


def link_store(source: Path, target: Path, command: Callable[[list[str]], object]) -> None:
    """Give a cluster the image store: hard links for what never changes, copies of the databases.

    `command` runs a program where it ends with the cluster's machine: left to itself, a copying orphan would
    write into a lab that is being removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    same_disk = source.stat().st_dev == target.parent.stat().st_dev
    command(["cp", "-al" if same_disk else "-a", str(source), str(target)])
    if same_disk:
        for database in source.rglob("*.db"):
            copy = target / database.relative_to(source)
            copy.unlink()
            shutil.copy2(database, copy)
