"""What goes wrong at the door of a cluster, and where the root certificate is kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.contract.manifests import NOWHERE, config_map, ref
from wizard.clusters.kinds import CONFIG_MAP, NAMESPACE, POD, Ref
from wizard.clusters.port import Cluster, Right
from wizard.errors import NotAllowed, Trouble, Unreachable
from wizard.world import RootStore


class RestrictedContract:
    """Fixture: `restricted`, a `Cluster` whose user may not create namespaces."""

    def test_it_says_what_it_may_not(self, restricted: Cluster) -> None:
        right = Right("create", NAMESPACE)
        assert restricted.denied([right]) == [right]
        assert right in restricted.denied([Right("get", NAMESPACE), right])

    def test_it_is_not_allowed(self, restricted: Cluster) -> None:
        with pytest.raises(NotAllowed):
            restricted.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NOWHERE}})


class UnreachableContract:
    """Fixture: `unreachable`, a `Cluster` whose address nobody answers at."""

    def test_every_call_says_so(self, unreachable: Cluster) -> None:
        calls: list[Callable[[], object]] = [
            unreachable.version,
            unreachable.identity,
            lambda: unreachable.get(Ref(NAMESPACE, "default")),
            lambda: unreachable.objects(NAMESPACE),
            lambda: unreachable.apply(config_map("unreachable", {})),
            lambda: unreachable.delete(ref(CONFIG_MAP, "unreachable")),
            lambda: unreachable.denied([Right("list", POD)]),
        ]
        for call in calls:
            with pytest.raises(Unreachable) as told:
                call()
            assert unreachable.server in told.value.what
            assert told.value.remedy


class RootStoreContract:
    """Fixture: `roots`, a new and empty `RootStore`."""

    def test_it_is_empty_at_first(self, roots: RootStore) -> None:
        assert roots.load() is None
        assert roots.place

    def test_it_keeps_what_it_was_given(self, roots: RootStore) -> None:
        roots.save(b"certificate", b"key")
        assert roots.load() == (b"certificate", b"key")

    def test_it_never_overwrites_another_root(self, roots: RootStore) -> None:
        roots.save(b"certificate", b"key")
        with pytest.raises(Trouble):
            roots.save(b"other certificate", b"other key")
        assert roots.load() == (b"certificate", b"key")
