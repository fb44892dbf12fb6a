"""The end of every sequence: what ails the clusters goes, the mesh comes right, and it is taken back without a rest."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

from tests.faults.machine.picture import Picture, contents, difference, picture_of, root_in
from tests.faults.machine.process import Process
from tests.faults.machine.shapes import Shape, files
from tests.faults.machine.strangers import own_network
from tests.faults.machine.tally import count
from tests.faults.machine.world import CACERTS, SYSTEM, Place
from wizard.clusters.kinds import CRD, DEPLOYMENT, POD, SECRET, Ref, ref_of
from wizard.mesh.model import Mesh
from wizard.objects.removal import READER_TOKEN
from wizard.simulated.fields import frozen, thawed
from wizard.simulated.machine import Machine

ATTEMPTS = 3


def heal(place: Place) -> None:
    """Whatever ails the clusters goes, and a person puts right what only a person can."""
    place.outside.istioctl.fail_at.clear()
    place.outside.istioctl.hang_at.clear()
    for machine in place.outside.machines:
        machine.unreachable = False
        machine.clock_skew = 0.0
        machine.missing_rights.clear()
        machine.missing_images.clear()
        machine.blocked_ports.clear()
        if place.taken_back and machine.store.find(SYSTEM):  # what somebody wrote over ours stays, and is in the way
            machine.change(SYSTEM, own_network)
    _put_right_roots(place)


def _put_right_roots(place: Place) -> None:
    """A person gives back the certificates that somebody replaced or took away, and what istiod made for want of them."""
    for machine, kept in place.lost_roots.items():
        with machine.settled():
            planted = root_in(machine) in place.others_roots
            stays = any(cluster.context == machine.context for cluster in place.mesh.clusters)
            # An istiod that is left without certificates makes a root of its own.
            if (planted and not stays) or (kept is None and (planted or root_in(machine) is None)):
                for live in machine.listed(DEPLOYMENT, SYSTEM.name, "app=istiod"):
                    machine.store.remove(ref_of(live))
                machine.settle()
            machine.store.remove(Ref(SECRET, "istio-ca-secret", "istio-system"))
            if planted:
                machine.store.remove(CACERTS)
            if stays and kept is not None and root_in(machine) is None and machine.store.find(SYSTEM):
                machine.store.update(kept, "kubectl-edit")
    place.lost_roots.clear()
    place.planted_root = False


def converge(place: Place) -> None:
    """With all faults gone the mesh comes right, as if nothing had ever gone wrong."""
    heal(place)
    place.check()
    _until_ok(place, "resume")
    applied = _until_ok(place, "apply")
    mesh = place.settled
    found = picture_of(place.outside, mesh)
    for machine in place.outside.machines:
        if all(cluster.context != machine.context for cluster in mesh.clusters):
            found = {key: told for key, told in found.items() if not _is_nobodys(place, machine, key)}
    wrong = difference(found, reference(place.shape, mesh), tokens=place.some_left)
    if wrong:
        raise place.violation("the clusters are not as after an uninterrupted run:\n    " + "\n    ".join(wrong[:12]))
    _heard(place, mesh)
    if applied.writes:
        _changes_nothing(place, "a second run")
    shutil.rmtree(place.folder.folder)
    _changes_nothing(place, "a run without its state")
    place.lost_lock = bool(place.leases())  # of a run whose lock went too: nobody can tell them from a stranger's
    _until_ok(place, "uninstall")
    for machine, before in zip(place.outside.machines, place.before, strict=True):
        after = {each for each in contents(machine) if each in before or not _is_nobodys(place, machine, each)}
        if after != before:
            raise place.violation(
                f"uninstalled, {machine.context} has also {sorted(after - before)}, lacks {sorted(before - after)}"
            )
    count("converged")


def _is_nobodys(place: Place, machine: Machine, address: str) -> bool:
    """Whether it may stay, since somebody deleted what told whose it is: Istio's CRDs, the reader's token, which istioctl makes
    without a mark, and what its istiod wrote into other namespaces, where its own went before all of it was taken back.
    """
    address = address.removeprefix(f"{machine.context}: ")
    crd = address.startswith(f"{CRD.kind} ") and "istio.io" in address
    trace = address.startswith("ConfigMap istio-ca-") and machine in place.lost_namespaces
    return machine.index in place.lost_records and (crd or trace or address == str(READER_TOKEN))


def _until_ok(place: Place, operation: str) -> Process:
    """The run that ended well."""
    for _ in range(ATTEMPTS):
        process, ended = place.run(operation)
        if ended.code == 0:
            return process
    raise place.violation(f"{operation} does not come right: {ended.what} | {ended.remedy}")


def _changes_nothing(place: Place, what: str) -> None:
    process, ended = place.run("apply")
    if ended.code != 0 or process.writes:
        raise place.violation(f"{what} ended with {ended.code} ({ended.what}) and changed {process.writes}")


def _heard(place: Place, mesh: Mesh) -> None:
    """Traffic, looked at from outside the wizard."""
    wanted = {mesh.sample_version(cluster.name) for cluster in mesh.clusters}
    for cluster in mesh.clusters:
        door = place.outside.cluster(cluster.name, cluster.context)
        (pod,) = door.objects(POD, "sample", "app=curl")
        argv = ["curl", "-sS", "--max-time", "2", "http://helloworld.sample:5000/hello?n=[1-24]"]
        done = door.execute(Ref(POD, pod["metadata"]["name"], "sample"), "curl", argv, seconds=600)
        if any(f"Hello version: {version}," not in done.stdout for version in wanted):
            raise place.violation(f"{cluster.name} does not hear all of {wanted}: {done.stdout} {done.stderr}")


_references: dict[str, Picture] = {}
shelf: Path | None = None
"""A folder in which jobs share their references."""


def reference(shape: Shape, mesh: Mesh) -> Picture:
    """What an uninterrupted run of this settled mesh makes of fresh clusters."""
    # Trying addresses leaves nothing, and the person's files are elsewhere in each job.
    shape, mesh = replace(shape, probes="never"), replace(mesh, verify=replace(mesh.verify, probes="never"))
    key = hashlib.sha256(repr((shape, mesh)).replace(str(files()), "").encode()).hexdigest()
    if key in _references:
        return _references[key]
    shared = shelf / f"{key}.reference" if shelf else None
    if shared and shared.exists():
        drawn: Picture = thawed(shared.read_bytes())
    else:
        drawn = _uninterrupted(shape, mesh)
        if shared:
            beside = shared.with_suffix(f".{os.getpid()}")
            beside.write_bytes(frozen(drawn))
            beside.replace(shared)
    if len(_references) > 400:
        _references.clear()
    _references[key] = drawn
    return drawn


def _uninterrupted(shape: Shape, mesh: Mesh) -> Picture:
    place = Place(shape)
    try:
        place.mesh = mesh
        _, ended = place.run("apply")
        if ended.code != 0:
            raise place.violation(f"an uninterrupted run fails: {ended.what}")
        return picture_of(place.outside, mesh)
    finally:
        place.close()
