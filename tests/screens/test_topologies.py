"""Roles, primaries, networks and exposures: asked where they make sense, for one cluster or for many, drawn as they are typed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from screens.clusters import Clusters
from screens.draft import Draft
from screens.picture import Picture
from tests.screens.driving import SIZES, Driver, driving
from wizard.outside import ContextEntry, ContextFacts
from wizard.simulated.outside import SimulatedOutside


def simulated(clusters: int) -> SimulatedOutside:
    return SimulatedOutside(clusters=clusters, speed=0)


class Balanced(SimulatedOutside):
    """A load balancer works in the first cluster."""

    def facts(self, entry: ContextEntry) -> ContextFacts:
        found = super().facts(entry)
        if entry.context != self.machines[0].context:
            return found
        return replace(found, load_balancer="Service web in shop has 192.0.2.200")


async def all_chosen(driver: Driver, stage: str = "topology") -> None:
    """Choose every context by keys, and go on."""
    await driver.to("contexts")
    await driver.press("a", "ctrl+n")
    await driver.until(lambda: driver.stage == "topology")
    await driver.straight(stage)


async def primary_remote(driver: Driver) -> None:
    await driver.press("down", "enter")
    await driver.until(lambda: driver.app.draft.mesh_value("topology") == "primary-remote")


def clusters(driver: Driver) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = driver.app.draft.document()["clusters"]
    return found


def table(driver: Driver) -> Clusters:
    return driver.app.stage.query_one(Clusters)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_primary_remote_is_proposed_drawn_and_installed(tmp_path: Path, size: tuple[int, int]) -> None:
    async def play() -> None:
        async with driving(tmp_path, size) as driver:
            await driver.to("topology")
            assert "discovery" not in driver.text
            await primary_remote(driver)
            assert "remote of cluster1" in driver.text
            assert "discovery ○ waiting" in driver.text
            assert "its primary's istiod" in driver.text
            assert not driver.app.draft.mistakes()
            await driver.straight("done")
            assert "is verified" in driver.text
            assert "discovery ✓ ok" in driver.text
            await driver.press("ctrl+n")
        assert driver.app.return_value == 0

    asyncio.run(play())


def test_going_back_to_multi_primary_forgets_no_role(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.to("topology")
            await primary_remote(driver)
            await driver.press("tab", "enter", "enter", "down", "enter")  # the first one becomes a remote
            assert "every cluster is a remote" in driver.text
            await driver.press("ctrl+n")
            assert driver.stage == "topology"
            await driver.press("shift+tab", "pagedown", "tab", "enter", "up", "enter")
            assert [entry["role"] for entry in clusters(driver)] == ["remote", "primary"]
            assert clusters(driver)[0]["primary"] == "cluster2"
            await driver.press("shift+tab", "shift+tab", "up", "enter")
            assert [entry["role"] for entry in clusters(driver)] == ["primary", "primary"]
            assert not driver.app.draft.mistakes()
            await driver.press("down", "enter")
            assert [entry["role"] for entry in clusters(driver)] == ["remote", "primary"]

    asyncio.run(play())


def test_several_primaries_each_with_its_remotes(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=simulated(4)) as driver:
            await all_chosen(driver)
            await primary_remote(driver)
            assert "Served by" not in driver.text
            await driver.press("tab", "down", "tab", "enter", "up", "enter")  # cluster2 becomes a primary, too
            assert [entry["role"] for entry in clusters(driver)] == ["primary", "primary", "remote", "remote"]
            await driver.press("pagedown", "pagedown")
            assert "Served by" in driver.text
            await driver.press("tab", "enter", "down", "enter")
            assert [entry.get("primary") for entry in clusters(driver)] == [None, None, "cluster1", "cluster2"]
            assert "remote of cluster2" in driver.text
            await driver.to("names")  # a new name of the primary is what its remotes follow
            await driver.press("tab", "tab", "down", "enter", "ctrl+u")
            await driver.type("hub")
            assert [entry.get("primary") for entry in clusters(driver)] == [None, None, "cluster1", "hub"]
            assert not driver.app.draft.mistakes()

    asyncio.run(play())


def test_a_shared_network_is_typed_and_drawn(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=SimulatedOutside(flat=True, speed=0)) as driver:
            await driver.straight("names")
            assert "gateway ○" in driver.text
            await driver.press("tab", "tab", "down", "enter", "tab", "ctrl+u")
            await driver.type("network1")
            assert "pods ○" in driver.text and "gateway ○" not in driver.text
            await driver.straight("networks")
            assert "none needed" in driver.text
            assert "Gateway exposure" not in driver.text
            await driver.straight("done")
            assert "pods ✓" in driver.text

    asyncio.run(play())


def test_exposures_have_a_reason_and_ask_for_what_they_need(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=Balanced(speed=0)) as driver:
            await driver.straight("networks")
            flat = " ".join(driver.text.split())
            assert "a load balancer works there: Service web in shop has 192.0.2.200" in flat
            assert "Gateway NodePort" not in driver.text
            assert [entry["gateway"].get("port") for entry in clusters(driver)] == [None, 31443]
            await driver.press("down")
            assert "no load balancer was seen" in driver.text
            assert "Gateway NodePort" in driver.text
            await driver.press("tab", "tab", "ctrl+u")
            await driver.type("192.0.2.99")
            await driver.press("shift+tab", "enter", "down", "down", "down", "enter")
            assert clusters(driver)[1]["gateway"] == {"exposure": "cluster-ip-route"}, (
                "a node's address is no Service's"
            )
            assert "Route by node" in driver.text and "Service CIDR" in driver.text
            await driver.until(lambda: "found later" in driver.text)

    asyncio.run(play())


def test_node_port_cannot_serve_remotes(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.to("topology")
            await primary_remote(driver)
            await driver.straight("networks")
            assert clusters(driver)[0]["gateway"]["exposure"] == "external-ips"
            assert "remotes need the ports 15012 and 15017" in " ".join(driver.text.split())
            await driver.press("tab", "enter", "up", "enter", "ctrl+n")
            assert driver.stage == "networks"
            assert "cannot serve remotes" in " ".join(driver.app.stage.sentence.split())
            await driver.press("enter", "up", "enter")  # as proposed
            assert clusters(driver)[0]["gateway"]["exposure"] == "external-ips"
            assert not driver.app.draft.mistakes()

    asyncio.run(play())


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_fifty_clusters_are_filtered_marked_and_answered_at_once(tmp_path: Path, size: tuple[int, int]) -> None:
    async def play() -> None:
        async with driving(tmp_path, size, simulated(50)) as driver:
            await all_chosen(driver)
            await primary_remote(driver)
            await driver.press("tab", "slash")
            await driver.type("cluster4")
            await driver.press("enter", "a")
            assert "11 clusters are marked" in driver.text
            assert "cluster5 " not in driver.text
            await driver.press("tab", "enter", "up", "enter")
            roles = [entry["role"] for entry in clusters(driver)]
            assert roles.count("primary") == 12
            await driver.press("tab")
            await driver.type("lan")
            assert sum(entry["network"] == "lan" for entry in clusters(driver)) == 11
            await driver.press("shift+tab", "shift+tab")
            await driver.press("escape")  # unmarks
            assert driver.stage == "topology" and not table(driver).table.marked
            await driver.press("escape")  # shows all again
            assert driver.stage == "topology" and "cluster5 " in driver.text
            await driver.press("end")
            assert "cluster50" in driver.text
            assert not driver.app.draft.mistakes()
            await driver.straight("networks")
            await driver.press("space", "end", "space")  # the first and the last
            assert "2 clusters are marked" in driver.text
            await driver.press("tab", "enter", "down", "down", "down", "enter")
            exposures = [entry["gateway"]["exposure"] for entry in clusters(driver)]
            assert (exposures[0], exposures[1], exposures[-1]) == ("load-balancer", "node-port", "load-balancer")

    asyncio.run(play())


def test_marked_rows_that_the_filter_hides_are_told(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=simulated(12)) as driver:
            await all_chosen(driver, "names")
            await driver.press("tab", "tab", "space", "slash")
            await driver.type("cluster12")
            await driver.press("enter", "space")
            assert "2 clusters are marked (1 of them not shown)" in driver.text
            await driver.press("escape", "slash")
            await driver.type("nothing like it")
            await driver.press("enter")
            assert "No cluster is shown" in driver.text
            await driver.press("enter", "escape")
            assert "cluster1 " in driver.text

    asyncio.run(play())


def test_an_empty_answer_for_many_changes_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=simulated(3)) as driver:
            await all_chosen(driver, "names")
            await driver.press("tab", "tab", "a", "enter")
            await driver.type("x")
            await driver.press("backspace")
            assert [entry["network"] for entry in clusters(driver)] == ["x", "x", "x"]

    asyncio.run(play())


def test_contexts_are_filtered_and_chosen_together(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=simulated(20)) as driver:
            await driver.to("contexts")
            await driver.press("slash")
            await driver.type("admin2")
            await driver.press("enter")
            assert "20@kubernetes" in driver.text and "n3@kubernetes" not in driver.text
            await driver.press("a")
            assert driver.app.stage.sentence == "2 chosen: Ctrl+N goes on."
            await driver.press("escape")
            assert driver.stage == "contexts" and "3@kubernetes" in driver.text
            await driver.press("slash")
            await driver.type("admin2")
            await driver.press("enter", "a")
            assert not driver.app.draft.chosen

    asyncio.run(play())


def test_a_filtered_drawing_shows_the_rows_that_are_meant(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, (120, 40), simulated(12)) as driver:
            await all_chosen(driver)
            await primary_remote(driver)
            await driver.press("tab", "slash")
            await driver.type("cluster12")
            picture = driver.app.stage.query_one(Picture)
            assert "cluster12" in picture.text and "2 cluster2 " not in picture.text

    asyncio.run(play())


def test_istio_asks_for_revision_pull_secret_and_certificates(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, (120, 40)) as driver:
            await driver.straight("istio")
            assert "Pull secret file" not in driver.text
            for _ in range(2):
                await driver.press("tab")
            await driver.type("canary")
            await driver.press("tab", "tab", "tab")
            await driver.type("registry")
            assert "Pull secret file" in driver.text
            await driver.press("tab")
            await driver.type("/k/config.json")
            await driver.press("tab", "tab", "enter", "down", "enter")  # certificates: existing
            assert "Certificate folder" not in driver.text
            await driver.press("enter", "down", "enter", "ctrl+n")  # from a folder
            assert "is needed with certificates.source: directory" in " ".join(driver.text.split())
            assert driver.stage == "istio"
            await driver.type("/k/certificates")
            await driver.press("tab", "tab", "tab", "tab", "enter", "down", "enter")
            document = driver.app.draft.document()
            assert document["istio"]["revision"] == "canary"
            assert (document["istio"]["pullSecret"], document["istio"]["pullSecretFile"]) == (
                "registry",
                "/k/config.json",
            )
            assert document["certificates"] == {"source": "directory", "path": "/k/certificates"}
            assert document["verify"]["probes"] == "never"

    asyncio.run(play())


# -- the draft alone


def draft_of(outside: SimulatedOutside, document: dict[str, Any] | None = None) -> Draft:
    draft = Draft(document)
    for candidate in draft.offer(outside.contexts()):
        draft.looked(candidate, outside.facts(candidate.entry))
    return draft


def test_a_document_given_keeps_its_roles_and_primaries() -> None:
    outside = simulated(4)
    entries = [{"name": f"c{n}", "context": m.context, "network": "lan"} for n, m in enumerate(outside.machines, 1)]
    entries[0] |= {"role": "remote", "primary": "c3"}
    entries[1] |= {"role": "remote", "primary": "c9"}
    draft = draft_of(outside, {"topology": "primary-remote", "clusters": entries})
    made = draft.document()["clusters"]
    assert [entry["role"] for entry in made] == ["remote", "remote", "primary", "primary"]
    assert [entry.get("primary") for entry in made] == ["c3", "c9", None, None]
    assert [mistake.path for mistake in draft.mistakes()] == ["clusters[1].primary"]
    draft.answer_cluster(draft.chosen[2], "name", "renamed")
    assert draft.document()["clusters"][0]["primary"] == "renamed"
    draft.answer_cluster(draft.chosen[2], "role", "remote")  # it serves nobody any more
    assert draft.document()["clusters"][0]["primary"] == "c4"


def test_a_remote_is_served_on_its_own_network_where_that_is_possible() -> None:
    draft = draft_of(simulated(3))
    for candidate in list(draft.candidates):
        draft.toggle(candidate)
    draft.answer("topology", "primary-remote")
    first, second, third = draft.chosen
    draft.answer_cluster(second, "role", "primary")
    assert draft.cluster_value(third, "primary") == "cluster1"
    draft.answer_clusters([second, third], "network", "lan")
    assert draft.cluster_value(third, "primary") == "cluster2"
    draft.answer_cluster(third, "primary", "cluster1")
    assert draft.cluster_value(third, "primary") == "cluster1"
    draft.answer_cluster(third, "primary", None)
    assert draft.cluster_value(third, "primary") == "cluster2"
    draft.toggle(first)  # left out: everybody moves up, and is a primary only where it was said
    assert [entry["role"] for entry in draft.document()["clusters"]] == ["primary", "remote"]


@pytest.mark.parametrize("exposure", ["load-balancer", "cluster-ip-route"])
def test_whatever_is_chosen_in_the_demo_works_there(tmp_path: Path, exposure: str) -> None:
    """A remote on its primary's network, another on its own, gateways of every kind."""
    from wizard.commands.demo import simulated_outside

    async def play() -> None:
        outside: Any = simulated_outside(3)
        outside.pace.speed = 0
        async with driving(tmp_path, outside=outside) as driver:
            await all_chosen(driver)
            await primary_remote(driver)
            await driver.straight("names")
            await driver.press("tab", "tab", "space", "space", "enter", "ctrl+u")
            await driver.type("lan")
            await driver.straight("networks")
            await driver.press("a", "tab", "enter", *["down"] * (3 + (exposure == "cluster-ip-route")), "enter")
            assert {entry.get("gateway", {}).get("exposure", exposure) for entry in clusters(driver)} == {exposure}
            await driver.straight("install")
            run = driver.app.active_run
            assert run is not None
            await driver.until(lambda: run.view.ended, 90)
            assert run.view.ended and run.view.ended.ok

    asyncio.run(play())


def test_the_plan_and_its_proof_are_filtered(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=simulated(12)) as driver:
            await all_chosen(driver, "review")
            await driver.press("slash")
            assert driver.app.stage.query_one("TabbedContent").active == "steps"  # type: ignore[attr-defined]
            await driver.type("cluster12")
            assert "cluster12: " in driver.text and "cluster1: Fit" not in driver.text
            await driver.press("enter", "c")
            copied = driver.app.clipboard
            assert "cluster12" in copied and "# cluster3: Namespace" not in copied
            await driver.press("slash", "escape")
            assert driver.stage == "review" and "cluster1: Fit" in driver.text
            await driver.press("ctrl+n")
            await driver.to_verification()
            await driver.press("slash")
            await driver.type("cluster12")
            await driver.until(lambda: "cluster12 hears" in driver.text)
            assert "cluster2 hears" not in driver.text
            await driver.press("escape")
            assert driver.stage == "verify"
            await driver.until(lambda: driver.app.active_run and driver.app.active_run.view.ended, 90)

    asyncio.run(play())
