"""Whose is which field: the rules of server-side apply."""

from __future__ import annotations

import pytest

from tests.contract.manifests import OTHER, SomebodyElse, config_map, owners, ref, service
from tests.contract.objects_contract import InNamespace
from wizard.clusters.kinds import CONFIG_MAP
from wizard.clusters.port import MANAGER, Cluster, Conflicting


class OwnershipContract(InNamespace):
    """Fixture also: `somebody_else` (applies a manifest server-side, with force, as manager `somebody-else`)."""

    def test_managed_fields_name_us(self, cluster: Cluster) -> None:
        made = cluster.apply(config_map("ours", {"a": "1"}, {"l": "x"}))
        (entry,) = made["metadata"]["managedFields"]
        assert (entry["manager"], entry["operation"], entry["apiVersion"]) == (MANAGER, "Apply", "v1")
        assert entry["fieldsV1"]["f:data"] == {"f:a": {}}
        assert entry["fieldsV1"]["f:metadata"] == {"f:labels": {"f:l": {}}}

    def test_a_foreign_field_is_a_conflict(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        somebody_else(config_map("foreign", {"theirs": "1", "both": "1"}))
        before = cluster.get(ref(CONFIG_MAP, "foreign"))
        with pytest.raises(Conflicting) as refused:
            cluster.apply(config_map("foreign", {"both": "2", "mine": "2"}))
        assert refused.value.owners == {".data.both": OTHER}
        assert OTHER in refused.value.what
        assert cluster.get(ref(CONFIG_MAP, "foreign")) == before

    def test_force_takes_a_field_over(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        somebody_else(config_map("forced", {"theirs": "1", "both": "1"}))
        after = cluster.apply(config_map("forced", {"both": "2"}), force=True)
        assert after["data"] == {"theirs": "1", "both": "2"}
        assert owners(after, "data", "both") == {MANAGER}
        assert owners(after, "data", "theirs") == {OTHER}
        assert cluster.apply(config_map("forced", {"both": "2"})) == after

    def test_the_same_value_is_shared(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        somebody_else(config_map("shared", {"both": "1"}))
        after = cluster.apply(config_map("shared", {"both": "1", "mine": "1"}))
        assert owners(after, "data", "both") == {MANAGER, OTHER}
        given_up = cluster.apply(config_map("shared", {"mine": "1"}))
        assert given_up["data"] == {"both": "1", "mine": "1"}
        assert owners(given_up, "data", "both") == {OTHER}

    def test_what_others_set_stays(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        cluster.apply(config_map("mixed", {"mine": "1"}))
        somebody_else(config_map("mixed", {"theirs": "1"}, {"l": "theirs"}))
        after = cluster.apply(config_map("mixed", {"other": "1"}))
        assert after["data"] == {"theirs": "1", "other": "1"}
        assert after["metadata"]["labels"] == {"l": "theirs"}

    def test_an_apply_of_nothing_gives_all_up(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        somebody_else(config_map("leaving", {"theirs": "1"}))
        cluster.apply(config_map("leaving", {"mine": "1"}, {"l": "x"}))
        after = cluster.apply(config_map("leaving"), force=True)
        assert after["data"] == {"theirs": "1"}
        assert not after["metadata"].get("labels")
        assert MANAGER not in {entry["manager"] for entry in after["metadata"]["managedFields"]}

    def test_items_of_a_keyed_list_have_owners_each(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        somebody_else(service("ports", {"name": "one", "port": 1001}))
        after = cluster.apply(service("ports", {"name": "two", "port": 1002}))
        assert sorted(port["port"] for port in after["spec"]["ports"]) == [1001, 1002]
        with pytest.raises(Conflicting) as refused:
            cluster.apply(service("ports", {"name": "other", "port": 1001}, {"name": "two", "port": 1002}))
        assert refused.value.owners == {'.spec.ports[port=1001,protocol="TCP"].name': OTHER}

    def test_a_selector_is_one_value(self, cluster: Cluster, somebody_else: SomebodyElse) -> None:
        somebody_else(service("atomic"))
        with pytest.raises(Conflicting) as refused:
            cluster.apply(service("atomic", selector={"tier": "x"}))
        assert refused.value.owners == {".spec.selector": OTHER}
        after = cluster.apply(service("atomic", selector={"tier": "x"}), force=True)
        assert after["spec"]["selector"] == {"tier": "x"}
