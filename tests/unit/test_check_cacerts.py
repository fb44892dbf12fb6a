"""The check `cacerts`."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.unit.certificates_fakes import authority, files_of
from tests.unit.restoring import restoring
from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from tests.unit.trust_fakes import cacerts_of, intermediate, keep_root, other_root, put_cacerts
from wizard.checks.standing.trust.cacerts import CHECK
from wizard.checks.standing.view import View
from wizard.clusters.kinds import SECRET
from wizard.objects.cacerts import CACERTS

Files = Mapping[str, bytes]
ALL = {("cluster1", "cluster2"), ("cluster2", "cluster1"), ("cluster2", "cluster2")}


@pytest.fixture(scope="module")
def shared() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(shared: Setting) -> Iterator[Setting]:
    with restoring(shared, SECRET):
        yield shared


@pytest.mark.parametrize("make", [finished_mesh, finished_remote])
def test_of_whole_intermediates_nothing_is_said(make: Callable[[], Setting]) -> None:
    assert found(make(), "cacerts") == []


def of(days: float, *, since: float = -400, root_days: float = 900) -> Files:
    root = authority("root", days=root_days, since=since)
    return files_of(authority("intermediate", root, days=days, since=since), root)


def in_both(made: Setting, files: Files) -> None:
    for number in (1, 2):
        put_cacerts(made, number, files)


def test_an_expired_one_breaks_all_traffic_of_its_cluster(made: Setting) -> None:
    root = authority("root", days=900)
    put_cacerts(made, 1, files_of(authority("intermediate", root), root))
    put_cacerts(made, 2, files_of(authority("intermediate", root, days=-3, since=-9), root))
    (told,) = found(made, "cacerts")
    assert (told.severity, told.cluster, told.object) == ("error", "cluster2", "Secret cacerts in istio-system")
    assert "ca-cert.pem expired on" in told.text
    assert set(told.breaks) == ALL
    assert told.commands[0].startswith(
        "kubectl --context=kubernetes-admin2@kubernetes -n istio-system get secret cacerts"
    )


def test_one_that_is_not_yet_valid_is_told(made: Setting) -> None:
    in_both(made, of(90, since=2))
    told = found(made, "cacerts")
    assert [each.cluster for each in told] == ["cluster1", "cluster2"]
    assert all("is valid only from" in each.text for each in told)


def test_one_that_expires_soon_is_a_warning_that_says_what_will_be(made: Setting) -> None:
    in_both(made, of(20))
    told = found(made, "cacerts")
    assert [(each.severity, each.breaks) for each in told] == [("warning", ())] * 2
    assert "ca-cert.pem expires on" in told[0].text
    assert "From then on no proxy of cluster1 is trusted" in told[0].text


def without(name: str) -> Callable[[Files], Files]:
    return lambda files: {key: content for key, content in files.items() if key != name}


def other_key(files: Files) -> Files:
    return {**files, "ca-key.pem": intermediate(other_root())["ca-key.pem"]}


def other_top(files: Files) -> Files:
    return {**files, "root-cert.pem": other_root().certificate}


def no_chain(files: Files) -> Files:
    """Without the certificate that stands between the intermediate and the root."""
    top = authority("root")
    middle = authority("middle", top)
    low = authority("low", middle)
    return {**files_of(low, middle, top), "cert-chain.pem": low.pem}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("ca-key.pem"), "ca-key.pem is missing"),
        (without("cert-chain.pem"), "cert-chain.pem is missing"),
        (without("root-cert.pem"), "root-cert.pem is missing"),
        (other_key, "ca-key.pem does not belong to ca-cert.pem"),
        (other_top, "ca-cert.pem is not signed by root-cert.pem"),
        (no_chain, "ca-cert.pem is not signed by root-cert.pem"),
        (lambda files: {**files, "ca-cert.pem": b"no certificate"}, "ca-cert.pem is no PEM file"),
    ],
)
def test_what_istiod_does_not_take_breaks_nothing_until_it_starts_anew(
    change: Callable[[Files], Files], words: str
) -> None:
    made = finished_mesh()
    keep_root(made, 2)
    put_cacerts(made, 2, change(cacerts_of(made, 2)))
    (told,) = found(made, "cacerts")
    assert (told.severity, told.cluster, told.breaks) == ("error", "cluster2", ())
    assert words in told.text
    assert "will not start with it" in told.text


def test_content_that_is_none_is_told_without_it(made: Setting) -> None:
    made.machine(2).change(CACERTS, lambda secret: secret["data"].update({"ca-cert.pem": "abc"}))
    (told,) = found(made, "cacerts")
    assert "cannot be decoded" in told.text


def test_no_key_reaches_what_is_told(made: Setting) -> None:
    key = intermediate(other_root())["ca-key.pem"]
    put_cacerts(made, 2, {**cacerts_of(made, 2), "ca-cert.pem": key})
    (told,) = found(made, "cacerts")
    assert "PRIVATE KEY" not in f"{told}"
    assert key.decode().splitlines()[1] not in f"{told}"


def test_the_form_of_kubernetes_is_taken(made: Setting) -> None:
    files = cacerts_of(made, 2)
    names = {"tls.crt": "ca-cert.pem", "tls.key": "ca-key.pem", "ca.crt": "root-cert.pem"}
    data = {name: base64.b64encode(files[ours]).decode() for name, ours in names.items()}
    made.machine(2).change(CACERTS, lambda secret: secret.update(data=data))
    assert found(made, "cacerts") == []


def test_one_that_is_gone_while_istiod_goes_on_is_a_warning_with_the_step() -> None:
    made = finished_mesh()
    keep_root(made, 2)
    made.machine(2).store.remove(CACERTS)
    (told,) = found(made, "cacerts")
    assert (told.severity, told.cluster, told.step) == ("warning", "cluster2", "cluster2/cacerts")
    assert whole(made).cause is None


def test_where_istiod_made_a_root_of_its_own_another_check_tells(made: Setting) -> None:
    made.machine(2).store.remove(CACERTS)
    assert found(made, "cacerts") == []
    assert [each.cluster for each in found(made, "roots")] == ["cluster2"]


def test_a_mesh_of_other_hands_may_have_its_certificates_from_elsewhere() -> None:
    made = finished_mesh()
    for number in (1, 2):
        keep_root(made, number)
        made.machine(number).store.remove(CACERTS)
    view = View(made.mesh, made.world.clusters, inferred=True)
    assert [fault for here in view.all for fault in CHECK.find(here)] == []


def test_what_istiod_made_itself_is_its_own_affair() -> None:
    made = finished_mesh()
    keep_root(made, 2)
    made.machine(2).change(CACERTS, lambda secret: secret["data"].update({"istio-generated": "", "ca-key.pem": ""}))
    assert found(made, "cacerts") == []
