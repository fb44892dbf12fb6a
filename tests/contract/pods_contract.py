"""What needs a node: Pods, of Deployments and of Jobs."""

from __future__ import annotations

import time

import pytest

from tests.contract.manifests import NAME, SomebodyElse, deployment, job, ref, soon
from tests.contract.objects_contract import InNamespace
from wizard.clusters.kinds import DEPLOYMENT, EVENT, JOB, POD, Object, Ref
from wizard.clusters.port import Cluster
from wizard.errors import Failed


class PodContract(InNamespace):
    """Deployments, their Pods, and commands in those. Fixtures also: `somebody_else`, and `image`, one that the nodes have, with
    a shell's usual commands and curl.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def sleeper(cls, cluster: Cluster, image: str, namespace: None) -> Ref:
        cluster.apply(deployment("sleeper", image))

        def running() -> Ref | None:
            status = (cluster.get(ref(DEPLOYMENT, "sleeper")) or {}).get("status") or {}
            if not status.get("availableReplicas"):
                return None
            (pod,) = cluster.objects(POD, NAME, "app=sleeper")
            return ref(POD, pod["metadata"]["name"])

        return soon(running, "the deployment to be available", seconds=180)

    def test_a_deployment_becomes_available(self, cluster: Cluster, sleeper: Ref) -> None:
        made = cluster.get(ref(DEPLOYMENT, "sleeper"))
        assert made is not None
        status = made["status"]
        assert status["observedGeneration"] == made["metadata"]["generation"]
        assert (status["replicas"], status["updatedReplicas"], status["readyReplicas"]) == (1, 1, 1)
        assert {"type": "Available", "status": "True"}.items() <= next(
            condition for condition in status["conditions"] if condition["type"] == "Available"
        ).items()

    def test_its_pod_is_ready(self, cluster: Cluster, sleeper: Ref) -> None:
        pod = cluster.get(sleeper)
        assert pod is not None
        assert sleeper.name.startswith("sleeper-")
        assert pod["metadata"]["labels"]["app"] == "sleeper"
        assert pod["metadata"]["ownerReferences"][0]["controller"] is True
        assert pod["status"]["phase"] == "Running"
        assert any((each["type"], each["status"]) == ("Ready", "True") for each in pod["status"]["conditions"])
        (container,) = pod["status"]["containerStatuses"]
        assert (container["name"], container["ready"], list(container["state"])) == ("sleeper", True, ["running"])

    def test_applying_it_again_starts_nothing_new(
        self, cluster: Cluster, sleeper: Ref, image: str, somebody_else: SomebodyElse
    ) -> None:
        before = cluster.get(sleeper)
        assert before is not None
        cluster.apply(deployment("sleeper", image))
        after = cluster.get(sleeper)
        assert after is not None
        assert after["metadata"]["uid"] == before["metadata"]["uid"]

    def test_its_selector_never_changes(self, cluster: Cluster, sleeper: Ref, image: str) -> None:
        manifest = deployment("sleeper", image)
        manifest["spec"]["selector"] = {"matchLabels": {"app": "other"}}
        manifest["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        with pytest.raises(Failed, match="immutable"):
            cluster.apply(manifest, force=True)

    def test_selector_and_template_agree(self, cluster: Cluster, image: str) -> None:
        manifest = deployment("disagreeing", image)
        manifest["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
        with pytest.raises(Failed, match="does not match template"):
            cluster.apply(manifest)

    def test_a_command_speaks_and_ends(self, cluster: Cluster, sleeper: Ref) -> None:
        done = cluster.execute(sleeper, "sleeper", ["echo", "hello", "a b"], seconds=30)
        assert (done.stdout, done.stderr, done.code) == ("hello a b\n", "", 0)
        assert cluster.execute(sleeper, "sleeper", ["false"], seconds=30).code == 1

    def test_a_command_reads_what_it_is_given(self, cluster: Cluster, sleeper: Ref) -> None:
        """The end of it is never told."""
        done = cluster.execute(sleeper, "sleeper", ["head", "-c", "5"], seconds=30, stdin="hello world")
        assert (done.stdout, done.code) == ("hello", 0)
        script = "printf %s 'a \"b\"' > /dev/shm/given && printf %s 'c\nd' | head -c 3"
        argv = ["sh", "-c", f"head -c {len(script)} | sh"]
        done = cluster.execute(sleeper, "sleeper", argv, seconds=30, stdin=script)
        assert (done.stdout, done.stderr, done.code) == ("c\nd", "", 0)

    def test_a_command_has_its_time(self, cluster: Cluster, sleeper: Ref) -> None:
        began = time.monotonic()
        done = cluster.execute(sleeper, "sleeper", ["sleep", "60"], seconds=1)
        assert done.code != 0
        assert time.monotonic() - began < 20

    def test_a_command_needs_a_container(self, cluster: Cluster, sleeper: Ref) -> None:
        with pytest.raises(Failed):
            cluster.execute(ref(POD, "nobody"), "sleeper", ["true"], seconds=10)
        with pytest.raises(Failed):
            cluster.execute(sleeper, "nobody", ["true"], seconds=10)

    def test_no_logs_are_no_failure(self, cluster: Cluster, sleeper: Ref) -> None:
        assert cluster.logs(ref(POD, "nobody"), "sleeper") == ""

    def test_a_container_that_died_left_its_last_words(self, cluster: Cluster, image: str) -> None:
        manifest = deployment("dying", image)
        container = manifest["spec"]["template"]["spec"]["containers"][0]
        container["command"] = ["/bin/sh", "-c", "echo these are its last words; exit 3"]
        cluster.apply(manifest)

        def dead() -> Object | None:
            for pod in cluster.objects(POD, NAME, "app=dying"):
                for each in (pod.get("status") or {}).get("containerStatuses") or []:
                    if (each["state"].get("waiting") or {}).get("reason") == "CrashLoopBackOff" and each[
                        "restartCount"
                    ]:
                        return pod
            return None

        pod = soon(dead, "the container to die twice", seconds=120)
        (status,) = pod["status"]["containerStatuses"]
        assert (status["ready"], status["lastState"]["terminated"]["exitCode"]) == (False, 3)
        assert status["state"]["waiting"]["message"].startswith("back-off ")
        assert cluster.logs(ref(POD, pod["metadata"]["name"]), "sleeper", previous=True) == "these are its last words\n"
        assert not [each for each in pod["status"]["conditions"] if (each["type"], each["status"]) == ("Ready", "True")]
        cluster.delete(ref(DEPLOYMENT, "dying"))

    def test_what_never_died_has_no_earlier_words(self, cluster: Cluster, sleeper: Ref) -> None:
        assert cluster.logs(sleeper, "sleeper", previous=True) == ""

    def test_a_pod_that_may_not_be_made_is_told_by_condition_and_event(self, cluster: Cluster, image: str) -> None:
        manifest = deployment("refused", image)
        manifest["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"
        cluster.apply(manifest)

        def condition() -> Object | None:
            status = (cluster.get(ref(DEPLOYMENT, "refused")) or {}).get("status") or {}
            found = [each for each in status.get("conditions") or [] if each["type"] == "ReplicaFailure"]
            return found[0] if found else None

        failing = soon(condition, "its condition")
        assert (failing["status"], failing["reason"]) == ("True", "FailedCreate")

        def event() -> Object | None:
            for each in cluster.objects(EVENT, NAME):
                if each["involvedObject"]["kind"] == "ReplicaSet" and each["involvedObject"]["name"].startswith(
                    "refused-"
                ):
                    return each
            return None

        warned = soon(event, "its event")
        assert (warned["type"], warned["reason"]) == ("Warning", "FailedCreate")
        assert warned["message"].startswith('Error creating: pods "refused-')
        for message in (warned["message"], failing["message"]):
            assert "is forbidden: error looking up service account" in message
            assert 'serviceaccount "nobody" not found' in message
        assert not cluster.objects(POD, NAME, "app=refused")
        cluster.delete(ref(DEPLOYMENT, "refused"))

    def test_deleting_a_deployment_ends_its_pods(self, cluster: Cluster, image: str) -> None:
        cluster.apply(deployment("ending", image))
        soon(lambda: cluster.objects(POD, NAME, "app=ending"), "a pod")
        assert cluster.delete(ref(DEPLOYMENT, "ending")) is True
        soon(lambda: not cluster.objects(POD, NAME, "app=ending"), "the pods to go", seconds=120)

    def test_a_deleted_pod_is_made_again(self, cluster: Cluster, image: str) -> None:
        cluster.apply(deployment("healing", image))
        (pod,) = soon(lambda: cluster.objects(POD, NAME, "app=healing"), "a pod")
        cluster.delete(ref(POD, pod["metadata"]["name"]), uid=pod["metadata"]["uid"])

        def another() -> bool:
            uids = {each["metadata"]["uid"] for each in cluster.objects(POD, NAME, "app=healing")}
            return bool(uids - {pod["metadata"]["uid"]})

        soon(another, "another pod")


class JobContract(InNamespace):
    """Jobs. Fixture also: `image`, as for Pods."""

    def test_a_job_makes_a_pod(self, cluster: Cluster, image: str) -> None:
        made = cluster.apply(job("working", image, "/bin/sleep", "600", activeDeadlineSeconds=600))
        pod = soon(lambda: _running(cluster, "working"), "its pod", seconds=120)
        labels = pod["metadata"]["labels"]
        assert labels["contract"] == labels["job-name"] == labels["batch.kubernetes.io/job-name"] == "working"
        assert pod["metadata"]["name"].startswith("working-")
        (owner,) = pod["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Job", made["metadata"]["uid"])
        soon(lambda: ((cluster.get(ref(JOB, "working")) or {}).get("status") or {}).get("active") == 1, "to be active")
        done = cluster.execute(ref(POD, pod["metadata"]["name"]), "worker", ["echo", "hello"], seconds=30)
        assert (done.stdout, done.code) == ("hello\n", 0)
        assert (
            cluster.apply(job("working", image, "/bin/sleep", "600", activeDeadlineSeconds=600))["metadata"]["uid"]
            == (made["metadata"]["uid"])
        )

    def test_a_deleted_job_takes_its_pods_along(self, cluster: Cluster, image: str) -> None:
        cluster.apply(job("leaving", image, "/bin/sleep", "600"))
        soon(lambda: _pods(cluster, "leaving"), "its pod")
        assert cluster.delete(ref(JOB, "leaving")) is True
        soon(lambda: not _pods(cluster, "leaving"), "the pod to go", seconds=120)

    def test_a_finished_job_goes_by_itself(self, cluster: Cluster, image: str) -> None:
        cluster.apply(job("short", image, "/bin/sleep", "1", ttlSecondsAfterFinished=0))
        soon(lambda: cluster.get(ref(JOB, "short")) is None, "the job to go", seconds=120)
        soon(lambda: not _pods(cluster, "short"), "its pod to go", seconds=120)

    def test_a_job_that_takes_too_long_is_ended(self, cluster: Cluster, image: str) -> None:
        cluster.apply(job("late", image, "/bin/sleep", "600", activeDeadlineSeconds=2))
        soon(lambda: _condition(cluster, "late", "Failed") == "DeadlineExceeded", "its end", seconds=120)
        soon(lambda: not _pods(cluster, "late"), "its pod to go", seconds=120)

    def test_a_pod_whose_image_is_nowhere_waits(self, cluster: Cluster) -> None:
        cluster.apply(job("imageless", "nowhere.invalid/nobody:1", "/bin/true"))

        def waiting() -> str | None:
            for pod in _pods(cluster, "imageless"):
                for each in (pod.get("status") or {}).get("containerStatuses") or []:
                    reason = (each["state"].get("waiting") or {}).get("reason")
                    return reason if reason != "ContainerCreating" else None
            return None

        assert soon(waiting, "the reason", seconds=120) in ("ErrImagePull", "ImagePullBackOff")

    def test_its_pods_may_not_run_for_ever(self, cluster: Cluster, image: str) -> None:
        manifest = job("restarting", image, "/bin/true")
        manifest["spec"]["template"]["spec"]["restartPolicy"] = "Always"
        with pytest.raises(Failed, match="restartPolicy"):
            cluster.apply(manifest)


def _pods(cluster: Cluster, name: str) -> list[Object]:
    return cluster.objects(POD, NAME, f"job-name={name}")


def _running(cluster: Cluster, name: str) -> Object | None:
    return next((pod for pod in _pods(cluster, name) if (pod.get("status") or {}).get("phase") == "Running"), None)


def _condition(cluster: Cluster, name: str, kind: str) -> str | None:
    status = (cluster.get(ref(JOB, name)) or {}).get("status") or {}
    return next((each.get("reason") for each in status.get("conditions") or [] if each["type"] == kind), None)
