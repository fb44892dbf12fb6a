"""The certificates: shape, what is refused, and how the root is kept."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shlex
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from state import private, whole
from state.private import PENDING, PrivateFolder
from tests.unit.certificates_fakes import put_files
from wizard.certificates import authority
from wizard.certificates.bundle import inspect
from wizard.certificates.rootstore import CERTIFICATE, KEY, RootFolder, default_place
from wizard.errors import Busy, Failed, NeedsPerson


@pytest.fixture(scope="module")
def root() -> authority.Root:
    return authority.make_root("mesh1")


@pytest.fixture(scope="module")
def files(root: authority.Root) -> dict[str, bytes]:
    return authority.make_intermediate(root, "cluster1", "cluster.local")


def test_root_is_p384_for_ten_years_with_one_level_below(root: authority.Root) -> None:
    certificate = x509.load_pem_x509_certificate(root.certificate)
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == "secp384r1"
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert basic.critical
    assert (basic.value.ca, basic.value.path_length) == (True, 1)
    assert certificate.not_valid_before_utc <= datetime.now(UTC) - timedelta(minutes=59)


def test_intermediate_is_p256_bound_to_the_trust_domain(files: dict[str, bytes]) -> None:
    certificate = x509.load_pem_x509_certificate(files["ca-cert.pem"])
    public = certificate.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == "secp256r1"
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    names = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert names.critical
    assert names.value.permitted_subtrees == [x509.UniformResourceIdentifier("cluster.local")]
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)


def test_what_we_make_has_no_flaws(root: authority.Root, files: dict[str, bytes]) -> None:
    for strict in (True, False):
        found = inspect(files, "cluster.local", strict=strict)
        assert found.flaws == ()
        assert found.root == authority.fingerprint(root.certificate)
        assert dict(found.files) == files
        assert found.expires is not None
        assert timedelta(days=720) < found.expires - datetime.now(UTC) < timedelta(days=731)


def test_every_intermediate_is_its_own(root: authority.Root, files: dict[str, bytes]) -> None:
    other = authority.make_intermediate(root, "cluster1", "cluster.local")
    assert other["ca-key.pem"] != files["ca-key.pem"]
    assert other["root-cert.pem"] == files["root-cert.pem"]


def test_a_request_asks_for_what_we_would_sign(files: dict[str, bytes]) -> None:
    key = authority.make_key()
    request = x509.load_pem_x509_csr(authority.make_request(key, "cluster1", "cluster.local"))
    signed = x509.load_pem_x509_certificate(files["ca-cert.pem"])
    assert request.is_signature_valid
    assert request.subject == signed.subject
    for kind in (x509.BasicConstraints, x509.KeyUsage, x509.NameConstraints):
        asked = request.extensions.get_extension_for_class(kind)
        given = signed.extensions.get_extension_for_class(kind)
        assert (asked.value, asked.critical) == (given.value, given.critical)


def test_a_root_whose_key_is_another_is_refused(root: authority.Root) -> None:
    mixed = authority.Root(root.certificate, authority.make_root("x").key)
    with pytest.raises(authority.Unfit, match="does not belong"):
        authority.make_intermediate(mixed, "cluster1", "cluster.local")


class TestRootFolder:
    def test_what_is_kept_is_private_and_comes_back(self, tmp_path: Path, root: authority.Root) -> None:
        folder = RootFolder(tmp_path / "deep" / "root-ca")
        assert folder.load() is None
        folder.save(root.certificate, root.key)
        assert folder.load() == (root.certificate, root.key)
        kept = tmp_path / "deep" / "root-ca"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o700
        assert {stat.S_IMODE((kept / name).stat().st_mode) for name in (CERTIFICATE, KEY)} == {0o600}
        assert {entry.name for entry in kept.iterdir()} == {CERTIFICATE, KEY}

    def test_a_certificate_without_its_key_is_never_overwritten(self, tmp_path: Path, root: authority.Root) -> None:
        folder = RootFolder(tmp_path)
        folder.save(root.certificate, root.key)
        (tmp_path / KEY).unlink()
        assert folder.load() is None
        with pytest.raises(NeedsPerson, match=r"without root-key\.pem"):
            folder.save(b"other", b"other")
        assert (tmp_path / CERTIFICATE).read_bytes() == root.certificate

    @pytest.mark.parametrize("waits", [False, True], ids=["alone", "beside what another save left"])
    def test_a_key_without_its_certificate_is_somebodys(
        self, tmp_path: Path, root: authority.Root, waits: bool
    ) -> None:
        (tmp_path / KEY).write_bytes(authority.make_key())
        if waits:
            pending = {KEY: root.key.decode(), CERTIFICATE: root.certificate.decode()}
            (tmp_path / PENDING).write_text(json.dumps(pending))
        tmp_path.chmod(0o755)
        before, folder = (tmp_path / KEY).read_bytes(), RootFolder(tmp_path)
        assert folder.load() is None
        obstacle = folder.obstacle()
        assert obstacle
        assert str(tmp_path / KEY) in obstacle.what
        with pytest.raises(NeedsPerson, match=KEY):
            folder.save(root.certificate, root.key)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {KEY: before}
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755

    @pytest.mark.inputs("S4")
    def test_two_that_save_at_once_leave_one_root(self, tmp_path: Path) -> None:
        roots = [authority.make_root(f"mesh{number}") for number in range(4)]

        def save(root: authority.Root) -> bool:
            try:
                RootFolder(tmp_path).save(root.certificate, root.key)
            except NeedsPerson:
                return False
            return True

        with ThreadPoolExecutor(len(roots)) as pool:
            assert sum(pool.map(save, roots)) == 1
        kept = RootFolder(tmp_path).load()
        assert kept in [(root.certificate, root.key) for root in roots]

    @pytest.mark.inputs("S14")
    def test_what_a_killed_save_left_is_swept(self, tmp_path: Path, root: authority.Root) -> None:
        put_files(tmp_path, {f".{KEY}.new": root.key, f"{whole.TEMPORARY}1": root.key})
        assert RootFolder(tmp_path).load() is None
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", [CERTIFICATE, KEY])
    def test_half_of_one_is_told_as_that_whoever_may_change_it(self, kept: Path, name: str) -> None:
        (kept / name).unlink()
        (half,) = kept.iterdir()
        half.chmod(0o666)
        assert RootFolder(kept).load() is None
        obstacle = RootFolder(kept).obstacle()
        assert obstacle
        assert obstacle.what.startswith(f"{half} is there without {name}")

    @pytest.mark.parametrize("name", [CERTIFICATE, KEY])
    def test_nor_is_half_of_one_used_that_is_taken_away_just_now(
        self, kept: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        real = PrivateFolder.read

        def taken_away(folder: PrivateFolder, wanted: str, limit: int, *, secret: bool) -> bytes | None:
            return None if wanted == name else real(folder, wanted, limit, secret=secret)

        monkeypatch.setattr(PrivateFolder, "read", taken_away)
        assert RootFolder(kept).load() is None

    def test_a_whole_one_is_never_overwritten(self, kept: Path, root: authority.Root) -> None:
        with pytest.raises(NeedsPerson, match=f"{kept} holds a root already"):
            RootFolder(kept).save(b"another", b"root")
        assert RootFolder(kept).load() == (root.certificate, root.key)

    def test_who_looks_for_one_makes_no_folder(self, tmp_path: Path) -> None:
        folder = RootFolder(tmp_path / "absent")
        assert folder.load() is None
        assert folder.obstacle() is None
        assert list(tmp_path.iterdir()) == []

    def test_no_key_of_an_earlier_build_stays_beside_a_new_one(self, tmp_path: Path, root: authority.Root) -> None:
        put_files(tmp_path, {f".{KEY}.new": root.key})
        RootFolder(tmp_path).save(root.certificate, root.key)
        assert {path.name for path in tmp_path.iterdir()} == {CERTIFICATE, KEY}

    def test_a_full_disk_is_a_failure(
        self, tmp_path: Path, root: authority.Root, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(whole, "flush_file", full)
        with pytest.raises(Failed, match=f"The root key could not be written to {tmp_path}"):
            RootFolder(tmp_path).save(root.certificate, root.key)
        assert list(tmp_path.iterdir()) == []

    def test_another_run_that_writes_there_is_told(
        self, tmp_path: Path, root: authority.Root, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(private, "PATIENCE", -1.0)
        held = os.open(tmp_path, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(Busy, match=f"Another run is writing to {tmp_path}"):
                RootFolder(tmp_path).save(root.certificate, root.key)
        finally:
            os.close(held)

    def test_each_mesh_has_its_own_place(self) -> None:
        places = [default_place(mesh) for mesh in ("mesh1", "mesh2")]
        assert [place.parent.name for place in places] == ["mesh1", "mesh2"]

    def test_a_planted_link_is_not_followed(self, tmp_path: Path, root: authority.Root) -> None:
        victim = tmp_path / "victim"
        victim.write_text("mine")
        place = tmp_path / "root-ca"
        place.mkdir(mode=0o700)
        (place / f"{whole.TEMPORARY}1").symlink_to(victim)
        RootFolder(place).save(root.certificate, root.key)
        assert victim.read_text() == "mine"


@pytest.fixture
def kept(tmp_path: Path, root: authority.Root) -> Path:
    """A folder that holds a root."""
    place = tmp_path / "root-ca"
    RootFolder(place).save(root.certificate, root.key)
    return place


def refusals(place: Path, root: authority.Root) -> list[str]:
    """What is said of a folder that is not to be trusted: by a run that would use what is there, and by one that would save."""
    told = []
    for use in (lambda: RootFolder(place).load(), lambda: RootFolder(place).save(root.certificate, root.key)):
        with pytest.raises(NeedsPerson) as raised:
            use()
        told.append(f"{raised.value.what} {raised.value.remedy}")
    return told


class TestGuards:
    """The folder of the root key is guarded as the state's is."""

    pytestmark = pytest.mark.inputs("S4")

    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
    def test_one_that_others_may_write_is_refused_and_left_as_it_is(
        self, kept: Path, root: authority.Root, mode: int
    ) -> None:
        kept.chmod(mode)
        for told in refusals(kept, root):
            assert f"{kept} can be written by" in told
            assert f"chmod go-w {kept}" in told
        assert stat.S_IMODE(kept.stat().st_mode) == mode

    def test_one_below_a_folder_that_everybody_may_write_is_refused(self, kept: Path, root: authority.Root) -> None:
        kept.parent.chmod(0o777)
        for told in refusals(kept, root):
            assert f"{kept} lies in {kept.parent}, where everybody can write" in told
            assert "certificates.path" in told

    def test_no_folder_is_made_that_others_may_write(self, tmp_path: Path, root: authority.Root) -> None:
        before = os.umask(0)
        try:
            RootFolder(tmp_path / "a" / "b" / "root-ca").save(root.certificate, root.key)
        finally:
            os.umask(before)
        for place in (tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "root-ca"):
            assert stat.S_IMODE(place.stat().st_mode) == 0o700

    def test_a_link_is_refused_also_where_it_leads_to_a_folder_of_ones_own(
        self, kept: Path, root: authority.Root
    ) -> None:
        link = kept.with_name("link")
        link.symlink_to(kept)
        assert all(f"{link} is a symbolic link" in told for told in refusals(link, root))

    @pytest.mark.parametrize("name", [CERTIFICATE, KEY])
    def test_so_is_a_linked_file(self, kept: Path, name: str) -> None:
        (kept / name).rename(kept.parent / name)
        (kept / name).symlink_to(kept.parent / name)
        with pytest.raises(NeedsPerson, match=f"{name} is a symbolic link"):
            RootFolder(kept).load()

    def test_what_belongs_to_another_is_refused(
        self, kept: Path, root: authority.Root, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = os.geteuid() + 1
        monkeypatch.setattr(os, "geteuid", lambda: other)
        assert all("belongs to another user" in told for told in refusals(kept, root))

    @pytest.mark.parametrize("name", [CERTIFICATE, KEY])
    def test_so_are_files_of_another_in_ones_own_folder(
        self, kept: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        real = os.fstat
        inode = (kept / name).stat().st_ino

        def fstat(fd: int) -> os.stat_result:
            found = real(fd)
            if found.st_ino != inode:
                return found
            fields = list(found)
            fields[4] = os.geteuid() + 1
            return os.stat_result(fields)

        monkeypatch.setattr(os, "fstat", fstat)
        with pytest.raises(NeedsPerson, match=f"{name} belongs to another user"):
            RootFolder(kept).load()

    @pytest.mark.parametrize(
        ("name", "mode"), [(KEY, 0o666), (KEY, 0o640), (KEY, 0o604), (CERTIFICATE, 0o666), (CERTIFICATE, 0o620)]
    )
    def test_a_file_that_others_may_change_and_a_key_they_may_read_is_refused(
        self, kept: Path, name: str, mode: int
    ) -> None:
        (kept / name).chmod(mode)
        with pytest.raises(NeedsPerson, match=f"{name} can be") as raised:
            RootFolder(kept).load()
        assert re.fullmatch(rf"Run: chmod go-?[w=]+ {kept / name}", raised.value.remedy)
        (kept / name).chmod(0o644 if name == CERTIFICATE else 0o600)
        assert RootFolder(kept).load()

    @pytest.mark.inputs("S13")
    @pytest.mark.parametrize("name", [CERTIFICATE, KEY])
    def test_a_pipe_does_not_hang(self, kept: Path, name: str) -> None:
        (kept / name).unlink()
        os.mkfifo(kept / name)
        with pytest.raises(NeedsPerson, match=f"{name} is not a regular file"):
            RootFolder(kept).load()

    @pytest.mark.inputs("S13")
    def test_nor_is_a_file_without_an_end_read(self, kept: Path) -> None:
        with (kept / KEY).open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(NeedsPerson, match=f"{KEY} is larger than 1 MiB"):
            RootFolder(kept).load()


@pytest.mark.inputs("M1")
def test_no_new_key_lies_in_a_folder_that_is_not_private(tmp_path: Path, root: authority.Root) -> None:
    place = tmp_path / "certs"
    place.mkdir()
    for mode in (0o755, 0o750, 0o711):
        place.chmod(mode)
        obstacle = RootFolder(place).obstacle()
        assert obstacle
        assert f"{place} can be read by others" in obstacle.what
        assert obstacle.remedy == f"Run: chmod go= {place}"
        with pytest.raises(NeedsPerson, match="can be read by others"):
            RootFolder(place).save(root.certificate, root.key)
        assert (list(place.iterdir()), stat.S_IMODE(place.stat().st_mode)) == ([], mode)
    subprocess.run(shlex.split(obstacle.remedy.removeprefix("Run: ")), check=True)
    assert RootFolder(place).obstacle() is None
    RootFolder(place).save(root.certificate, root.key)
    place.chmod(0o755)  # what its owner did later is their affair: the key is 0600
    assert RootFolder(place).load() == (root.certificate, root.key)


@pytest.mark.inputs("M9")
@pytest.mark.parametrize("name", [CERTIFICATE, KEY])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_root_that_cannot_be_read_is_not_none(
    kept: Path, root: authority.Root, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    real = os.open

    def refusing(path: str, *args: int, **how: int) -> int:
        if Path(path).name == name:
            raise OSError(number, os.strerror(number), path)
        return real(path, *args, **how)

    before = {path.name: path.read_bytes() for path in kept.iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refusing)
        with pytest.raises(NeedsPerson, match=f"{kept / name} cannot be read: {os.strerror(number)}"):
            RootFolder(kept).load()
        with pytest.raises(NeedsPerson):
            RootFolder(kept).save(b"another", b"root")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


@pytest.mark.inputs("S15")
def test_no_core_dump_is_written_once_a_root_key_is_held(kept: Path) -> None:
    code = """
import ctypes, resource, sys
from pathlib import Path
from wizard.certificates import authority
from wizard.certificates.rootstore import RootFolder
def dumps():
    dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) if sys.platform == "linux" else 0
    return dumpable, resource.getrlimit(resource.RLIMIT_CORE)[0]
_, most = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
RootFolder(Path(sys.argv[1]) / "absent").load()
before = dumps()
if sys.argv[2] == "kept":
    RootFolder(Path(sys.argv[1])).load()
else:
    authority.make_root("mesh1")
print(before != (0, 0), dumps())
"""
    for how in ("kept", "made"):
        done = subprocess.run([sys.executable, "-c", code, str(kept), how], capture_output=True, text=True, check=True)
        assert done.stdout == "True (0, 0)\n"


@pytest.mark.inputs("S4")
def test_the_command_that_cures_can_be_pasted_whatever_the_folder_is_called(
    tmp_path: Path, root: authority.Root
) -> None:
    place = tmp_path / "it's; touch pwned"
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(NeedsPerson) as raised:
        RootFolder(place).save(root.certificate, root.key)
    subprocess.run(["sh", "-c", raised.value.remedy.removeprefix("Run: ")], cwd=tmp_path, check=True)
    assert [path.name for path in tmp_path.iterdir()] == [place.name]
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
