"""What a firewall closes is told from inside the cluster that needs it, before anything depends on it."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.lab.cluster import Cluster
from tests.lab.lab import Lab
from tests.lab.test_topologies import multi_primary, primary_remote
from tests.lab.wizard import Wizard, assert_verified, is_step
from wizard.probes.curlpod import LIVES_SECONDS

pytestmark = pytest.mark.proves(
    "A closed port (15012, 15443, 6443) is named, from inside the cluster that needs it, before it is needed"
)
PROBES = ("get", "jobs,pods", "-A", "-l", "meshwizard/reach", "-o", "name")


def statuses(ran_json: str) -> dict[str, str]:
    """The last status of each step of an `apply --json`."""
    told: dict[str, str] = {}
    for line in ran_json.splitlines():
        event = json.loads(line)
        if event["event"] == "stepchanged":
            told[event["step"]] = event["status"]
    return told


def gone(cluster: Cluster, seconds: float) -> bool:
    """Whether all probes are gone within that time: Kubernetes takes a moment to end a Pod."""
    deadline = time.monotonic() + seconds
    while cluster.kubectl(*PROBES) and time.monotonic() < deadline:
        time.sleep(1)
    return cluster.kubectl(*PROBES) == ""


@pytest.mark.parametrize(
    ("port", "changes", "refused", "before"),
    [
        (15012, primary_remote, "cluster2/reach-discovery", "cluster2/install"),
        (15443, primary_remote, "cluster2/reach-gateways", "cluster2/verify"),
        (6443, multi_primary, "cluster2/reach-api", "cluster2/remote-secret/cluster1"),
    ],
)
def test_a_closed_port_is_named_before_it_is_needed(
    fresh_lab: Lab, tmp_path: Path, port: int, changes: object, refused: str, before: str
) -> None:
    first = fresh_lab.cluster("cluster1")
    first.firewall_close(port)
    wizard = Wizard(fresh_lab, tmp_path, changes=changes)  # type: ignore[arg-type]
    ran = wizard.run("apply", "-f", str(wizard.meshfile), "--json")
    assert ran.code == 1, ran.text
    told = statuses(ran.stdout)
    assert told[refused] == "failed"
    assert told[before] == "blocked"
    assert f"{first.address}:{port}" in ran.stderr
    assert "cluster2" in ran.stderr
    for cluster in fresh_lab.clusters:
        assert gone(cluster, 30)
    first.firewall_open()
    resumed = wizard.run("resume", wizard.name)
    assert resumed.code == 0, resumed.text
    assert_verified(wizard)


def test_the_probe_is_gone_even_after_a_kill(fresh_lab: Lab, tmp_path: Path) -> None:
    fresh_lab.cluster("cluster1").firewall_close(6443)
    wizard = Wizard(fresh_lab, tmp_path)
    running = wizard.start("apply", "-f", str(wizard.meshfile), "--json")
    running.until(is_step("cluster2/reach-api", "running"))
    second = fresh_lab.cluster("cluster2")
    deadline = time.monotonic() + 60
    while not second.kubectl(*PROBES) and time.monotonic() < deadline:
        time.sleep(0.1)
    running.signal(signal.SIGKILL)
    running.process.wait(30)
    assert second.kubectl(*PROBES) != ""
    assert gone(second, LIVES_SECONDS + 60)
