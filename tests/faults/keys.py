"""The keys of the loopback's API servers and of the proxy before them, and the users' tokens."""

from __future__ import annotations

from pathlib import Path

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.lab.certs import issue, key_pem

# Planted: a scenario searches everything the wizard leaves behind for these.
TOKENS = {"person": "canary-token-of-the-person-4f1d9b", "rig": "token-of-the-rig", "weak": "token-of-somebody-weak"}
_GROUPS = {"person": "system:masters", "rig": "system:masters", "weak": ""}


class Keys:
    """Made once for a rig, in files of its folder. The client's pair is in the person's kubeconfig beside the token, and nobody
    asks for it: it is there to be leaked.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        authority = issue("faults-ca", [], None)
        person = issue("canary-of-the-person", [], authority)
        server = issue("127.0.0.1", [], authority, ["127.0.0.1", "localhost", "kubernetes"], server=True)
        self.ca = folder / "ca.crt"
        self.certificate = folder / "server.crt"
        self.key = folder / "server.key"
        self.accounts = folder / "accounts.key"
        self.tokens = folder / "tokens.csv"
        encoding = serialization.Encoding.PEM
        self.ca.write_bytes(authority.certificate.public_bytes(encoding))
        self.certificate.write_bytes(server.certificate.public_bytes(encoding))
        self.key.write_bytes(key_pem(server.key))
        self.accounts.write_bytes(key_pem(ec.generate_private_key(ec.SECP256R1())))
        self.client_certificate = person.certificate.public_bytes(encoding)
        self.client_key = key_pem(person.key)
        rows = [f'{token},{user},{user},"{_GROUPS[user]}"' for user, token in TOKENS.items()]
        self.tokens.write_text("\n".join([*rows, ""]))


def kubeconfig(server: str, ca: Path) -> str:
    """What leads the person to this API server, as context `ours`."""
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": str(ca)}}],
            "users": [{"name": "u", "user": {"token": TOKENS["person"]}}],
            "contexts": [{"name": "ours", "context": {"cluster": "c", "user": "u"}}],
        }
    )
