"""The plain questions: the same conversation over numbered lines and over questionary, on a toy outside."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from tests.unit.commands_fakes import Toy, ToyOutside, put_in_place
from wizard.commands.main import run
from wizard.engine.step import Difference, Done, Needed, Probe
from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS, Field, cluster_field, mesh_field
from wizard.plain.asking import Asker, Option
from wizard.plain.fields import ask
from wizard.plain.flow import make_agree
from wizard.plain.numbered import Numbered
from wizard.plain.prompts import Prompts
from wizard.world import World

Make = Callable[[str], Asker]
ENTER, DOWN, SPACE = "\r", "\x1b[B", " "


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def numbered(said: list[str]) -> Make:
    def make(answers: str) -> Asker:
        lines: Iterator[str] = iter(answers.split("\n"))

        def read() -> str:
            try:
                return next(lines)
            except StopIteration:
                raise EOFError from None

        return Numbered(said.append, read)

    return make


@pytest.fixture
def prompts(said: list[str]) -> Iterator[Make]:
    with create_pipe_input() as pipe:

        def make(keys: str) -> Asker:
            pipe.send_text(keys)
            return Prompts(said.append, input=pipe, output=DummyOutput())

        yield make


# -- numbered lines


def test_numbered_text_asks_until_it_fits(numbered: Make, said: list[str]) -> None:
    assert ask(numbered("Mesh_1\nmesh2"), mesh_field("name"), None) == "mesh2"
    assert any("no DNS label" in line for line in said)
    assert ask(numbered(""), mesh_field("name"), None) == "mesh1"
    assert ask(numbered(""), mesh_field("name"), "other") == "other"


def test_numbered_choices(numbered: Make, said: list[str]) -> None:
    policy = mesh_field("istio.imagePullPolicy")
    assert ask(numbered("2"), policy, None) == "Always"
    assert ask(numbered(""), policy, "Never") == "Never"
    assert ask(numbered("0\nx\n9\n1 2\n3"), policy, None) == "Never"
    assert any("is no number from 1 to 3" in line for line in said)


def test_a_choice_without_a_default_may_be_left_open(numbered: Make, said: list[str]) -> None:
    exposure = cluster_field("gateway.exposure")
    assert ask(numbered(""), exposure, None) is None
    assert "  1) Default, or what is found" in said
    assert ask(numbered("4"), exposure, None) == "load-balancer"
    assert ask(numbered(""), exposure, "external-ips") == "external-ips"
    assert ask(numbered("1"), exposure, "external-ips") is None


def test_numbered_numbers_and_lists(numbered: Make) -> None:
    port = cluster_field("gateway.port")
    assert ask(numbered("70000\n31500"), port, None) == 31500
    assert ask(numbered(""), port, None) is None
    assert ask(numbered(""), port, 31443) == 31443
    assert ask(numbered("-"), port, 31443) is None
    assert ask(numbered("a.yaml, b.yaml"), mesh_field("istio.overlays"), None) == ["a.yaml", "b.yaml"]


def test_numbered_many(numbered: Make, said: list[str]) -> None:
    options = [Option("a"), Option("b", "it is off"), Option("c")]

    def two(chosen: list[int]) -> str | None:
        return None if len(chosen) == 2 else "two, please"

    assert numbered("1\n1 2\n3,1").choose_many("Which", options, check=two) == [0, 2]
    assert any("two, please" in line for line in said)
    assert any("it is off" in line for line in said)


def test_the_end_of_answers_ends_the_questions(numbered: Make) -> None:
    asker = numbered("bad name")
    with pytest.raises(EOFError):
        ask(asker, mesh_field("name"), None)


# -- questionary


def test_prompted_text(prompts: Make) -> None:
    assert ask(prompts("\x15mesh2" + ENTER), mesh_field("name"), None) == "mesh2"
    assert ask(prompts(ENTER), mesh_field("name"), None) == "mesh1"
    assert ask(prompts("\x15Bad" + ENTER + "\x15good" + ENTER), mesh_field("name"), None) == "good"


def test_prompted_choices_skip_what_cannot_be(prompts: Make) -> None:
    assert ask(prompts(DOWN + ENTER), mesh_field("istio.imagePullPolicy"), None) == "Always"
    assert ask(prompts(ENTER), mesh_field("istio.imagePullPolicy"), "Never") == "Never"
    assert ask(prompts(DOWN + ENTER), mesh_field("topology"), None) == "primary-remote"
    assert ask(prompts(ENTER), cluster_field("gateway.exposure"), None) is None
    assert prompts(DOWN + ENTER).choose("Which", [Option("a"), Option("b", "it is off"), Option("c")]) == 2


def test_prompted_many(prompts: Make) -> None:
    options = [Option("a"), Option("b", "it is off"), Option("c")]
    check = lambda chosen: None if len(chosen) == 2 else "two, please"  # noqa: E731
    assert prompts(SPACE + ENTER + DOWN + SPACE + ENTER).choose_many("Which", options, check=check) == [0, 2]


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_leaving_a_prompt(prompts: Make, key: str) -> None:
    with pytest.raises((KeyboardInterrupt, EOFError)):
        prompts("\x15" + key).text("Name", default="", hint="", check=lambda _: None)


YAML = {"tolerations": [{"key": "a", "operator": "Exists"}], "gateway.annotations": {"example.com/a": "true"}}


@pytest.mark.parametrize("field", MESH_FIELDS + CLUSTER_FIELDS, ids=lambda field: f"{field.scope}-{field.key}")
def test_every_field_can_be_asked_either_way(field: Field, numbered: Make, prompts: Make) -> None:
    current: Any = field.default
    if current is None:
        current = YAML.get(field.key) or {"integer": 31443, "paths": ["a"], "texts": ["10.0.0.1", "10.0.0.2"]}.get(
            field.kind
        )
    if current is None:
        current = {
            "gateway.address": "10.0.0.1", "gateway.node": "10.0.0.1", "apiServer": "https://10.0.0.1", "sample": "v1",
            "istio.version": "1.29.1", "serviceCidr": "10.96.0.0/16", "gateway.exposure": "load-balancer",
                "istio.installed": "by-others",
        }.get(field.key, "a")  # fmt: skip
    assert ask(numbered(""), field, current) == current
    assert ask(prompts(ENTER), field, current) == current


# -- the conversation


class Talk:
    """`meshwizard plain` over a pipe, with these answers."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.out = self.err = ""

    def put(self, module: str, name: str, value: object) -> None:
        self._monkeypatch.setattr(importlib.import_module(module), name, value)

    def __call__(self, answers: list[str], *arguments: str) -> int:
        self._monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))
        code = run(["--state-dir", str(self.folder / "state"), "plain", *arguments])
        self.out, self.err = self._capsys.readouterr()
        assert "Traceback" not in self.out + self.err
        return code


@pytest.fixture
def toy() -> Toy:
    return Toy("cluster1/a")


@pytest.fixture
def talk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], toy: Toy) -> Talk:
    made = Talk(tmp_path, monkeypatch, capsys)
    put_in_place([toy], put=made.put)
    return made


MESH_QUESTIONS = sum(field.required for field in MESH_FIELDS)
# Kubeconfigs, contexts, the mesh, then name, network and exposure of two clusters.
DEFAULTS = ["", "1 2"] + [""] * (MESH_QUESTIONS + 6)


def test_enter_all_the_way_installs(talk: Talk, toy: Toy) -> None:
    assert talk([*DEFAULTS, "1"]) == 0
    assert toy.made
    assert "absent → 1" in talk.out
    assert "all 1 steps done" in talk.out


def test_leaving_at_the_review_touches_nothing(talk: Talk, toy: Toy) -> None:
    assert talk([*DEFAULTS, "6"]) == 130
    assert "nothing was touched" in talk.out
    assert not toy.made
    assert not (talk.folder / "state").exists()


@pytest.mark.parametrize("count", range(len(DEFAULTS) + 1))
def test_the_end_of_answers_anywhere_touches_nothing(talk: Talk, toy: Toy, count: int) -> None:
    assert talk(DEFAULTS[:count]) == 130
    assert "nothing was changed" in talk.err
    assert not toy.made


def test_flags_skip_questions(talk: Talk, toy: Toy) -> None:
    flags = ["--context", "admin2@k", "--context", "admin1@k", "--name", "other", "--trust-domain", "td",
             "--istio-hub", "reg/istio", "--istio-image-pull-policy", "Always", "--certificates-source", "existing",
             "--verify-namespace", "probe", "--verify-hub", "reg/istio", "--topology", "multi-primary",
             "--verify-probes", "never"]  # fmt: skip
    assert talk(["east", "", "west", "", "", "", "5", str(talk.folder / "mesh.yaml"), "6"], *flags) == 130
    written = yaml.safe_load((talk.folder / "mesh.yaml").read_text())
    assert written["name"] == "other"
    assert [cluster["name"] for cluster in written["clusters"]] == ["east", "west"]
    assert [cluster["context"] for cluster in written["clusters"]] == ["admin2@k", "admin1@k"]


def test_flags_that_do_not_fit_are_bad_input(talk: Talk) -> None:
    assert talk([], "--name", "No_Name", "--istio-hub", "https://x") == 2
    assert "--name" in talk.err
    assert "--istio-hub" in talk.err
    assert talk([], "--context", "nobody") == 2
    assert "admin1@k" in talk.err


def test_mistakes_between_fields_are_told_and_can_be_changed(talk: Talk, toy: Toy) -> None:
    same = ["", "1 2", *[""] * MESH_QUESTIONS, "twin", "", "twin", "", "", ""]
    change = ["4", "1", "other", "1"]  # settings of the second cluster; its name
    assert talk([*same, *change]) == 0
    assert "used twice" in talk.err
    assert toy.made


TOPOLOGY = [field.key for field in MESH_FIELDS if field.required].index("topology")
SOURCE = [field.key for field in MESH_FIELDS if field.required].index("certificates.source")


def mesh_answers(**given: str) -> list[str]:
    answers = [""] * MESH_QUESTIONS
    for key, answer in given.items():
        answers[{"topology": TOPOLOGY, "source": SOURCE}[key]] = answer
    return answers


def written(talk: Talk, answers: list[str], clusters: int) -> dict[str, Any]:
    """The mesh file that these answers make."""
    file = talk.folder / "mesh.yaml"
    assert talk([*answers, str(clusters + 3), str(file), str(clusters + 4)]) == 130
    found: dict[str, Any] = yaml.safe_load(file.read_text())
    return found


def test_primary_remote_asks_for_roles_and_for_nothing_that_follows(talk: Talk) -> None:
    names = ["", "", "", ""]
    roles = ["", ""]  # the first is a primary, the other its remote; there is only one primary to choose
    mesh = written(talk, ["", "1 2", *mesh_answers(topology="2"), *names, *roles, "", ""], 2)
    assert [cluster["role"] for cluster in mesh["clusters"]] == ["primary", "remote"]
    assert [cluster["gateway"]["exposure"] for cluster in mesh["clusters"]] == ["external-ips", "node-port"]
    assert "Proposed: external-ips, because remotes need the ports 15012 and 15017" in talk.out
    assert "Primary of" not in talk.out


def test_several_primaries_are_chosen_from(talk: Talk) -> None:
    put_in_place([], ToyOutside(4), talk.put)
    names = [""] * 8
    roles = ["", "1", "", ""]
    mesh = written(talk, ["", "1 2 3 4", *mesh_answers(topology="2"), *names, *roles, "", "2", *[""] * 4], 4)
    assert [cluster.get("primary") for cluster in mesh["clusters"]] == [None, None, "cluster1", "cluster2"]


def test_a_shared_network_has_no_gateways_to_ask_for(talk: Talk) -> None:
    mesh = written(talk, ["", "1 2", *mesh_answers(), "", "lan", "", "lan"], 2)
    assert [cluster["network"] for cluster in mesh["clusters"]] == ["lan", "lan"]
    assert "Gateway exposure" not in talk.out


def test_certificates_from_a_folder_need_the_folder(talk: Talk) -> None:
    answers = mesh_answers(source="3")
    answers[SOURCE + 1 : SOURCE + 1] = ["", "certs"]  # an empty answer is refused
    mesh = written(talk, ["", "1 2", *answers, *[""] * 6], 2)
    assert mesh["certificates"] == {"source": "directory", "path": "certs"}
    assert "an answer is required" in talk.out


def test_answers_that_make_no_sense_any_more_are_taken_out() -> None:
    gateway = {"exposure": "load-balancer", "port": 31443, "node": "10.0.0.1"}
    document: dict[str, Any] = {
        "topology": "multi-primary",
        "clusters": [
            {"name": "a", "network": "n1", "role": "remote", "primary": "b", "discoveryAddress": "10.0.0.9"},
            {"name": "b", "network": "n2", "gateway": gateway, "serviceCidr": "10.96.0.0/16"},
        ],
    }
    make_agree(document)
    assert document["clusters"] == [
        {"name": "a", "network": "n1"},
        {"name": "b", "network": "n2", "gateway": {"exposure": "load-balancer"}},
    ]
    document["clusters"][0]["network"] = "n2"
    make_agree(document)
    assert document["clusters"][1] == {"name": "b", "network": "n2"}


def test_one_cluster_under_two_contexts_cannot_be_chosen(talk: Talk) -> None:
    put_in_place([], ToyOutside(3, same=True), talk.put)
    assert talk(["", "1 2"]) == 130
    assert "are one cluster" in talk.out


def test_contexts_that_cannot_be_used_say_why(talk: Talk) -> None:
    outside = ToyOutside(2)
    outside.dark = {"admin2@k"}
    put_in_place([], outside, talk.put)
    assert talk([""]) == 130
    assert "is it on?" in talk.out
    assert "needs two clusters" in talk.err
    assert talk([], "--kubeconfig", "/k") == 2


def test_what_failed_can_be_tried_again(talk: Talk, toy: Toy) -> None:
    toy.behaviour = "fails"
    assert talk([*DEFAULTS, "1", "1", "2"]) == 1
    assert talk.err.count("the toy broke") == 2
    assert "meshwizard resume mesh1" in talk.err
    assert talk([""]) == 130
    assert "Mesh mesh1 is unfinished" in talk.out


@pytest.mark.promise(38)
def test_leaving_after_a_failure_keeps_its_exit_code(talk: Talk, toy: Toy) -> None:
    toy.behaviour = "fails"
    assert talk([*DEFAULTS, "1"]) == 1  # the answers end at "try again, or leave"
    assert "Go on with: meshwizard resume mesh1 --state-dir" in talk.err
    assert "stopped by you" not in talk.err
    assert talk([""]) == 130
    assert f"go on with it by: meshwizard resume mesh1 --state-dir {talk.folder / 'state'}" in talk.out


@pytest.mark.promise(22)
def test_what_changed_since_it_was_shown_is_shown_again(talk: Talk, toy: Toy) -> None:
    class Changing(Toy):
        looks = 0

        def probe(self, world: World) -> Probe:
            self.looks += 1
            if self.made:
                return Done()
            image = "old" if self.looks == 1 else "of somebody"
            return Needed((Difference("Deployment toy", "spec.image", image, "ours", by=""),))

    changing = Changing("cluster1/a")
    put_in_place([changing], put=talk.put)
    assert talk([*DEFAULTS, "1"]) == 3  # the answers end where it is shown again
    assert "this is not what was agreed to, so nothing was changed" in talk.err
    assert not changing.made
    assert "spec.image: of somebody → ours" in talk.out
    changing.looks = 0
    assert talk([*DEFAULTS, "1", "1"]) == 0
    assert changing.made
