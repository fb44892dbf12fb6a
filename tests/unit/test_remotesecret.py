"""One remote secret: when it is made, what of it is looked at, whose it may be, and how it is taken back."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.conftest import Setting
from wizard import yamltext
from wizard.clusters.kinds import POD, SECRET, Kind, Object, Ref
from wizard.clusters.port import Executed
from wizard.engine.events import Event
from wizard.engine.step import Conflict, Done, Job, Needed, Probe, Shared
from wizard.errors import Failed, Trouble
from wizard.mesh.model import SYSTEM_NAMESPACE
from wizard.objects.ownership import CREATED, MESH, annotation
from wizard.objects.removal import READER_TOKEN
from wizard.plan import plan_of
from wizard.simulated.cluster import SimulatedCluster
from wizard.simulated.pages import clusterz
from wizard.steps.remotesecret import CLUSTER, MARK, READER, RemoteSecret

NOT_FILLED = Failed('istioctl create-remote-secret: error: no "ca.crt" data found')


@pytest.fixture
def ready(two: Setting) -> Setting:
    """Two clusters whose readers have their accounts and tokens."""
    for cluster in two.mesh.clusters:
        two.world.istioctl.remote_secret(cluster, server="")
    return two


@pytest.fixture
def made(ready: Setting) -> Setting:
    """With the secret in cluster1 that reads cluster2."""
    apply(ready)
    return ready


def step_of(made: Setting, role: str = "primary", **peer: Any) -> RemoteSecret:
    first, second = made.mesh.clusters
    return RemoteSecret(made.mesh, first, replace(second, role=role, **peer))


def probed(made: Setting) -> Probe:
    return step_of(made).probe(made.world)


def job(step: RemoteSecret, said: list[Event], go_on: Callable[[], object] = lambda: None) -> Job:
    """In its pauses, which take no time, the world goes on."""
    pauses = iter(range(10))

    def sleep(_: float) -> None:
        assert next(pauses, None) is not None, "it waits for what will never be"
        go_on()

    return Job(step, said.append, lambda: None, Shared(), sleep)


def apply(made: Setting, go_on: Callable[[], object] = lambda: None) -> str:
    """What it says meanwhile."""
    said: list[Event] = []
    step = step_of(made)
    step.apply(made.world, job(step, said, go_on))
    return repr(said)


def applied(made: Setting, cluster: Telling) -> str:
    """What it says meanwhile, where that cluster's istiod is asked."""
    return apply(replace(made, world=replace(made.world, clusters={**made.world.clusters, "cluster1": cluster})))


def live(made: Setting) -> Object | None:
    return made.machine(1).found(step_of(made).ref)


class Telling(SimulatedCluster):
    """Its istiod lists the clusters that it reads: each answer once, the last one always. `calls`: what is done, in order."""

    def __init__(self, made: Setting, *answers: Any, phases: Sequence[str] = ("Running",)) -> None:
        machine = made.machine(1)
        super().__init__("cluster1", machine, made.outside.cluster("cluster1", machine.context).shell)
        self.answers = list(answers)
        self.phases = phases
        self.calls: list[str] = []

    @property
    def asked(self) -> int:
        return self.calls.count("ask")

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        if kind is not POD:
            return super().objects(kind, namespace, labels)
        pods = enumerate(self.phases, 1)
        return [{"metadata": {"name": f"istiod-{at}"}, "status": {"phase": phase}} for at, phase in pods]

    def execute(
        self, pod: Ref, container: str, argv: Sequence[str], *, seconds: float, stdin: str | None = None
    ) -> Executed:
        self.calls.append("ask")
        told = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Executed(told if isinstance(told, str) else json.dumps(told), "", 0)

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        self.calls.append("delete")
        return super().delete(ref, uid=uid, version=version)

    def apply(self, manifest: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        self.calls.append("apply")
        return super().apply(manifest, force=force, dry_run=dry_run)


ONE = [{"id": "cluster1"}]
BOTH = [*ONE, {"id": "cluster2"}]


# -- its place in the plan


def test_it_waits_for_the_istiod_of_a_primary_but_runs_within_the_install_of_a_remote(two: Setting) -> None:
    """A remote's gateway is injected only once the primary's istiod knows the cluster."""
    primary, remote = step_of(two), step_of(two, "remote")
    assert primary.needs == ("cluster1/namespace", "cluster2/istiod", "cluster1/reach-api")
    assert primary.joins == ()
    assert remote.needs == ("cluster1/namespace", "cluster2/namespace", "cluster1/reach-api")
    assert remote.joins == ("cluster2/install",)


def test_another_address_is_another_wish(two: Setting) -> None:
    assert step_of(two).inputs() != step_of(two, api_server="https://192.0.2.99:6443").inputs()


def test_a_person_would_read_the_peer_and_write_into_the_cluster(two: Setting) -> None:
    first, second = two.mesh.clusters
    remove, make = step_of(two).commands()
    delete = "-n istio-system delete secret istio-remote-secret-cluster2 --ignore-not-found -o name"
    assert f"--context={first.context} {delete}" in remove.text
    read, write = make.text.split("|")
    assert f"--context={second.context}" in read
    assert f"--name=cluster2 --server={second.api_server}" in read
    assert f"--context={first.context} apply -f -" in write


# -- making it


def test_it_is_made_and_taken_back(ready: Setting) -> None:
    server = str(ready.mesh.clusters[1].api_server)
    absent = probed(ready)
    assert isinstance(absent, Needed)
    assert server in str(absent.differences[0])
    said = apply(ready)
    assert "cluster2" in said
    assert server in said
    assert probed(ready) == Done(f"reads {server}")
    step = step_of(ready)
    step.undo(ready.world, job(step, []))
    assert live(ready) is None


def test_istioctl_is_asked_only_once_the_reader_has_its_account(two: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would make the account itself, but not the way the install does."""
    first, second = two.mesh.clusters
    make = two.world.istioctl.remote_secret
    make(first, server="")
    there: list[bool] = []

    def asked(cluster: Any, *, server: str) -> Object:
        there.append(two.machine(2).found(READER) is not None)
        return make(cluster, server=server)

    monkeypatch.setattr(two.world.istioctl, "remote_secret", asked)
    apply(two, lambda: make(second, server=""))
    assert there == [True]


def refusing(made: Setting, monkeypatch: pytest.MonkeyPatch, *refusals: Failed) -> None:
    """istioctl fails so before it works."""
    make, left = made.world.istioctl.remote_secret, list(refusals)

    def remote_secret(cluster: Any, *, server: str) -> Object:
        if left:
            raise left.pop()
        return make(cluster, server=server)

    monkeypatch.setattr(made.world.istioctl, "remote_secret", remote_secret)


def test_a_token_that_is_filled_late_is_waited_for(ready: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(ready, monkeypatch, NOT_FILLED, NOT_FILLED)
    apply(ready)
    assert isinstance(probed(ready), Done)


def test_a_token_that_is_never_filled_is_told_with_who_should_fill_it(
    ready: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wizard.steps.remotesecret.TOKEN_SECONDS", 0)
    refusing(ready, monkeypatch, NOT_FILLED)
    with pytest.raises(Failed, match="the token of cluster2's reader") as told:
        apply(ready)
    assert "the controller manager of cluster2" in told.value.remedy


def test_any_other_failure_of_istioctl_ends_the_step(ready: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(ready, monkeypatch, Failed("istioctl create-remote-secret: it crashed"))
    with pytest.raises(Failed, match="it crashed"):
        apply(ready)
    assert live(ready) is None


def test_a_secret_for_another_cluster_is_not_put(ready: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    make, (first, _) = ready.world.istioctl.remote_secret, ready.mesh.clusters
    monkeypatch.setattr(ready.world.istioctl, "remote_secret", lambda _, *, server: make(first, server=server))
    with pytest.raises(Failed, match=r"istioctl made secret istio-remote-secret-cluster1, not .*-cluster2"):
        apply(ready)
    assert live(ready) is None


# -- what of it is looked at


def kubeconfig(edit: Callable[[Object, Object], object]) -> Callable[[Object], None]:
    """`edit` gets the entry of the cluster and that of the user."""

    def change(secret: Object) -> None:
        held = yamltext.load(base64.b64decode(secret["data"]["cluster2"]))
        edit(held["clusters"][0]["cluster"], held["users"][0]["user"])
        secret["data"]["cluster2"] = base64.b64encode(yamltext.dump(held).encode()).decode()

    return change


elsewhere = kubeconfig(lambda cluster, _: cluster.update(server="https://192.0.2.99:6443"))
CHANGES: dict[str, tuple[Callable[[Object], object], str]] = {
    "no label": (lambda secret: secret["metadata"]["labels"].pop(MARK), f"labels.{MARK}"),
    "another cluster": (lambda secret: secret["metadata"]["annotations"].pop(CLUSTER), f"annotations.{CLUSTER}"),
    "no kubeconfig": (lambda secret: secret["data"].clear(), "data.cluster2"),
    "another server": (elsewhere, "server"),
    "another token": (kubeconfig(lambda _, user: user.update(token="old")), "token"),
    "another authority": (
        kubeconfig(lambda cluster, _: cluster.update({"certificate-authority-data": "QQ=="})),
        "certificate authority",
    ),
    "nothing verified": (
        kubeconfig(lambda cluster, _: cluster.update({"insecure-skip-tls-verify": True})),
        "certificate authority",
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_what_differs_is_told_and_mended(made: Setting, kind: str) -> None:
    change, field = CHANGES[kind]
    made.machine(1).change(step_of(made).ref, change)
    found = probed(made)
    assert isinstance(found, Needed)
    assert [each.field for each in found.differences] == [field]
    apply(made)
    assert isinstance(probed(made), Done)


@pytest.mark.parametrize("token", [None, b"\xff\xfe"])
def test_without_a_token_of_the_peer_none_is_valid(made: Setting, token: bytes | None) -> None:
    machine = made.machine(2)
    if token is None:
        machine.store.remove(READER_TOKEN)
    else:
        machine.change(READER_TOKEN, lambda item: item["data"].update(token=base64.b64encode(token).decode()))
    found = probed(made)
    assert isinstance(found, Needed)
    assert "token" in {each.field for each in found.differences}


def test_a_token_of_an_old_kubernetes_is_found_among_what_its_account_names(made: Setting) -> None:
    """Beside it may stand what pulls images, and what is gone."""
    machine = made.machine(2)
    token = machine.found(READER_TOKEN)
    assert token is not None
    for name, kind in (("pull", "kubernetes.io/dockercfg"), ("reader-x7k2p", token["type"])):
        place = {"name": name, "namespace": SYSTEM_NAMESPACE}
        machine.apply_as("kube-controller-manager", {**token, "metadata": place, "type": kind})
    named = [{"name": name} for name in ("gone", "pull", "reader-x7k2p")]
    machine.change(READER, lambda account: account.update(secrets=named))
    machine.change(Ref(SECRET, "pull", SYSTEM_NAMESPACE), lambda item: item["data"].clear())
    machine.store.remove(READER_TOKEN)
    assert isinstance(probed(made), Done)


# -- one that says something else


CONTENT = [kind for kind, (_, field) in CHANGES.items() if "." not in field or field.startswith("data")]


def born(made: Setting) -> str:
    secret = live(made)
    assert secret is not None
    return str(secret["metadata"]["uid"])


def differing(made: Setting, kind: str) -> str:
    """The UID of the secret that is so changed."""
    made.machine(1).change(step_of(made).ref, CHANGES[kind][0])
    return born(made)


@pytest.mark.parametrize("kind", CONTENT)
def test_what_says_something_else_is_made_anew_once_istiod_let_go_of_the_cluster(made: Setting, kind: str) -> None:
    before, cluster = differing(made, kind), Telling(made, BOTH, BOTH, ONE)
    assert "made anew" in applied(made, cluster)
    assert cluster.calls == ["delete", "ask", "ask", "ask", "apply"]
    assert born(made) != before
    assert annotation(live(made), CREATED) == "true"
    assert isinstance(probed(made), Done)


@pytest.mark.parametrize("kind", sorted(CHANGES.keys() - set(CONTENT)))
def test_labels_and_annotations_change_in_place_whatever_bytes_istioctl_writes(
    made: Setting, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    before, cluster, make = differing(made, kind), Telling(made, BOTH), made.world.istioctl.remote_secret

    def otherwise(peer: Any, *, server: str) -> Object:
        secret = make(peer, server=server)
        return {**secret, "stringData": {"cluster2": "# another istioctl\n" + secret["stringData"]["cluster2"]}}

    content = (live(made) or {})["data"]
    monkeypatch.setattr(made.world.istioctl, "remote_secret", otherwise)
    applied(made, cluster)
    assert cluster.calls == ["apply"]
    assert born(made) == before
    assert (live(made) or {})["data"] == content
    assert isinstance(probed(made), Done)


class Ending(Telling):
    """Its secret ends only at the third look after it was deleted."""

    left = 3

    def get(self, ref: Ref) -> Object | None:
        found = super().get(ref)
        if "delete" not in self.calls or "apply" in self.calls or ref.kind is not SECRET:
            return found
        self.left -= 1
        return {"metadata": {"name": ref.name, "deletionTimestamp": "2026-01-01T00:00:00Z"}} if self.left > 0 else None


def test_a_secret_that_is_slow_to_end_is_waited_for(made: Setting) -> None:
    differing(made, "another token")
    cluster = Ending(made, ONE)
    applied(made, cluster)
    assert cluster.left <= 0
    assert isinstance(probed(made), Done)


class Overtaken(Telling):
    """Somebody makes the secret anew just before it is deleted."""

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        theirs = self.machine.found(ref)
        assert theirs is not None
        self.machine.store.remove(ref)
        place = {key: theirs["metadata"][key] for key in ("name", "namespace", "labels")}
        self.machine.apply_as("kubectl", {**theirs, "metadata": place})
        return super().delete(ref, uid=uid, version=version)


def test_only_the_very_secret_that_was_looked_at_is_deleted(made: Setting) -> None:
    before = differing(made, "another token")
    with pytest.raises(Failed, match="UID"):
        applied(made, Overtaken(made, ONE))
    assert born(made) != before


def test_an_istiod_that_does_not_let_go_is_told_with_what_helps(made: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wizard.steps.remotesecret.FORGETTING_SECONDS", 0)
    differing(made, "another token")
    said = applied(made, Telling(made, BOTH))
    assert "still known to istiod-1" in said
    assert "rollout restart deployment -l app=istiod" in said
    assert isinstance(probed(made), Done)


@pytest.mark.parametrize(("seconds", "asked"), [(0, 1), (900, 3)])
def test_an_istiod_that_cannot_tell_gets_some_time(
    made: Setting, monkeypatch: pytest.MonkeyPatch, seconds: int, asked: int
) -> None:
    monkeypatch.setattr("wizard.steps.remotesecret.UNTOLD_SECONDS", seconds)
    differing(made, "another token")
    cluster = Telling(made, "404 page not found\n", "404 page not found\n", ONE)
    assert "rollout restart" not in applied(made, cluster)
    assert cluster.asked == asked
    assert isinstance(probed(made), Done)


def test_every_istiod_that_runs_is_asked_and_no_other(made: Setting) -> None:
    differing(made, "another token")
    cluster = Telling(made, ONE, BOTH, ONE, phases=("Running", "Pending", "Running", "Failed"))
    applied(made, cluster)
    assert cluster.asked == 4


def test_what_was_cut_off_before_the_new_one_came_is_made_by_the_next_run(finished: Setting) -> None:
    before, machine = differing(finished, "another token"), finished.machine(1)
    machine.fail_next("apply Secret", Failed("the machine died"))
    assert not finished.run().ok
    assert live(finished) is None
    assert isinstance(probed(finished), Needed)
    assert finished.run().ok
    assert born(finished) != before
    assert annotation(live(finished), CREATED) == "true"
    assert status_of(finished) == "synced"


def status_of(made: Setting) -> str:
    """What istiod of cluster1 says of cluster2."""
    (told,) = [each["syncStatus"] for each in clusterz(made.machine(1)) if each["id"] == "cluster2"]
    return str(told)


@pytest.mark.parametrize("kind", ["another server", "another token", "another authority"])
def test_istiod_reads_the_cluster_again(finished: Setting, kind: str) -> None:
    before = differing(finished, kind)
    assert status_of(finished) == "closed"
    assert finished.run().ok
    assert born(finished) != before
    assert status_of(finished) == "synced"
    assert isinstance(probed(finished), Done)


# -- whose it is


def disown(secret: Object) -> None:
    for mark in (MESH, CREATED):
        secret["metadata"]["annotations"].pop(mark)


def test_what_somebody_made_is_used_where_it_says_the_same_and_else_a_conflict(made: Setting) -> None:
    made.machine(1).change(step_of(made).ref, disown)
    assert isinstance(probed(made), Done)
    made.machine(1).change(step_of(made).ref, elsewhere)
    found = probed(made)
    assert isinstance(found, Conflict)
    assert "https://192.0.2.99:6443" in found.what
    assert "delete secret istio-remote-secret-cluster2" in found.remedy


def test_that_of_another_mesh_is_a_conflict_whatever_it_says(made: Setting) -> None:
    made.machine(1).change(step_of(made).ref, lambda secret: secret["metadata"]["annotations"].update({MESH: "meshb"}))
    found = probed(made)
    assert isinstance(found, Conflict)
    assert "belongs to mesh meshb" in found.what


def test_one_that_somebody_else_made_is_never_deleted(made: Setting) -> None:
    """Also where it came after the look, where it is another mesh's, and where this mesh only joined in."""
    machine, ref = made.machine(1), step_of(made).ref
    machine.change(ref, elsewhere)
    for marks, words in (
        ({MESH: "meshb", CREATED: "true"}, "belongs to mesh meshb"),
        ({MESH: "mesh1"}, "was there before this mesh, and differs: .*https://192.0.2.99:6443"),
        ({}, "is there already, made by .*https://192.0.2.99:6443"),
    ):
        machine.change(
            ref, lambda secret, marks=marks: secret["metadata"].update(annotations={CLUSTER: "cluster2", **marks})
        )
        before, found = live(made), probed(made)
        assert isinstance(found, Conflict)
        assert re.search(words, found.what)
        with pytest.raises(Trouble):
            apply(made)
        assert live(made) == before


def test_the_labels_of_one_that_this_mesh_joined_in_are_mended(made: Setting) -> None:
    machine, ref = made.machine(1), step_of(made).ref
    machine.change(ref, lambda secret: secret["metadata"]["annotations"].pop(CREATED))
    before = differing(made, "no label")
    assert isinstance(probed(made), Needed)
    apply(made)
    assert born(made) == before
    assert isinstance(probed(made), Done)


# -- taking it back


def taken_back(made: Setting, cluster: Telling, role: str = "remote") -> str:
    """What it says meanwhile."""
    said: list[Event] = []
    step = step_of(made, role)
    step.undo(replace(made.world, clusters={"cluster1": cluster}), job(step, said))
    return repr(said)


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([BOTH, BOTH, ONE], 3),
        (["404 page not found\n"], 1),  # before Istio 1.11
        ([{"id": "cluster2"}], 1),
        ([[7, None]], 1),
    ],
)
def test_a_remote_is_left_once_no_istiod_lists_it_any_more(made: Setting, answers: list[Any], asked: int) -> None:
    cluster = Telling(made, *answers)
    taken_back(made, cluster)
    assert cluster.asked == asked
    assert live(made) is None


def test_an_istiod_that_never_forgets_is_told_of_and_holds_nothing_up(
    made: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wizard.steps.remotesecret.FORGETTING_SECONDS", 0)
    assert "still known to istiod-1" in taken_back(made, Telling(made, BOTH))
    assert live(made) is None


def test_only_a_remote_that_was_taken_back_is_waited_for(made: Setting) -> None:
    made.machine(1).change(step_of(made).ref, disown)
    kept = Telling(made, BOTH)
    taken_back(made, kept)
    assert live(made) is not None
    made.machine(1).store.remove(step_of(made).ref)
    taken_back(made, kept, "primary")
    assert kept.asked == 0


def test_a_remotes_install_ends_where_its_remote_secret_is_refused(two: Setting) -> None:
    """istioctl would wait for a gateway that nobody injects, for a quarter of an hour."""
    mesh = two.mesh
    remote = replace(mesh.clusters[1], role="remote", primary="cluster1")
    made = replace(mesh, topology="primary-remote", clusters=(mesh.clusters[0], remote))
    install = plan_of(made).step("cluster2/install")
    assert install.awaits == ("cluster1/remote-secret/cluster2",)
    assert plan_of(mesh).step("cluster2/install").awaits == ()
