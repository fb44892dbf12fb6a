"""What the program holds of credentials is in nothing that it writes: by value, in whatever form it comes back."""

from __future__ import annotations

import base64
import json
import logging
import shlex
from pathlib import Path
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from state import guard
from state.withheld import NAMELIKE, PIECE, SHORTEST, Withheld, hold
from wizard.certificates.authority import make_key
from wizard.clusters.answers import Asked, refusal
from wizard.clusters.wire import Answer
from wizard.console.output import Output
from wizard.console.report import Trail
from wizard.console.settings import Settings
from wizard.credentials import hold_docker, hold_secret, hold_url, hold_user
from wizard.text import as_json, one_line, printable, redact, shown, tamed

pytestmark = pytest.mark.inputs("S6")

TOKEN = "kubeconfig-u-7f3c2:canary/x4r9+qq7w2k8d5m1z6"
FORMS = {
    "as it is": str,
    "JSON": lambda value: json.dumps({"message": value}),
    "JSON within JSON": lambda value: json.dumps({"message": json.dumps(value)}),
    "repr": repr,
    "URL": lambda value: f"https://host/?t={quote(value, safe='')}&x=1",
    "form": quote_plus,
    "shell": shlex.quote,
    "XML": lambda value: escape(value, {'"': "&quot;"}),
    "hexadecimal": lambda value: value.encode().hex(),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 of user and password": lambda value: base64.b64encode(f"me:{value}".encode()).decode(),
    "base64, one on": lambda value: base64.b64encode(f"x{value}yz".encode()).decode(),
    "base64, two on": lambda value: base64.b64encode(f"xy{value}z".encode()).decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(f"[{value}]".encode()).decode(),
    "base64 in lines": lambda value: base64.encodebytes(f"{'x' * 70}{value * 3}".encode()).decode(),
}


def leaks(value: str, text: str) -> bool:
    """Whether so much of the value can be read out of the text, in any of those forms, that it is no chance."""
    words = {value, json.dumps(value)[1:-1], quote(value, safe=""), value.encode().hex()}
    words |= {base64.b64encode(b"x" * before + value.encode()).decode()[4:-4] for before in range(3)}
    words |= {base64.urlsafe_b64encode(b"x" * before + value.encode()).decode()[4:-4] for before in range(3)}
    return any(word in text for word in words)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [TOKEN, "p@ss'wörd\"<&>%20", "correct horse  battery", "s3cr3t-8"])
def test_a_value_is_found_in_every_form(form: str, value: str) -> None:
    text = f"before {FORMS[form](value)} after"
    assert leaks(value, text) or form in ("JSON within JSON", "repr", "shell", "XML", "form", "base64 in lines")
    hold(value)
    for way in (redact, printable, one_line, shown, guard.redact):
        said = way(text)
        assert not leaks(value, said), said
        assert said.startswith("before ")
        assert said.endswith(" after")
        assert "[withheld]" in said


_value = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cc", "Zs"]), min_size=SHORTEST
)
_beside = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(deadline=None, max_examples=60)
@given(st.lists(_value, min_size=1, max_size=4), _beside, _beside, st.sampled_from(list(FORMS)))
@example(["a" * 40, "a" * 8], "a", "a", "as it is")
@example(["abcdefgh", "abcdefghi"], "", "", "as it is")
def test_any_value_is_found_wherever_it_stands(values: list[str], before: str, after: str, form: str) -> None:
    held = Withheld()
    for value in values:
        held.hold(value)
    for value in values:
        said = held.withhold(f"{before}{FORMS[form](value)}{after}")
        assert value not in said or value in before + after
        assert form == "base64 in lines" or not (leaks(value, said) and not leaks(value, before + after))


def holding(*values: str | bytes) -> Withheld:
    held = Withheld()
    for value in values:
        held.hold(value)
    return held


ODD = "pä\"s/ w\\<&'ö!"  # what any of the escapes writes in another way
WRITTEN = {
    "JSON": json.dumps(ODD, ensure_ascii=False)[1:-1],
    "JSON in ASCII": json.dumps(ODD)[1:-1],
    "JSON in ASCII, within JSON": json.dumps(json.dumps(ODD)[1:-1])[1:-1],
    "JSON as PHP writes it": json.dumps(ODD, ensure_ascii=False)[1:-1].replace("/", r"\/"),
    "JSON as Go writes it": r"pä\"s/ w\\\u003c\u0026'ö!",
    "repr": repr(ODD)[1:-1],
    "a part of a URL": quote(ODD, safe=""),
    "a part of a URL in small letters": "p%c3%a4%22s%2f%20w%5c%3c%26%27%c3%b6%21",
    "a path": quote(ODD),
    "a form": quote_plus(ODD),
    "a shell": shlex.quote(ODD)[1:-1],
    "another shell": ODD.replace("'", r"'\''"),
    "XML": escape(ODD, {'"': "&quot;"}),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_all_of_a_value_is_withheld_and_nothing_beside_it(form: str) -> None:
    assert holding(ODD).withhold(f'"{WRITTEN[form]}", "') == '"[withheld]", "'


LONG = "".join(
    f"{number:02}{letter}" for number, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
)  # no part is there twice


@pytest.mark.parametrize("size", [PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 1, 70])
def test_any_whole_piece_of_a_value_and_its_end_are_withheld(size: int) -> None:
    held = holding(LONG[:size])
    for at in (*range(0, size - PIECE, PIECE), size - PIECE):
        assert held.withhold(f'"{LONG[at : at + PIECE]}"') == '"[withheld]"'


@pytest.mark.parametrize("at", range(0, 70, 3))
def test_no_end_of_a_value_is_left_whatever_stands_before_it(at: int) -> None:
    for value in (f"{LONG[:at]}.{LONG[at:69]}", f"{LONG[:at]}:{LONG[at:40]}!"):
        assert holding(value).withhold(f"({value})") == "([withheld])"


def test_values_that_overlap_are_withheld_both() -> None:
    assert holding("abcdefghij", "ghijklmnop").withhold("abcdefghijklmnop, and on") == "[withheld], and on"


def test_the_last_word_of_a_long_value_is_no_value() -> None:
    held = holding(f"{LONG[: 2 * PIECE]}customer")
    assert held.withhold("the customer") == "the customer"


def test_what_was_encoded_together_with_a_piece_goes_with_it() -> None:
    value = LONG[: PIECE + 9]
    held = holding(value)
    for text in ("{}", "{} is it", "it is {}", '{{"a":"{}","b":1}}', "<{}>: no"):
        assert held.withhold(text.format(value)) == text.format("[withheld]")
        assert held.withhold(text.format(f"abc{value[:PIECE]}xyz")) == text.format("[withheld]")
    assert held.withhold(f"({value})({value})") == "([withheld])([withheld])"


def test_the_longest_that_stands_there_is_withheld_and_no_more() -> None:
    held = holding("abcdefgh", "abcdefghijkl", "correct horse", LONG)
    for text, said in {
        "abcdefghijkl": "[withheld]",
        "abcdefghijk": "[withheld]ijk",
        "abcdefghabcdefghijkl": "[withheld]",
        "correct horse, abcdefgh": "[withheld], [withheld]",
        "correct house": "correct house",
        "me-abcdefgh": "me-[withheld]",
        f"{LONG[:10]} 00": f"{LONG[:10]} 00",
    }.items():
        assert held.withhold(text) == said


def test_a_short_value_counts_with_its_own_length_wherever_it_stands() -> None:
    held = holding("kubernetes", LONG)
    text = "a mesh may well be called kubernetes"
    assert held.holds(text)
    assert not held.holds(text, NAMELIKE)
    assert not held.holds("kuberneteskubernetes", NAMELIKE)


def test_the_lines_of_a_value_that_may_be_ordinary_words_stay() -> None:
    armour = "-----BEGIN PRIVATE KEY-----"
    held = holding(f"{armour}\n{'k' * NAMELIKE}\nkubernetes\n")
    for text in (armour, "kubernetes"):
        assert held.withhold(text) == text
    assert held.withhold("k" * NAMELIKE) == "[withheld]"


@pytest.mark.parametrize("value", [b"\xffcorrect-horse", "\udcffcorrect-horse", "\ud800 correct-horse"], ids=ascii)
def test_what_has_no_encoding_is_withheld_all_the_same(value: str | bytes) -> None:
    text = value.decode(errors="replace") if isinstance(value, bytes) else value
    assert holding(value).withhold(f"({text})") == "([withheld])"


def test_a_value_that_is_read_again_costs_nothing() -> None:
    class Read(str):
        encoded = 0

        def encode(self, *how: str, **named: str) -> bytes:
            Read.encoded += 1
            return super().encode(*how, **named)

    held = holding(Read(TOKEN))
    once = Read.encoded
    held.hold(Read(TOKEN))
    assert once == Read.encoded > 0


def test_what_is_not_held_stays() -> None:
    text = "cluster1: the API server https://10.0.0.1:6443 does not answer: Connection refused"
    hold(TOKEN)
    hold(make_key())
    assert redact(text) == text


def test_a_key_is_found_by_its_lines_and_by_a_part_of_it() -> None:
    key = make_key()
    hold(key)
    lines = [line for line in key.decode().splitlines() if not line.startswith("-----")]
    body = "".join(lines)
    for text in (*lines, body, f"x{body[PIECE:]}", key.decode().replace("\n", "\\n"), json.dumps({"k": key.decode()})):
        said = redact(f"a {text} b")
        assert not any(body[at : at + 20] in said for at in range(len(body) - 20)), said
    encoded = base64.b64encode(base64.b64encode(b"{" + key)[:-4]).decode()
    hold(base64.b64encode(key))
    assert "[withheld]" in redact(encoded) or "[withheld]" in redact(base64.b64encode(b"{" + key).decode())


def test_what_is_short_is_no_value_and_what_may_be_a_name_does_not_keep_a_mesh_from_being_recorded() -> None:
    for value in ("", "a", "cluster", "   \n  "):
        hold(value)
    assert redact("cluster a") == "cluster a"
    hold("kubernetes")
    assert redact("kubernetes-admin@kubernetes") == "[withheld]-admin@[withheld]"
    assert guard.text("kubernetes-admin@kubernetes", "context")
    hold("k" * NAMELIKE)
    with pytest.raises(ValueError, match="a credential that this program holds"):
        guard.plain({"a": ["k" * NAMELIKE]}, "document")


def test_nothing_that_is_held_can_be_shown() -> None:
    held = Withheld()
    held.hold(TOKEN)
    assert not any(TOKEN[:12] in repr(each) or TOKEN[:12] in str(each) for each in (held, vars(held)))


def test_an_api_server_that_repeats_a_token_without_its_word() -> None:
    hold(TOKEN)
    asked = Asked("east", "admin@east", None, "https://10.0.0.1", "get it")
    for body in (
        {"kind": "Status", "message": f"no such user: {TOKEN}"},
        {"kind": "Status", "message": f"Authorization: Basic {base64.b64encode(f'me:{TOKEN}'.encode()).decode()}"},
    ):
        told = refusal(asked, Answer(500, {}, json.dumps(body).encode(), 0.1))
        assert not leaks(TOKEN, told.what + told.remedy)
        assert "[withheld]" in told.what


@pytest.mark.parametrize(
    "url", ["https://me:hunter2@10.0.0.1:6443/x", "http://:p@h", "https://token@h", "wss://a:b%40c@h"]
)
def test_the_user_of_a_url_is_withheld_also_where_nobody_holds_it(url: str) -> None:
    said = redact(f"see {url}, and on")
    assert "@" in said
    assert said == f"see {url.partition('//')[0]}//[withheld]@{url.rpartition('@')[2]}, and on"
    assert redact("--state cluster://admin@one/default") == "--state cluster://admin@one/default"


def test_everything_that_writes_withholds(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(TOKEN)
    out = Output(color=False)
    out.line(f"a {TOKEN}")
    out.remark(f"b {json.dumps(TOKEN)}")
    out.json({"c": [TOKEN], TOKEN: Path(f"/{TOKEN}")})
    settings_ = Settings(log=tmp_path / "log")
    settings_.start()
    try:
        raise ValueError(TOKEN)
    except ValueError:
        logging.getLogger("wizard.x").exception("it said %s", TOKEN)
    settings_.close()
    said = capsys.readouterr()
    everything = said.out + said.err + (tmp_path / "log").read_text() + as_json(tamed({"x": TOKEN}, 100))
    assert not leaks(TOKEN, everything)
    assert everything.count("[withheld]") >= 7


def test_a_report_withholds() -> None:
    hold(TOKEN)
    trail = Trail()
    try:
        raise KeyError(TOKEN)
    except KeyError as error:
        logging.getLogger("wizard").error("unexpected", exc_info=error)
    assert TOKEN not in trail.text(1)


def test_each_door_knows_what_is_secret_in_what_it_reads() -> None:
    def canary(number: int) -> str:
        return f"canary-{number}-{'x' * number}"

    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    provider = {
        "config": {
            "id-token": canary(1),
            "refresh-token": canary(2),
            "client-secret": canary(3),
            "idp-issuer-url": "issuer-of-all",
        }
    }
    env = [{"name": "AWS_SECRET_ACCESS_KEY", "value": canary(4)}, {"name": "AWS_PROFILE", "value": "production"}]
    args = ["get-token", "--cluster-name", "production", f"--client-secret={canary(5)}", "--password", canary(6)]
    hold_user({"username": "administrator", "auth-provider": provider, "exec": {"env": env, "args": args}})
    hold_url(f"https://me:{quote(canary(7))}%21@proxy.example.org:8080/x")
    auths = {"r.example.org": {"auth": encoded(f"me:{canary(8)}")}, "q.example.org": {"identitytoken": canary(9)}}
    hold_docker(json.dumps({"auths": auths}))
    kubeconfig = f"current-context: east\nusers:\n- name: somebody\n  user:\n    token: {canary(10)}\n"
    hold_secret(
        {"data": {"token": encoded(canary(11)), "namespace": encoded("istio-system"), "east": encoded(kubeconfig)}}
    )
    hold_secret(
        {"stringData": {"east": json.dumps({"current-context": "x", "users": [{"user": {"token": canary(12)}}]})}}
    )
    key = make_key().decode()
    hold_secret(
        {"data": {"ca-key.pem": encoded(key), "ca-cert.pem": encoded("-----BEGIN CERTIFICATE-----\nMIICERTIFICATE")}}
    )
    for number in {*range(1, 13)} - {7}:
        assert redact(f"({canary(number)})") == "([withheld])", number
    assert redact(f"({canary(7)}!)") == "([withheld])"
    assert encoded(f"me:{canary(8)}")[4:-4] not in redact(encoded(f"me:{canary(8)}"))
    assert key.splitlines()[1] not in redact(key.splitlines()[1])
    known = "administrator production issuer-of-all proxy.example.org r.example.org istio-system east MIICERTIFICATE somebody"
    assert redact(known) == known


@pytest.mark.parametrize(
    "odd", [None, {}, {"data": None}, {"data": {"token": None, "x": "!!"}}, {"data": {"x": "/w=="}}]
)
def test_what_is_no_secret_at_all_holds_nothing(odd: dict[str, object] | None) -> None:
    hold_secret(odd or {})
    hold_user(odd or {})
    for text in ("", "[]", "{}", '{"auths": []}', '{"auths": {"x": null}}', "\0"):
        hold_docker(text)
    hold_user(
        {"exec": {"env": [None, {"name": None}], "args": [1, None]}, "auth-provider": "x", "client-key-data": "!"}
    )
    for url in ("", None, "://", "x@y", 7):
        hold_url(url)
    assert redact("as it was") == "as it was"
