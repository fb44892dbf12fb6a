"""The lab's command line: `python -m tests.lab up|down|status|reset|prepare`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.lab import lab, versions
from tests.lab.proc import LabError, say
from tests.lab.settings import from_environment
from tests.lab.shape import SERVICES, Shape


def _status() -> int:
    settings = from_environment()
    try:
        found = lab.find(settings)
    except LabError as error:
        print(error)
        for line in lab.leftovers(settings):
            print(f"  {line}")
        return 3
    print(f"Istio {found.istio}, Kubernetes {versions.KUBERNETES}, lab {settings.lab_id} in {settings.root}")
    for each in found.clusters:
        spec, state = each.spec, "ready" if each.alive() else "NOT READY"
        print(f"  {each.name}  {spec.server}  pods {spec.pod_cidr}  services {spec.service_cidr}  {state}")
    print(f"  export KUBECONFIG={found.kubeconfig}")
    print(f"  kubectl: {found.kubectl}\n  istioctl: {found.istioctl}\n  overlay: {found.overlay}")
    return 0 if all(each.alive() for each in found.clusters) else 1


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 means done."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description="real clusters on this machine")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring the lab up (no-op when it is)")
    up.add_argument("--n", type=int, default=2, help="how many clusters")
    up.add_argument(
        "--networks", type=_numbers, default=(), metavar="1,1,2",
        help="a number per cluster; clusters with the same one share a network (default: each on its own)",
    )  # fmt: skip
    up.add_argument("--services", choices=SERVICES, default="same", help="the clusters' ranges of Service addresses")
    prepare = commands.add_parser("prepare", help="build everything into the cache, start nothing")
    for parser_ in (up, prepare):
        parser_.add_argument("--istio", default=versions.ISTIO_DEFAULT, choices=versions.ISTIO)
    commands.add_parser("down", help="remove the lab; fails if anything is left")
    commands.add_parser("status", help="what is up, and where")
    commands.add_parser("reset", help="bring all clusters back to their baseline")
    options = parser.parse_args(argv)
    try:
        if options.command == "up":
            lab.up(Shape(options.n, options.istio, options.networks, options.services))
        elif options.command == "prepare":
            lab.prepare(from_environment(), options.istio)
        elif options.command == "down":
            lab.down()
        elif options.command == "reset":
            began = time.monotonic()
            lab.find().reset()
            say(f"reset in {time.monotonic() - began:.1f} s")
        else:
            return _status()
    except (LabError, ValueError) as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
