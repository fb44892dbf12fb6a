"""The certificates: shape, what is refused, and how the root is kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from wizard.certificates import authority
from wizard.certificates.bundle import inspect
from wizard.certificates.rootstore import CERTIFICATE, KEY, RootFolder
from wizard.errors import Failed, NeedsPerson


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
    with pytest.raises(Failed, match="does not belong"):
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
            (tmp_path / f".{CERTIFICATE}.new").write_bytes(root.certificate)
        tmp_path.chmod(0o755)
        before, folder = (tmp_path / KEY).read_bytes(), RootFolder(tmp_path)
        assert folder.load() is None
        assert str(tmp_path / KEY) in folder.obstacle()
        with pytest.raises(NeedsPerson, match=KEY):
            folder.save(root.certificate, root.key)
        assert (tmp_path / KEY).read_bytes() == before
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755

    @pytest.mark.parametrize("stop", range(12))
    def test_a_save_stopped_anywhere_is_finished_or_made_anew(
        self, tmp_path: Path, root: authority.Root, monkeypatch: pytest.MonkeyPatch, stop: int
    ) -> None:
        left = [stop]

        class Killed(BaseException):
            pass

        def counted(call: Callable[..., object]) -> Callable[..., object]:
            def step(*args: object, **more: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
                return call(*args, **more)

            return step

        folder = RootFolder(tmp_path / "root-ca")
        with monkeypatch.context() as patched, suppress(Killed):
            for owner, name in ((Path, "hardlink_to"), (Path, "unlink"), (os, "open"), (os, "fsync")):
                patched.setattr(owner, name, counted(getattr(owner, name)))
            folder.save(root.certificate, root.key)
        assert folder.obstacle() == ""
        if folder.load() is None:
            folder.save(root.certificate, root.key)
        assert folder.load() == (root.certificate, root.key)
        names = {entry.name for entry in (tmp_path / "root-ca").iterdir()}
        assert {CERTIFICATE, KEY} <= names
        assert f".{KEY}.new" not in names, "a key under a second name"

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

    def test_a_planted_link_is_not_followed(self, tmp_path: Path, root: authority.Root) -> None:
        victim = tmp_path / "victim"
        victim.write_text("mine")
        place = tmp_path / "root-ca"
        place.mkdir()
        (place / f".{KEY}.new").symlink_to(victim)
        RootFolder(place).save(root.certificate, root.key)
        assert victim.read_text() == "mine"
