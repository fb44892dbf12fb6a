"""Trouble on real clusters: each ends in a sentence that says what, where and what next, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab import audit
from tests.lab.lab import Lab
from tests.lab.wizard import Ran, Wizard, assert_verified, is_step, statuses

pytestmark = pytest.mark.lab


def resume_command(ran: Ran) -> str:
    """The command that the wizard named, from its output."""
    for line in reversed(ran.text.replace("\\n", "\n").replace('"', "\n").splitlines()):
        if "Go on with: " in line:
            return line.partition("Go on with: ")[2].strip()
    raise AssertionError(f"no command that goes on was named:\n{ran.text}")


def changed(wizard: Wizard, marks: list[int]) -> list[str]:
    """Every change that the wizard asked for since the marks, on any cluster, but for the Leases of its run."""
    pairs = zip(wizard.lab.clusters, marks, strict=True)
    return [audit.describe(entry) for cluster, mark in pairs for entry in cluster.work(mark)]


def marks(lab: Lab) -> list[int]:
    return [cluster.audit_mark() for cluster in lab.clusters]


@pytest.mark.proves("An API server stops during the install: the other cluster goes on, and the run can be resumed")
def test_one_api_server_stops_during_the_install(fresh_lab: Lab, tmp_path: Path) -> None:
    wizard = Wizard(fresh_lab, tmp_path)
    dead = fresh_lab.cluster("cluster2")
    run = wizard.start("apply", "-f", str(wizard.meshfile), "--json")
    run.until(
        lambda event: event.get("event") == "stepsaid" and event["cluster"] == "cluster2" and "core" in event["text"]
    )
    dead.stop_apiserver()
    ended = run.end()
    try:
        assert ended.code == 1, ended.text
        final = statuses(run.read())
        assert final["cluster2/install"] == "failed"
        for step in ("namespace", "cacerts", "install", "istiod", "expose-services", "sample"):
            assert final[f"cluster1/{step}"] == "done", final
        end = run.read()[-1]
        assert end["event"] == "runended"
        failed = {step for step, status in final.items() if status == "failed"}
        # What tries cluster2 from inside cluster1 may have come too late to reach it.
        assert {step for step in failed if not step.startswith("cluster2/")} <= {"cluster1/reach-api"}, failed
        assert "cluster2: the API server https://" in end["what"]
    finally:
        dead.start_apiserver()
    resumed = wizard.shell(resume_command(Ran(1, end["remedy"], "")))
    assert resumed.code == 0, resumed.text
    assert_verified(wizard)


@pytest.mark.core
@pytest.mark.proves("Interrupted in the install, killed in the middle of the resume, and resumed again")
def test_interrupted_by_the_keyboard_then_killed(fresh_lab: Lab, tmp_path: Path) -> None:
    wizard = Wizard(fresh_lab, tmp_path)
    run = wizard.start("apply", "-f", str(wizard.meshfile), "--json")
    run.until(is_step("cluster1/install", "running"))
    run.signal(signal.SIGINT)
    time.sleep(1)
    run.signal(signal.SIGINT)
    ended = run.end(60)
    assert ended.code == 130, ended.text
    assert not _istioctls(wizard), "an istioctl outlived the wizard"
    told = resume_command(Ran(130, run.read()[-1]["remedy"], ""))
    run = wizard.start("resume", "--json")
    run.until(lambda event: event.get("event") == "stepsaid" and "core" in event["text"])
    run.signal(signal.SIGKILL)
    run.end()
    deadline = time.monotonic() + 120
    while True:
        # The orphaned istioctl holds the mesh's lock until it ends: no second writer beside it.
        resumed = wizard.shell(told)
        if resumed.code != 5 or time.monotonic() > deadline:
            break
        time.sleep(2)
    assert resumed.code == 0, resumed.text
    assert_verified(wizard)


@pytest.mark.proves("A context without rights is told before anything is touched")
def test_a_context_without_rights(fresh_lab: Lab, tmp_path: Path) -> None:
    wizard = Wizard(fresh_lab, tmp_path, kubeconfig=fresh_lab.kubeconfig_weak)
    before = [cluster.snapshot_objects() for cluster in fresh_lab.clusters]
    ran = wizard.apply()
    assert ran.code == 1, ran.text
    assert "cluster1" in ran.text
    assert "not allowed" in ran.text or "may not" in ran.text
    assert [cluster.snapshot_objects() for cluster in fresh_lab.clusters] == before


@pytest.mark.proves("An image that cannot be pulled is told within half a minute")
def test_an_image_that_cannot_be_pulled(fresh_lab: Lab, tmp_path: Path) -> None:
    def hub(document: dict[str, Any]) -> None:
        document["istio"]["hub"] = "registry.lab/nowhere"

    wizard = Wizard(fresh_lab, tmp_path, changes=hub)
    began = time.monotonic()
    ran = wizard.apply()
    assert ran.code == 1, ran.text
    assert "registry.lab/nowhere/pilot:1.29.1" in ran.text
    assert "cannot be pulled" in ran.text
    assert "istio.hub" in ran.text
    assert time.monotonic() - began < 150, "istioctl's own five minutes were waited for"
    hub_again = yaml.safe_load(wizard.meshfile.read_text())
    hub_again["istio"]["hub"] = "registry.lab/mesh"
    hub_again["verify"] = {"hub": "registry.lab/mesh"}
    wizard.meshfile.write_text(yaml.safe_dump(hub_again))
    mended = wizard.apply()
    assert mended.code == 0, mended.text
    assert_verified(wizard)


def test_a_port_that_is_taken(fresh_lab: Lab, tmp_path: Path) -> None:
    def port(document: dict[str, Any]) -> None:
        for cluster in document["clusters"]:
            cluster["gateway"] = {"port": 31443}

    fresh_lab.cluster("cluster2").kubectl(
        "create", "service", "nodeport", "holder", "--tcp=80:80", "--node-port=31443", "-n", "default"
    )
    wizard = Wizard(fresh_lab, tmp_path, changes=port)
    since = marks(fresh_lab)
    ran = wizard.apply()
    assert ran.code == 3, ran.text
    assert "NodePort 31443 is taken by Service holder in default" in ran.text
    assert not [change for change in changed(wizard, since) if "cluster2" in change]


def test_a_free_port_is_found_where_none_is_asked_for(fresh_lab: Lab, tmp_path: Path) -> None:
    fresh_lab.cluster("cluster1").kubectl(
        "create", "service", "nodeport", "holder", "--tcp=80:80", "--node-port=31443", "-n", "default"
    )
    wizard = Wizard(fresh_lab, tmp_path)
    plan = wizard.run("plan", "-f", str(wizard.meshfile), "-v")
    assert plan.code == 0, plan.text
    assert "31444" in plan.stdout


def test_the_same_cluster_under_two_contexts(fresh_lab: Lab, tmp_path: Path) -> None:
    config = yaml.safe_load(fresh_lab.kubeconfig.read_text())
    config["contexts"].append({"name": "again", "context": config["contexts"][0]["context"]})
    twice = tmp_path / "twice"
    twice.write_text(yaml.safe_dump(config))

    def again(document: dict[str, Any]) -> None:
        document["clusters"][1]["context"] = "again"

    wizard = Wizard(fresh_lab, tmp_path / "home", kubeconfig=twice, changes=again)
    since = marks(fresh_lab)
    ran = wizard.apply()
    assert ran.code == 2, ran.text
    assert changed(wizard, since) == []


@pytest.mark.proves("An Istio that somebody else installed is not overwritten")
def test_an_istio_that_somebody_else_installed(fresh_lab: Lab, tmp_path: Path) -> None:
    wizard = Wizard(fresh_lab, tmp_path)
    cluster = fresh_lab.cluster("cluster1")
    cluster.kubectl("create", "namespace", "istio-system")
    cluster.kubectl("create", "deployment", "istiod", "--image=docker.io/istio/pilot:1.29.1", "-n", "istio-system")
    ran = wizard.apply()
    assert ran.code == 3, ran.text
    assert "cluster1" in ran.text
    assert "another installer" in ran.text


@pytest.mark.proves("Clusters with different roots are a conflict")
def test_different_roots_are_a_conflict(fresh_lab: Lab, tmp_path: Path) -> None:
    from wizard.certificates import authority

    for cluster in fresh_lab.clusters:
        files = authority.make_intermediate(authority.make_root("x"), cluster.name, "cluster.local")
        folder = tmp_path / cluster.name
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        cluster.kubectl("create", "namespace", "istio-system")
        cluster.kubectl("create", "secret", "generic", "cacerts", "-n", "istio-system", f"--from-file={folder}")
    ran = Wizard(fresh_lab, tmp_path / "home").apply()
    assert ran.code == 3, ran.text
    assert "different roots" in ran.text


def test_the_disk_is_full(fresh_lab: Lab, tmp_path: Path) -> None:
    wizard = Wizard(fresh_lab, tmp_path)
    wizard.state.mkdir(mode=0o700)
    with _tiny_disk(wizard.state):
        since = marks(fresh_lab)
        ran = wizard.apply()
        assert ran.code == 1, ran.text
        assert "space" in ran.text.lower()
        assert changed(wizard, since) == []


@pytest.fixture(autouse=True)
def _api_servers_run(lab: Lab) -> Iterator[None]:
    yield
    for cluster in lab.clusters:
        cluster.start_apiserver()


class _tiny_disk:  # noqa: N801 - reads as a statement
    """A file system of 16 kB over a folder, already full but for a few kB."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "tmpfs", str(self.folder)], check=True)
        filler = os.open(self.folder / "filler", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            while True:
                os.write(filler, b"x" * 4096)
        except OSError:
            os.close(filler)

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", str(self.folder)], check=True)


def _istioctls(wizard: Wizard) -> list[str]:
    """Those that this person's wizard started; another lab's tests may run others."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            argv = (entry / "cmdline").read_bytes().split(b"\0")
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if argv[0] == str(wizard.lab.istioctl).encode() and f"HOME={wizard.home}".encode() in environment:
            found.append(entry.name)
    return found
