"""Is it verified who answers as the API server?"""

from __future__ import annotations

from collections.abc import Iterable

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.messages import msg
from wizard.text import one_line, quoted


def find(looked: Looked) -> Iterable[Found]:
    member, cluster = looked.member, looked.cluster
    if not cluster.verified:
        yield Found(
            msg(
                "the certificate of its API server is not verified (insecure-skip-tls-verify, context {context}): "
                "whoever stands in between gets the credentials and keys that are sent there",
                context=one_line(member.context),
            ),
            msg(
                "Put its certificate authority into the kubeconfig instead (certificate-authority-data); "
                "to change something there all the same, consent with {option}.",
                option=f"--unverified {quoted(member.name)}",
            ),
        )


CHECK = Check("verified", "connection", "warning", find)
