"""A root that is kept passes the checks of a person's certificates before anything is touched; RSA roots sign, too."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.unit.certificates_fakes import ROOT, Authority, authority, put_files
from tests.unit.test_certificates_steps import Certifying, certifying, conflict
from wizard.certificates.bundle import CERT, CHAIN, FILES, KEY, inspect
from wizard.certificates.rootstore import RootFolder
from wizard.engine.step import Done, Needed
from wizard.errors import NeedsPerson
from wizard.objects.cacerts import certificate_mistakes

pytestmark = pytest.mark.inputs("S5")

ROOT_KEY = "root-key.pem"
RSA = rsa.generate_private_key(65537, 2048)
SOUND = authority("Top", path_length=1)


def files(root: Authority) -> dict[str, bytes]:
    return {ROOT: root.pem, ROOT_KEY: root.key}


def encoded(root: Authority, form: serialization.PrivateFormat, secret: bytes) -> bytes:
    encryption = serialization.BestAvailableEncryption(secret)
    return root.private.private_bytes(serialization.Encoding.PEM, form, encryption)  # type: ignore[no-any-return]


@pytest.fixture
def making(tmp_path: Path) -> Certifying:
    made = certifying(tmp_path / "roots", "generate")
    made.world = replace(made.world, roots=RootFolder(made.place))
    return made


def cure(told: str) -> str:
    """The command in this sentence."""
    return told.partition("run: ")[2].split("; Correct")[0]


def keep(making: Certifying, content: dict[str, bytes]) -> None:
    put_files(making.place, content).chmod(0o700)


UNFIT: dict[str, tuple[Callable[[], dict[str, bytes]], str, str]] = {
    "expired": (lambda: files(authority("Top", days=-1, since=-9)), ROOT, "expired on"),
    "not yet": (lambda: files(authority("Top", since=3)), ROOT, "is valid only from"),
    "path length": (lambda: files(authority("Top", path_length=0)), ROOT, "has path length 0; at least 1"),
    "no authority": (lambda: files(authority("Top", ca=False)), ROOT, "is no certificate authority"),
    "without constraints": (lambda: files(authority("Top", ca=None)), ROOT, "is no certificate authority"),
    "may not sign": (lambda: files(authority("Top", signs=False)), ROOT, "may not sign certificates"),
    "another trust domain": (
        lambda: files(authority("Top", permitted=[x509.UniformResourceIdentifier("other.example")])),
        ROOT,
        "may sign for other.example only",
    ),
    "not the top": (lambda: files(authority("Middle", SOUND)), ROOT, "is signed by yet another authority"),
    "short": (
        lambda: files(authority("Top", key=rsa.generate_private_key(65537, 1024))),  # noqa: S505
        ROOT,
        "1024 bits",
    ),
    "curve": (lambda: files(authority("Top", key=ec.generate_private_key(ec.SECP256K1()))), ROOT, "curve secp256k1"),
    "kind of key": (
        lambda: {ROOT: SOUND.pem, ROOT_KEY: authority("x", key=ec.generate_private_key(ec.SECP256R1())).key},
        ROOT_KEY,
        "does not belong to root-cert.pem",
    ),
    "ed25519": (
        lambda: {ROOT: SOUND.pem, ROOT_KEY: ed25519_key()},
        ROOT_KEY,
        "is neither an RSA nor an ECDSA key",
    ),
    "garbage certificate": (lambda: {**files(SOUND), ROOT: b"rubbish"}, ROOT, "is no PEM file"),
    "garbage key": (lambda: {**files(SOUND), ROOT_KEY: b"rubbish"}, ROOT_KEY, "is no PEM file"),
    "cut key": (lambda: {**files(SOUND), ROOT_KEY: SOUND.key[:90]}, ROOT_KEY, "cannot be read as a private key"),
    "empty key": (lambda: {**files(SOUND), ROOT_KEY: b""}, ROOT_KEY, "is empty"),
    "two": (lambda: {**files(SOUND), ROOT: SOUND.pem + authority("x").pem}, ROOT, "holds 2 certificates"),
    "encrypted": (
        lambda: {**files(SOUND), ROOT_KEY: encoded(SOUND, serialization.PrivateFormat.PKCS8, b"abcd")},
        ROOT_KEY,
        "is encrypted",
    ),
    "encrypted in openssl's way": (
        lambda: {**files(SOUND), ROOT_KEY: encoded(SOUND, serialization.PrivateFormat.TraditionalOpenSSL, b"abcd")},
        ROOT_KEY,
        "is encrypted",
    ),
}


def ed25519_key() -> bytes:
    return ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize("case", UNFIT)
def test_one_that_may_not_sign_is_bad_input_that_names_the_file(making: Certifying, case: str) -> None:
    make, name, sentence = UNFIT[case]
    keep(making, make())
    before = {path.name: path.read_bytes() for path in making.place.iterdir()}
    (mistake,) = certificate_mistakes(making.mesh, making.world, making.mesh.clusters)
    assert mistake.path == "certificates.path"
    assert str(making.place / name) in mistake.text
    assert sentence in mistake.text
    # It may have come after the check.
    assert sentence in conflict(making.root.probe(making.world))
    with pytest.raises(NeedsPerson, match=name):
        making.apply(making.intermediate(1))
    assert [making.secret(1), making.secret(2)] == [None, None]
    assert {path.name: path.read_bytes() for path in making.place.iterdir()} == before


@pytest.mark.parametrize("case", ["expired", "garbage certificate", "garbage key", "pipe", "unreadable"])
def test_what_works_without_it_is_not_touched(making: Certifying, case: str) -> None:
    keep(making, files(SOUND))
    making.run()
    for path in making.place.iterdir():
        path.unlink()
    keep(making, UNFIT[case][0]() if case in UNFIT else {ROOT: SOUND.pem})
    if case == "pipe":
        os.mkfifo(making.place / ROOT_KEY)
    elif case == "unreadable":
        (making.place / ROOT_KEY).mkdir()
    assert certificate_mistakes(making.mesh, making.world, making.mesh.clusters) == ()
    assert all(isinstance(probe, Done) for probe in making.probes())


def test_one_that_cannot_be_read_is_not_taken_for_another_root(making: Certifying) -> None:
    keep(making, UNFIT["garbage certificate"][0]())
    below = authority("Intermediate", SOUND, path_length=0)
    making.put(2, {CERT: below.pem, KEY: below.key, ROOT: SOUND.pem, CHAIN: below.pem + SOUND.pem})
    assert isinstance(making.intermediate(2).probe(making.world), Done)


@pytest.mark.inputs("S4", "M9")
@pytest.mark.parametrize("case", ["open folder", "open key", "pipe", "unreadable"])
def test_one_that_is_not_to_be_trusted_is_bad_input_and_never_none(making: Certifying, case: str) -> None:
    keep(making, files(SOUND))
    if case == "open folder":
        making.place.chmod(0o777)
    elif case == "open key":
        (making.place / ROOT_KEY).chmod(0o644)
    else:
        (making.place / ROOT_KEY).unlink()
        os.mkfifo(making.place / ROOT_KEY) if case == "pipe" else (making.place / ROOT_KEY).mkdir()
    for there in (False, True):  # whether one cluster has a root already
        if there:
            below = authority("Intermediate", SOUND, path_length=0)
            making.put(2, {CERT: below.pem, KEY: below.key, ROOT: SOUND.pem, CHAIN: below.pem + SOUND.pem})
        (mistake,) = certificate_mistakes(making.mesh, making.world, making.mesh.clusters)
        assert str(making.place) in mistake.text
        conflict(making.root.probe(making.world))
        assert making.secret(1) is None


@pytest.mark.parametrize("key", [RSA, ec.generate_private_key(ec.SECP521R1())], ids=["RSA", "P-521"])
@pytest.mark.parametrize("identified", [True, False], ids=["SKI", "no SKI"])
def test_a_persons_root_of_another_make_signs_and_openssl_verifies(
    making: Certifying, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, identified: bool
) -> None:
    more = [x509.SubjectKeyIdentifier.from_public_key(key.public_key())] if identified else []
    root = authority("Top", key=key, more=more)
    keep(making, files(root))
    assert certificate_mistakes(making.mesh, making.world, making.mesh.clusters) == ()
    making.run()
    for number in (1, 2):
        secret = making.secret(number)
        assert secret
        assert set(secret) == set(FILES)
        assert inspect(secret, "cluster.local", strict=False).of("broken", "unfit") == ()
        assert secret[ROOT] == root.pem
        folder = put_files(making.place.parent / str(number), secret)
        below = Authority(
            x509.load_pem_x509_certificate(secret[CERT]), serialization.load_pem_private_key(secret[KEY], None)
        )
        name = x509.UniformResourceIdentifier("spiffe://cluster.local/ns/sample/sa/curl")
        workload = authority("workload", below, ca=None, signs=None, more=[x509.SubjectAlternativeName([name])])
        (folder / "workload.pem").write_bytes(workload.pem)
        command = ["openssl", "verify", "-CAfile", ROOT, "-untrusted", CHAIN, "workload.pem"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        assert b"BEGIN PRIVATE KEY" in secret[KEY]
        assert root.key not in b"".join(secret.values())


def test_text_around_the_blocks_does_not_reach_the_clusters(making: Certifying) -> None:
    keep(making, {ROOT: b"subject: Top\r\n" + SOUND.pem.replace(b"\n", b"\r\n"), ROOT_KEY: SOUND.key})
    making.run()
    secret = making.secret(1)
    assert secret
    assert secret[ROOT] == SOUND.pem


def test_what_expires_soon_is_said(making: Certifying) -> None:
    keep(making, files(authority("Top", path_length=1, days=9.5)))
    assert certificate_mistakes(making.mesh, making.world, making.mesh.clusters) == ()
    making.run()
    assert f"{making.place / ROOT} expires on" in making.said


@pytest.mark.inputs("46")
def test_one_in_another_form_is_told_with_its_cure(making: Certifying) -> None:
    der = SOUND.certificate.public_bytes(serialization.Encoding.DER)
    keep(making, {ROOT: der, ROOT_KEY: SOUND.key})
    (mistake,) = certificate_mistakes(making.mesh, making.world, making.mesh.clusters)
    subprocess.run(
        ["bash", "-c", mistake.text.partition("run: ")[2].partition(";  ")[0].split("; Correct")[0]], check=True
    )
    assert certificate_mistakes(making.mesh, making.world, making.mesh.clusters) == ()
    assert isinstance(making.intermediate(1).probe(making.world), Needed)
