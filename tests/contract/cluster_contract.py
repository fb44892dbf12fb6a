"""The contract of `Cluster`, written once and held against the simulated and against real clusters. Asserted is only what an API
server, a node and curl do, as of Kubernetes 1.34.

Subclass it, call it `Test...` and give it the fixtures that its parts name; those of a cluster must live at least as long as a
class (`scope="class"` or longer).
"""

from __future__ import annotations

from tests.contract.concurrency_contract import ConcurrencyContract
from tests.contract.filling_contract import FillingContract, ServicesContract
from tests.contract.objects_contract import ApplyingContract, ReadingContract
from tests.contract.ownership_contract import OwnershipContract
from tests.contract.paths_contract import PathsContract
from tests.contract.pods_contract import JobContract, PodContract


class ClusterContract(
    ReadingContract, ApplyingContract, ConcurrencyContract, OwnershipContract, FillingContract, ServicesContract,
    PodContract, JobContract, PathsContract,
):  # fmt: skip
    """All that a cluster promises."""
