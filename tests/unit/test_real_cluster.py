"""Real connections to an API server that is slow, silent or wrong: every call ends, and says why in a sentence."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.api_fakes import (
    Api,
    Asked,
    Pair,
    Reaction,
    Reset,
    Said,
    Silence,
    Slowly,
    api,
    http_date,
    kubeconfig,
    pair,
    thing,
)
from wizard.clusters.kinds import CONFIG_MAP, NAMESPACE, POD, Object, Ref
from wizard.clusters.patience import HURRIED, PATIENT, Patience
from wizard.clusters.port import Cluster, Conflicting, Outdated, Right
from wizard.clusters.real import RealCluster
from wizard.errors import Failed, NotAllowed, NotKnown, Trouble, Unreachable

QUICK = Patience(connect=1.0, silence=1.0, total=3.0, pauses=(0.01, 0.02, 0.03), plugin=3.0, mute=0.0, parked=0.5)
HASTY = Patience(connect=0.5, silence=0.5, total=1.0, pauses=(0.01,), plugin=3.0, mute=0.0, parked=0.5)
SOON = 30.0  # seconds in which a call with QUICK must have ended, on a machine with other things to do
TOKEN = {"token": "abc"}
REF = Ref(CONFIG_MAP, "one", "default")
MANIFEST: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": "default"}}
CALLS: dict[str, Callable[[Cluster], object]] = {
    "version": lambda cluster: cluster.version(),
    "get": lambda cluster: cluster.get(REF),
    "list": lambda cluster: cluster.objects(CONFIG_MAP),
    "apply": lambda cluster: cluster.apply(MANIFEST),
    "create": lambda cluster: cluster.create(MANIFEST),
    "replace": lambda cluster: cluster.replace(MANIFEST),
    "delete": lambda cluster: cluster.delete(REF),
    "denied": lambda cluster: cluster.denied([Right("list", POD)] * 30),
    "execute": lambda cluster: cluster.execute(Ref(POD, "one", "default"), "main", ["true"], seconds=1),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Api]:
    with api(tmp_path) as made:
        yield made


@pytest.fixture
def cluster(server: Api, tmp_path: Path) -> Iterator[RealCluster]:
    made = RealCluster("east", kubeconfig(tmp_path / "config", server.url, server.authority, TOKEN), "ours", QUICK)
    yield made
    made.close()


def in_turn(*reactions: Reaction) -> Callable[[Asked], Reaction]:
    """Each once; the last for ever."""
    left = list(reactions)
    lock = threading.Lock()

    def react(_: Asked) -> Reaction:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return react


def status(code: int, message: str = "says the server", **more: Any) -> Said:
    return Said(code, {"kind": "Status", "message": message, "code": code, **more})


def trouble(call: Callable[[], object], kind: type[Trouble] = Trouble) -> Trouble:
    began = time.monotonic()
    with pytest.raises(kind) as told:
        call()
    assert time.monotonic() - began < SOON
    assert "east" in told.value.what
    assert told.value.what.isprintable()
    return told.value


# -- deadlines


@pytest.mark.promise(26)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "reaction",
    [
        Silence(),
        Slowly(Said(body={"a": "b" * 1000}), 0.1),
        Slowly(Said(raw=b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000), 0.1),
    ],
    ids=["silence", "drip", "drip of headers"],
)
def test_a_server_that_never_ends_its_answer_is_given_up(
    server: Api, tmp_path: Path, call: str, reaction: Reaction
) -> None:
    server.react = lambda _: reaction
    config = kubeconfig(tmp_path / "config", server.url, server.authority, TOKEN)
    cluster = RealCluster("east", config, "ours", HASTY)
    assert server.url in trouble(lambda: CALLS[call](cluster), Unreachable).what


@pytest.mark.promise(26)
def test_a_handshake_that_hangs_is_given_up(tmp_path: Path) -> None:
    with api(tmp_path, tls=False) as deaf:
        config = kubeconfig(tmp_path / "config", deaf.url, deaf.authority, TOKEN)

        def given_up(call: Callable[[Cluster], object]) -> str:
            return trouble(lambda: call(RealCluster("east", config, "ours", HASTY)), Unreachable).what

        with ThreadPoolExecutor(len(CALLS)) as pool:  # each waits for itself
            for told in pool.map(given_up, CALLS.values()):
                assert "its TLS handshake did not end" in told


@pytest.mark.promise(26)
def test_an_address_that_swallows_everything_is_given_up(tmp_path: Path) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:  # its backlog is full now: further connections stay unanswered
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        config = kubeconfig(tmp_path / "config", f"https://127.0.0.1:{port}", pair("authority"), TOKEN)
        assert "no connection within" in trouble(RealCluster("east", config, "ours", QUICK).version, Unreachable).what
        for each in waiting:
            each.close()


@pytest.mark.promise(26)
def test_a_name_that_is_not_resolved_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: never.wait())
    config = kubeconfig(tmp_path / "config", "https://nowhere.invalid", pair("authority"), TOKEN)
    told = trouble(RealCluster("east", config, "ours", QUICK).version, Unreachable)
    never.set()
    assert "the name nowhere.invalid is not resolved in time" in told.what


@pytest.mark.promise(26)
def test_a_flood_is_given_up(server: Api, cluster: RealCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wizard.clusters.wire.MAX_ANSWER", 1 << 20)
    server.react = lambda _: Said(body=b"x" * (3 << 20))
    assert "longer than 1 MiB" in trouble(cluster.version, Failed).what
    assert len(server.asked) == 1


@pytest.mark.promise(26)
def test_the_whole_of_many_requests_has_an_end(server: Api, tmp_path: Path) -> None:
    def late(_: Asked) -> Reaction:
        time.sleep(0.2)
        return Said(body={"items": [], "metadata": {"continue": "for ever"}})

    server.react = late
    config = kubeconfig(tmp_path / "config", server.url, server.authority, TOKEN)
    brief = Patience(**{**vars(QUICK), "total": 1.0})
    trouble(lambda: RealCluster("east", config, "ours", brief).objects(CONFIG_MAP), Unreachable)
    assert len(server.asked) > 1


@pytest.mark.promise(26)
def test_a_connection_that_was_kept_and_broke_is_made_anew(server: Api, cluster: RealCluster) -> None:
    cluster.version()
    server.react = in_turn(Reset(), Said(body=thing("one")))
    assert (cluster.get(REF) or {})["metadata"] == thing("one")["metadata"]


def test_while_somebody_looks_on_a_dead_context_costs_seconds() -> None:
    assert HURRIED.total <= 10
    assert PATIENT.total <= 30


@pytest.mark.promise(26, 29)
def test_a_cluster_that_could_not_be_reached_is_tried_once_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    authority = pair("authority")
    config = kubeconfig(tmp_path / "config", f"https://127.0.0.1:{port}", authority, TOKEN)
    cluster = RealCluster("east", config, "ours", Patience(**{**vars(QUICK), "parked": 600.0}))
    naps: list[float] = []
    monkeypatch.setattr("wizard.clusters.patience.time.sleep", naps.append)
    trouble(cluster.version, Unreachable)
    assert len(naps) == len(QUICK.pauses)
    naps.clear()
    trouble(cluster.version, Unreachable)
    assert not naps
    cluster = RealCluster("east", config, "ours", Patience(**{**vars(QUICK), "mute": 600.0}))
    told = trouble(cluster.version, Unreachable)
    late = Api(tmp_path, authority, pair("server", authority), port=port)
    assert trouble(lambda: cluster.apply(MANIFEST), Unreachable).what == told.what
    RealCluster("east", config, "ours", QUICK).version()
    assert [asked.method for asked in late.asked] == ["GET"]
    late.end()


def test_who_may_do_everything_is_asked_one_question(server: Api, cluster: RealCluster) -> None:
    assert cluster.denied([Right("list", POD)] * 30) == []
    assert len(server.asked) == 1


def test_who_may_do_some_of_it_is_asked_about_each(server: Api, cluster: RealCluster) -> None:
    def review(asked: Asked) -> Said:
        attributes = json.loads(asked.body)["spec"]["resourceAttributes"]
        return Said(201, {"status": {"allowed": attributes["verb"] == "list"}})

    server.react = review
    rights = [Right("list", POD), Right("create", POD, "default", "exec"), Right("list", NAMESPACE)]
    assert cluster.denied(rights) == [rights[1]]


# -- by kind of answer


@pytest.mark.promise(27)
@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("call", ["version", "get", "list", "apply", "denied"])
def test_what_may_pass_is_waited_for(server: Api, cluster: RealCluster, code: int, call: str) -> None:
    server.react = in_turn(status(code), status(code), Said())
    CALLS[call](cluster)
    assert [asked.path for asked in server.asked[:3]] == [server.asked[0].path] * 3


@pytest.mark.promise(27)
@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("call", [call for call in CALLS if call != "execute"])
def test_what_does_not_pass_is_told(server: Api, cluster: RealCluster, code: int, call: str) -> None:
    server.react = lambda _: status(code, "no \x1b[31mluck")
    told = trouble(lambda: CALLS[call](cluster), Failed)
    assert "luck" in told.what
    assert told.remedy
    assert isinstance(told, Unreachable) == (code != 500)
    assert len(server.asked) <= 1 + len(QUICK.pauses)


@pytest.mark.promise(27)
@pytest.mark.parametrize("code", [429, 503])
def test_a_wish_for_patience_is_obeyed(server: Api, cluster: RealCluster, code: int, monkeypatch: Any) -> None:
    naps: list[float] = []
    monkeypatch.setattr("wizard.clusters.patience.time.sleep", naps.append)
    now = datetime.now(UTC)
    # By the server's own clock, whatever ours says.
    there = now + timedelta(days=365)
    dated = {"Retry-After": http_date(there + timedelta(seconds=2)), "Date": http_date(there)}
    server.react = in_turn(Said(code, headers={"Retry-After": "1"}), Said(code, headers=dated), Said())
    cluster.version()
    assert 1 <= naps[0] <= 1.2
    assert 1 <= naps[1] <= 2.4


@pytest.mark.promise(27)
@pytest.mark.parametrize("wish", ["3600", "0", "99999999999999999999", "Wed, 21 Oct 2099 07:28:00 GMT", "soon", ""])
def test_a_wish_for_patience_has_a_budget(server: Api, cluster: RealCluster, wish: str) -> None:
    server.react = lambda _: Said(429, {"message": "later"}, {"Retry-After": wish})
    assert "later" in trouble(cluster.version, Unreachable).what
    assert len(server.asked) <= 11


@pytest.mark.promise(27, 28)
@pytest.mark.parametrize("call", ["create", "replace", "delete"])
@pytest.mark.parametrize("reaction", [Reset(), status(500), status(502), status(503), status(504)])
def test_what_must_not_be_done_twice_is_not_asked_twice(
    server: Api, cluster: RealCluster, call: str, reaction: Reaction
) -> None:
    server.react = lambda _: reaction
    trouble(lambda: CALLS[call](cluster), Failed)
    assert len(server.asked) == 1


@pytest.mark.promise(27)
@pytest.mark.parametrize("call", ["create", "replace", "delete"])
def test_what_was_refused_for_now_was_not_done(server: Api, cluster: RealCluster, call: str) -> None:
    server.react = in_turn(status(429), Said())
    CALLS[call](cluster)
    assert len(server.asked) == 2


@pytest.mark.promise(28)
def test_a_change_whose_answer_was_lost_is_told_as_unknown(server: Api, cluster: RealCluster) -> None:
    server.react = lambda _: Reset()
    assert "is unknown" in trouble(lambda: cluster.apply(MANIFEST), Unreachable).what
    assert len(server.asked) > 1
    assert "is unknown" not in trouble(lambda: cluster.get(REF), Unreachable).what


@pytest.mark.promise(28)
def test_what_a_lost_request_deleted_was_there(server: Api, cluster: RealCluster) -> None:
    server.react = in_turn(Reset(), status(404))
    assert cluster.delete(REF, uid="1") is True
    server.react = lambda _: status(404)
    assert cluster.delete(REF, uid="1") is False


@pytest.mark.promise(27)
@pytest.mark.parametrize("code", [302, 400, 403, 404, 405, 409, 410, 415, 418, 422, 451, 501, 999])
@pytest.mark.parametrize("call", CALLS)
def test_what_does_not_pass_is_not_repeated(server: Api, cluster: RealCluster, code: int, call: str) -> None:
    server.react = lambda _: status(code, headers={"Location": f"{server.url}/elsewhere"})
    if code == 404 and call in {"get", "list", "delete"}:
        assert not CALLS[call](cluster)
    else:
        told = trouble(lambda: CALLS[call](cluster), Failed)
        assert isinstance(told, NotAllowed) == (code == 403)
        assert not isinstance(told, Unreachable)
    expected = {("apply", 409): 2, ("list", 410): 4}
    assert len(server.asked) == expected.get((call, code), 1)


@pytest.mark.promise(27)
def test_what_is_not_allowed_names_verb_and_resource(server: Api, cluster: RealCluster) -> None:
    server.react = lambda _: status(403)
    assert "not allowed to apply ConfigMap one in default" in trouble(lambda: cluster.apply(MANIFEST)).what
    assert "not allowed to list configmaps" in trouble(lambda: cluster.objects(CONFIG_MAP)).what


@pytest.mark.promise(27)
def test_two_that_make_the_same_do_not_hurt(server: Api, cluster: RealCluster) -> None:
    server.react = in_turn(status(409, reason="AlreadyExists"), Said(body=thing("one")))
    assert cluster.apply(MANIFEST)["metadata"]["name"] == "one"


@pytest.mark.promise(27)
def test_a_field_of_another_is_never_taken_by_trying_again(server: Api, cluster: RealCluster) -> None:
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "other"', "field": ".data.a"}
    server.react = lambda _: status(409, details={"causes": [cause]})
    assert isinstance(trouble(lambda: cluster.apply(MANIFEST)), Conflicting)
    assert len(server.asked) == 1


@pytest.mark.promise(27)
def test_an_object_as_of_a_version_is_not_tried_again(server: Api, cluster: RealCluster) -> None:
    server.react = lambda _: status(409)
    known = {**MANIFEST, "metadata": {**MANIFEST["metadata"], "resourceVersion": "7"}}
    assert isinstance(trouble(lambda: cluster.apply(known)), Outdated)
    assert len(server.asked) == 1


@pytest.mark.promise(27)
def test_a_list_whose_rest_was_forgotten_is_begun_anew(server: Api, cluster: RealCluster) -> None:
    def page(name: str, more: str = "") -> Said:
        return Said(body={"items": [thing(name)], "metadata": {"continue": more}})

    server.react = in_turn(page("gone", "1"), status(410), page("a", "2"), page("b"))
    assert [each["metadata"]["name"] for each in cluster.objects(CONFIG_MAP)] == ["a", "b"]


@pytest.mark.promise(27)
@pytest.mark.parametrize(
    "said",
    [
        Said(body=b"<html>Welcome to the hotel</html>"),
        Said(body=b"[1, 2]"),
        Said(body=b"\xff\xfe"),
        Said(body=b"[" * 100_000),
        Said(500, b"[" * 100_000),
        Said(500, b"<html><b>Bad</b> luck</html>"),
        Said(400, b"[]"),
        Said(403, {"message": None, "details": {"causes": "none"}}),
        Said(409, {"message": 7, "details": {"causes": [None]}}),
        Said(raw=b"SSH-2.0-OpenSSH_9.2\r\n\r\n", close=True),
        Said(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{}", close=True),
    ],
)
def test_whatever_is_answered_is_told_in_a_sentence(server: Api, cluster: RealCluster, said: Said) -> None:
    server.react = lambda _: said
    for call in CALLS.values():
        trouble(lambda call=call: call(cluster), Failed)  # type: ignore[misc]


# -- credentials


@pytest.mark.promise(27)
def test_credentials_are_read_anew_once(server: Api, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    config = kubeconfig(tmp_path / "config", server.url, server.authority, {"tokenFile": str(file)})
    cluster = RealCluster("east", config, "ours", QUICK)

    def react(asked: Asked) -> Reaction:
        return Said() if asked.headers["authorization"] == "Bearer new" else status(401)

    server.react = react
    trouble(cluster.version, NotKnown)
    assert len(server.asked) == 2
    # It is not knocked again at once.
    trouble(cluster.version, NotKnown)
    trouble(lambda: cluster.apply(MANIFEST), NotKnown)
    assert len(server.asked) == 2
    time.sleep(QUICK.parked)
    file.write_text("new")
    cluster.version()
    # A token that is rotated while we work.
    file.write_text("newer")
    server.react = lambda asked: Said() if asked.headers["authorization"] == "Bearer newer" else status(401)
    server.asked.clear()
    cluster.apply(MANIFEST)
    assert len(server.asked) == 2


@pytest.mark.promise(27)
def test_an_expired_client_certificate_is_named(server: Api, tmp_path: Path) -> None:
    import base64

    mine = pair("me", server.authority, days=(-30, -3))
    user = {
        "client-certificate-data": base64.b64encode(mine.pem).decode(),
        "client-key-data": base64.b64encode(mine.key_pem).decode(),
    }
    config = kubeconfig(tmp_path / "config", server.url, server.authority, user)
    server.react = lambda _: status(401, "Unauthorized")
    told = trouble(RealCluster("east", config, "ours", QUICK).version, NotKnown)
    assert f"to {mine.certificate.not_valid_after_utc:%Y-%m-%d}" in told.what
    assert "this machine's clock says" in told.what
    assert "renew" in told.remedy


@pytest.mark.promise(27)
@pytest.mark.parametrize(
    ("days", "address", "stranger", "words"),
    [
        ((-30, -3), "127.0.0.1", False, "expired on"),
        ((3, 30), "127.0.0.1", False, "is valid only from"),
        ((-3, 30), "192.0.2.1", False, "its certificate is not for 127.0.0.1 but for 192.0.2.1"),
        ((-3, 30), "127.0.0.1", True, "is signed by CN=impostor by none of the kubeconfig's"),
    ],
)
def test_a_certificate_that_is_no_good_is_explained(
    tmp_path: Path, days: tuple[int, int], address: str, stranger: bool, words: str
) -> None:
    authority = pair("authority")
    issuer: Pair = pair("impostor") if stranger else authority
    shown = pair("server", issuer, days=days, address=address)
    server = Api(tmp_path, authority, shown)
    config = kubeconfig(tmp_path / "config", server.url, authority, TOKEN)
    cluster = RealCluster("east", config, "ours", QUICK)
    for call in CALLS.values():
        told = trouble(lambda call=call: call(cluster), Unreachable)  # type: ignore[misc]
        assert words in told.what
        if "expired" in words:
            assert f"{shown.certificate.not_valid_after_utc:%Y-%m-%d}" in told.what
        if "valid" in words or "expired" in words:
            assert "this machine's clock says" in told.what
        assert told.remedy
    assert not server.asked
    server.end()


@pytest.mark.promise(27)
def test_what_speaks_no_tls_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def serve() -> None:
            while True:
                try:
                    met, _ = plain.accept()
                except OSError:
                    return
                with met:
                    met.recv(100)
                    met.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\nThis is an HTTP server, speak up")

        threading.Thread(target=serve, daemon=True).start()
        url = f"https://127.0.0.1:{plain.getsockname()[1]}"
        config = kubeconfig(tmp_path / "config", url, pair("authority"), TOKEN)
        assert "does not speak TLS" in trouble(RealCluster("east", config, "ours", QUICK).version, Unreachable).what


def test_the_clock_is_that_of_the_last_answer(server: Api, cluster: RealCluster) -> None:
    """What it took to get one is no uncertainty of it."""
    server.react = in_turn(
        Said(429, headers={"Retry-After": "1"}), Said(headers={"Date": http_date(datetime.now(UTC))})
    )
    assert cluster.version().round_trip < 1


def test_where_it_leads_is_told_without_asking(tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "/nowhere/plugin"}}
    config = kubeconfig(tmp_path / "config", "https://192.0.2.1:6443/clusters/a/", pair("authority"), user)
    assert RealCluster("east", config, "ours").server == "https://192.0.2.1:6443/clusters/a"


def test_a_namespace_is_asked_for_where_the_server_is(server: Api, tmp_path: Path) -> None:
    config = kubeconfig(tmp_path / "config", f"{server.url}/clusters/a", server.authority, TOKEN)
    server.react = lambda _: Said(body=thing("a b"))
    assert RealCluster("east", config, "ours", QUICK).get(Ref(NAMESPACE, "a b"))
    assert server.asked[0].path == "/clusters/a/api/v1/namespaces/a%20b"
    assert server.asked[0].headers["authorization"] == "Bearer abc"


def test_the_words_of_a_container_that_died_are_asked_for(server: Api, cluster: RealCluster) -> None:
    server.react = lambda asked: Said(body=b"its last \x1b words\n")
    pod = Ref(POD, "one", "default")
    assert cluster.logs(pod, "main", lines=5, previous=True) == "its last \N{REPLACEMENT CHARACTER} words\n"
    assert cluster.logs(pod, "main") != ""
    first, second = [asked.path for asked in server.asked]
    assert first.startswith("/api/v1/namespaces/default/pods/one/log?container=main&tailLines=5&")
    assert "previous=true" in first
    assert "previous" not in second
