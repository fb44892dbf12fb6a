"""The trust domains of a control plane, as its mesh configuration says them."""

from __future__ import annotations

from wizard.checks.standing.istiods import mesh_config
from wizard.checks.standing.view import Here

DEFAULT_DOMAIN = "cluster.local"


def trust_domains(here: Here) -> tuple[str, frozenset[str]] | None:
    """(trust domain, its aliases) of the control plane that runs here; None where no configuration is there that can be read."""
    config = mesh_config(here)
    if not config:
        return None
    aliases = config.get("trustDomainAliases")
    told = frozenset(map(str, aliases)) if isinstance(aliases, list) else frozenset()
    return str(config.get("trustDomain") or DEFAULT_DOMAIN), told
