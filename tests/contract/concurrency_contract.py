"""Two who write the same object: who comes second is told, and overwrites nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.manifests import NAME, NOWHERE, config_map, ref
from tests.contract.objects_contract import InNamespace
from wizard.clusters.kinds import CONFIG_MAP, LEASE, SECRET, Object
from wizard.clusters.port import Cluster, Conflicting, Outdated
from wizard.errors import Failed


def lease(name: str, holder: str) -> Object:
    """A Lease in the contract's namespace."""
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"name": name, "namespace": NAME},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": 30,
            "acquireTime": "2025-01-01T00:00:00.000000Z",
            "renewTime": "2025-01-01T00:00:00.000000Z",
            "leaseTransitions": 0,
        },
    }


class ConcurrencyContract(InNamespace):
    """Optimistic concurrency: what an object's resourceVersion is for."""

    @pytest.mark.promise(14)
    def test_only_the_first_creates(self, cluster: Cluster) -> None:
        made = cluster.create(lease("first", "a"))
        assert made["spec"]["holderIdentity"] == "a"
        assert made["metadata"]["resourceVersion"]
        with pytest.raises(Outdated) as refused:
            cluster.create(lease("first", "b"))
        assert not isinstance(refused.value, Conflicting)
        assert cluster.get(ref(LEASE, "first")) == made

    @pytest.mark.promise(14)
    def test_of_many_one_creates(self, cluster: Cluster) -> None:
        def attempt(number: int) -> bool:
            try:
                cluster.create(lease("race", str(number)))
            except Outdated:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(attempt, range(16))) == 1

    def test_create_needs_the_namespace(self, cluster: Cluster) -> None:
        manifest = lease("homeless", "a")
        manifest["metadata"]["namespace"] = NOWHERE
        with pytest.raises(Failed, match=NOWHERE) as refused:
            cluster.create(manifest)
        assert not isinstance(refused.value, Outdated)

    @pytest.mark.promise(14)
    def test_replace_only_what_is_as_it_was_seen(self, cluster: Cluster) -> None:
        seen = cluster.create(lease("held", "a"))
        renewed = cluster.replace({**seen, "spec": {**seen["spec"], "renewTime": "2025-01-01T00:00:10.000000Z"}})
        assert renewed["metadata"]["uid"] == seen["metadata"]["uid"]
        assert renewed["metadata"]["resourceVersion"] != seen["metadata"]["resourceVersion"]
        with pytest.raises(Outdated):
            cluster.replace({**seen, "spec": {**seen["spec"], "holderIdentity": "b"}})
        assert cluster.get(ref(LEASE, "held")) == renewed

    def test_replace_puts_the_whole_in_its_place(self, cluster: Cluster) -> None:
        seen = cluster.create(config_map("whole", {"a": "1", "b": "2"}, {"l": "x", "m": "y"}))
        manifest = config_map("whole", {"a": "3"}, {"l": "z"})
        manifest["metadata"]["resourceVersion"] = seen["metadata"]["resourceVersion"]
        after = cluster.replace(manifest)
        assert (after["data"], after["metadata"]["labels"]) == ({"a": "3"}, {"l": "z"})
        manifest = config_map("whole", {"a": "3"})
        manifest["metadata"]["resourceVersion"] = after["metadata"]["resourceVersion"]
        assert not cluster.replace(manifest)["metadata"].get("labels")

    def test_replace_what_is_gone(self, cluster: Cluster) -> None:
        seen = cluster.create(lease("gone", "a"))
        assert cluster.delete(ref(LEASE, "gone")) is True
        with pytest.raises(Outdated):
            cluster.replace(seen)
        again = cluster.create(lease("gone", "b"))
        with pytest.raises(Outdated):
            cluster.replace(seen)  # the first one, under the same name
        assert cluster.get(ref(LEASE, "gone")) == again

    @pytest.mark.promise(14)
    def test_delete_only_as_it_was_seen(self, cluster: Cluster) -> None:
        seen = cluster.create(lease("released", "a"))
        taken = cluster.replace({**seen, "spec": {**seen["spec"], "holderIdentity": "b"}})
        address, uid = ref(LEASE, "released"), seen["metadata"]["uid"]
        with pytest.raises(Outdated):
            cluster.delete(address, uid=uid, version=seen["metadata"]["resourceVersion"])
        assert cluster.get(address) == taken
        assert cluster.delete(address, uid=uid, version=taken["metadata"]["resourceVersion"]) is True
        assert cluster.delete(address, version=taken["metadata"]["resourceVersion"]) is False

    def test_a_secret_of_a_type_of_ours_holds_bytes(self, cluster: Cluster) -> None:
        manifest: Object = {
            "apiVersion": "v1",
            "kind": SECRET.kind,
            "metadata": {"name": "bytes", "namespace": NAME},
            "type": "meshwizard/contract",
            "data": {"state.json": "e30=", "state.json.quarantined-20250101T000000Z.1": "eA=="},
        }
        made = cluster.create(manifest)
        assert (made["data"], made["type"]) == (manifest["data"], manifest["type"])
        after = cluster.replace({**made, "data": {"state.json": "eA=="}})
        assert after["data"] == {"state.json": "eA=="}
        assert cluster.get(ref(CONFIG_MAP, "bytes")) is None
