"""What every cluster, istioctl and root store must do, real or simulated."""

import pytest

pytest.register_assert_rewrite("tests.contract.contract", "tests.contract.istio_contract")
