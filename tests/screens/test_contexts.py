"""The contexts screen: live facts, the same cluster twice, clusters that do not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event as Gate

import pytest
from rich.cells import cell_len
from textual.widgets import DataTable
from textual.widgets.data_table import ColumnKey

from tests.screens.driving import driving
from wizard.clusters.plugin import Plugin
from wizard.outside import ContextEntry, ContextFacts
from wizard.simulated.outside import SimulatedOutside


class Twins(SimulatedOutside):
    """Two contexts that lead to one cluster."""

    def facts(self, entry: ContextEntry) -> ContextFacts:
        return replace(super().facts(entry), uid="one")


class Slow(SimulatedOutside):
    """Answers when the gate opens."""

    def __init__(self) -> None:
        super().__init__(speed=0)
        self.gate = Gate()

    def facts(self, entry: ContextEntry) -> ContextFacts:
        self.gate.wait(20)
        return super().facts(entry)


def test_the_same_cluster_twice_is_refused_naming_both(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=Twins(speed=0)) as driver:
            await driver.to("contexts")
            await driver.press("space", "down", "space")
            assert "are the same cluster" in driver.app.stage.sentence
            assert "kubernetes-admin1" in driver.app.stage.sentence
            assert "kubernetes-admin2" in driver.app.stage.sentence
            assert len(driver.app.draft.chosen) == 1

    asyncio.run(play())


def test_twins_chosen_before_they_answered_are_refused_later(tmp_path: Path) -> None:
    async def play() -> None:
        outside = Slow()
        facts = outside.facts
        outside.facts = lambda entry: replace(facts(entry), uid="one")  # type: ignore[method-assign]
        async with driving(tmp_path, outside=outside) as driver:
            await driver.press("enter")
            await driver.until(lambda: driver.app.draft.candidates)
            await driver.press("space", "down", "space", "ctrl+n")
            assert "has not answered yet" in driver.app.stage.sentence
            outside.gate.set()
            await driver.ready()
            await driver.press("ctrl+n")
            assert driver.stage == "contexts"
            assert "are the same cluster" in driver.app.stage.sentence

    asyncio.run(play())


def test_what_is_waited_for_is_said_and_keys_go_on_working(tmp_path: Path) -> None:
    async def play() -> None:
        outside = Slow()
        async with driving(tmp_path, outside=outside) as driver:
            await driver.press("enter")
            await driver.until(lambda: "waiting for the API server at https://192.0.2.11:6443" in driver.text)
            await driver.press("down")
            assert "https://192.0.2.12:6443" in driver.text
            outside.gate.set()
            await driver.ready()
            assert "v1.34.4" in driver.text

    asyncio.run(play())


def test_a_cluster_that_does_not_answer_is_refused_and_asked_again(tmp_path: Path) -> None:
    async def play() -> None:
        outside = SimulatedOutside(speed=0)
        outside.machines[1].unreachable = True
        async with driving(tmp_path, outside=outside) as driver:
            await driver.to("contexts")
            assert "✗ no" in driver.text
            await driver.press("space", "down", "space", "ctrl+n")
            assert driver.stage == "contexts"
            assert "R tries again" in driver.app.stage.sentence
            outside.machines[1].unreachable = False
            await driver.press("r")
            await driver.ready()
            await driver.press("ctrl+n")
            assert driver.stage == "topology"

    asyncio.run(play())


def test_one_cluster_is_no_mesh(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.to("contexts")
            await driver.press("ctrl+n")
            assert "at least two" in driver.app.stage.sentence
            await driver.press("space", "ctrl+n")
            assert "one is chosen" in driver.app.stage.sentence
            assert driver.stage == "contexts"

    asyncio.run(play())


def test_a_kubeconfig_is_added(tmp_path: Path) -> None:
    async def play() -> None:
        file = tmp_path / "kubeconfig"
        file.touch()

        class Finds(SimulatedOutside):
            def contexts(self, kubeconfigs: object = ()) -> list[ContextEntry]:
                found = super().contexts()
                return [replace(found[0], context="added", kubeconfig=file)] if kubeconfigs else found

            def facts(self, entry: ContextEntry) -> ContextFacts:
                return ContextFacts(True, uid=entry.context, version="v1.30.0", istio="1.20.0", missing_rights=("x",))

        async with driving(tmp_path / "state", outside=Finds(speed=0)) as driver:
            await driver.to("contexts")
            await driver.press("k")
            await driver.type(str(file))
            await driver.press("enter")
            await driver.until(lambda: len(driver.app.draft.candidates) == 3)
            await driver.ready()
            assert "added" in driver.text and "lacks 1" in driver.text

    asyncio.run(play())


def test_contexts_of_a_given_mesh_are_looked_for_in_its_files(tmp_path: Path) -> None:
    class Elsewhere(SimulatedOutside):
        def contexts(self, kubeconfigs: object = ()) -> list[ContextEntry]:
            found = super().contexts()
            return [replace(found[1], kubeconfig=Path("/k/two"))] if kubeconfigs else found[:1]

    async def play() -> None:
        context = "kubernetes-admin{}@kubernetes"
        document = {
            "clusters": [
                {"name": "a", "context": context.format(1), "network": "n1"},
                {"name": "b", "context": context.format(2), "network": "n2", "kubeconfig": "/k/two"},
                {"name": "c", "context": "gone", "network": "n3", "kubeconfig": "/k/three"},
            ]
        }
        async with driving(tmp_path, outside=Elsewhere(speed=0), document=document) as driver:
            await driver.to("contexts")
            await driver.until(lambda: len(driver.app.draft.chosen) == 2)
            await driver.until(lambda: "In no kubeconfig here: gone." in driver.app.stage.sentence)
            await driver.ready()
            await driver.press("ctrl+n")
            assert [entry["name"] for entry in driver.app.draft.document()["clusters"]] == ["a", "b"]

    asyncio.run(play())


def test_a_look_that_breaks_is_one_that_failed(tmp_path: Path) -> None:
    class Breaks(SimulatedOutside):
        def facts(self, entry: ContextEntry) -> ContextFacts:
            raise TypeError("a mistake of ours")

    async def play() -> None:
        async with driving(tmp_path, outside=Breaks(speed=0)) as driver:
            await driver.to("contexts")
            assert "✗ no" in driver.text and "a mistake of ours" in driver.text
            await driver.press("a")
            assert driver.app.stage.sentence == "None of these has answered yet."

    asyncio.run(play())


class Clouds(SimulatedOutside):
    """Contexts under the names that clouds give them; one name stands in two files."""

    NAMES = (
        "arn:aws:eks:eu-central-1:123456789012:cluster/shop-prod",
        "arn:aws:eks:eu-central-1:123456789012:cluster/shop-test",
        "gke_my-company-platform-prod_europe-west4-a_mesh-1",
        "gke_my-company-platform-test_europe-west4-a_mesh-1",
        f"{'n' * 200}-a",
        f"{'n' * 200}-b",
        "kubernetes-admin@kubernetes",
        "kubernetes-admin@kubernetes",
        "👩‍👩‍👧‍👦-family",
        "\u202eright-to-left",
        "🇩🇪🇫🇷",
        "\u00adsoft",
    )

    def contexts(self, kubeconfigs: Sequence[Path] = ()) -> list[ContextEntry]:
        some = super().contexts(kubeconfigs)[0]
        files = [Path("/home/a/one.conf"), Path("/home/a/two.conf")]
        return [
            replace(some, context=name, kubeconfig=files[number % 2], current=False)
            for number, name in enumerate(self.NAMES)
        ]


@pytest.mark.inputs("42", "49")
def test_no_two_rows_are_alike_and_none_is_missing_whatever_the_names(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=Clouds(speed=0)) as driver:
            await driver.to("contexts")
            table = driver.app.screen.query_one("#contexts", DataTable)
            for size in ((80, 24), (120, 40), (200, 50), (80, 24)):
                await driver.resize(*size)
                column = table.columns[ColumnKey("Context")]
                names = [str(cell) for cell in table.get_column("Context")]
                assert len(set(names)) == len(Clouds.NAMES)
                assert all(cell_len(name) <= column.width for name in names)
                assert not any(mark in name for mark in "\u202e\u200d\u00ad" for name in names)

    asyncio.run(play())


@pytest.mark.inputs("43")
def test_after_any_resize_all_columns_stand(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, outside=Clouds(speed=0), size=(120, 40)) as driver:
            await driver.to("contexts")
            table = driver.app.screen.query_one("#contexts", DataTable)
            for size in ((80, 24), (120, 40), (90, 30), (80, 24)):
                await driver.resize(*size)
                assert table.virtual_size.width <= table.size.width
                assert "Clock" in driver.text
                assert "Context" in driver.text

    asyncio.run(play())


class Commands(SimulatedOutside):
    """Contexts that run a command for credentials, all but the first."""

    def __init__(self) -> None:
        super().__init__(3, speed=0)
        self.agreed: list[str] = []
        self.asked: list[str] = []

    def contexts(self, kubeconfigs: Sequence[Path] = ()) -> list[ContextEntry]:
        plugin = Plugin(Path("/k/config"), "aws eks get-token", "/usr/local/bin/aws", "mark")
        return [
            replace(entry, plugin=plugin if number else None)
            for number, entry in enumerate(super().contexts(kubeconfigs))
        ]

    def agree(self, entries: Sequence[ContextEntry]) -> None:
        self.agreed += [entry.context for entry in entries]

    def facts(self, entry: ContextEntry) -> ContextFacts:
        assert entry.plugin is None or entry.context in self.agreed
        self.asked.append(entry.context)
        return super().facts(entry)


@pytest.mark.inputs("S7")
def test_a_command_for_credentials_runs_only_for_what_is_chosen(tmp_path: Path) -> None:
    async def play() -> None:
        outside = Commands()
        first, second, third = (entry.context for entry in outside.contexts())
        async with driving(tmp_path, outside=outside) as driver:
            await driver.to("contexts")
            await driver.ready()
            assert outside.asked == [first]
            assert "2 run a command for credentials" in driver.text
            await driver.press("down")
            assert "`aws eks get-token` (/usr/local/bin/aws)" in driver.text
            assert "not asked" in driver.text
            await driver.press("a", "ctrl+n")
            assert driver.stage == "contexts"
            assert outside.asked == [first], "all that answer are chosen, and no others"
            await driver.press("space")
            await driver.ready()
            assert sorted(outside.asked) == [first, second]
            assert outside.agreed == [second]
            assert len(driver.app.draft.chosen) == 2
            await driver.press("ctrl+n")
            assert driver.stage == "topology"
        assert third not in outside.asked

    asyncio.run(play())


@pytest.mark.inputs("S7")
def test_one_key_shows_the_commands_and_runs_them_for_all(tmp_path: Path) -> None:
    async def play() -> None:
        outside = Commands()
        async with driving(tmp_path, outside=outside) as driver:
            await driver.to("contexts")
            await driver.ready()
            await driver.press("p")
            await driver.until(lambda: "Run these commands?" in driver.text)
            assert "`aws eks get-token` (/usr/local/bin/aws)" in driver.text
            await driver.press("n")
            assert len(outside.asked) == 1
            await driver.press("p")
            await driver.until(lambda: "Run these commands?" in driver.text)
            await driver.press("y")
            await driver.until(lambda: len(outside.asked) == 3)
            await driver.ready()
            await driver.press("p")
            assert "No context that is shown waits" in driver.text

    asyncio.run(play())
