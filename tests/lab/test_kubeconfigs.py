"""Whatever kubectl loads, we load to the same server, as the same user, or refuse. Needs the real kubectl, and no cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.lab import build
from tests.lab.loading import CONTEXTS, Servers, kubeconfig, ours, servers, theirs
from tests.lab.settings import from_environment

pytestmark = [pytest.mark.usefixtures("lab_host"), pytest.mark.inputs("28", "30", "31", "32", "34", "36", "38")]
ASKS = "Please enter Username"  # where kubectl would ask a person, who is nobody here, istioctl and we are anonymous


@pytest.fixture(scope="module")
def kubectl() -> Path:
    return build.kubernetes(from_environment().cache) / "kubectl"


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with servers(tmp_path_factory.mktemp("kubeconfigs")) as made, pytest.MonkeyPatch.context() as patch:
        for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
            patch.delenv(name)
        patch.setenv("KUBECONFIG", "")
        yield made


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_we_go_where_kubectl_goes_as_whom_it_goes(heard: Servers, kubectl: Path, data: st.DataObject) -> None:
    compare(heard, kubectl, data.draw(st.lists(kubeconfig(heard), min_size=1, max_size=2)))


def compare(heard: Servers, kubectl: Path, texts: list[str]) -> None:
    """What is sent with these files together, for each context."""
    files = [heard.folder / f"config{number}" for number in range(len(texts))]
    for path, text in zip(files, texts, strict=True):
        path.write_text(text)
        note(f"{path}:\n{text}")
    os.environ["KUBECONFIG"] = os.pathsep.join(map(str, [*files, heard.folder / "missing"]))
    for context in CONTEXTS:
        wanted, said = theirs(heard, kubectl, context)
        sent, why = ours(heard, context)
        note(f"{context}: kubectl sent {wanted} and said {said}\nwe sent {sent}; {why}")
        if ASKS in said:
            assert not any(each.certificate or dict(each.headers).get("authorization") for each in sent)
        elif sent:
            assert sent == wanted
        else:
            assert why
