"""What istiod or its peers would refuse is found in the files, and named; what can be put in order is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.certificates_fakes import CERT, CHAIN, KEY, ROOT, Authority, authority, files_of, put_files
from wizard.certificates import pem
from wizard.certificates.bundle import FILES, Inspection, inspect

PRINTABLE = x509.name._ASN1Type.PrintableString  # noqa: SLF001 - cryptography has no public way to write names so
TOP = authority("Top", path_length=2)
POLICY = authority("Policy", TOP, path_length=1)
PLAIN = authority("Intermediate", TOP, path_length=0)
DEEP = authority("Deep", POLICY, path_length=0)
SOUND = files_of(PLAIN, TOP)
URI, DNS = x509.UniformResourceIdentifier, x509.DNSName


def told(found: Inspection, *weights: Any) -> str:
    return "\n".join(map(str, found.of(*(weights or ("broken", "unfit", "worry")))))


def test_sound_files_are_without_flaw_however_deep() -> None:
    for files in (SOUND, files_of(DEEP, POLICY, TOP)):
        for strict in (True, False):
            found = inspect(files, "cluster.local", strict=strict)
            assert found.flaws == ()
            assert found.root == TOP.fingerprint
    assert inspect(files_of(DEEP, POLICY, TOP), "x").files[CHAIN] == DEEP.pem + POLICY.pem + TOP.pem


def test_the_chain_follows_from_the_others() -> None:
    without = {name: SOUND[name] for name in (CERT, KEY, ROOT)}
    assert inspect(without, "cluster.local") == inspect(SOUND, "cluster.local")
    assert (
        inspect({**without, CERT: DEEP.pem + POLICY.pem, KEY: DEEP.key}, "x").files[CHAIN]
        == DEEP.pem + POLICY.pem + TOP.pem
    )
    assert "cert-chain.pem is missing" in told(inspect(without, "cluster.local", strict=False), "broken")


# Each: who signs for the cluster, who stands above, and what must be said of which file.
UNSOUND: dict[str, tuple[Callable[[], dict[str, bytes]], str]] = {
    "no authority": (
        lambda: files_of(authority("leaf", TOP, ca=False, signs=False), TOP),
        "ca-cert.pem is no certificate authority",
    ),
    "no basic constraints": (
        lambda: files_of(authority("old", TOP, ca=None), TOP),
        "ca-cert.pem is no certificate authority",
    ),
    "may not sign": (lambda: files_of(authority("i", TOP, signs=False), TOP), "ca-cert.pem may not sign certificates"),
    "expired": (lambda: files_of(authority("i", TOP, since=-9, days=-2), TOP), "ca-cert.pem expired on"),
    "not yet valid": (lambda: files_of(authority("i", TOP, since=1), TOP), "ca-cert.pem is valid only from"),
    "root expired": (lambda: _below(authority("r", since=-9, days=-2)), "root-cert.pem expired on"),
    "middle expired": (
        lambda: _below(authority("Middle", TOP, since=-9, days=-2), TOP),
        "cert-chain.pem holds CN=Middle, which expired on",
    ),
    "root allows none": (
        lambda: _below(authority("r", path_length=0)),
        "root-cert.pem has path length 0; at least 1 is needed here",
    ),
    "middle allows none": (
        lambda: _below(authority("Middle", TOP, path_length=0), TOP),
        "cert-chain.pem holds CN=Middle, which has path length 0; at least 1 is needed",
    ),
    "root too short": (
        lambda: _below(POLICY, authority("Top", path_length=1, key=TOP.private)),
        "root-cert.pem has path length 1; at least 2 is needed here",
    ),
    "servers only": (
        lambda: files_of(authority("i", TOP, extended=[ExtendedKeyUsageOID.SERVER_AUTH]), TOP),
        "ca-cert.pem may not sign for workloads (its extendedKeyUsage lacks clientAuth)",
    ),
    "neither": (
        lambda: files_of(authority("i", TOP, extended=[ExtendedKeyUsageOID.CODE_SIGNING]), TOP),
        "lacks serverAuth and clientAuth",
    ),
    "another trust domain": (
        lambda: files_of(authority("i", TOP, permitted=[URI("elsewhere.example")]), TOP),
        "ca-cert.pem may sign for elsewhere.example only, not for cluster.local",
    ),
    "root of another trust domain": (
        lambda: _below(authority("r", permitted=[URI(".cluster.local")])),
        "root-cert.pem may sign for .cluster.local only",
    ),
    "excluded": (
        lambda: files_of(authority("i", TOP, excluded=[URI("local")]), TOP),
        "ca-cert.pem may not sign for cluster.local",
    ),
    "istiod's own name": (
        lambda: files_of(authority("i", TOP, permitted=[DNS("example.com")]), TOP),
        "ca-cert.pem may sign for example.com only, not for istiod.istio-system.svc",
    ),
    "unknown and critical": (
        lambda: files_of(
            authority("i", TOP, more=[x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")], critical=True),
            TOP,
        ),
        "ca-cert.pem has a critical extension that istiod does not know (1.2.3.4)",
    ),
    "another root": (
        lambda: files_of(PLAIN, authority("Other")),
        "ca-cert.pem is not signed by root-cert.pem by way of cert-chain.pem: CN=Top is in neither",
    ),
    "another root of the same name": (
        lambda: files_of(PLAIN, authority("Top")),
        "CN=Top is there by name, but another key made the signature",
    ),
    "a root in its place": (
        lambda: files_of(authority("Own"), TOP),
        "ca-cert.pem is not signed by root-cert.pem by way of cert-chain.pem: it is a root of its own",
    ),
    "a link is missing": (lambda: {**files_of(DEEP, POLICY, TOP), CHAIN: DEEP.pem}, "CN=Policy is in neither"),
    "another key": (lambda: {**SOUND, KEY: DEEP.key}, "ca-key.pem does not belong to ca-cert.pem"),
    "names written otherwise": (
        lambda: files_of(
            authority(
                "i",
                TOP,
                issued_as=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Top", PRINTABLE)]),
            ),
            TOP,
        ),
        "CN=Top is there, but its name is encoded otherwise",
    ),
}  # fmt: skip


def _below(*above: Authority) -> dict[str, bytes]:
    return files_of(authority("i", above[0]), *above)


@pytest.mark.parametrize("name", UNSOUND)
def test_what_istiod_or_peers_would_refuse_is_named(name: str) -> None:
    make, sentence = UNSOUND[name]
    files = make()
    for strict in (True, False):
        assert sentence in told(inspect(files, "cluster.local", strict=strict), "broken")


SUITED = [
    authority("none"),
    authority("host", permitted=[URI("cluster.local")]),
    authority("every", permitted=[URI("")]),
    authority("below", permitted=[URI(".local")]),
    authority("dns", permitted=[DNS("svc")], excluded=[DNS("example.com")]),
    authority("any", extended=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),
    authority("both", extended=[ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
    authority("silent", signs=None),
]


@pytest.mark.parametrize("root", SUITED, ids=lambda root: root.certificate.subject.rfc4514_string())
def test_what_suits_is_not_refused(root: Authority) -> None:
    assert inspect(_below(root), "cluster.local").flaws == ()


class TestUnfit:
    """istiod would take these; the wizard puts no such thing into a cluster, and leaves them where they are."""

    @pytest.mark.parametrize(
        ("files", "sentence"),
        [
            (files_of(TOP, TOP), "ca-cert.pem is the root itself"),
            ({**SOUND, ROOT: TOP.pem + authority("Second").pem}, "root-cert.pem holds 2 certificates"),
            (files_of(DEEP, POLICY), "root-cert.pem is signed by yet another authority"),
            (files_of(authority("e", TOP, key=ed25519.Ed25519PrivateKey.generate()), TOP), "neither RSA nor ECDSA"),
            (files_of(authority("k", TOP, key=ec.generate_private_key(ec.SECP256K1())), TOP), "curve secp256k1"),
            (files_of(authority("w", TOP, key=rsa.generate_private_key(65537, 1024)), TOP), "RSA key of 1024 bits"),  # noqa: S505
        ],
        ids=["root", "two roots", "no root", "ed25519", "curve", "short"],
    )  # fmt: skip
    def test_is_refused_from_a_folder_only(self, files: dict[str, bytes], sentence: str) -> None:
        found = inspect(files, "cluster.local")
        assert sentence in told(found, "unfit")
        assert not found.of("broken")
        assert not inspect(files, "cluster.local", strict=False).of("broken")

    def test_two_roots_have_one_name_in_whatever_order(self) -> None:
        second = authority("Second")
        names = {inspect({**SOUND, ROOT: b"".join(order)}, "x", strict=False).root for order in
                 ([TOP.pem, second.pem], [second.pem, TOP.pem])}  # fmt: skip
        assert len(names) == 1
        assert TOP.fingerprint not in names


class TestPutInOrder:
    SORTED = DEEP.pem + POLICY.pem + TOP.pem

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({CHAIN: TOP.pem + POLICY.pem + DEEP.pem}, "cert-chain.pem is not in order"),
            ({CHAIN: TOP.pem + POLICY.pem}, "cert-chain.pem lacks the certificate of ca-cert.pem; it is added"),
            ({CHAIN: SORTED + PLAIN.pem}, "cert-chain.pem holds CN=Intermediate, which is not on the way"),
            ({CERT: TOP.pem + POLICY.pem + DEEP.pem}, "ca-cert.pem does not begin with the certificate of ca-key.pem"),
        ],
    )
    def test_from_a_folder_it_is_put_in_order_and_said(self, change: dict[str, bytes], sentence: str) -> None:
        found = inspect({**files_of(DEEP, POLICY, TOP), **change}, "cluster.local")
        assert sentence in told(found, "worry")
        assert not found.of("broken", "unfit")
        assert (found.files[CERT], found.files[CHAIN]) == (DEEP.pem, self.SORTED)

    def test_in_a_cluster_what_nobody_can_check_is_broken(self) -> None:
        files = files_of(DEEP, POLICY, TOP)
        for change in ({CHAIN: POLICY.pem + TOP.pem}, {CERT: POLICY.pem + DEEP.pem}):
            assert inspect({**files, **change}, "cluster.local", strict=False).of("broken")
        assert not inspect({**files, CHAIN: TOP.pem + POLICY.pem + DEEP.pem}, "cluster.local", strict=False).flaws

    def test_windows_line_ends_text_and_parameters_are_cleared_away(self) -> None:
        traditional = DEEP.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        files = files_of(DEEP, POLICY, TOP)
        untidy = {name: b"Bag Attributes\r\n" + content.replace(b"\n", b"\r\n") for name, content in files.items()}
        untidy[KEY] = parameters + traditional
        found = inspect(untidy, "cluster.local")
        assert found.flaws == ()
        assert dict(found.files) == files
        assert "does not begin with the key" in told(inspect(untidy, "cluster.local", strict=False), "broken")

    def test_of_two_ways_up_the_sound_one_is_taken(self) -> None:
        expired = authority("Policy", TOP, path_length=1, since=-9, days=-2, key=POLICY.private)
        for order in ([expired, POLICY], [POLICY, expired]):
            found = inspect({**files_of(DEEP, TOP), CHAIN: b"".join(each.pem for each in order)}, "cluster.local")
            assert not found.of("broken")
            assert found.files[CHAIN] == self.SORTED


def test_what_expires_soon_is_said_and_not_refused() -> None:
    (flaw,) = inspect(files_of(authority("i", TOP, days=10.5), TOP), "cluster.local").flaws
    assert (flaw.weight, flaw.file) == ("worry", CERT)
    assert "in 10 days" in flaw.text
    assert inspect(files_of(authority("i", TOP, days=31), TOP), "cluster.local").flaws == ()


def encrypted(form: serialization.PrivateFormat) -> bytes:
    return PLAIN.private.private_bytes(  # type: ignore[no-any-return]
        serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"abcdef")
    )


DER = serialization.Encoding.DER


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            KEY,
            b"-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----\n",
            "holds a key in OpenSSH's form",
        ),
        (CERT, b"", "is empty"),
        (CERT, b" \r\n", "is empty"),
        (CERT, b"hello", "is no PEM file"),
        (CERT, PLAIN.certificate.public_bytes(DER), "is binary (DER or PKCS#12), not PEM"),
        (CERT, ("\ufeff" + PLAIN.pem.decode()).encode("utf-16"), "is UTF-16 text"),
        (CERT, PLAIN.pem[:300], "is damaged or cut off"),
        (CERT, PLAIN.pem.replace(b"MII", b"MIX"), "is damaged or cut off"),
        (CERT, PLAIN.key, "holds a private key; it must hold certificates only"),
        (ROOT, TOP.pem + TOP.key, "holds a private key; it must hold certificates only"),
        (
            CERT,
            b"-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n",
            "holds a certificate request",
        ),
        (CERT, PLAIN.pem.replace(b"CERTIFICATE", b"TRUSTED CERTIFICATE"), "OpenSSL's own form"),
        (CHAIN, PLAIN.pem * 17, "holds 17 certificates"),
        (KEY, b"", "is empty"),
        (KEY, PLAIN.pem, "holds a certificate, not a private key"),
        (KEY, encrypted(serialization.PrivateFormat.PKCS8), "is encrypted, and istiod cannot be asked"),
        (KEY, encrypted(serialization.PrivateFormat.TraditionalOpenSSL), "is encrypted, and istiod cannot be asked"),
        (KEY, PLAIN.key[:80], "cannot be read as a private key"),
        (
            KEY,
            PLAIN.private.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
            "is binary",
        ),
    ],
    # Keys differ from run to run, and test processes must agree on the names.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_of_another_kind_is_told_what_it_is(name: str, content: bytes, sentence: str) -> None:
    found = inspect({**SOUND, name: content}, "cluster.local")
    assert any(flaw.file == name and sentence in flaw.text for flaw in found.of("broken")), told(found)


def test_every_missing_file_is_named() -> None:
    assert told(inspect({}, "cluster.local", strict=False)) == "\n".join(f"{name} is missing" for name in FILES)


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl: such signatures cannot be made otherwise")
def test_sha1_is_refused_below_the_root(tmp_path: Path) -> None:
    put_files(tmp_path, {"top.pem": TOP.pem, "top.key": TOP.key, KEY: PLAIN.key, "ext": b"basicConstraints=CA:true\n"})
    for command in (
        f"req -new -key {KEY} -subj /CN=Intermediate -out csr",
        f"x509 -req -in csr -CA top.pem -CAkey top.key -CAcreateserial -sha1 -days 9 -extfile ext -out {CERT}",
        "req -x509 -new -sha1 -key top.key -subj /CN=Top -days 999 -out old.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=tmp_path, check=True, capture_output=True)
    found = inspect({**SOUND, CERT: (tmp_path / CERT).read_bytes()}, "cluster.local")
    assert "ca-cert.pem is signed with SHA1, which istiod refuses" in told(found, "broken")
    old = inspect({**SOUND, ROOT: (tmp_path / "old.pem").read_bytes()}, "cluster.local")
    assert "SHA1" not in told(old)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(FILES), st.one_of(
    st.binary(max_size=60),
    st.sampled_from([PLAIN.pem, PLAIN.key, TOP.pem, TOP.key, DEEP.pem, POLICY.pem]).flatmap(
        lambda sound: st.builds(
            lambda at, junk, cut: sound[:at] + junk + sound[at + cut :],
            st.integers(0, len(sound)), st.binary(max_size=4), st.integers(0, 40),
        )
    ),
)), st.booleans())  # fmt: skip
def test_whatever_the_files_hold_it_is_told_and_never_shown(change: dict[str, bytes], strict: bool) -> None:
    files = {**SOUND, **change}
    found = inspect(files, "cluster.local", strict=strict)
    shown = repr(found)
    assert "PRIVATE KEY" not in shown
    if not found.of("broken"):
        assert dict(found.files)[KEY] == inspect(found.files, "cluster.local", strict=False).files[KEY]
        assert not inspect(found.files, "cluster.local", strict=False).of("broken")


@given(st.permutations([DEEP, POLICY, TOP, PLAIN]))
def test_the_order_in_which_certificates_are_brought_does_not_matter(order: list[Authority]) -> None:
    files = files_of(DEEP, POLICY, TOP)
    found = inspect({**files, CHAIN: b"".join(each.pem for each in order)}, "cluster.local")
    assert dict(found.files) == files


@given(st.binary(max_size=400))
def test_reading_rubbish_is_a_value_error(content: bytes) -> None:
    for read in (pem.certificates, pem.private_key):
        with pytest.raises(ValueError):
            read(content)
