"""Programs and kubeconfigs that others could change are told of."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.unit.conftest import Setting
from wizard import owners
from wizard.checks.preflight import check
from wizard.owners import changeable
from wizard.plan import RIGHTS

pytestmark = pytest.mark.inputs("S7")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for part in (tmp_path, *tmp_path.parents):  # what the machine's own folders are does not matter here
        if (
            part.stat().st_mode & 0o022
            and os.geteuid() == part.stat().st_uid
            and str(part).startswith(str(tmp_path.parent))
        ):
            part.chmod(0o755)
    folder = tmp_path / "bin"
    folder.mkdir(mode=0o755)
    path = folder / "istioctl"
    path.write_text("")
    path.chmod(0o755)
    return path


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "nobody": (lambda path: None, ""),
    "everybody": (lambda path: path.chmod(0o757), "everybody"),
    "its folder": (lambda path: path.parent.chmod(0o777), "everybody, who may put another in its folder"),
    "a sticky folder": (lambda path: path.parent.chmod(0o1777), ""),
    "only read": (lambda path: path.chmod(0o555), ""),
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_may_change_a_file(file: Path, change: str) -> None:
    act, who = CHANGES[change]
    act(file)
    assert changeable(file).startswith(who)
    assert bool(changeable(file)) is bool(who)
    link = file.parent.parent / "link"
    link.symlink_to(file)
    assert bool(changeable(link)) is bool(who), "where a link leads counts"


def test_a_group_and_an_owner_who_are_not_ones_own(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o775)
    mine = os.getegid()
    monkeypatch.setattr(owners.os, "geteuid", lambda: file.stat().st_uid or 1000)  # type: ignore[attr-defined]
    monkeypatch.setattr(owners.os, "getegid", lambda: mine)  # type: ignore[attr-defined]
    assert changeable(file) == ""
    monkeypatch.setattr(owners, "ROOT", -1)
    monkeypatch.setattr(owners.os, "getegid", lambda: mine + 1)  # type: ignore[attr-defined]
    monkeypatch.setattr(owners.os, "geteuid", lambda: file.stat().st_uid)  # type: ignore[attr-defined]
    assert changeable(file) == f"group {mine}"
    monkeypatch.setattr(owners.os, "geteuid", lambda: file.stat().st_uid + 1)  # type: ignore[attr-defined]
    assert changeable(file) == f"its owner, user {file.stat().st_uid}"


@pytest.mark.parametrize(
    ("user", "group", "who"),
    [
        (2000, 3000, ""),  # by custom nobody else is in the user's own group
        (2000, 1, "group 3000"),
        (0, 3000, "group 3000"),  # root's own group is root's alone
    ],
)
def test_a_file_of_roots_that_a_group_may_write(
    file: Path, monkeypatch: pytest.MonkeyPatch, user: int, group: int, who: str
) -> None:
    of_root(monkeypatch, 0o100664)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(os, "getegid", lambda: group)
    assert changeable(file) == who


def test_in_a_sticky_folder_a_group_replaces_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_root(monkeypatch, 0o041775, but={file.name: 0o100644})
    monkeypatch.setattr(os, "geteuid", lambda: 2000)
    assert changeable(file) == ""


def of_root(monkeypatch: pytest.MonkeyPatch, mode: int, but: Mapping[str, int] = MappingProxyType({})) -> None:
    """Every file and folder is root's and of group 3000, whoever runs this."""

    def stat(path: Path, **_: bool) -> os.stat_result:
        return os.stat_result((but.get(path.name, mode), 0, 0, 1, 0, 3000, 0, 0, 0, 0))

    monkeypatch.setattr(Path, "stat", stat)


@pytest.mark.parametrize("path", ["/nowhere/at/all", "(simulated) istioctl", ""])
def test_what_cannot_be_looked_at_is_nobodys_finding(path: str) -> None:
    assert changeable(Path(path) / "x") == ""


def test_the_preflight_names_them_once(two: Setting, file: Path) -> None:
    two.world.istioctl.path = str(file)  # type: ignore[misc]
    config = file.parent / "config"
    config.write_text("")
    config.chmod(0o666)
    mesh = two.mesh.with_cluster(replace(two.mesh.clusters[1], kubeconfig=config))
    assert [each.cluster for each in check(mesh, two.world, RIGHTS) if each.check == "owners"] == ["cluster2"]
    file.chmod(0o777)
    found = [each for each in check(mesh, two.world, RIGHTS) if each.check == "owners"]
    assert [each.cluster for each in found] == ["cluster1", "cluster2"]
    assert str(file) in found[0].text
    assert str(config) in found[1].text
    assert {each.severity for each in found} == {"warning"}
