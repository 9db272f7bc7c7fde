"""What is believed before errors are known: by hand, and the limits it must keep."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.forecasting import priors
from workbench.forecasting.leads import grid_of


def test_spreads_lie_between_those_of_the_table() -> None:
    """Half-way between 2 and 4.5 hours, .20 and .27; level beyond the ends."""
    assert priors.prior_spread(3.25) == pytest.approx(0.235)
    assert (priors.prior_spread(0.0), priors.prior_spread(999.0)) == (0.12, 0.45)


def test_known_errors_shrink_the_spread_and_never_raise_it() -> None:
    """Eighteen hours of .04 beside twelve of .12: (1.44 + .72) / 30 = .072; of .5: the prior's own."""
    assert priors.shrunk(0.12, hours=np.array(18.0), sizes=np.array(0.72)) == pytest.approx(0.072)
    assert priors.shrunk(0.12, hours=np.array(18.0), sizes=np.array(9.0)) == pytest.approx(0.12)


def test_few_hours_widen() -> None:
    """A day ahead from a day of errors: root of 1.4; from none as from twelve hours, root of 1.8."""
    assert priors.widening(24.0, np.array([24.0, 0.0])) == pytest.approx(np.sqrt([1.4, 1.8]))


def test_errors_of_a_bucket_are_brought_to_its_middle() -> None:
    """Half an hour stands midway between .57 and 1: the first window grows by .785 / .57, the sixth shrinks to .785."""
    grid = grid_of(600.0)
    factors = priors.to_middles(grid)
    assert factors[[0, 5]] == pytest.approx([0.785 / 0.57, 0.785])
    assert (factors[grid.bucket >= 2] == 1.0).all()
    assert (priors.to_middles(grid_of(3600.0))[:1] == 1.0).all()
