"""Could others make this user run what they like? A kubeconfig may name commands."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from wizard.checks.check import Check, Looked
from wizard.checks.finding import Found
from wizard.clusters.kubeconfig_read import default_files
from wizard.errors import Trouble
from wizard.mesh import model
from wizard.messages import msg
from wizard.owners import changeable
from wizard.text import one_line
from wizard.world import World


def find(looked: Looked) -> Iterable[Found]:
    mesh, member, world = looked.mesh, looked.member, looked.world
    files = [("kubeconfig", path) for path in _kubeconfigs(member, world)]
    if member.name == mesh.clusters[0].name:
        files.append(("istioctl", Path(world.istioctl.path)))
    for what, path in files:
        who = changeable(path)
        if who:
            yield Found(
                msg(
                    "the {what} {path}, used as user {user}, can be changed by {others}",
                    what=what,
                    path=one_line(path),
                    user=os.geteuid(),
                    others=who,
                ),
                msg("Let only yourself or root write it and its folders (chmod go-w, chown)."),
            )


def _kubeconfigs(member: model.Cluster, world: World) -> list[Path]:
    if member.kubeconfig is not None:
        return [member.kubeconfig]
    try:
        return [] if world.simulated else default_files()
    except Trouble:
        return []


CHECK = Check("owners", "connection", "warning", find)
