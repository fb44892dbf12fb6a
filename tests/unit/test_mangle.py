"""The detector itself: what it must find, and what is nobody's language. And what keeps a message a message."""

from __future__ import annotations

import pytest

from tests.mangle import Mangled, plain_english
from wizard.messages import Message, counted, joined, msg
from wizard.messages.catalogue import English, rendered, use
from wizard.text import one_line, printable


@pytest.mark.parametrize(
    "text",
    [
        "Nothing was changed.", "Give another place.", "Try again.", "no istioctl was found on the PATH; name it",
        "meshwizard does not overwrite what it did not make.", "Root key   memory kept", "the gateway (kubectl says so)",
    ],
)  # fmt: skip
def test_english_is_found(text: str) -> None:
    assert plain_english(f"cluster1  {text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "Secret cacerts in-between", "`kubectl get pods`", "Look: meshwizard status mesh1", "cluster1, network1",
        "kubectl --context=a -n istio-system delete secret b", "Deployment curl", "topology.istio.io/network", "--istio-hub x",
    ],
)  # fmt: skip
def test_names_and_commands_are_not(text: str) -> None:
    assert not plain_english(text)


def test_every_letter_of_a_message_is_marked_but_not_its_values() -> None:
    assert Mangled().gettext("Look at {pod} by `kubectl get`.") == "Ľööķ àť {pod} ƀÿ `kubectl get`."


def test_what_is_cut_stays_a_message() -> None:
    told = msg("{cluster} does not answer: {why}", cluster="c\x1b[1m", why="because " * 100)
    for cut in (one_line(told, 300), printable(told, 300), one_line(one_line(told, 200), 300)):
        assert isinstance(cut, Message)
        assert len(cut) <= 300
        assert "\x1b" not in cut
        use(Mangled())
        try:
            assert "ďöëš ñöť àñšẁëř" in rendered(cut)
            assert len(rendered(cut)) <= 300
        finally:
            use(English())


def test_a_credential_that_only_the_words_before_it_tell_is_withheld_all_the_same() -> None:
    assert "hunter2hunter2" not in one_line(msg("the password {value} is wrong", value="hunter2hunter2"))


def test_foreign_text_is_no_template() -> None:
    told = joined([msg("{name} is there", name="{0.__class__} {name}"), "{x}"], " {y} ")
    assert rendered(one_line(told)) == "{0.__class__} {name} is there {y} {x}"


def test_a_translation_that_names_another_value_is_no_help() -> None:
    class Wrong(English):
        def gettext(self, message: str) -> str:
            return "{Cluster} antwortet nicht"

        def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
            return "{count:d} {0}"

    use(Wrong())
    try:
        assert rendered(msg("{cluster} does not answer", cluster="c1")) == "c1 does not answer"
        assert rendered(counted("{count} step", "{count} steps", 2)) == "2 steps"
    finally:
        use(English())
