"""Each cluster's own certificate authority, and the kubeconfigs made from it."""

from __future__ import annotations

import base64
import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.lab.settings import ClusterSpec

ADMIN = "lab-admin"
WEAK = "lab-weak"
TOOL = "lab-tool"
USERS = (ADMIN, WEAK, TOOL)


@dataclass(frozen=True)
class _Pair:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as a PEM file holds it."""
    # Not PKCS8: the API server reads public halves only out of the traditional form.
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(data)


def issue(
    name: str, groups: list[str], issuer: _Pair | None, names: list[str] | None = None, *, server: bool = False
) -> _Pair:
    """A certificate with its key: of an authority where no issuer is given, else of a client or a server."""
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer:
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        issuer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(issuer_id, critical=False)
    if names:
        general: list[x509.GeneralName] = []
        for item in names:
            try:
                general.append(x509.IPAddress(ipaddress.ip_address(item)))
            except ValueError:
                general.append(x509.DNSName(item))
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    return _Pair(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def _kubeconfig(spec: ClusterSpec, user: str, pair: _Pair, ca: x509.Certificate) -> dict[str, Any]:
    def inline(data: bytes) -> str:
        return base64.b64encode(data).decode()

    pem = serialization.Encoding.PEM
    full_name = f"{spec.name}-{user}"
    client = {
        "client-certificate-data": inline(pair.certificate.public_bytes(pem)),
        "client-key-data": inline(key_pem(pair.key)),
    }
    cluster = {"server": spec.server, "certificate-authority-data": inline(ca.public_bytes(pem))}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": spec.name, "cluster": cluster}],
        "users": [{"name": full_name, "user": client}],
        "contexts": [{"name": spec.name, "context": {"cluster": spec.name, "user": full_name}}],
        "current-context": spec.name,
    }


def create(spec: ClusterSpec) -> None:
    """Write the cluster's keys, certificates and one kubeconfig per user, `pki/<user>.kubeconfig`."""
    pki, pem = spec.pki, serialization.Encoding.PEM
    ca = issue(f"{spec.name}-ca", [], None)
    _write(pki / "ca.crt", ca.certificate.public_bytes(pem))
    _write(pki / "ca.key", key_pem(ca.key))
    _write(pki / "service-accounts.key", key_pem(ec.generate_private_key(ec.SECP256R1())))
    service = ["kubernetes", "default", "svc", "cluster", "local"]
    names = [".".join(service[:end]) for end in range(1, len(service) + 1)]
    names += [spec.node, "localhost", "127.0.0.1", spec.service_address(1), spec.address]
    server = issue("kube-apiserver", [], ca, names, server=True)
    _write(pki / "apiserver.crt", server.certificate.public_bytes(pem))
    _write(pki / "apiserver.key", key_pem(server.key))
    users = {
        ADMIN: (ADMIN, ["system:masters"]),
        WEAK: (WEAK, []),
        "lab": (TOOL, ["system:masters"]),
        "apiserver-client": ("kube-apiserver-kubelet-client", ["system:masters"]),
        "kube-controller-manager": ("system:kube-controller-manager", []),
        "kube-scheduler": ("system:kube-scheduler", []),
        "kube-proxy": ("system:kube-proxy", []),
        "kubelet": (f"system:node:{spec.node}", ["system:nodes"]),
    }
    for user, (name, groups) in users.items():
        pair = issue(name, groups, ca)
        _write(pki / f"{user}.crt", pair.certificate.public_bytes(pem))
        _write(pki / f"{user}.key", key_pem(pair.key))
        config = _kubeconfig(spec, user, pair, ca.certificate)
        _write(pki / f"{user}.kubeconfig", yaml.safe_dump(config).encode())


def merge_kubeconfigs(specs: list[ClusterSpec], user: str, out: Path) -> None:
    """One kubeconfig with a context per cluster, for one user; the first is the current one."""
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "current-context": specs[0].name}
    for spec in specs:
        single = yaml.safe_load((spec.pki / f"{user}.kubeconfig").read_bytes())
        for key in ("clusters", "users", "contexts"):
            merged.setdefault(key, []).extend(single[key])
    temporary = out.with_name(out.name + ".new")
    _write(temporary, yaml.safe_dump(merged, sort_keys=False).encode())
    temporary.replace(out)
