"""`make bench`: ratios against a baseline run beside them, on this machine. Needs what the lab needs (root, Debian)."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.lab import lab as lab_module
from tests.lab.breaks import deleted
from tests.lab.lab import Lab
from tests.lab.shape import Shape
from tests.lab.wizard import Wizard

SCRIPT = Path(__file__).with_name("runbook.sh").absolute()
TIMES = 5  # how often the quick ones are repeated; the median counts


@dataclass(frozen=True)
class Row:
    what: str
    against: str
    ours: float  # seconds
    theirs: float  # seconds
    reach: float

    def __str__(self) -> str:
        ratio = self.ours / self.theirs
        verdict = "reached" if ratio <= self.reach else "NOT reached"
        sides = f"{self.what:<34} {self.ours:6.2f} s   {self.against:<44} {self.theirs:6.2f} s"
        return f"{sides}   ratio {ratio:.2f} (≤ {self.reach}: {verdict})"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", choices=["two", "four", "again", "diagnose"], help="just this row")
    only = parser.parse_args().only
    rows: list[Row] = []
    try:
        if only in (None, "two", "again"):
            lab = lab_module.up()
            if only != "again":
                rows.append(from_nothing(lab, reach=0.45))
            rows.append(again(lab, fresh=only == "again"))
            lab_module.down()
        if only in (None, "diagnose"):
            rows.append(diagnosis(lab_module.up()))
            lab_module.down()
        if only in (None, "four"):
            rows.append(from_nothing(lab_module.up(Shape(4)), reach=0.40))
    finally:
        lab_module.down()
    sys.stdout.write("\n".join(["", *map(str, rows), ""]))
    return 0


def from_nothing(lab: Lab, reach: float) -> Row:
    """Nothing → verified, against the corrected runbook as a script, each on freshly reset clusters."""
    count = len(lab.clusters)
    with tempfile.TemporaryDirectory() as folder:
        wizard = Wizard(lab, Path(folder) / "home")
        lab.reset()
        argv = ["bash", str(SCRIPT), str(count), str(lab.kubeconfig), lab.istio, str(lab.overlay)]
        theirs = timed(lambda: checked(argv, Path(folder), wizard.environment))
        lab.reset()
        ours = timed(
            lambda: checked(wizard.argv("apply", "-f", str(wizard.meshfile)), Path(folder), wizard.environment)
        )
    return Row(f"nothing → verified, {count} clusters", "the corrected runbook as a script", ours, theirs, reach)


def again(lab: Lab, *, fresh: bool) -> Row:
    """`apply` of a finished mesh, against one `istioctl install` of a finished cluster."""
    with tempfile.TemporaryDirectory() as folder:
        wizard = Wizard(lab, Path(folder) / "home")
        if fresh:
            lab.reset()
        argv = wizard.argv("apply", "-f", str(wizard.meshfile))
        checked(argv, Path(folder), wizard.environment)
        ours = statistics.median(timed(lambda: checked(argv, Path(folder), wizard.environment)) for _ in range(TIMES))
        record = lab.clusters[0].kubectl(
            "get", "cm", "meshwizard", "-n", "istio-system", "-o", r"jsonpath={.data.operator\.yaml}"
        )
        operator = Path(folder) / "operator.yaml"
        operator.write_text(record)
        install = [
            str(lab.istioctl), "install", "--kubeconfig", str(lab.kubeconfig), "--context", "cluster1", "-y",
            "-f", str(lab.overlay), "-f", str(operator),
        ]  # fmt: skip
        theirs = statistics.median(
            timed(lambda: checked(install, Path(folder), wizard.environment)) for _ in range(TIMES)
        )
    return Row("finished mesh, apply again", "one istioctl install of a finished cluster", ours, theirs, 0.5)


def diagnosis(lab: Lab) -> Row:
    """Why a pair does not answer, since a remote secret is gone, against a verification that succeeds; medians."""
    with tempfile.TemporaryDirectory() as folder:
        wizard = Wizard(lab, Path(folder) / "home")
        lab.reset()
        checked(wizard.argv("apply", "-f", str(wizard.meshfile)), Path(folder), wizard.environment)
        verify = wizard.argv("verify")
        theirs = statistics.median(
            timed(lambda: checked(verify, Path(folder), wizard.environment)) for _ in range(TIMES)
        )
        with deleted(lab.clusters[0], "secret", "istio-remote-secret-cluster2"):
            wizard.run("diagnose")  # istiod takes the secret away meanwhile
            ours = statistics.median(timed(lambda: _finds(wizard)) for _ in range(TIMES))
    return Row("a broken pair diagnosed", "a verification that succeeds", ours, theirs, 3.0)


def _finds(wizard: Wizard) -> None:
    ran = wizard.run("diagnose", "--json")
    if ran.code != 4 or ran.json["cause"]["check"] != "remote-secret":
        sys.stderr.write(f"another cause: {ran.text}\n")
        raise SystemExit(1)


def timed(action: Callable[[], None]) -> float:
    """How long it took, in seconds."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


def checked(argv: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run it; a failure is shown and ends the benchmark, since its time would mean nothing."""
    done = subprocess.run(
        argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(f"{argv[0]} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}\n")
        raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
