"""The mesh drawing says what the states are, at every size, and never breaks its width."""

from __future__ import annotations

import itertools

import pytest

from wizard.mesh.drawing import draw
from wizard.mesh.links import Board, LinkId, LinkState, links_of
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
    board.step("cluster1/remote-secret/cluster2", "running")
    assert board.links[api] is LinkState.WORKING
    board.step("cluster1/remote-secret/cluster2", "failed")
    assert board.links[api] is LinkState.BROKEN
    board.step("cluster1/remote-secret/cluster2", "done")
    assert board.links[api] is LinkState.OK
    board.step("cluster2/install", "done")
    assert board.links[traffic] is LinkState.WORKING
    board.step("cluster2/expose-services", "done")
    assert board.links[traffic] is LinkState.READY
    board.step("cluster1/verify", "running")
    assert board.links[traffic] is LinkState.WORKING
    board.answered("cluster1", {"v1": 3})
    assert board.links[traffic] is LinkState.WORKING
    board.step("cluster1/verify", "failed")
    assert board.links[traffic] is LinkState.BROKEN
    board.answered("cluster1", {"v1": 3, "v2": 7})
    assert board.links[traffic] is LinkState.OK
    assert "gateway ✓ 7 answers" in draw(mesh_of(2), links=board.links, counts=board.counts).plain()


def test_a_matrix_names_what_is_broken() -> None:
    mesh = mesh_of(50)
    board = Board(mesh)
    for peer in range(2, 9):
        board.step(f"cluster1/remote-secret/cluster{peer}", "failed")
    text = draw(mesh, links=board.links).plain()
    assert "✗ cluster1 → cluster2: API server broken" in text
    assert "and 3 more" in text
