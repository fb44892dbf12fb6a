"""The check `reader-rights`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.unit.byhand import made_by_hand
from tests.unit.discovery_fakes import SYSTEM, TOKEN
from tests.unit.restoring import restoring
from tests.unit.standing import Setting, finished_mesh, finished_remote, found, whole
from wizard.checks.standing.check import Fault
from wizard.checks.standing.discovery.reader_rights import CHECK
from wizard.checks.standing.reader import READER
from wizard.checks.standing.view import View
from wizard.clusters.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, DEPLOYMENT, SECRET, SERVICE_ACCOUNT, Object, Ref

STEM = "istio-reader-clusterrole-istio-system"
ROLE, BINDING = Ref(CLUSTER_ROLE, STEM), Ref(CLUSTER_ROLE_BINDING, STEM)
TO_2 = (("cluster1", "cluster2"),)
AT_2 = "kubectl --context=kubernetes-admin2@kubernetes"


@pytest.fixture(scope="module")
def shared() -> Setting:
    return finished_mesh()


@pytest.fixture
def made(shared: Setting) -> Iterator[Setting]:
    with restoring(shared, SECRET, SERVICE_ACCOUNT, CLUSTER_ROLE, CLUSTER_ROLE_BINDING):
        yield shared


@pytest.mark.parametrize("make", [finished_mesh, finished_remote])
def test_where_the_readers_may_read_nothing_is_said(make: Callable[[], Setting]) -> None:
    assert found(make(), CHECK.id) == []


def by_hand(made: Setting) -> list[tuple[str, Fault]]:
    view = View(made.mesh, made.world.clusters, inferred=True)
    return [(here.name, fault) for here in view.all for fault in CHECK.find(here)]


def test_of_a_mesh_that_others_made_nothing_is_said() -> None:
    assert by_hand(made_by_hand()) == []


def without(*resources: str) -> Callable[[Object], None]:
    def edit(role: Object) -> None:
        for rule in role["rules"]:
            rule["resources"] = [each for each in rule["resources"] if each not in resources]

    return edit


@pytest.mark.parametrize("resource", ["namespaces", "nodes", "pods", "services"])
def test_a_role_that_was_trimmed_is_the_cause(made: Setting, resource: str) -> None:
    made.machine(2).change(ROLE, without(resource))
    (told,) = [each for each in whole(made).findings if each.severity == "error"]
    assert (told.check, told.cluster, told.object, told.breaks) == (CHECK.id, "cluster2", str(ROLE), TO_2)
    assert f"list/watch {resource} to" in told.text
    user = "system:serviceaccount:istio-system:istio-reader-service-account"
    assert told.commands == (f"{AT_2} auth can-i list {resource} -A --as={user}",)


def test_endpointslices_are_needed_though_endpoints_may_be_read(made: Setting) -> None:
    made.machine(2).change(ROLE, without("endpointslices"))
    (told,) = found(made, CHECK.id)
    assert "list/watch endpointslices.discovery.k8s.io" in told.text


def aged(made: Setting, tag: str) -> None:
    for machine in made.outside.machines:
        machine.change(
            Ref(DEPLOYMENT, "istiod", SYSTEM),
            lambda live: live["spec"]["template"]["spec"]["containers"][0].update(image=f"docker.io/istio/pilot:{tag}"),
        )


def test_to_an_older_istiod_either_of_the_two_is_enough() -> None:
    made = finished_mesh()
    aged(made, "1.12.9")
    made.machine(2).change(ROLE, without("endpointslices"))
    assert found(made, CHECK.id) == []
    made.machine(2).change(ROLE, without("endpoints"))
    assert len(found(made, CHECK.id)) == 1


def test_to_watch_is_as_needed_as_to_list(made: Setting) -> None:

    def edit(role: Object) -> None:
        for rule in role["rules"]:
            rule["verbs"] = [verb for verb in rule["verbs"] if verb != "watch"]

    made.machine(2).change(ROLE, edit)
    assert len(found(made, CHECK.id)) == 1


def test_of_one_object_by_name_is_not_of_all(made: Setting) -> None:

    def edit(role: Object) -> None:
        for rule in role["rules"]:
            rule["resourceNames"] = ["one"]

    made.machine(2).change(ROLE, edit)
    assert len(found(made, CHECK.id)) == 1


def test_wildcards_are_enough(made: Setting) -> None:
    every = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    made.machine(2).change(ROLE, lambda role: role.update(rules=every))
    assert found(made, CHECK.id) == []


def bind(made: Setting, role: str, *subjects: Object) -> None:
    made.machine(2).apply_as("kubectl", {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "theirs"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}, "subjects": list(subjects),
    })  # fmt: skip


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "Group", "name": "system:serviceaccounts:istio-system"},
        {"kind": "Group", "name": "system:authenticated"},
        {"kind": "User", "name": "system:serviceaccount:istio-system:istio-reader-service-account"},
    ],
)
def test_a_role_that_is_bound_in_another_way_counts(made: Setting, subject: Object) -> None:
    made.machine(2).store.remove(BINDING)
    bind(made, STEM, {"apiGroup": "rbac.authorization.k8s.io", **subject})
    assert found(made, CHECK.id) == []


def test_a_binding_that_is_gone_is_named_with_the_step(made: Setting) -> None:
    made.machine(2).store.remove(BINDING)
    bind(made, "system:discovery", {"kind": "Group", "name": "system:authenticated"})  # as every cluster has
    (told,) = found(made, CHECK.id)
    assert (told.cluster, told.object, told.breaks, told.step) == ("cluster2", str(BINDING), TO_2, "cluster2/install")


def test_a_role_that_is_gone_is_named(made: Setting) -> None:
    made.machine(2).store.remove(ROLE)
    (told,) = found(made, CHECK.id)
    assert (told.object, told.step) == (str(ROLE), "cluster2/install")


def test_an_account_that_is_gone_is_named(made: Setting) -> None:
    for ref in (TOKEN, READER):
        made.machine(2).store.remove(ref)
    (told,) = found(made, CHECK.id)
    assert (told.object, told.step) == (str(READER), "cluster2/install")


def test_secrets_are_a_doubt(made: Setting) -> None:
    made.machine(2).change(ROLE, without("secrets"))
    (told,) = found(made, CHECK.id)
    assert (told.severity, told.breaks) == ("unsure", ())


def test_a_remote_must_have_its_proxies_tokens_reviewed() -> None:
    made = finished_remote()
    made.machine(2).change(ROLE, without("tokenreviews"))
    (told,) = found(made, CHECK.id)
    assert (told.cluster, told.object) == ("cluster2", str(ROLE))
    assert set(told.breaks) == {("cluster1", "cluster2"), ("cluster2", "cluster1")}


def test_a_primary_that_nobody_reads_needs_no_reader() -> None:
    made = finished_remote()
    made.machine(1).change(ROLE, without("pods"))
    assert found(made, CHECK.id) == []
