"""The mesh drawing says what the states are, at every size, and never breaks its width."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from wizard.board import Board
from wizard.mesh.drawing import draw
from wizard.mesh.links import LinkId, LinkState, links_of
from wizard.mesh.model import Cluster, Gateway, Mesh


def mesh_of(count: int, **changes: str) -> Mesh:
    clusters = tuple(
        Cluster(
            changes.get("name", "cluster") + str(number),
            f"context{number}",
            changes.get("network", f"network{number}"),
            gateway=Gateway(address=f"10.201.0.{number}", port=31443),
        )
        for number in range(1, count + 1)
    )
    return Mesh("mesh1", clusters)


def cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def test_two_clusters_make_a_picture_of_76_by_12() -> None:
    lines = draw(mesh_of(2), width=76).plain().splitlines()
    assert len(lines) <= 12
    assert {cells(line) for line in lines} == {76}
    assert "┊ │ helloworld v1      ├╌┼╌╌ gateway ○ waiting ╌╌╌┼▶│ gateway :31443     │ ┊" in lines


@pytest.mark.parametrize("state", list(LinkState))
def test_every_state_is_a_word(state: LinkState) -> None:
    mesh = mesh_of(2)
    text = draw(mesh, links=dict.fromkeys(links_of(mesh), state)).plain()
    assert text.count(str(state)) == 4


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 9, 10, 16, 50, 100, 200])
@pytest.mark.parametrize("width", [20, 40, 60, 72, 76, 100, 160])
@pytest.mark.parametrize("small", [False, True])
def test_no_line_is_wider_than_asked_for(count: int, width: int, small: bool) -> None:
    mesh = mesh_of(count)
    board = Board(mesh)
    board.answered("cluster1", {f"v{number}": 1234 for number in range(1, count + 1)})
    for ascii_only in (False, True):
        text = draw(mesh, links=board.links, counts=board.counts, width=width, ascii=ascii_only, small=small).plain()
        assert max(map(cells, text.splitlines())) <= width


def test_ascii_is_ascii() -> None:
    for count, small in itertools.product((2, 5), (False, True)):
        mesh = mesh_of(count)
        for state in LinkState:
            assert draw(mesh, links=dict.fromkeys(links_of(mesh), state), ascii=True, small=small).plain().isascii()


def test_foreign_and_unfinished_text_is_harmless() -> None:
    document = {"clusters": [{"name": "\x1b[2Jx[/b]", "network": "网络" * 60}, {"name": None, "context": "\u202eabc"}]}
    for small in (False, True):
        text = draw(document, width=76, small=small).plain()
        assert "\x1b" not in text and "\u202e" not in text
        assert max(map(cells, text.splitlines())) <= 76


def test_a_shared_network_is_one_frame() -> None:
    text = draw(mesh_of(2, network="lan"), width=76).plain()
    assert text.count("lan") == 1
    assert "├╌╌" in text and "┼" not in text


def test_a_remote_asks_for_discovery_and_reads_no_api_server() -> None:
    mesh = Mesh("m", (Cluster("a", "a", "n1"), Cluster("b", "b", "n2", role="remote", primary="a")))
    assert {link for link in links_of(mesh) if link.source == "b"} == {
        LinkId("discovery", "b", "a"),
        LinkId("gateway", "b", "a"),
    }
    assert "discovery ○ waiting" in draw(mesh).plain()


def test_the_board_follows_the_steps() -> None:
    board = Board(mesh_of(2))
    api, traffic = LinkId("api", "cluster1", "cluster2"), LinkId("gateway", "cluster1", "cluster2")
    assert set(board.links.values()) == {LinkState.WAITING}
    board.step("remote-secret", "cluster1", "cluster2", "running")
    assert board.links[api] is LinkState.WORKING
    board.step("remote-secret", "cluster1", "cluster2", "failed")
    assert board.links[api] is LinkState.BROKEN
    board.step("remote-secret", "cluster1", "cluster2", "done")
    assert board.links[api] is LinkState.OK
    board.step("expose-services", "cluster2", None, "waiting")
    board.step("install", "cluster2", None, "done")
    assert board.links[traffic] is LinkState.WORKING
    board.step("expose-services", "cluster2", None, "done")
    assert board.links[traffic] is LinkState.READY
    board.step("verify", "cluster1", None, "running")
    assert board.links[traffic] is LinkState.WORKING
    board.answered("cluster1", {"v1": 3})
    assert board.links[traffic] is LinkState.WORKING
    board.step("verify", "cluster1", None, "failed")
    assert board.links[traffic] is LinkState.BROKEN
    board.answered("cluster1", {"v1": 3, "v2": 7})
    assert board.links[traffic] is LinkState.OK
    assert "gateway ✓ 7 answers" in draw(mesh_of(2), links=board.links, counts=board.counts).plain()


def test_a_matrix_names_what_is_broken() -> None:
    mesh = mesh_of(50)
    board = Board(mesh)
    for peer in range(2, 9):
        board.step("remote-secret", "cluster1", f"cluster{peer}", "failed")
    text = draw(mesh, links=board.links).plain()
    assert "✗ cluster1 → cluster2: API server broken" in text
    assert "and 3 more" in text


def served(count: int, primaries: int = 1, **changes: str) -> Mesh:
    """The first clusters are primaries; the others are remotes of them in turn."""
    mesh = mesh_of(count, **changes)
    clusters = [
        replace(cluster, role="remote", primary=f"cluster{index % primaries + 1}") if index >= primaries else cluster
        for index, cluster in enumerate(mesh.clusters)
    ]
    return replace(mesh, clusters=tuple(clusters), topology="primary-remote")


def test_a_shared_network_needs_no_gateway() -> None:
    mesh = mesh_of(2, network="lan")
    mesh = replace(mesh, clusters=(*(replace(each, network="lan") for each in mesh.clusters), *mesh_of(3).clusters[2:]))
    kinds = {(link.source, link.target): link.kind for link in links_of(mesh) if link.kind != "api"}
    assert kinds["cluster1", "cluster2"] == kinds["cluster2", "cluster1"] == "pods"
    assert kinds["cluster1", "cluster3"] == kinds["cluster3", "cluster1"] == "gateway"


def test_pods_that_reach_each_other_directly_are_proven_by_traffic_alone() -> None:
    mesh = mesh_of(2, network="lan")
    mesh = replace(mesh, clusters=tuple(replace(each, network="lan") for each in mesh.clusters))
    board, pods = Board(mesh), LinkId("pods", "cluster1", "cluster2")
    for cluster in ("cluster1", "cluster2"):
        board.step("install", cluster, None, "done")
    assert board.links[pods] is LinkState.READY
    board.step("verify", "cluster1", None, "running")
    assert board.links[pods] is LinkState.WORKING
    board.answered("cluster1", {"v2": 2})
    assert board.links[pods] is LinkState.OK
    assert "pods ✓ 2 answers" in draw(mesh, links=board.links, counts=board.counts).plain()


def test_the_answers_of_a_version_once_given_are_those_of_its_cluster() -> None:
    mesh = mesh_of(2)
    mesh = replace(mesh, clusters=(mesh.clusters[0], replace(mesh.clusters[1], sample="v7")))
    board = Board(mesh)
    board.answered("cluster1", {"v1": 1, "v7": 1})
    assert board.links[LinkId("gateway", "cluster1", "cluster2")] is LinkState.OK
    assert "helloworld v7" in draw(mesh).plain()


def test_discovery_follows_the_remote() -> None:
    board, link = Board(served(2)), LinkId("discovery", "cluster2", "cluster1")
    for part in ("reach-discovery", "install", "istiod"):
        board.step(part, "cluster2", None, "waiting")
    for part in ("reach-discovery", "install"):
        board.step(part, "cluster2", None, "done")
        assert board.links[link] is LinkState.WORKING
    board.step("istiod", "cluster2", None, "done")
    assert board.links[link] is LinkState.OK
    board.step("reach-discovery", "cluster2", None, "failed")
    assert board.links[link] is LinkState.BROKEN
    assert board.links[LinkId("api", "cluster1", "cluster2")] is LinkState.WAITING


def test_the_gateway_of_a_remote_is_opened_by_its_control_plane() -> None:
    board, link = Board(served(3)), LinkId("gateway", "cluster2", "cluster3")
    for kind, cluster in (("install", "cluster3"), ("expose-services", "cluster1"), ("mesh-networks", "cluster1")):
        board.step(kind, cluster, None, "waiting")
    board.step("install", "cluster3", None, "done")
    board.step("mesh-networks", "cluster1", None, "done")
    assert board.links[link] is LinkState.WORKING
    board.step("expose-services", "cluster1", None, "done")
    assert board.links[link] is LinkState.READY
    board.step("expose-services", "cluster1", None, "failed")
    assert board.links[link] is LinkState.BROKEN


def test_a_route_that_is_missing_breaks_just_the_way_that_needs_it() -> None:
    board = Board(mesh_of(3))
    board.step("route", "cluster1", "cluster2", "conflict")
    broken = [link for link, state in board.links.items() if state is LinkState.BROKEN]
    assert broken == [LinkId("gateway", "cluster1", "cluster2")]


@pytest.mark.parametrize(
    ("kind", "guard", "befell"),
    [
        ("api", "reach-api", ("cluster3",)),
        ("api", "reach-peers", ("cluster10",)),
        ("gateway", "reach-gateways", ("cluster10", "cluster3")),
        ("gateway", "reach-gateways", ()),
    ],
)
def test_a_guard_breaks_the_links_that_its_failure_befell(kind: str, guard: str, befell: tuple[str, ...]) -> None:
    mesh = mesh_of(10)
    board = Board(mesh)
    board.step(guard, "cluster2", None, "failed", befell)
    broken = {link for link, state in board.links.items() if state is LinkState.BROKEN}
    expected = befell or {each.name for each in mesh.peers("cluster2")}
    assert broken == {LinkId(kind, "cluster2", target) for target in expected}  # type: ignore[arg-type]
    board.step(guard, "cluster2", None, "skipped")
    assert LinkState.BROKEN not in board.links.values()


def test_the_board_told_step_by_step_is_the_board_told_at_once() -> None:
    mesh = served(6, 2)
    steps = [(part, cluster.name, status) for cluster in mesh.clusters
             for part, status in (("install", "done"), ("expose-services", "done"), ("reach-gateways", "failed"),
                                  ("verify", "running"), ("reach-gateways", "done"))]  # fmt: skip
    slow, fast = Board(mesh), Board(mesh)
    for kind, cluster, status in steps:
        slow.step(kind, cluster, None, status)
        assert slow.links
        fast.step(kind, cluster, None, status)
    assert slow.links == fast.links


def test_an_unfinished_document_is_drawn_as_it_will_be() -> None:
    entries = [
        {"name": "a", "network": "n1"},
        {"name": "b", "network": "n1", "role": "remote"},
        {"name": "c", "network": "n2", "role": "remote", "gateway": {"port": "x"}},
    ]
    text = draw({"clusters": entries}, width=100).plain()
    assert "b (n1, remote of a)" in text
    entries.append({"name": "d", "network": "n2"})
    text = draw({"clusters": entries}, width=100).plain()
    assert "b (n1, remote)" in text
    assert not [link for link in links_of({"clusters": entries}) if link.kind == "api" and link.source == "b"]


def test_rows_of_a_matrix_are_filtered_by_name_network_and_primary() -> None:
    mesh = served(50, 5)
    text = draw(mesh, width=118, only="CLUSTER12").plain()
    assert "cluster12" in text and "cluster13" not in text
    text = draw(mesh, width=118, only="network7").plain()
    assert "cluster7 " in text and "cluster8 " not in text
    assert "\x1b" not in draw(mesh, width=118, only="\x1b[2J").plain()
