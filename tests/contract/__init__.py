"""What every cluster, istioctl and root store must do, real or simulated."""

import pytest

pytest.register_assert_rewrite(
    *(
        f"tests.contract.{name}"
        for name in (
            "doors_contract",
            "filling_contract",
            "istio_contract",
            "objects_contract",
            "ownership_contract",
            "paths_contract",
            "pods_contract",
            "remote_contract",
        )
    )
)
