"""Each cause that the demo can make is named first by a diagnosis, in both topologies; of the mesh before nothing is said."""

from __future__ import annotations

import pytest

from tests.unit.standing import Setting, finished_mesh, finished_remote, whole
from wizard.simulated.breaks import BREAKS, Break, break_mesh

# cause → the check that must name it first
NAMED = {
    "gateway-gone": "gateway-pods",
    "gateway-port-closed": "gateway-path",
    "gateway-unselected": "gateway-open",
    "network-label": "network-label",
    "remote-secret-gone": "remote-secret",
    "remote-secret-server": "remote-secret-server",
    "remote-secret-name": "remote-secret",
    "token-revoked": "remote-secret-token",
    "reader-role": "reader-rights",
    "mesh-networks-port": "mesh-networks",
    "no-sidecar": "sidecars",
    "mtls-disabled": "mtls",
    "plain-destination-rule": "destination-rule",
    "abort": "virtual-service",
    "deny": "authorization",
    "service-gone": "service",
    "port-renamed": "service",
    "istiod-down": "istiod",
    "client-gone": "client",
    "narrow-sidecar": "sidecar-scope",
    "roots-differ": "roots",
    "api-server-away": "api-server",
    "trust-domain": "trust-domain",
}
TWO_PRIMARIES = ("roots-differ", "trust-domain")  # make no sense where one istiod serves both
# What istiod has read it goes on with, and so do proxies: these bite later.
LATER = ("token-revoked", "reader-role", "istiod-down", "api-server-away")


def broken(made: Setting, cause: Break) -> None:
    machines = {machine.context: machine for machine in made.outside.machines}
    break_mesh(cause, made.mesh, machines.__getitem__)


def test_every_cause_has_its_check() -> None:
    assert {each.id for each in BREAKS} == set(NAMED)


@pytest.mark.parametrize("cause", BREAKS, ids=lambda each: each.id)
@pytest.mark.parametrize("make", [finished_mesh, finished_remote], ids=["multi-primary", "primary-remote"])
def test_the_cause_is_named_first(make: object, cause: Break) -> None:
    if make is finished_remote and cause.id in TWO_PRIMARIES:
        cause = next(each for each in BREAKS if each.id == "remote-secret-gone")
    made = finished_remote() if make is finished_remote else finished_mesh()
    assert whole(made).findings == ()
    broken(made, cause)
    diagnosis = whole(made)
    assert diagnosis.cause is not None, diagnosis.findings
    assert diagnosis.cause.check == NAMED[cause.id]
    assert diagnosis.cause.short
    assert diagnosis.cause.commands
    assert diagnosis.proven is not True or cause.id in LATER
