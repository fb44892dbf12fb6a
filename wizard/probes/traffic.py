"""Traffic of the sample: requests from a cluster's client, and who answered."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from wizard.clusters.kinds import POD, Ref
from wizard.clusters.port import Cluster
from wizard.errors import Failed
from wizard.istio.proxies import has_sidecar
from wizard.mesh.sample import CLIENT, OLDER_CLIENT, PORT, SERVICE
from wizard.messages import msg
from wizard.objects.pods import is_going, is_pod_of
from wizard.text import one_line

ANSWER_SECONDS = 5  # for one request
_COMPLAINT = re.compile(r"curl: \(\d+\)[^\r\n]*")
_ANSWER = re.compile(r"Hello version: (v\d+), instance: (\S+)")


@dataclass(frozen=True)
class Heard:
    """`answers`: version → how many; `error`: what went wrong with the last that failed, printable; empty: none did."""

    answers: Counter[str]
    error: str = ""


def url_of(namespace: str) -> str:
    """Where the sample is asked."""
    return f"http://{SERVICE}.{namespace}:{PORT}/hello"


def ask(cluster: Cluster, namespace: str, requests: int) -> Heard:
    """So many requests, all at once, from this cluster's client. Failed where none could be sent. At most 15 s."""
    pod, container = _client(cluster, namespace)
    # curl spreads the range itself: one exec instead of many, and all requests under way at once.
    url = f"{url_of(namespace)}?n=[1-{requests}]"
    argv = ["curl", "-sS", "--parallel", "--max-time", str(ANSWER_SECONDS), url]
    done = cluster.execute(pod, container, argv, seconds=ANSWER_SECONDS * 3)
    answers = Counter(found[1] for found in _ANSWER.finditer(done.stdout))
    # Envoy's error texts end without a newline, so one may stand on the line of the next answer.
    other = [line for line in _ANSWER.sub("\n", done.stdout).splitlines() if line.strip()]
    # Beside its complaints, a curl that works in parallel writes how far it is.
    complaint = _COMPLAINT.findall(done.stderr) or other
    if done.code < 0:
        complaint = done.stderr.strip().splitlines()
    return Heard(answers, one_line(complaint[-1]) if complaint else "")


def client_pod(cluster: Cluster, namespace: str) -> Ref:
    """A running client Pod with its sidecar. Failed where there is none."""
    return _client(cluster, namespace)[0]


def _client(cluster: Cluster, namespace: str) -> tuple[Ref, str]:
    """Such a Pod, and the container that can ask."""
    pods = cluster.objects(POD, namespace, f"app in ({CLIENT},{OLDER_CLIENT})")
    for name in (CLIENT, OLDER_CLIENT):
        for pod in pods:
            running = (pod.get("status") or {}).get("phase") == "Running"
            if running and is_pod_of(pod, name) and has_sidecar(pod) and not is_going(pod):
                return Ref(POD, pod["metadata"]["name"], namespace), name
    raise Failed(
        msg(
            "{cluster}: no {client} pod with a sidecar runs in namespace {namespace}",
            cluster=cluster.name,
            client=CLIENT,
            namespace=namespace,
        ),
        msg("Run `meshwizard apply` again."),
    )
