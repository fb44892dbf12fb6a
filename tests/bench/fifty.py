"""Fifty simulated clusters: how long a plan takes, a run, and a look at what is finished.

`python -m tests.bench.fifty` prints a line each for fifty primaries, and for five primaries with nine remotes each. The plan's
time stands beside that for two clusters, which is the ratio that tells whether it grows faster than the steps do. The last
look is a diagnosis, once a gateway is gone.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from state import StateFolder
from wizard.clusters.kinds import DEPLOYMENT, Ref
from wizard.mesh.model import GATEWAY_NAME, SYSTEM_NAMESPACE, Cluster, Gateway, Mesh
from wizard.operations.apply import Apply
from wizard.operations.diagnosing import diagnosis_of
from wizard.operations.prepared import prepare
from wizard.operations.working import working
from wizard.simulated.outside import SimulatedOutside

CLUSTERS = 50
GATEWAY = Ref(DEPLOYMENT, GATEWAY_NAME, SYSTEM_NAMESPACE)
REACH = 2.0  # seconds for a plan, differences included
REACH_DIAGNOSIS = 15.0  # seconds


def mesh(outside: SimulatedOutside, primaries: int) -> Mesh:
    """The first clusters are primaries; the rest are remotes, in turns."""
    clusters = []
    for number, entry in enumerate(outside.contexts()):
        remote = number >= primaries
        clusters.append(
            Cluster(
                f"cluster{number + 1}", entry.context, f"network{number + 1}", role="remote" if remote else "primary",
                primary=f"cluster{number % primaries + 1}" if remote else None, gateway=Gateway("external-ips"),
            )
        )  # fmt: skip
    return Mesh("mesh1", tuple(clusters), "primary-remote" if primaries < len(clusters) else "multi-primary")


def measured(clusters: int, primaries: int, folder: Path) -> tuple[int, list[float]]:
    """(steps, the seconds of a plan, of a run, of a plan when all is done, and of a diagnosis of what is broken then)."""
    outside = SimulatedOutside(clusters=clusters, speed=0)
    wished, states = mesh(outside, primaries), StateFolder(folder)
    made = prepare(wished, outside, states)
    times = []
    for work in (False, True, False):
        began = time.monotonic()
        if work:
            with working(Apply(made), lambda event: None) as engine:
                outcome = engine.run()
            if not outcome.ok:
                raise SystemExit(outcome.what)
        else:
            made = prepare(wished, outside, states)
            made.look()
        times.append(time.monotonic() - began)
    outside.machines[-1].change(GATEWAY, lambda live: live["spec"].update(replicas=0))
    began = time.monotonic()
    found = diagnosis_of(made.mesh, made.world.clusters, inferred=False)
    times.append(time.monotonic() - began)
    if found.cause is None or found.cause.check != "gateway-pods":
        raise SystemExit(f"another cause: {found.cause}")
    return len(made.plan.steps), times


def main() -> int:
    """Print a line for each mesh; 1 where a plan took longer than it may."""
    late = False
    for what, primaries in (("multi-primary", CLUSTERS), ("primary-remote", CLUSTERS // 10)):
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            few, (base, *_) = measured(2, 2 if primaries == CLUSTERS else 1, Path(first))
            steps, (plan, run, again, diagnosed) = measured(CLUSTERS, primaries, Path(second))
        late = late or plan > REACH or diagnosed > REACH_DIAGNOSIS
        told = (
            f"{CLUSTERS} clusters, {what}: {steps} steps planned in {plan:.2f} s (reach {REACH:.0f} s; {plan / base:.0f} times "
            f"the {base:.2f} s of two clusters, {steps / few:.0f} times their steps), run in {run:.1f} s, "
            f"looked at again in {again:.1f} s, one broken diagnosed in {diagnosed:.1f} s (reach {REACH_DIAGNOSIS:.0f} s)"
            f"{' NOT reached' if plan > REACH or diagnosed > REACH_DIAGNOSIS else ''}"
        )
        sys.stdout.write(f"{told}\n")
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
