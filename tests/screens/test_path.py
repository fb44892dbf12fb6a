"""The way from start to done, by keys alone."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from textual.widgets import Footer

from screens.stages import PATH
from tests.screens.driving import SIZES, Driver, driving


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_from_start_to_done_by_keys(tmp_path: Path, size: tuple[int, int]) -> None:
    async def play() -> None:
        async with driving(tmp_path, size) as driver:
            for stage in PATH:
                await driver.to(stage)
                assert "DEMO – simulated clusters" in driver.text, f"no banner on {stage}"
                keys = driver.app.screen.query_one(Footer)
                assert keys.virtual_size.width <= size[0], f"keys are cut off on {driver.stage}"
            assert re.search(r"✓ Mesh mesh1 is verified: \d+ steps in", driver.text)
            assert "gateway ✓" in driver.text and "answers" in driver.text
            await driver.press("ctrl+n")
        assert driver.app.return_value == 0
        assert "Mesh mesh1 is verified" in driver.app.farewell
        assert "API server ✓ ok" in driver.app.farewell

    asyncio.run(play())


def test_back_keeps_what_was_typed(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.to("names")
            await driver.press("tab", "tab", "enter")
            await driver.type("-east")
            await driver.to("istio")
            await driver.press("tab", "tab", "tab", "end")
            await driver.type("2")
            await driver.press("escape", "escape", "escape", "escape")
            assert driver.stage == "start"
            await driver.to("names")
            assert "cluster1-east" in driver.text
            await driver.to("networks")
            assert "fromRegistry: cluster1-east" in driver.text
            assert driver.app.draft.document()["istio"]["hub"] == "docker.io/istio2"

    asyncio.run(play())


def test_a_context_that_is_left_out_keeps_its_answers(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.to("names")
            await driver.press("tab", "tab", "enter")
            await driver.type("x")
            await driver.press("escape", "escape")
            await driver.press("space", "space")  # left out, and chosen again: now it is the second
            await driver.to("names")
            names = [entry["name"] for entry in driver.app.draft.document()["clusters"]]
            assert sorted(names) == ["cluster1", "cluster1x"]

    asyncio.run(play())


@pytest.mark.parametrize(
    ("stage", "keys", "typed", "sentence"),
    [
        ("names", ("tab", "tab", "tab"), "_", "is no DNS label"),
        ("names", ("tab", "tab", "down", "enter", "backspace"), "1", "is used twice"),
        ("networks", ("tab", "tab"), "x", "is no IP address"),
        ("networks", ("tab", "tab", "tab"), "9", "is no port: 1 to 65535"),
    ],
)
def test_wrong_input_is_refused_where_it_is(
    tmp_path: Path, stage: str, keys: tuple[str, ...], typed: str, sentence: str
) -> None:
    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.straight(stage)
            await driver.press(*keys)
            await driver.type(typed)
            wrong = driver.app.focused
            assert sentence in " ".join(driver.text.split())
            assert "[ ]✗cluster" in driver.text
            await driver.press("shift+tab", "ctrl+n")
            assert driver.stage == stage
            assert sentence in " ".join(driver.app.stage.sentence.split())
            assert driver.app.focused is wrong

    asyncio.run(play())


def test_what_is_wrong_elsewhere_is_shown(tmp_path: Path) -> None:
    """A mistake about a cluster that is neither under the cursor nor shown is gone to."""

    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.to("names")
            await driver.press("tab", "tab", "enter")
            await driver.type("_")
            await driver.press("pagedown")
            assert "cluster2  kubernetes-admin2@kubernetes" in driver.text
            await driver.press("shift+tab", "slash")
            await driver.type("admin2")
            await driver.press("enter", "ctrl+n")
            assert driver.stage == "names"
            assert "cluster1_  kubernetes-admin1@kubernetes" in driver.text
            assert driver.app.focused and driver.app.focused.has_class("-wrong")

    asyncio.run(play())


def test_an_emptied_required_answer_is_refused(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.to("names")
            await driver.press("ctrl+u", "ctrl+n")
            assert driver.stage == "names"
            assert "an answer is required" in driver.text

    asyncio.run(play())


def test_help_of_the_focused_question(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.straight("networks")
            await driver.press("tab", "tab", "tab", "f1")
            assert "Gateway NodePort" in driver.text
            assert "gateway.port, in each cluster's entry" in driver.text
            await driver.press("escape")
            assert driver.app.screen is driver.app.stage

    asyncio.run(play())


def test_the_mesh_file_is_saved_and_not_overwritten_without_consent(tmp_path: Path) -> None:
    async def play() -> None:
        file = tmp_path / "mesh.yaml"
        file.write_text("mine")
        async with driving(tmp_path / "state") as driver:
            await driver.straight("review")
            await driver.press("s")
            await driver.until(lambda: "Save as mesh file" in driver.text)
            await driver.press("ctrl+u")
            await driver.type(str(file))
            await driver.press("enter")
            await driver.until(lambda: "Overwrite it?" in driver.text)
            await driver.press("n")
            assert file.read_text() == "mine"
            await driver.press("s")
            await driver.until(lambda: "Save as mesh file" in driver.text)
            await driver.press("ctrl+u")
            await driver.type(str(file))
            await driver.press("enter")
            await driver.until(lambda: "Overwrite it?" in driver.text)
            await driver.press("y")
            await driver.until(lambda: "Saved as" in driver.app.stage.sentence)
        from wizard.mesh.meshfile import read_meshfile

        assert [cluster.name for cluster in read_meshfile(file).clusters] == ["cluster1", "cluster2"]

    asyncio.run(play())


def test_a_mesh_file_that_is_there_keeps_what_a_person_wrote_into_it(tmp_path: Path) -> None:
    async def play() -> None:
        file = tmp_path / "mesh.yaml"

        async def save(driver: Driver, said: str) -> None:
            await driver.press("s")
            await driver.until(lambda: "Save as mesh file" in driver.text)
            await driver.press("ctrl+u")
            await driver.type(str(file))
            await driver.press("enter")
            await driver.until(lambda: said in " ".join(re.findall(r"[\w.:?]+", driver.text)))

        async with driving(tmp_path / "state") as driver:
            await driver.straight("review")
            await save(driver, "Saved as")
            await driver.until(file.exists)
            whole = file.read_text()
            mine = whole.replace("name: ", "name:  ", 1).replace("clusters:\n", "# ours\nclusters:  # two\n")
            file.write_text(mine.replace("trustDomain: cluster.local\n", "trustDomain: td\n"))
            await save(driver, "comments")
            await driver.press("y")
            await driver.until(lambda: file.read_text() == mine)
            file.write_text("mine")
            await save(driver, "replaced")
            await driver.press("y")
            await driver.until(lambda: file.read_text() == whole)
            await save(driver, "comments")
            file.write_text("changed while the question was asked")
            await driver.press("y")
            await driver.until(lambda: "changed in between" in driver.app.stage.sentence)
            assert file.read_text() == "changed while the question was asked"

    asyncio.run(play())


def test_it_plays_through_by_itself(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path, auto=True, auto_pause=0.05) as driver:
            await driver.until(lambda: not driver.app.is_running or driver.app.farewell, 120)
        assert driver.app.return_value == 0
        assert "is verified" in driver.app.farewell

    asyncio.run(play())


def test_leaving_before_the_install_changes_nothing(tmp_path: Path) -> None:
    async def play() -> None:
        async with driving(tmp_path) as driver:
            await driver.to("review")
            await driver.press("ctrl+c")
        assert driver.app.return_value == 130
        assert driver.app.farewell == "Nothing was changed."

    asyncio.run(play())


def test_answers_given_beforehand(tmp_path: Path) -> None:
    async def play() -> None:
        context = "kubernetes-admin{}@kubernetes"
        document = {
            "name": "given",
            "istio": {"hub": "registry.example.com/istio"},
            "clusters": [
                {"name": "west", "context": context.format(2), "network": "lan2"},
                {"name": "east", "context": context.format(1), "network": "lan1"},
            ],
        }
        async with driving(tmp_path, document=document) as driver:
            await driver.to("review")
            made = driver.app.draft.document()
            assert made["name"] == "given"
            assert [entry["name"] for entry in made["clusters"]] == ["west", "east"]
            assert "registry.example.com/istio" in driver.text

    asyncio.run(play())
