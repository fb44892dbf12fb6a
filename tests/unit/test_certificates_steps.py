"""The two certificate steps with every source, over simulated clusters and real folders."""

from __future__ import annotations

import base64
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from tests.unit.certificates_fakes import CERT, CHAIN, KEY, ROOT, Authority, authority, files_of, put_files
from wizard.certificates.openssl import REQUEST
from wizard.certificates.rootstore import RootFolder
from wizard.clusters.kinds import DEPLOYMENT, SECRET, Ref
from wizard.engine.events import Event, PersonNeeded, StepSaid, StepWaits
from wizard.engine.step import Conflict, Done, Job, Needed, Probe, Shared, Step
from wizard.errors import NeedsPerson
from wizard.mesh.model import SYSTEM_NAMESPACE, Certificates, Cluster, Mesh
from wizard.objects.cacerts import CACERTS, SELF_SIGNED, certificate_mistakes
from wizard.objects.ownership import CREATED
from wizard.simulated.outside import SimulatedOutside
from wizard.steps.certificates import Intermediate, RootCertificate
from wizard.world import World

TOP = authority("Top", path_length=1)
FIRST, SECOND = (authority(f"Intermediate {number}", TOP, path_length=0) for number in (1, 2))


@dataclass
class Certifying:
    """The certificate steps of a mesh whose folder is real."""

    mesh: Mesh
    world: World
    place: Path
    events: list[Event] = field(default_factory=list)
    attended: bool = False
    slept: Callable[[], None] = lambda: None

    @property
    def root(self) -> RootCertificate:
        return RootCertificate(self.mesh, self.mesh.clusters)

    def intermediate(self, number: int) -> Intermediate:
        return Intermediate(self.mesh, self.mesh.clusters[number - 1], self.mesh.clusters)

    @property
    def steps(self) -> list[Step]:
        return [self.root, *(self.intermediate(number + 1) for number in range(len(self.mesh.clusters)))]

    def probes(self) -> list[Probe]:
        return [step.probe(self.world) for step in self.steps]

    def apply(self, step: Step) -> None:
        shared = Shared()
        step.apply(
            self.world,
            Job(step, self.events.append, lambda: None, shared, lambda _: self.slept(), attended=self.attended),
        )

    def run(self) -> None:
        """What the engine would do, in order."""
        for step in self.steps:
            probe = step.probe(self.world)
            if isinstance(probe, Conflict):
                raise NeedsPerson(probe.what, probe.remedy)
            if isinstance(probe, Needed):
                self.apply(step)
            assert isinstance(step.probe(self.world), Done)

    def secret(self, number: int) -> dict[str, bytes] | None:
        live = self.world.cluster(f"cluster{number}").get(CACERTS)
        return live and {name: base64.b64decode(content) for name, content in live["data"].items()}

    def put(self, number: int, files: dict[str, bytes], ref: Ref = CACERTS) -> None:
        """A secret that somebody else made."""
        self.world.cluster(f"cluster{number}").apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": ref.name, "namespace": ref.namespace},
                "data": {name: base64.b64encode(content).decode() for name, content in files.items()},
            }
        )

    def sign(self, number: int, root: Authority = TOP, **more: Any) -> None:
        """What the holder of the root does with a request."""
        from cryptography import x509

        folder = self.place / f"cluster{number}"
        asked = x509.load_pem_x509_csr((folder / REQUEST).read_bytes())
        private = serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
        assert asked.public_key() == private.public_key()
        signed = authority(f"Intermediate {number}", root, path_length=0, key=private, **more)
        put_files(folder, {CERT: signed.pem})
        put_files(self.place, {ROOT: root.pem})

    @property
    def said(self) -> str:
        return "\n".join(event.text for event in self.events if isinstance(event, StepSaid))


def certifying(place: Path, source: str, count: int = 2) -> Certifying:
    outside = SimulatedOutside(clusters=count, speed=0)
    clusters = tuple(
        Cluster(f"cluster{index}", entry.context, f"network{index}")
        for index, entry in enumerate(outside.contexts(), 1)
    )
    mesh = Mesh("mesh1", clusters, certificates=Certificates(source, place))
    mesh = replace(mesh, istio=replace(mesh.istio, version="1.29.1"))
    made = Certifying(mesh, replace(outside.world(mesh), simulated=False), place)
    for cluster in made.world.clusters.values():
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}})
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Certifying:
    """Two clusters without cacerts, and a folder with what they need."""
    put_files(tmp_path / "certs" / "cluster1", files_of(FIRST, TOP))
    put_files(tmp_path / "certs" / "cluster2", files_of(SECOND, TOP))
    return certifying(tmp_path / "certs", "directory")


@pytest.fixture
def offline(tmp_path: Path) -> Certifying:
    return certifying(tmp_path / "certs", "offline")


def conflict(probe: Probe) -> str:
    assert isinstance(probe, Conflict), probe
    assert probe.remedy
    return probe.what


class TestDirectory:
    def test_the_files_come_into_the_clusters_and_no_root_is_made(self, folder: Certifying) -> None:
        assert certificate_mistakes(folder.mesh, folder.world, folder.mesh.clusters) == ()
        folder.run()
        assert folder.secret(1) == files_of(FIRST, TOP)
        assert folder.secret(2) == files_of(SECOND, TOP)
        assert folder.world.roots.load() is None
        assert FIRST.fingerprint[:16] in folder.said
        assert "PRIVATE" not in repr(folder.events)
        live = folder.world.cluster("cluster1").get(CACERTS)
        assert live
        assert live["metadata"]["annotations"][CREATED]

    def test_before_anything_is_done_it_is_said_which_certificate_comes(self, folder: Certifying) -> None:
        root, first, _ = folder.probes()
        assert isinstance(root, Done)
        assert TOP.fingerprint[:16] in root.note
        assert isinstance(first, Needed)
        assert FIRST.fingerprint[:16] in str(first.differences[0])

    def test_a_finished_mesh_needs_its_folder_no_more(self, folder: Certifying) -> None:
        folder.run()
        shutil.rmtree(folder.place)
        assert all(isinstance(probe, Done) for probe in folder.probes())
        assert certificate_mistakes(folder.mesh, folder.world, folder.mesh.clusters) == ()

    def test_what_works_in_a_cluster_is_not_touched_by_a_folder_in_disorder(self, folder: Certifying) -> None:
        folder.run()
        (folder.place / "cluster1" / KEY).write_bytes(b"rubbish")
        assert all(isinstance(probe, Done) for probe in folder.probes())

    def test_mistakes_are_bad_input_for_the_clusters_that_lack_certificates(self, folder: Certifying) -> None:
        for number in (1, 2):
            (folder.place / f"cluster{number}" / CERT).unlink()
        folder.put(1, files_of(FIRST, TOP))
        (mistake,) = certificate_mistakes(folder.mesh, folder.world, folder.mesh.clusters)
        assert mistake.path == "certificates.path"
        assert "cluster2/ca-cert.pem is missing" in mistake.text

    def test_a_file_that_changed_after_the_check_is_caught(self, folder: Certifying) -> None:
        (folder.place / "cluster2" / KEY).write_bytes(FIRST.key)
        assert "cluster2/ca-key.pem does not belong" in conflict(folder.root.probe(folder.world))
        assert "cluster2/ca-key.pem does not belong" in conflict(folder.intermediate(2).probe(folder.world))
        with pytest.raises(NeedsPerson, match="does not belong"):
            folder.apply(folder.intermediate(2))
        assert folder.secret(2) is None

    def test_another_certificate_in_the_cluster_is_a_conflict_that_names_both(self, folder: Certifying) -> None:
        other = authority("Intermediate", TOP)
        folder.put(1, files_of(other, TOP))
        told = conflict(folder.intermediate(1).probe(folder.world))
        assert other.fingerprint[:16] in told
        assert FIRST.fingerprint[:16] in told
        assert isinstance(folder.root.probe(folder.world), Done)

    def test_another_root_over_the_same_certificate_is_a_conflict_too(self, folder: Certifying) -> None:
        twin = authority("Top", path_length=1, key=TOP.private)
        folder.put(1, files_of(FIRST, twin))
        told = conflict(folder.intermediate(1).probe(folder.world))
        assert twin.fingerprint[:16] in told
        assert TOP.fingerprint[:16] in told

    def test_the_same_content_in_the_cluster_is_done(self, folder: Certifying) -> None:
        folder.put(1, files_of(FIRST, TOP))
        folder.run()
        live = folder.world.cluster("cluster1").get(CACERTS)
        assert live
        assert "annotations" not in live["metadata"]

    def test_a_root_other_than_that_of_the_clusters_is_a_conflict(self, folder: Certifying) -> None:
        other = authority("Other")
        folder.put(1, files_of(authority("i", other), other))
        told = conflict(folder.root.probe(folder.world))
        assert other.fingerprint[:16] in told
        assert TOP.fingerprint[:16] in told
        with pytest.raises(NeedsPerson, match="cluster1 has"):
            folder.apply(folder.intermediate(2))

    def test_worries_are_said(self, folder: Certifying) -> None:
        put_files(folder.place / "cluster2", files_of(FIRST, TOP))
        (folder.place / "cluster1" / KEY).chmod(0o644)
        folder.run()
        assert "share one intermediate" in folder.said
        assert "can be read by others" in folder.said

    def test_only_what_we_made_is_taken_back(self, folder: Certifying) -> None:
        folder.put(1, files_of(FIRST, TOP))
        folder.run()
        for step in folder.steps:
            step.undo(folder.world, Job(step, folder.events.append, lambda: None, Shared()))
        assert folder.secret(1) == files_of(FIRST, TOP)
        assert folder.secret(2) is None
        assert (folder.place / "cluster2" / KEY).exists()

    def test_clusters_without_istiod_are_left_alone(self, folder: Certifying) -> None:
        shutil.rmtree(folder.place / "cluster2")
        signed = folder.mesh.clusters[:1]
        assert certificate_mistakes(folder.mesh, folder.world, signed) == ()
        assert isinstance(RootCertificate(folder.mesh, signed).probe(folder.world), Done)
        folder.apply(Intermediate(folder.mesh, signed[0], signed))
        assert folder.secret(2) is None

    def test_the_demo_reads_and_writes_no_file(self, tmp_path: Path) -> None:
        for source in ("directory", "offline"):
            demo = certifying(tmp_path / "absent", source)
            demo.world = replace(demo.world, simulated=True)
            assert certificate_mistakes(demo.mesh, demo.world, demo.mesh.clusters) == ()
            demo.run()
            assert demo.secret(1)
        assert list(tmp_path.iterdir()) == []


class TestGenerate:
    @pytest.mark.parametrize("name", ["root-key.pem", ROOT])
    def test_a_file_of_a_persons_is_bad_input_that_names_it(self, tmp_path: Path, name: str) -> None:
        making = certifying(tmp_path, "generate")
        making.world = replace(making.world, roots=RootFolder(tmp_path))
        put_files(tmp_path, {name: TOP.key})
        (mistake,) = certificate_mistakes(making.mesh, making.world, making.mesh.clusters)
        assert mistake.path == "certificates.path"
        assert str(tmp_path / name) in mistake.text
        assert str(tmp_path / name) in conflict(making.root.probe(making.world)), "it came after the check"
        with pytest.raises(NeedsPerson, match=name):
            making.apply(making.root)
        assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, TOP.key)]

    def test_it_does_not_matter_where_no_root_is_to_be_made(self, tmp_path: Path) -> None:
        making = certifying(tmp_path, "generate")
        making.world = replace(making.world, roots=RootFolder(tmp_path))
        put_files(tmp_path, {"root-key.pem": TOP.key})
        for number, signed in ((1, FIRST), (2, SECOND)):
            making.put(number, files_of(signed, TOP))
        assert certificate_mistakes(making.mesh, making.world, making.mesh.clusters) == ()
        assert all(isinstance(probe, Done) for probe in making.probes())


class TestOffline:
    def test_unattended_it_writes_requests_and_says_what_to_do(self, offline: Certifying) -> None:
        assert certificate_mistakes(offline.mesh, offline.world, offline.mesh.clusters) == ()
        assert isinstance(offline.root.probe(offline.world), Done)
        with pytest.raises(NeedsPerson) as raised:
            offline.apply(offline.intermediate(1))
        assert f"{offline.place}/cluster1/ca.csr" in raised.value.what
        told = raised.value.remedy
        assert f"{offline.place}/cluster1/ca-cert.pem and {offline.place}/root-cert.pem" in told
        assert "openssl x509 -req" in told
        assert "permitted;URI:cluster.local" in told
        assert "PRIVATE" not in told
        assert offline.secret(1) is None
        assert {path.name for path in (offline.place / "cluster1").iterdir()} == {KEY, REQUEST}

    def test_resumed_with_the_certificates_it_goes_on(self, offline: Certifying) -> None:
        for number in (1, 2):
            with pytest.raises(NeedsPerson):
                offline.apply(offline.intermediate(number))
        keys = [(offline.place / f"cluster{number}" / KEY).read_bytes() for number in (1, 2)]
        for number in (1, 2):
            offline.sign(number)
        assert certificate_mistakes(offline.mesh, offline.world, offline.mesh.clusters) == ()
        offline.run()
        for number in (1, 2):
            files = offline.secret(number)
            assert files
            assert files[KEY] == keys[number - 1]
            assert files[ROOT] == TOP.pem
            assert files[CHAIN] == files[CERT] + TOP.pem
        shutil.rmtree(offline.place)
        assert all(isinstance(probe, Done) for probe in offline.probes())

    def test_attended_it_waits_and_tells_what_is_wrong_with_what_came(self, offline: Certifying) -> None:
        looked: list[str] = []

        def person() -> None:
            waits = [event.seen for event in offline.events if isinstance(event, StepWaits)]
            looked.append(waits[-1])
            if len(looked) == 1:
                offline.sign(1, days=-0.5, since=-2)
            elif len(looked) == 2:
                offline.sign(1, authority("Other", path_length=0))
            else:
                offline.sign(1)

        offline.attended, offline.slept = True, person
        offline.apply(offline.intermediate(1))
        (asked,) = (event for event in offline.events if isinstance(event, PersonNeeded))
        assert "openssl x509 -req" in asked.instructions
        assert "not there yet" in looked[0]
        assert "ca-cert.pem expired on" in looked[1]
        assert "path length 0" in looked[2]
        assert offline.secret(1)
        assert "PRIVATE" not in repr(offline.events)

    def test_a_root_that_the_peers_do_not_have_is_waited_out(self, offline: Certifying) -> None:
        offline.put(2, files_of(SECOND, TOP))
        with pytest.raises(NeedsPerson) as raised:
            offline.apply(offline.intermediate(1))
        assert TOP.fingerprint in raised.value.remedy
        offline.sign(1, authority("Other"))
        with pytest.raises(NeedsPerson) as raised:
            offline.apply(offline.intermediate(1))
        assert f"cluster2 has {TOP.fingerprint[:16]}" in raised.value.remedy
        assert offline.secret(1) is None

    def test_a_wrong_certificate_is_bad_input_when_resumed(self, offline: Certifying) -> None:
        with pytest.raises(NeedsPerson):
            offline.apply(offline.intermediate(1))
        offline.sign(1, days=-0.5, since=-2)
        (mistake,) = certificate_mistakes(offline.mesh, offline.world, offline.mesh.clusters)
        assert "cluster1/ca-cert.pem expired" in mistake.text

    @pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
    def test_the_command_that_is_told_signs_what_is_then_taken(self, offline: Certifying, tmp_path: Path) -> None:
        with pytest.raises(NeedsPerson) as raised:
            offline.apply(offline.intermediate(1))
        text = raised.value.remedy
        command = text[text.index("openssl x509") : text.index("EOF", text.index("<<'EOF'") + 8) + 3]
        holder = put_files(tmp_path / "holder", {ROOT: TOP.pem, "root-key.pem": TOP.key})
        put_files(holder / "cluster1", {REQUEST: (offline.place / "cluster1" / REQUEST).read_bytes()})
        subprocess.run(["bash", "-c", command], cwd=holder, check=True, capture_output=True)
        shutil.copy(holder / "cluster1" / CERT, offline.place / "cluster1" / CERT)
        shutil.copy(holder / ROOT, offline.place / ROOT)
        offline.apply(offline.intermediate(1))
        assert offline.secret(1)
        assert isinstance(offline.intermediate(1).probe(offline.world), Done)


class TestExisting:
    def test_what_lacks_is_a_conflict_in_both_steps(self, tmp_path: Path) -> None:
        adopting = certifying(tmp_path, "existing")
        adopting.put(1, files_of(FIRST, TOP))
        root, first, second = adopting.probes()
        assert "cluster2: no secret cacerts" in conflict(root)
        assert isinstance(first, Done)
        assert "cluster2: no secret cacerts" in conflict(second)
        adopting.put(2, files_of(SECOND, TOP))
        assert all(isinstance(probe, Done) for probe in adopting.probes())

    def test_the_form_of_cert_manager_is_adopted(self, tmp_path: Path) -> None:
        adopting = certifying(tmp_path, "existing")
        form = {"tls.crt": SECOND.pem, "tls.key": SECOND.key, "ca.crt": TOP.pem}
        adopting.put(1, files_of(FIRST, TOP))
        adopting.put(2, form)
        assert all(isinstance(probe, Done) for probe in adopting.probes())
        adopting.mesh = replace(adopting.mesh, istio=replace(adopting.mesh.istio, version="1.14.0"))
        assert "1.14.0 does not read" in conflict(adopting.root.probe(adopting.world))

    def test_a_broken_one_names_the_files_of_its_form(self, tmp_path: Path) -> None:
        adopting = certifying(tmp_path, "existing")
        adopting.put(1, {"tls.crt": SECOND.pem, "tls.key": FIRST.key, "ca.crt": TOP.pem})
        told = conflict(adopting.root.probe(adopting.world))
        assert "ca-key.pem does not belong to ca-cert.pem" in told
        assert "tls.key stands for ca-key.pem" in told

    @pytest.mark.parametrize("name", [CERT, KEY, ROOT, CHAIN])
    def test_an_incomplete_one_is_a_conflict(self, tmp_path: Path, name: str) -> None:
        adopting = certifying(tmp_path, "existing")
        files = files_of(FIRST, TOP)
        del files[name]
        adopting.put(1, files)
        assert f"{name} is missing" in conflict(adopting.root.probe(adopting.world))


@pytest.mark.parametrize("source", ["generate", "directory", "offline"])
def test_an_istiod_that_signs_by_itself_is_not_given_another_root(tmp_path: Path, source: str) -> None:
    put_files(tmp_path / "cluster1", files_of(FIRST, TOP))
    made = certifying(tmp_path, source)
    made.put(1, {"ca-cert.pem": TOP.pem}, SELF_SIGNED)
    step = made.intermediate(1)
    assert isinstance(step.probe(made.world), Needed), "nothing runs there: a leftover"
    made.world.cluster("cluster1").apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "istiod-canary", "namespace": SYSTEM_NAMESPACE, "labels": {"app": "istiod"}},
            "spec": {
                "selector": {"matchLabels": {"app": "istiod"}},
                "template": {
                    "metadata": {"labels": {"app": "istiod"}},
                    "spec": {"containers": [{"name": "discovery", "image": "docker.io/istio/pilot:1.29.1"}]},
                },
            },
        }
    )
    assert made.world.cluster("cluster1").get(Ref(DEPLOYMENT, "istiod-canary", SYSTEM_NAMESPACE))
    assert "a root of its own" in conflict(step.probe(made.world))


TOOL = """#!/bin/bash
case "$*" in
  *get*) [ -e "$CACERTS" ] && cat "$CACERTS" || exit 1;;
  *create*) for word in "$@"; do case "$word" in --from-file=*) [ -s "${word#*=}" ] || exit 1; echo "${word#*=}";; esac; done;;
  *apply*) cat >> "$TRACE";;
esac
"""


@pytest.mark.skipif(not (shutil.which("bash") and shutil.which("openssl")), reason="needs bash and openssl")
class TestTyped:
    """The commands of every source, as the exported script runs them."""

    def script(self, made: Certifying, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        tools = tmp_path / "bin"
        tools.mkdir(exist_ok=True)
        (tools / "kubectl").write_text(TOOL)
        (tools / "kubectl").chmod(0o755)
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        lines: Sequence[str] = [command.text for step in made.steps for command in step.commands()]
        text = "\n".join(["set -euo pipefail", "umask 077", *lines])
        assert "PRIVATE KEY" not in text
        return subprocess.run(
            ["bash", "-c", text], cwd=work, capture_output=True, text=True, check=False,
            env={"PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin", "TRACE": str(tmp_path / "trace"), **environment},
        )  # fmt: skip

    def test_generate(self, tmp_path: Path) -> None:
        done = self.script(certifying(tmp_path, "generate"), tmp_path)
        assert done.returncode == 0, done.stderr
        assert "certs/cluster2/ca-cert.pem" in (tmp_path / "trace").read_text()

    @pytest.mark.inputs("S3")
    def test_generate_overwrites_no_key(self, tmp_path: Path) -> None:
        certs = tmp_path / "work" / "certs"
        put_files(certs, {"root-key.pem": TOP.key})
        put_files(certs / "cluster1", {KEY: FIRST.key})
        done = self.script(certifying(tmp_path, "generate"), tmp_path)
        assert done.returncode == 3
        assert "root-key.pem is there" in done.stderr
        assert (certs / "root-key.pem").read_bytes() == TOP.key
        put_files(certs, {ROOT: TOP.pem})
        done = self.script(certifying(tmp_path, "generate"), tmp_path)
        assert done.returncode == 0, done.stderr
        assert (certs / "root-key.pem").read_bytes() == TOP.key
        assert (certs / "cluster1" / KEY).read_bytes() == FIRST.key

    def test_directory(self, folder: Certifying, tmp_path: Path) -> None:
        (folder.place / "cluster1" / ROOT).rename(folder.place / ROOT)
        (folder.place / "cluster1" / CHAIN).unlink()
        done = self.script(folder, tmp_path)
        assert done.returncode == 0, done.stderr
        made = tmp_path / "work" / "certs" / "cluster1"
        assert {path.name: path.read_bytes() for path in made.iterdir()} == files_of(FIRST, TOP)
        assert (tmp_path / "trace").read_text().count(CHAIN) == 2

    def test_directory_with_two_roots_stops(self, folder: Certifying, tmp_path: Path) -> None:
        other = authority("Top")
        put_files(folder.place / "cluster2", files_of(authority("i", other), other))
        done = self.script(folder, tmp_path)
        assert done.returncode == 2
        assert "different roots" in done.stderr
        assert not (tmp_path / "trace").exists()

    def test_offline_ends_with_3_until_all_is_signed(self, offline: Certifying, tmp_path: Path) -> None:
        done = self.script(offline, tmp_path)
        assert done.returncode == 3, done.stderr
        assert "run this again" in done.stderr
        keys = [(offline.place / f"cluster{number}" / KEY).read_bytes() for number in (1, 2)]
        for number in (1, 2):
            offline.sign(number)
        done = self.script(offline, tmp_path)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "work" / "certs" / "cluster2" / KEY).read_bytes() == keys[1]

    def test_existing(self, tmp_path: Path) -> None:
        made = certifying(tmp_path, "existing")
        (tmp_path / "cacerts").write_text("root")
        assert self.script(made, tmp_path, CACERTS=str(tmp_path / "cacerts")).returncode == 0
        assert self.script(made, tmp_path, CACERTS=str(tmp_path / "absent")).returncode != 0
        assert not (tmp_path / "trace").exists()
        assert SECRET.kind == "Secret"
