"""Certificates in a folder: every mistake is named by its file, and a key that is written is never written over."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from state import whole
from tests.unit.certificates_fakes import CERT, CHAIN, KEY, ROOT, authority, files_of, put_files
from wizard.certificates import authority as ours
from wizard.certificates.folder import folder_mistakes, folder_warnings, given_for, root_for
from wizard.certificates.openssl import REQUEST
from wizard.certificates.request import refused_folder, write_request
from wizard.errors import Failed, NeedsPerson
from wizard.mesh.model import Certificates, Cluster, Mesh

TOP = authority("Top", path_length=1)
FIRST, SECOND = (authority(f"Intermediate {number}", TOP, path_length=0) for number in (1, 2))
CLUSTERS = tuple(Cluster(f"cluster{number}", f"c{number}", f"network{number}") for number in (1, 2))
MESH = Mesh("mesh1", CLUSTERS)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with sound certificates for both clusters."""
    put_files(tmp_path / "certs" / "cluster1", files_of(FIRST, TOP))
    put_files(tmp_path / "certs" / "cluster2", files_of(SECOND, TOP))
    return tmp_path / "certs"


def mesh_of(place: Path, source: str = "directory") -> Mesh:
    return replace(MESH, certificates=Certificates(source, place))


def mistakes(place: Path, source: str = "directory") -> list[str]:
    found = folder_mistakes(mesh_of(place, source), CLUSTERS)
    assert all(mistake.path == "certificates.path" for mistake in found)
    return [mistake.text for mistake in found]


class TestMistakes:
    def test_sound_files_have_none(self, place: Path) -> None:
        assert mistakes(place) == []
        assert folder_warnings(mesh_of(place), CLUSTERS) == ()
        assert given_for(place, "cluster1", "cluster.local").inspection.files == files_of(FIRST, TOP)

    def test_the_root_may_stand_once_and_the_chain_may_be_absent(self, place: Path) -> None:
        (place / "cluster1" / ROOT).rename(place / ROOT)
        (place / "cluster2" / ROOT).unlink()
        for cluster in CLUSTERS:
            (place / cluster.name / CHAIN).unlink()
        assert mistakes(place) == []
        assert given_for(place, "cluster2", "cluster.local").inspection.files == files_of(SECOND, TOP)
        assert root_for(place, "cluster2") == TOP.fingerprint

    def test_every_file_that_is_wrong_is_named(self, place: Path) -> None:
        (place / "cluster1" / KEY).unlink()
        (place / "cluster2" / CERT).write_bytes(b"rubbish")
        assert mistakes(place) == [
            f"{place}/cluster1/ca-key.pem is missing",
            f"{place}/cluster2/ca-cert.pem is no PEM file",
        ]

    def test_a_shared_root_that_is_wrong_is_named_once_where_it_stands(self, place: Path) -> None:
        for cluster in CLUSTERS:
            (place / cluster.name / ROOT).unlink()
        (place / ROOT).write_bytes(TOP.key)
        assert mistakes(place) == [f"{place}/root-cert.pem holds a private key; it must hold certificates only"]
        (place / ROOT).unlink()
        assert mistakes(place) == [f"{place}/root-cert.pem is missing"]

    def test_different_roots_are_told_with_their_clusters(self, place: Path) -> None:
        other = authority("Top")
        put_files(place / "cluster2", files_of(authority("i", other), other))
        (told,) = mistakes(place)
        assert "different roots" in told
        assert f"cluster1: {TOP.fingerprint[:16]}" in told
        assert f"cluster2: {other.fingerprint[:16]}" in told

    def test_only_the_clusters_that_lack_certificates_count(self, place: Path) -> None:
        (place / "cluster2" / KEY).unlink()
        assert folder_mistakes(mesh_of(place), CLUSTERS[:1]) == ()
        assert folder_mistakes(mesh_of(place / "gone"), ()) == ()

    @pytest.mark.parametrize("source", ["generate", "existing"])
    def test_other_sources_read_no_folder(self, tmp_path: Path, source: str) -> None:
        assert mistakes(tmp_path / "absent", source) == []

    def test_what_stands_in_the_place_of_folders_is_told(self, place: Path, tmp_path: Path) -> None:
        assert mistakes(tmp_path / "absent") == [f"{tmp_path}/absent cannot be opened: No such file or directory"]
        file = tmp_path / "file"
        file.touch()
        assert mistakes(file) == [f"{file} is no folder"]
        (place / "cluster2").rename(place / "Cluster2")
        assert mistakes(place) == [
            f"{place}/cluster2 is missing; each cluster needs a folder of its name (there are Cluster2 and cluster1)"
        ]
        (place / "cluster2").touch()
        assert mistakes(place) == [f"{place}/cluster2 is no folder"]

    def test_a_link_is_followed_and_a_dead_one_told(self, place: Path) -> None:
        target = place / "elsewhere"
        (place / "cluster1" / KEY).rename(target)
        (place / "cluster1" / KEY).symlink_to(target)
        assert mistakes(place) == []
        target.unlink()
        assert mistakes(place) == [f"{place}/cluster1/ca-key.pem is a link to a file that is not there"]
        (place / "cluster1" / ROOT).unlink()
        (place / "cluster1" / ROOT).symlink_to("gone")
        assert f"{place}/cluster1/root-cert.pem is a link to a file that is not there" in mistakes(place)

    def test_what_is_no_file_does_not_block(self, place: Path) -> None:
        (place / "cluster1" / CERT).unlink()
        os.mkfifo(place / "cluster1" / CERT)
        (place / "cluster2" / CERT).unlink()
        (place / "cluster2" / CERT).mkdir()
        assert mistakes(place) == [
            f"{place}/cluster{number}/ca-cert.pem is no file but a {kind}"
            for number, kind in ((1, "pipe"), (2, "folder"))
        ]

    def test_what_is_too_large_is_not_read(self, place: Path) -> None:
        with (place / "cluster1" / CERT).open("wb") as file:
            file.truncate(1 << 30)
        assert mistakes(place) == [f"{place}/cluster1/ca-cert.pem is larger than 1 MiB"]

    def test_what_may_not_be_read_is_told(self, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = os.open

        def refusing(path: str, *more: int) -> int:
            if str(path).endswith(f"cluster1/{KEY}"):
                raise PermissionError(13, "Permission denied", str(path))
            return opened(path, *more)

        monkeypatch.setattr("wizard.reading.os.open", refusing)
        assert mistakes(place) == [f"{place}/cluster1/ca-key.pem cannot be read: Permission denied"]


class TestWarnings:
    def test_a_key_that_others_can_read(self, place: Path) -> None:
        (place / "cluster1" / KEY).chmod(0o640)
        (told,) = folder_warnings(mesh_of(place), CLUSTERS)
        assert told.startswith(f"{place}/cluster1/ca-key.pem can be read by others (mode 0640)")
        assert mistakes(place) == []

    def test_one_intermediate_for_two_clusters(self, place: Path) -> None:
        put_files(place / "cluster2", files_of(FIRST, TOP))
        (told,) = folder_warnings(mesh_of(place), CLUSTERS)
        assert told.startswith("cluster1 and cluster2 share one intermediate")
        renewed = authority("Intermediate 1", TOP, key=FIRST.private)
        put_files(place / "cluster2", files_of(renewed, TOP))
        assert any("share one intermediate" in told for told in folder_warnings(mesh_of(place), CLUSTERS))

    def test_what_expires_soon(self, place: Path) -> None:
        put_files(place / "cluster2", files_of(authority("i", TOP, days=5), TOP))
        (told,) = folder_warnings(mesh_of(place), CLUSTERS)
        assert told.startswith(f"{place}/cluster2/ca-cert.pem expires on")


class TestAwaiting:
    def test_an_empty_or_missing_folder_is_no_mistake(self, tmp_path: Path) -> None:
        assert mistakes(tmp_path / "absent", "offline") == []
        given = given_for(tmp_path, "cluster1", "cluster.local", awaiting=True)
        assert given.awaited == (tmp_path / "cluster1" / CERT, tmp_path / ROOT)
        assert not given.complete

    def test_what_came_back_is_checked_as_any_other(self, place: Path) -> None:
        assert mistakes(place, "offline") == []
        (place / "cluster1" / CERT).write_bytes(SECOND.pem)
        assert mistakes(place, "offline") == [f"{place}/cluster1/ca-key.pem does not belong to ca-cert.pem"]

    @pytest.mark.parametrize(
        ("files", "sentence"),
        [
            ({CERT: FIRST.pem}, "cluster1/ca-key.pem is missing, and ca-cert.pem is of no use without it"),
            ({KEY: FIRST.key, CHAIN: FIRST.pem}, "cluster1/cert-chain.pem is there without ca-cert.pem"),
            ({KEY: b"rubbish"}, "cluster1/ca-key.pem is no PEM file"),
            ({KEY: FIRST.key, ROOT: b""}, "cluster1/root-cert.pem is empty"),
        ],
    )
    def test_what_came_too_early_is_told(self, tmp_path: Path, files: dict[str, bytes], sentence: str) -> None:
        put_files(tmp_path / "cluster1", files)
        (told,) = mistakes(tmp_path, "offline")
        assert sentence in told


class TestRequest:
    def test_key_and_request_are_private_and_made_once(self, tmp_path: Path) -> None:
        place = tmp_path / "deep" / "certs"
        folder = place / "cluster1"
        assert write_request(place, "cluster1", "cluster.local") == (folder / KEY, folder / REQUEST)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / KEY).stat().st_mode) == 0o600
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        assert set(before) == {KEY, REQUEST}
        assert write_request(place, "cluster1", "cluster.local") == ()
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    def test_a_key_that_is_there_is_used(self, tmp_path: Path) -> None:
        put_files(tmp_path / "cluster1", {KEY: FIRST.key})
        assert write_request(tmp_path, "cluster1", "cluster.local") == (tmp_path / "cluster1" / REQUEST,)
        assert (tmp_path / "cluster1" / KEY).read_bytes() == FIRST.key
        request = x509.load_pem_x509_csr((tmp_path / "cluster1" / REQUEST).read_bytes())
        assert request.public_key() == FIRST.private.public_key()

    @pytest.mark.parametrize("stale", [b"half", ours.make_request(SECOND.key, "cluster1", "x")], ids=["cut", "other"])
    def test_a_request_of_another_key_is_made_anew(self, tmp_path: Path, stale: bytes) -> None:
        put_files(tmp_path / "cluster1", {KEY: FIRST.key, REQUEST: stale})
        assert write_request(tmp_path, "cluster1", "cluster.local") == (tmp_path / "cluster1" / REQUEST,)

    def test_a_key_that_cannot_be_read_is_left_alone(self, tmp_path: Path) -> None:
        put_files(tmp_path / "cluster1", {KEY: b"half a key"})
        with pytest.raises(NeedsPerson, match="is no PEM file"):
            write_request(tmp_path, "cluster1", "cluster.local")
        assert (tmp_path / "cluster1" / KEY).read_bytes() == b"half a key"

    def test_no_key_is_made_beside_a_certificate(self, tmp_path: Path) -> None:
        put_files(tmp_path / "cluster1", {CERT: FIRST.pem})
        with pytest.raises(NeedsPerson, match=f"{KEY} cannot be read"):
            write_request(tmp_path, "cluster1", "cluster.local")
        assert not (tmp_path / "cluster1" / KEY).exists()

    def test_nothing_is_written_through_a_link(self, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (tmp_path / "cluster1").symlink_to(elsewhere)
        with pytest.raises(NeedsPerson, match="is a symbolic link"):
            write_request(tmp_path, "cluster1", "cluster.local")
        (tmp_path / "cluster2").mkdir()
        (tmp_path / "cluster2" / KEY).symlink_to(elsewhere / "key")
        with pytest.raises(NeedsPerson, match="is a link"):
            write_request(tmp_path, "cluster2", "cluster.local")
        assert list(elsewhere.iterdir()) == []

    def test_where_no_folder_can_be_made_it_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(NeedsPerson, match="file"):
            write_request(tmp_path / "file", "cluster1", "cluster.local")

    @pytest.mark.inputs("S4")
    def test_a_key_that_appears_meanwhile_wins(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "cluster1" / KEY
        sweep = whole.sweep

        def late(folder: int) -> None:
            sweep(folder)
            if not path.exists():
                put_files(path.parent, {KEY: SECOND.key})

        monkeypatch.setattr(whole, "sweep", late)
        assert write_request(tmp_path, "cluster1", "cluster.local") == (path.with_name(REQUEST),)
        assert path.read_bytes() == SECOND.key

    def test_a_write_that_died_leaves_nothing_that_counts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "cluster1"

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as broken:
            broken.setattr(whole, "flush_file", full)
            with pytest.raises(Failed, match="No space left"):
                write_request(tmp_path, "cluster1", "cluster.local")
        assert list(folder.iterdir()) == []
        assert write_request(tmp_path, "cluster1", "cluster.local") == (folder / KEY, folder / REQUEST)

    @pytest.mark.inputs("S14")
    def test_a_key_under_a_second_name_is_swept(self, tmp_path: Path) -> None:
        folder = put_files(tmp_path / "cluster1", {KEY: FIRST.key, whole.TEMPORARY + "1": FIRST.key})
        (folder / f".{KEY}.new").hardlink_to(folder / KEY)
        write_request(tmp_path, "cluster1", "cluster.local")
        assert {path.name for path in folder.iterdir()} == {KEY, REQUEST}

    @pytest.mark.inputs("S4")
    @pytest.mark.parametrize("mode", [0o770, 0o707])
    def test_no_key_is_put_where_others_may_write(self, tmp_path: Path, mode: int) -> None:
        folder = tmp_path / "cluster1"
        folder.mkdir()
        folder.chmod(mode)
        assert f"{folder} can be written by" in refused_folder(tmp_path, "cluster1")
        with pytest.raises(NeedsPerson, match="can be written by") as raised:
            write_request(tmp_path, "cluster1", "cluster.local")
        assert raised.value.remedy == f"Run: chmod go-w {folder}"
        assert (list(folder.iterdir()), stat.S_IMODE(folder.stat().st_mode)) == ([], mode)
        folder.chmod(0o755)
        assert refused_folder(tmp_path, "cluster1") == ""

    @pytest.mark.inputs("S4", "S13")
    def test_a_pipe_in_place_of_a_key_does_not_block(self, tmp_path: Path) -> None:
        folder = put_files(tmp_path / "cluster1", {})
        os.mkfifo(folder / KEY)
        with pytest.raises(NeedsPerson, match=f"{KEY} is no file but a pipe"):
            write_request(tmp_path, "cluster1", "cluster.local")
