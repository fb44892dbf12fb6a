"""Nothing that a terminal obeys, nothing that reorders, no credential gets through to a person's screen."""

from __future__ import annotations

import json
import shlex
import subprocess
import unicodedata
from pathlib import Path

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wizard.text import as_json, duration, for_bash, listing, one_line, printable, redact, tamed, word
from wizard.text import harmless as told_harmless
from wizard.text import shown as gated

pytestmark = [pytest.mark.promise(37), pytest.mark.inputs("S15")]

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
    words = ["a\x1b[2J\u202eb", "\x9b'\x07", "\u200b", "it's", "x\ty", "\udcff", "\udc80"]
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
    "token: password=secretsecret",
    "token -token: secretsecret",
    "a-eyJhbGciOiJSUzI1NiJ9.secretsecret",
    "eyJhbGciOi eyJhbGciOiJSUzI1NiJ9.secretsecret",
    "https://me:secretsecret@10.0.0.1",
]


def test_a_short_value_that_begins_like_a_name_is_withheld() -> None:
    assert redact("bearer token=abc1234, and on") == "bearer [withheld], and on"
    assert (
        redact("token: password='short' bearer token is missing") == "token: password='short' bearer token is missing"
    )
    assert redact("token: password=abc1234, and on") == "token: [withheld], and on"
    assert redact("{token:'password=abc1234'}") == "{token:'[withheld]'}"
    assert redact("password=abc1234, and on") == "password=abc1234, and on"


def test_what_only_begins_like_a_token_stays() -> None:
    assert redact("eyJhbGciOi and on") == "eyJhbGciOi and on"
    assert redact("https://10.0.0.1:6443/x?y") == "https://10.0.0.1:6443/x?y"
    assert redact("https://me:pw@10.0.0.1/x") == "https://[withheld]@10.0.0.1/x"


INVISIBLE = [0xAD, 0x34F, 0x115F, 0x3164, 0x2800, 0xFE0F, 0xFFA0, 0x1BCA0, *range(0x1D173, 0x1D17B), 0xE0100]


@pytest.mark.parametrize("code", INVISIBLE, ids=hex)
def test_what_shows_nothing_is_made_visible(code: int) -> None:
    text = f"pro{chr(code)}d"
    assert printable(text) == gated(text) == "pro\ufffdd"
    assert json.loads(as_json(text)) == text
    assert chr(code) not in as_json(text)
    assert chr(code) not in for_bash(f"'{text}'")


def test_every_format_character_is_made_visible_but_those_that_are_seen() -> None:
    seen = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}  # marks of numbers and chapters
    formats = [code for code in range(0x110000) if unicodedata.category(chr(code)) == "Cf"]
    assert {code for code in formats if printable(chr(code)) == chr(code)} == seen


def test_a_symbol_that_asks_for_its_picture_stays_a_symbol() -> None:
    assert printable("installed \u26f5\ufe0f") == "installed \u26f5"
    assert printable("\u26f5\ufe0f\ufe0f") == "\u26f5\ufffd"


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


def test_no_more_is_cut_than_must_be() -> None:
    assert printable("a" * 10, 10) == "a" * 10
    assert printable("a" * 11, 10) == "a" * 9 + "…"
    assert one_line("a\n" * 10, 19) == " ".join("a" * 10)


def test_json_reads_well() -> None:
    assert as_json({"ä": [Path("/é\x1b")]}) == '{"ä": ["/é\ufffd"]}'
    assert as_json({"a": 1}, indent=2) == '{\n  "a": 1\n}'


def test_every_text_in_data_is_tamed_and_the_rest_stays() -> None:
    data = {"a\x1b\n": ["b\x1b", ("c" * 9,), 7, None, True], 8: {"d": "e"}}
    assert tamed(data, 5) == {"a\ufffd": ["b\ufffd", ["cccc…"], 7, None, True], "8": {"d": "e"}}


def test_what_is_harmless_is_told() -> None:
    assert told_harmless("line\n\tä ⛵")
    assert not any(told_harmless(f"a{each}b") for each in ("\x1b", "\u202e", "\u200b", "\ud800"))


def test_a_word_of_a_script_that_nobody_is_shown_is_that_word() -> None:
    words = ["it's\n$x `y`", "", "-"]
    assert shlex.split(" ".join(map(word, words))) == words


def test_words() -> None:
    assert [listing(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert listing(["a", "b"], last="or") == "a or b"
    assert [duration(seconds) for seconds in (0.04, 9.9, 10, 42)] == ["0.0 s", "9.9 s", "10 s", "42 s"]
    assert [duration(seconds) for seconds in (60, 125)] == ["1 min 00 s", "2 min 05 s"]
