"""Nothing that a terminal obeys, nothing that reorders, no credential gets through to a person's screen."""

from __future__ import annotations

import json
import shlex
import subprocess
import unicodedata

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wizard.text import as_json, duration, for_bash, listing, one_line, printable, redact
from wizard.text import shown as gated

pytestmark = pytest.mark.promise(37)

_MARKS = set("\u061c\u200e\u200f")
_NOTHING = {"\u180e", "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\ufff9", "\U000e0041"}
_REORDER = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
_any = st.text(alphabet=st.characters(exclude_categories=()), max_size=200)
_hostile = st.lists(
    st.sampled_from(
        [
            "\x1b[31m",
            "\x1b]8;;x\x07",
            "\x9b",
            "\r",
            "\x00",
            "\u202e",
            "\u2066",
            "\ud800",
            "\x7f",
            "[/b]",
            "\u200b",
            "\u2060",
            "\U000e0041",
            "a",
            "\n",
        ]
    )
).map("".join)


def harmless(text: str) -> bool:
    """Whether no character controls, reorders or cannot be encoded."""
    return all(
        character in "\n\t"
        or (
            unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp")
            and unicodedata.bidirectional(character) not in _REORDER
            and character not in _MARKS | _NOTHING
        )
        for character in text
    )


@given(_any | _hostile, st.integers(10, 300))
@example("\x1b[2J\u202egpj.exe", 50)
def test_printable_is_harmless_and_short(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert harmless(shown)
    assert len(shown) <= limit
    shown.encode()
    assert printable(shown, limit) == shown


@given(_any | _hostile)
def test_one_line_is_one_line(text: str) -> None:
    shown = one_line(text)
    assert harmless(shown)
    assert "\n" not in shown
    assert len(shown.splitlines()) <= 1


@given(_any | _hostile)
def test_the_last_gate_lets_colours_through_and_nothing_else(text: str) -> None:
    assert harmless(gated(text).replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[31m", ""))
    styled = click.style("x", fg="red", bold=True) + click.style("y", fg="yellow")
    assert gated(styled) == styled
    assert gated(styled + "\x1b[2J\x1b[38m") == f"{styled}\ufffd[2J\ufffd[38m"


@given(_any | _hostile)
def test_json_escapes_and_loses_nothing(text: str) -> None:
    written = as_json({text: [text]})
    assert harmless(written)
    assert "\n" not in written
    written.encode()
    assert json.loads(written) == {text: [text]}


def test_bash_reads_the_word_that_was_meant() -> None:
    words = ["a\x1b[2J\u202eb", "\x9b'\x07", "\u200b", "it's", "x\ty", "\udcff"]
    script = for_bash("printf '%s\\n' " + " ".join(map(shlex.quote, words)))
    said = subprocess.run(["bash", "-c", script], check=True, capture_output=True).stdout
    assert said.decode(errors="surrogateescape").splitlines() == "\n".join(words).splitlines()


@given(st.text(alphabet=st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs")), max_size=80))
def test_ordinary_text_stays(text: str) -> None:
    if redact(text) == text:
        assert printable(text) == text


SECRETS = [
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEsecret\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\nMIIEsecret",
    "-----BEGIN EC PRIVATE KEY-----\r\nMIIEsecret\r\n-----END EC PRIVATE KEY-----",
    "-----BEGIN ENCRYPTED PRIVATE KEY----- MIIEsecret -----END ENCRYPTED PRIVATE KEY-----",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzZWNyZXQifQ.secretsecret",
    "Authorization: Bearer secretsecret",
    "authorization: bearer  secretsecret",
    "client-key-data: secretsecret",
    "password: secretsecret",
    "token secretsecret",
    "token: bearer secretsecret",
    "{'password': 'password: secretsecret'}",
]


@given(st.sampled_from(SECRETS), _any, _any)
def test_credentials_are_withheld_wherever_they_stand(secret: str, before: str, after: str) -> None:
    text = f"{before} {secret} {after}"
    for shown in (printable(text), one_line(text, 4000)):
        assert "secretsecret" not in shown or "secretsecret" in before + after
        assert "MIIEsecret" not in shown


@pytest.mark.parametrize("cut", range(0, 200, 7))
def test_a_credential_at_the_limit_is_withheld(cut: int) -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIE" * 30_000
    assert "MIIE" not in printable("x" * cut + key, 100)


def test_a_megabyte_is_cut_fast() -> None:
    import time

    began = time.perf_counter()
    for _ in range(20):
        printable("x" * (1 << 20))
        one_line("-----BEGIN PRIVATE KEY-----" * 40_000)
        one_line("a " * (1 << 19))
    assert time.perf_counter() - began < 5


def test_words() -> None:
    assert [listing(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert listing(["a", "b"], last="or") == "a or b"
    assert [duration(seconds) for seconds in (0.04, 9.9, 42, 125)] == ["0.0 s", "9.9 s", "42 s", "2 min 05 s"]
