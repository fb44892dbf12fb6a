"""Facts that depend on Istio's version, read in its sources at each release. Kubernetes ranges: Istio's support table, and
`MinK8SVersion` in its source.
"""

from __future__ import annotations

import re

from wizard.messages import msg

Minor = tuple[int, int]

OLDEST: Minor = (1, 9)  # the first istioctl minor this release drives
NEWEST: Minor = (1, 30)  # the last that it knows; a newer one is told as such, and driven as that
PROVEN: tuple[Minor, ...] = (
    (1, 26),
    (1, 29),
)  # run on real clusters by the tests; templates of the others are rendered only
BROKEN = {"1.10.0": msg("it does not read meshNetworks; 1.10.1 does")}
# Istio minor → (oldest Kubernetes minor its own code accepts, oldest and newest that Istio's project tests).
_KUBERNETES: dict[int, tuple[int, int, int]] = {
    9: (17, 17, 20),
    10: (17, 18, 21),
    11: (17, 18, 22),
    12: (17, 19, 22),
    13: (19, 20, 23),
    14: (19, 21, 24),
    15: (19, 22, 25),
    16: (22, 22, 25),
    17: (23, 23, 26),
    18: (24, 24, 27),
    19: (25, 25, 28),
    20: (25, 25, 29),
    21: (26, 26, 29),
    22: (26, 27, 30),
    23: (26, 27, 30),
    24: (28, 28, 31),
    25: (29, 29, 32),
    26: (29, 29, 33),
    27: (29, 29, 33),
    28: (30, 30, 34),
    29: (30, 31, 35),
    30: (32, 32, 35),
}
# The newest Kubernetes that still serves the APIs its charts ask for: CRDs and webhooks v1beta1, policy v1beta1.
_CEILING = {9: 21, 10: 24, 11: 24, 12: 24, 13: 24}
# From here on Kubernetes makes no token by itself, and an istioctl before 1.14 cannot make a remote secret.
_NO_TOKENS = 24


def minor_of(version: str) -> Minor | None:
    """(major, minor) of `1.29.1`, `v1.34.4` or `1.30-alpha.x`; None where there is none."""
    found = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None


def unsupported(istio: str) -> str | None:
    """Why this release does not drive an istioctl of that version, or None."""
    minor = minor_of(istio)
    if minor is None:
        return msg("{version} is no version", version=repr(istio))
    if minor < OLDEST or minor[0] != OLDEST[0]:
        return msg(
            "Istio {version} is not driven by this release: {oldest} and later are, of {major}.x",
            version=istio,
            oldest=f"{OLDEST[0]}.{OLDEST[1]}",
            major=OLDEST[0],
        )
    if istio in BROKEN:
        return msg("Istio {version} cannot be used: {problem}", version=istio, problem=BROKEN[istio])
    return None


def is_newer(istio: str) -> bool:
    """Whether this release knows nothing of that version yet."""
    return (minor_of(istio) or OLDEST) > NEWEST


def proven(istio: str) -> bool:
    """Whether meshes of that minor version are made on real clusters by the tests."""
    return minor_of(istio) in PROVEN


def step_trouble(standing: str, wanted: str) -> str | None:
    """Why a control plane of one version is not taken to the other without consent, or None. Istio's projects test a step to the
    next minor version, and none back.
    """
    old, new = _numbers(standing), _numbers(wanted)
    if old is None or new is None:
        return None
    if new < old:
        return msg("Istio {wanted} is older than {standing}, which stands there", wanted=wanted, standing=standing)
    if new[:2] > (old[0], old[1] + 1):
        return msg(
            "Istio {wanted} is more than one minor version newer than {standing}, which stands there",
            wanted=wanted,
            standing=standing,
        )
    return None


def kubernetes_trouble(istio: str, kubernetes_minor: int) -> tuple[str, str] | None:
    """(severity, sentence) where this Istio does not go with Kubernetes 1.x: `error` where it cannot work, `warning` where
    nobody tests the pair; None where it does.
    """
    minor = minor_of(istio)
    if minor is None or minor[1] not in _KUBERNETES:
        return None
    floor, oldest, newest = _KUBERNETES[minor[1]]
    ceiling = _CEILING.get(minor[1])
    here = f"1.{kubernetes_minor}"
    if kubernetes_minor < floor:
        return "error", msg(
            "Istio {version} needs Kubernetes {oldest} or newer, this is {here}",
            version=istio,
            oldest=f"1.{floor}",
            here=here,
        )
    if ceiling is not None and kubernetes_minor > ceiling:
        return "error", msg(
            "Istio {version} asks for APIs that Kubernetes {here} lacks; {newest} is the newest",
            version=istio,
            here=here,
            newest=f"1.{ceiling}",
        )
    if minor < (1, 14) and kubernetes_minor >= _NO_TOKENS:
        return "error", msg(
            "istioctl {version} cannot make remote secrets on Kubernetes {here}; 1.14 and later can",
            version=istio,
            here=here,
        )
    if not oldest <= kubernetes_minor <= newest:
        return "warning", msg(
            "Istio {version} is tested on Kubernetes {oldest} to {newest}, this is {here}",
            version=istio,
            oldest=f"1.{oldest}",
            newest=f"1.{newest}",
            here=here,
        )
    return None


def remote_runs_istiod(istio: str) -> bool:
    """Whether a remote of that version has an istiod of its own, for injection and as its CA."""
    return _before(istio, (1, 15))


def remote_profile(istio: str) -> str:
    """The profile that installs a remote."""
    if remote_runs_istiod(istio):
        # Their `remote` is an empty file: the default profile, which brings an ingress gateway that nobody asked for.
        return "minimal"
    return "external" if minor_of(istio) == (1, 15) else "remote"


def needs_external_flag(istio: str) -> bool:
    """Whether a primary with remotes is told so by an environment variable of istiod too."""
    return not _before(istio, (1, 15)) and _before(istio, (1, 23))


def injects_gateways(istio: str) -> bool:
    """Whether gateways are injected by a template of their own; before, their router mode is set by hand."""
    return not _before(istio, (1, 11))


def host_names_of_gateways(istio: str) -> bool:
    """Whether istiod uses a gateway that has a host name and no IP address, as some load balancers give."""
    return not _before(istio, (1, 13))


def host_names_of_istiod(istio: str) -> bool:
    """Whether a remote may reach its istiod by a host name."""
    return not _before(istio, (1, 15))


def reads_endpoints(istio: str) -> bool:
    """Whether istiod may do with Endpoints where it may not read EndpointSlices."""
    return _before(istio, (1, 19))


def remote_secret_command(istio: str) -> tuple[str, ...]:
    """The words of `istioctl` that make a remote secret."""
    return ("x", "create-remote-secret") if _before(istio, (1, 12)) else ("create-remote-secret",)


def _numbers(version: str) -> tuple[int, ...] | None:
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(number or 0) for number in found.groups()) if found else None


def _before(istio: str, minor: Minor) -> bool:
    found = minor_of(istio)
    return found is not None and found < minor
