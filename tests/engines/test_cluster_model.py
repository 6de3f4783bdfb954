"""The formula of docs/clusters.md against a simulation of the same parts."""

from __future__ import annotations

import pytest
from cluster_model import formula, simulated


@pytest.mark.parametrize("workers", [1, 2, 5, 16, 64])
@pytest.mark.parametrize("loop", [0.002, 0.036])
@pytest.mark.parametrize("transfer", [0.0155, 0.155])
def test_the_formula_is_a_bound_that_is_nearly_reached(workers, loop, transfer):
    case = (workers, 0.17, transfer, loop)
    assert 0.7 * formula(*case) < simulated(*case) <= 1.001 * formula(*case)
