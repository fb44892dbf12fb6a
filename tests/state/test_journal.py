"""What a run records."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import state as package
from state import StateError, StateFolder, WrongCluster
from tests.state.helpers import CLUSTERS, DOCUMENT, MESH, FaultyOs, install, killing, start


def test_every_name_of_the_contract_is_there() -> None:
    assert all(getattr(package, name) for name in package.__all__)
    with pytest.raises(AttributeError):
        _ = package.nothing


def test_a_run_from_start_to_finish(folder: StateFolder) -> None:
    with folder.open(MESH) as journal:
        assert journal.state.serial == 0
        assert folder.read(MESH) is None, "opening writes no state"
        journal.start("apply", DOCUMENT, {"istioctl": "/bin/istioctl"}, CLUSTERS)
        journal.begin("a", "h1")
        recorded = folder.read(MESH)
        assert recorded is not None
        assert (recorded.steps["a"].status, recorded.steps["a"].attempt) == ("running", 1)
        assert recorded.steps["a"].ended is None
        journal.end("a", "failed", "no route")
        journal.begin("a", "h2")
        journal.end("a", "done")
        journal.end("b", "skipped", "not needed")
        journal.finish(True)
        state = journal.state
    assert folder.read(MESH) == state
    assert (state.serial, state.finished, state.written_by, state.operation) == (7, True, "1.2.3", "apply")
    assert state.document == DOCUMENT
    assert state.clusters == CLUSTERS
    a, b = state.steps["a"], state.steps["b"]
    assert (a.status, a.inputs, a.attempt, a.detail) == ("done", "h2", 2, "")
    assert (b.status, b.attempt, b.detail) == ("skipped", 0, "not needed")
    assert state.created <= a.began <= (a.ended or "") <= state.updated


def test_a_step_that_ended_so_before_is_not_written_again(folder: StateFolder) -> None:
    with start(folder) as journal:
        journal.end("a", "done", "istiod stands")
        before = journal.state
        journal.end("a", "done", "istiod stands")
        assert journal.state == before
        journal.end("a", "done", "another istiod stands")
        assert journal.state.serial == before.serial + 1
        journal.begin("a", "h")
        journal.end("a", "done", "another istiod stands")
        assert journal.state.steps["a"].status == "done"
        assert journal.state.serial == before.serial + 3


@pytest.mark.promise(15)
def test_a_dead_run_leaves_its_step_unknown_and_the_next_goes_on(folder: StateFolder) -> None:
    with start(folder) as journal:
        journal.begin("b", "h")
        first = journal.state
    with folder.open(MESH) as journal:
        assert journal.state == first
        assert journal.state.steps["b"].status == "running"
        journal.start("apply", {"name": MESH}, {}, {})
        assert journal.state.steps == first.steps
        assert (journal.state.lineage, journal.state.serial) == (first.lineage, first.serial + 1)
        assert journal.state.clusters == CLUSTERS, "what is known about a cluster is not lost"


def test_uninstall_keeps_what_was_made_and_a_new_apply_after_it_starts_clean(folder: StateFolder) -> None:
    with start(folder) as journal:
        journal.finish(True)
        journal.start("uninstall", DOCUMENT, {}, {})
        assert not journal.state.finished
        journal.begin("namespace/cluster1", "abc", undo=True)
        assert journal.state.steps["namespace/cluster1"].status == "undoing"
        assert journal.state.steps["namespace/cluster1"].attempt == 2
        journal.start("apply", DOCUMENT, {}, {})
        assert journal.state.steps, "half an uninstall is still something"
        journal.start("uninstall", DOCUMENT, {}, {})
        journal.end("namespace/cluster1", "undone")
        journal.finish(True)
        lineage = journal.state.lineage
        journal.start("apply", DOCUMENT, {}, {})
        assert journal.state.steps == {}
        assert journal.state.lineage == lineage


@pytest.mark.promise(7)
def test_a_name_is_pinned_to_its_cluster(folder: StateFolder) -> None:
    with start(folder) as journal:
        journal.identify("cluster1", version="1.29")
        journal.identify("cluster1", uid=CLUSTERS["cluster1"]["uid"])
        before = journal.state
        with pytest.raises(WrongCluster, match="cluster1 was the cluster with UID 11111111-2222"):
            journal.identify("cluster1", uid="other")
        with pytest.raises(WrongCluster):
            journal.start("apply", {}, {}, {"cluster2": {"uid": "two"}, "cluster1": {"uid": "other"}})
        assert journal.state == before == folder.read(MESH)
        assert before.clusters == {"cluster1": {**CLUSTERS["cluster1"], "version": "1.29"}}


@pytest.mark.promise(7)
def test_of_a_cluster_that_a_person_says_is_another_nothing_is_believed(folder: StateFolder) -> None:
    with start(folder) as journal:
        for step in ("cluster1/install", "cluster2/install"):
            journal.begin(step, "")
            journal.end(step, "done")
    with folder.open(MESH) as journal:
        journal.start("apply", DOCUMENT, {}, {"cluster1": {"uid": "other"}}, anew=["cluster1"])
        assert journal.state == folder.read(MESH)
        assert journal.state.clusters == {"cluster1": {"uid": "other"}}
        assert "cluster2/install" in journal.state.steps
        assert "cluster1/install" not in journal.state.steps


def test_a_snapshot_and_its_sources_are_copies(folder: StateFolder) -> None:
    document: dict[str, Any] = {"list": [1], "pair": (1, 2)}
    with folder.open(MESH) as journal:
        journal.start("apply", document, {}, {})
        document["list"].append(2)
        snapshot = journal.state
        snapshot.document["list"].append(3)
        snapshot.steps["x"] = None  # type: ignore[index]
        journal.begin("a", "")
        assert journal.state.document == {"list": [1], "pair": [1, 2]}
        assert journal.state.steps.keys() == {"a"}
        assert folder.read(MESH) == journal.state


def test_wrong_use(folder: StateFolder) -> None:
    with folder.open(MESH) as journal:
        uses: tuple[Callable[[], None], ...] = (
            lambda: journal.begin("a", ""),
            lambda: journal.end("a", "done"),
            lambda: journal.identify("a"),
            lambda: journal.finish(True),
        )
        for use in uses:
            with pytest.raises(RuntimeError, match="start comes first"):
                use()
        journal.start("apply", DOCUMENT, {}, {})
        with pytest.raises(ValueError, match="does not end"):
            journal.end("a", "running")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="not an operation"):
            journal.start("Destroy!", DOCUMENT, {}, {})
    journal.close()
    for use in uses:
        with pytest.raises(StateError, match="closed"):
            use()
    with pytest.raises(StateError, match="closed"):
        _ = journal.lock_fd
    assert journal.state.name == MESH


def test_a_long_detail_is_cut(folder: StateFolder) -> None:
    with start(folder) as journal:
        journal.end("a", "failed", "x" * 5000)
        assert len(journal.state.steps["a"].detail) == 500


@pytest.mark.promise(1)
def test_threads_share_writes_and_lose_nothing(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    threads, steps = 16, 6
    with start(folder) as journal:
        before = journal.state.serial

        class SlowDisk(FaultyOs):
            def __getattr__(self, name: str) -> Any:
                if name == "fsync":
                    time.sleep(0.002)
                return getattr(os, name)

        install(monkeypatch, SlowDisk("", 0, killing))
        problems: list[BaseException] = []

        def lane(number: int) -> None:
            try:
                for step in range(steps):
                    journal.begin(f"{number}/{step}", "")
                    seen = folder.read(MESH)
                    assert seen is not None
                    assert seen.steps[f"{number}/{step}"].status == "running", "durable before begin returns"
                    journal.end(f"{number}/{step}", "done")
            except BaseException as problem:
                problems.append(problem)

        lanes = [threading.Thread(target=lane, args=(number,)) for number in range(threads)]
        for each in lanes:
            each.start()
        for each in lanes:
            each.join()
        assert not problems
        final = folder.read(MESH)
        assert final is not None
        done = [step for step, record in final.steps.items() if record.status == "done"]
        assert len(done) == threads * steps + 1
        assert final.serial - before < threads * steps, "writes are shared"


@pytest.mark.promise(1)
def test_an_interrupt_in_the_middle_of_a_write(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with start(folder) as journal:
        for call, at in (("write", 1), ("rename", 1), ("fsync", 2)):
            install(monkeypatch, FaultyOs(call, at, interrupt))
            with pytest.raises(KeyboardInterrupt):
                journal.begin("interrupted", "")
            monkeypatch.undo()
            journal.begin("next", "")
            assert folder.read(MESH) == journal.state


@pytest.mark.promise(3)
@pytest.mark.parametrize("how", ["removed", "moved"])
def test_the_folder_taken_away_under_a_run(folder: StateFolder, tmp_path: Path, how: str) -> None:
    with start(folder) as journal:
        if how == "moved":
            folder.path_of(MESH).rename(tmp_path / "moved")
        else:
            shutil.rmtree(folder.path_of(MESH))
        with start(folder) as second:  # nothing told this one that the first still runs
            with pytest.raises(StateError, match="lock beside"):
                journal.begin("x", "")
            second.begin("y", "")
            assert "x" not in second.state.steps
