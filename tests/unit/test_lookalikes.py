"""Certificates under other names and in other forms: told with one command, and it cures."""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

from tests.unit.certificates_fakes import CERT, CHAIN, KEY, ROOT, Authority, authority, files_of, put_files
from tests.unit.test_certificates_folder import CLUSTERS, mesh_of
from wizard.certificates.folder import folder_mistakes, given_for
from wizard.certificates.lookalikes import form_of

pytestmark = pytest.mark.inputs("46")

TOP = authority("Top", path_length=1)
MINE = authority("Intermediate", TOP, path_length=0)
SOUND = {KEY: MINE.key, CERT: MINE.pem, ROOT: TOP.pem}
DER = serialization.Encoding.DER
PEM = serialization.Encoding.PEM
NONE = serialization.NoEncryption()
PASSWORD = serialization.BestAvailableEncryption(b"abcd")


def private(of: Authority, encoding: serialization.Encoding, form: serialization.PrivateFormat) -> bytes:
    return of.private.private_bytes(encoding, form, NONE)  # type: ignore[no-any-return]


def p12(encryption: serialization.KeySerializationEncryption = NONE) -> bytes:
    return pkcs12.serialize_key_and_certificates(b"x", MINE.private, MINE.certificate, [TOP.certificate], encryption)


def p7b(encoding: serialization.Encoding, *of: Authority) -> bytes:
    return pkcs7.serialize_certificates([each.certificate for each in of], encoding)


# What stands in the folder instead of what should.
OTHERS: dict[str, Callable[[], dict[str, bytes]]] = {
    "cert-manager": lambda: {"tls.crt": MINE.pem, "tls.key": MINE.key, "ca.crt": TOP.pem},
    "other names": lambda: {"ca.pem": MINE.pem, "ca.key": MINE.key, "root.pem": TOP.pem},
    "other names and forms": lambda: {
        "tls.crt": base64.encodebytes(MINE.pem), "tls.key": private(MINE, DER, serialization.PrivateFormat.PKCS8),
        "ca.crt": TOP.certificate.public_bytes(DER),
    },
    "base64": lambda: {name: base64.b64encode(content) for name, content in SOUND.items()},
    "DER": lambda: {
        CERT: MINE.certificate.public_bytes(DER), KEY: private(MINE, DER, serialization.PrivateFormat.TraditionalOpenSSL),
        ROOT: TOP.certificate.public_bytes(DER),
    },
    "PKCS#7": lambda: {CERT: p7b(PEM, MINE), KEY: MINE.key, ROOT: p7b(DER, TOP)},
    "a .p7b beside": lambda: {"from the CA.p7b": p7b(PEM, TOP, MINE), KEY: MINE.key, ROOT: TOP.pem},
    "PKCS#12": lambda: {CERT: p12(), KEY: p12(), ROOT: TOP.pem},
    "a .p12 beside": lambda: {"cluster 1.p12": p12(), ROOT: TOP.pem},
    "encrypted": lambda: {
        CERT: MINE.pem, ROOT: TOP.pem,
        KEY: MINE.private.private_bytes(PEM, serialization.PrivateFormat.PKCS8, PASSWORD),
    },
    "trusted": lambda: {**SOUND, CERT: trusted(MINE)},
}  # fmt: skip


def trusted(of: Authority) -> bytes:
    command = ["openssl", "x509", "-trustout", "-addtrust", "serverAuth"]
    return subprocess.run(command, input=of.pem, check=True, capture_output=True).stdout


@pytest.mark.parametrize("case", OTHERS)
def test_each_is_told_with_one_command_that_cures(tmp_path: Path, case: str) -> None:
    place = tmp_path / "it's a  folder; $(touch pwned)"
    put_files(place / "cluster1", OTHERS[case]())
    for _ in range(6):
        mistakes = folder_mistakes(mesh_of(place), CLUSTERS[:1])
        if not mistakes:
            break
        assert all(re.search(r"(cluster1/|beside it looks like it; )[^;]*", each.text) for each in mistakes)
        for mistake in mistakes:
            # What asks for a passphrase is answered, as the person would.
            command = mistake.text.partition("run: ")[2].replace("openssl pkcs12", "openssl pkcs12 -passin pass:")
            command = command.replace("openssl pkey", "openssl pkey -passin pass:abcd")
            assert command, mistake.text
            subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, capture_output=True)
    assert mistakes == ()
    given = given_for(place, "cluster1", "cluster.local")
    assert given.inspection.files == files_of(MINE, TOP)
    assert not [worry for worry in given.worries if "read by others" in worry]
    assert not (tmp_path / "pwned").exists()


def test_while_a_certificate_is_awaited_it_is_only_a_hint(tmp_path: Path) -> None:
    put_files(tmp_path / "cluster1", {KEY: MINE.key, "tls.crt": MINE.pem, "ca.crt": TOP.pem})
    assert folder_mistakes(mesh_of(tmp_path, "offline"), CLUSTERS[:1]) == ()
    given = given_for(tmp_path, "cluster1", "cluster.local", awaiting=True)
    assert len(given.hints) == 2
    for hint in given.hints:
        subprocess.run(["bash", "-c", hint.partition("run: ")[2]], check=True)
    assert given_for(tmp_path, "cluster1", "cluster.local", awaiting=True).complete


def test_what_is_right_or_nothing_is_not_taken_for_something_else() -> None:
    for content in (
        MINE.pem,
        MINE.key,
        TOP.pem * 2,
        b"",
        b"hello",
        b"MIT License",
        b"MIIB",
        b"\x30\x82\x01",
        b"\0" * 300,
    ):
        assert form_of(content) is None, content[:20]


def test_it_is_looked_for_in_the_clusters_own_folder_only(tmp_path: Path) -> None:
    put_files(tmp_path, {"tls.crt": MINE.pem, "tls.key": MINE.key, "ca.crt": TOP.pem})
    put_files(tmp_path / "cluster1", {})
    told = {each.text.split()[0]: each.text for each in folder_mistakes(mesh_of(tmp_path), CLUSTERS[:1])}
    assert told[f"{tmp_path}/cluster1/{CERT}"].endswith("is missing")
    assert told[f"{tmp_path}/cluster1/{KEY}"].endswith("is missing")
    assert f"mv {tmp_path}/ca.crt {tmp_path}/{ROOT}" in told[f"{tmp_path}/{ROOT}"]


@pytest.mark.parametrize("name", [CERT, ROOT, CHAIN])
def test_a_key_where_certificates_belong_gets_no_command(tmp_path: Path, name: str) -> None:
    put_files(tmp_path / "cluster1", {**SOUND, name: private(MINE, DER, serialization.PrivateFormat.PKCS8)})
    (told,) = folder_mistakes(mesh_of(tmp_path), CLUSTERS[:1])
    assert "openssl pkey" not in told.text
