"""The look-ahead programme, one named function per constraint; :data:`CONSTRAINTS` is the whole of it.

Every function takes the outlook and the columns and yields blocks of rows; one that is switched off yields none. What
serves work stands first (``serving``), then what stands where (``standing``), then what it may cost (``supplying``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from workbench.planning.lookahead.columns import Columns
from workbench.planning.lookahead.outlook import Outlook
from workbench.planning.lookahead.rows import Rows
from workbench.planning.lookahead.serving import (
    defer_until_due,
    keep_local_share,
    limit_interactive_on_spot,
    route_bound_work,
    serve_flows,
    serve_pooled_work,
    survive_a_lost_region,
)
from workbench.planning.lookahead.standing import (
    count_starts,
    keep_floor,
    keep_lent,
    limit_change,
    lose_time_to_starts,
    take_swaps_from_lent,
)
from workbench.planning.lookahead.supplying import (
    fit_quota,
    fit_stock,
    stay_below_carbon_cap,
    stay_within_budget,
    use_reservations,
)

CONSTRAINTS: tuple[Callable[[Outlook, Columns], Iterator[Rows]], ...] = (
    route_bound_work,
    keep_local_share,
    serve_flows,
    serve_pooled_work,
    defer_until_due,
    survive_a_lost_region,
    limit_interactive_on_spot,
    lose_time_to_starts,
    count_starts,
    keep_lent,
    take_swaps_from_lent,
    keep_floor,
    limit_change,
    fit_stock,
    fit_quota,
    use_reservations,
    stay_below_carbon_cap,
    stay_within_budget,
)
