"""What the wizard does with keys and certificates, as openssl commands that a person may type. `folder`, `roots` come quoted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wizard.certificates.authority import INTERMEDIATE_DAYS, ROOT_DAYS, ROOT_KEY
from wizard.certificates.bundle import CERT, CHAIN, KEY, ROOT
from wizard.text import here_document, one_line, quoted

REQUEST = "ca.csr"
NEW_KEY = "openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt"


def make_root(folder: str, mesh: str) -> str:
    """A root in this folder, where there is none yet."""
    return (
        f"mkdir -p {folder} && chmod 700 {folder}\n"
        f"if [ ! -e {folder}/{ROOT} ]; then\n"
        f"  [ ! -e {folder}/{ROOT_KEY} ] || {{ echo '{ROOT_KEY} is there without {ROOT}' >&2; exit 3; }}\n"
        f"  openssl ecparam -name secp384r1 -genkey -noout -out {folder}/{ROOT_KEY} && chmod 600 {folder}/{ROOT_KEY}\n"
        f"  openssl req -x509 -new -sha384 -key {folder}/{ROOT_KEY} -days {ROOT_DAYS} "
        f"-subj {quoted(f'/O=Istio/CN={mesh} Root CA')} -out {folder}/{ROOT} "
        "-config /dev/stdin -extensions root <<'EOF'\n"
        "[req]\ndistinguished_name = name\n[name]\n[root]\nbasicConstraints = critical, CA:true, pathlen:1\n"
        "keyUsage = critical, keyCertSign, cRLSign\nsubjectKeyIdentifier = hash\nEOF\n"
        "fi"
    )


def make_intermediate(folder: str, roots: str, cluster: str, trust_domain: str) -> str:
    """A cluster's intermediate in `folder`, signed by the root in `roots`, where there is none yet."""
    return (
        f"mkdir -p {folder} && chmod 700 {folder}\n"
        f"if [ ! -e {folder}/{CHAIN} ]; then\n"
        f"[ -e {folder}/{KEY} ] || {NEW_KEY} -out {folder}/{KEY}\n"
        f"{_request(folder, cluster)}\n"
        f"{sign(folder, roots, trust_domain)}\n"
        f"cat {folder}/{CERT} {roots}/{ROOT} > {folder}/{CHAIN}\n"
        "fi"
    )


def sign(folder: str, roots: str, trust_domain: str) -> str:
    """The request in `folder`, signed by the root in `roots`."""
    # A root may be without a subject key identifier; then `keyid` alone would fail.
    return here_document(
        f"openssl x509 -req -sha384 -days {INTERMEDIATE_DAYS} -in {folder}/{REQUEST} "
        f"-CA {roots}/{ROOT} -CAkey {roots}/{ROOT_KEY} -CAcreateserial -out {folder}/{CERT} -extfile /dev/stdin",
        "basicConstraints = critical, CA:true, pathlen:0\n"
        "keyUsage = critical, keyCertSign, cRLSign\n"
        "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid,issuer\n"
        f"nameConstraints = critical, permitted;URI:{one_line(trust_domain)}\n",
    )


def verify_folder(place: Path, clusters: Sequence[str]) -> str:
    """Every cluster's intermediate in the folder leads up to one root."""
    return (
        f"(\n  cd {quoted(place)}\n"
        f"  for cluster in {' '.join(map(quoted, clusters))}; do\n"
        f'    root=$cluster/{ROOT}\n    [ -e "$root" ] || root={ROOT}\n'
        f'    chain=$cluster/{CHAIN}\n    [ -e "$chain" ] || chain=$cluster/{CERT}\n'
        f'    openssl verify -CAfile "$root" -untrusted "$chain" "$cluster/{CERT}" >&2\n'
        '    openssl x509 -in "$root" -noout -fingerprint -sha256\n'
        "  done | sort -u | wc -l | grep -qx 1 || { echo 'the clusters have different roots' >&2; exit 2; }\n)"
    )


def collect(place: Path, cluster: str, folder: str) -> str:
    """What the folder at `place` holds for the cluster, put together in `folder`."""
    own, shared = quoted(str(place / cluster)), quoted(place)
    return (
        f"mkdir -p {folder} && chmod 700 {folder}\n"
        f"cp {own}/{CERT} {own}/{KEY} {folder}/\n"
        f"cp {own}/{ROOT} {folder}/ 2>/dev/null || cp {shared}/{ROOT} {folder}/\n"
        f"cp {own}/{CHAIN} {folder}/ 2>/dev/null || cat {folder}/{CERT} {folder}/{ROOT} > {folder}/{CHAIN}"
    )


def request_all(place: Path, clusters: Sequence[str], trust_domain: str) -> str:
    """A key and a request for each cluster, and an end with exit code 3 as long as a certificate is awaited."""
    lines = []
    for cluster in clusters:
        folder = quoted(str(place / cluster))
        lines += [
            f"mkdir -p {folder} && chmod 700 {folder}",
            f"[ -e {folder}/{KEY} ] || {NEW_KEY} -out {folder}/{KEY}",
            f"[ -e {folder}/{REQUEST} ] || {_request(folder, cluster)}",
            *(f"#   {line}" for line in sign(quoted(cluster), ".", trust_domain).splitlines()),
        ]
    folders = " ".join(quoted(str(place / cluster)) for cluster in clusters)
    return "\n".join(
        [
            *lines,
            f"for folder in {folders}; do",
            f'  [ -e "$folder/{CERT}" ] || {{',
            f'    echo "have $folder/{REQUEST} signed, put {CERT} beside it and {ROOT} too, then run this again" >&2; exit 3; }}',
            "done",
        ]
    )


def _request(folder: str, cluster: str) -> str:
    return (
        f"openssl req -new -key {folder}/{KEY} -subj {quoted(f'/O=Istio/L={cluster}/CN=Intermediate CA')} "
        f"-out {folder}/{REQUEST}"
    )
