"""What is Ray's own: who begins it, and for how long it is there."""

from __future__ import annotations

import clusters_testing as cl
import pytest

pytest.importorskip("ray")


def test_a_pool_that_begins_ray_keeps_it_until_its_own_end(tmp_path):
    done = cl.run_script(tmp_path, "ray")
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
