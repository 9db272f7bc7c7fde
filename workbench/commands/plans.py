"""The verbs about plans of a saved study: solve again, check, explain, commit, put beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.commands.places import DATA, DataDir
from workbench.errors import PlanError

if TYPE_CHECKING:
    import polars as pl

    from workbench.domain import RiskPolicy
    from workbench.results import CapacityPlan, Study

plan_app = typer.Typer(help="Plan a saved study again, check, explain and compare plans.", no_args_is_help=True)
StudyName = Annotated[str, typer.Argument(help="Name of a study, a unique beginning of one, or latest.")]
Label = Annotated[str, typer.Option("--plan", help="Which plan of the study: its own is called study.")]
LONGEST = 12


@plan_app.command("solve", epilog="Example: workbench plan solve latest --lost-region 0.8 --label safe")
def plan_solve(
    study: StudyName = "latest",
    model: Annotated[
        str, typer.Option(help="lookahead (all hours together) or sageserve (hour by hour).")
    ] = "lookahead",
    label: Annotated[str | None, typer.Option(help="Name to keep the plan under; else the programme's.")] = None,
    quantile: Annotated[float | None, typer.Option(help="Quantile of the forecast to plan for.")] = None,
    headroom: Annotated[float | None, typer.Option(help="Share to add to it, such as 0.1.")] = None,
    recent_hours: Annotated[
        float | None, typer.Option(help="Hours whose highest need stays servable, such as 3.")
    ] = None,
    epsilon: Annotated[float | None, typer.Option(help="Share of its own peak a region must serve itself.")] = None,
    floor: Annotated[int | None, typer.Option(help="Replicas to keep of each model in each region.")] = None,
    gap: Annotated[float | None, typer.Option(help="How far from the bound a plan may be, such as 0.01.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds: for each hour, or for a look-ahead plan.")] = None,
    integer_hours: Annotated[
        float | None, typer.Option(help="Look-ahead: hours decided in whole replicas; else all.")
    ] = None,
    lost_region: Annotated[
        float, typer.Option(help="Look-ahead: share that stays servable when a region is lost.")
    ] = 0.0,
    data_dir: DataDir = DATA,
) -> None:
    """Plan a study again from its forecast under other choices, keep the plan and compare it with the study's own."""
    from workbench import console, studies
    from workbench.planning.explaining import differences, differences_told

    opened = studies.open_study(study, root=data_dir / "studies")
    choices = studies.PlanChoices(
        model=model,
        quantile=quantile,
        headroom_fraction=headroom,
        recent_peak_hours=recent_hours,
        epsilon_fraction=epsilon,
        floor_replicas=floor,
        gap_fraction=gap,
        time_limit_s=time_limit,
        integer_hours=integer_hours,
        lost_region_fraction=lost_region,
    )
    with console.progress() as tell:
        tell("Planning", 0.0)
        plan = studies.plan_again(opened, choices, progress=lambda done, total: tell("Planning", done / total))
        tell("Checking", 0.0)
        found = studies.check_again(opened, plan, choices)
    folder = studies.save_plan(opened, label or model, plan, choices)
    screen = console.screen()
    screen.print(_told(plan), markup=False, soft_wrap=True)
    beside = differences(opened.plan, plan, fleet=opened.fleet, rates=opened.rates)
    screen.print(f"Beside the study's own plan: {differences_told(opened.plan, plan, beside)}", markup=False)
    _show_findings(found)
    screen.print(f"Kept as {label or model} in {folder}", markup=False, soft_wrap=True)
    if not found.is_empty():
        raise typer.Exit(1)


@plan_app.command("check", epilog="Example: workbench plan check latest --plan ahead")
def plan_check(study: StudyName = "latest", plan: Label = "study", data_dir: DataDir = DATA) -> None:
    """Re-compute a plan from its frames alone (coverage, deadlines, stock, cost ...); exit code 1 if one is broken."""
    from workbench import studies

    opened = studies.open_study(study, root=data_dir / "studies")
    made, choices = studies.open_plan(opened, plan)
    found = studies.check_again(opened, made, choices)
    _show_findings(found)
    if not found.is_empty():
        raise typer.Exit(1)


@plan_app.command("explain", epilog="Example: workbench plan explain latest --no-wishes")
def plan_explain(
    study: StudyName = "latest",
    plan: Label = "study",
    wishes: Annotated[bool, typer.Option("--wishes/--no-wishes", help="Plan again for the price of each wish.")] = True,
    data_dir: DataDir = DATA,
) -> None:
    """Say why a plan is as it is: kinds not used, rules that bind, the price of each wish, plans that cost the same."""
    from workbench import catalog, console, planning, studies
    from workbench.planning import explaining

    opened = studies.open_study(study, root=data_dir / "studies")
    made, choices = studies.open_plan(opened, plan)
    risk, how = studies.risk_of(opened, choices), studies.arguments(opened, choices)
    needed = planning.require(opened.forecast, risk=risk, tiers=opened.fleet.tiers, observed=opened.demand)
    console.screen().print(_told(made), markup=False, soft_wrap=True)
    unused = explaining.rejected(made, fleet=opened.fleet, rates=opened.rates, catalog=catalog.load_beside(data_dir))
    if unused.height:
        console.print_frame(unused.select("model", "gpu", "reason", "told"), "Not used, and why")
    bound = explaining.binding(
        made,
        demand=planning.peak_demand(needed, risk, last_hour_deferrable=how["last_hour_deferrable"]),
        fleet=opened.fleet,
        rates=opened.rates,
        epsilon_fraction=how["epsilon_fraction"],
        floor_replicas=how["floor_replicas"],
    )
    console.print_frame(bound.head(LONGEST).select("rule", "windows", "told"), "What keeps it from being cheaper")
    if "options" in how:
        from workbench.planning.lookahead.pricing import in_words, prices

        names = ("fleet", "rates", "options")
        worth = prices(made, requirement=needed, **{name: how[name] for name in names})
        for sentence in in_words(worth):
            console.screen().print(sentence, markup=False, soft_wrap=True)
    if wishes:
        _show_wishes(opened, risk=risk, how=how)
    if "options" in how:
        _show_alternatives_ahead(made, requirement=needed, how=how)
    else:
        _show_alternatives(made, requirement=needed, risk=risk, how=how)


@plan_app.command("commit", epilog="Example: workbench plan commit latest --provider-region us-central1 --growth 0.2")
def plan_commit(
    study: StudyName = "latest",
    plan: Label = "study",
    provider_region: Annotated[
        str | None, typer.Option(help="Provider region whose prices hold; else the scenario's.")
    ] = None,
    growth: Annotated[float, typer.Option(help="Growth from year to year, such as 0.2.")] = 0.0,
    data_dir: DataDir = DATA,
) -> None:
    """Say how many machines to reserve for one and for three years, taking the plan's hours for a year's."""
    import polars as pl

    from workbench import catalog, console, planning, studies

    opened = studies.open_study(study, root=data_dir / "studies")
    made, _ = studies.open_plan(opened, plan)
    gpus = sorted(made.allocation.filter(pl.col("replicas") > 0).get_column("gpu").unique())
    where = provider_region or opened.scenario.provider_region
    terms = planning.terms_of(catalog.load_beside(data_dir), gpus, where)
    found = planning.commit(
        planning.vms_needed(made.allocation, opened.rates, terms), terms=terms, growth_fraction=growth
    )
    shown = found.choices.select(
        "region",
        "gpu",
        "year",
        pl.col("reserved_3y_vms").alias("for 3 years, VMs"),
        pl.col("reserved_1y_vms").alias("for 1 year, VMs"),
        pl.col("peak_vms").alias("peak, VMs"),
        pl.col("on_demand_vm_hours").round(0).alias("by the hour, VM h"),
        pl.col("cost_usd").round(0).alias("cost, USD"),
        pl.col("on_demand_cost_usd").round(0).alias("all by the hour, USD"),
    )
    console.print_frame(shown, f"Reservations at prices of {where}", whole_words=True)
    screen = console.screen()
    screen.print(f"They save {found.saving_fraction:.1%} of the cost by the hour.", markup=False)
    for note in found.notes:
        screen.print(f"Note: {note}", markup=False, soft_wrap=True)


@plan_app.command("diff", epilog="Example: workbench plan diff latest ahead")
def plan_diff(
    study: StudyName,
    after: Annotated[str, typer.Argument(help="Plan to compare.")],
    before: Annotated[str, typer.Argument(help="Plan to compare it with; else the study's own.")] = "study",
    data_dir: DataDir = DATA,
) -> None:
    """Put two plans of a study beside each other: where one holds more, and what that comes to."""
    import polars as pl

    from workbench import console, studies
    from workbench.planning.explaining import differences, differences_told

    opened = studies.open_study(study, root=data_dir / "studies")
    (first, _), (second, _) = studies.open_plan(opened, before), studies.open_plan(opened, after)
    found = differences(first, second, fleet=opened.fleet, rates=opened.rates)
    if found.height:
        shown = found.select(
            "region",
            "model",
            "gpu",
            pl.col("before_replicas").round(2).alias(f"{before}, replicas"),
            pl.col("after_replicas").round(2).alias(f"{after}, replicas"),
            pl.col("gpu_hours").round(0).alias("more, GPU h"),
            pl.col("list_usd").round(0).alias("more, USD"),
        )
        console.print_frame(shown, f"Plan {after} against plan {before}", whole_words=True)
    console.screen().print(differences_told(first, second, found), markup=False, soft_wrap=True)


def _show_findings(found: pl.DataFrame) -> None:
    from workbench import console

    if found.is_empty():
        console.screen().print("The check finds nothing: the plan keeps what it promises.")
    else:
        console.print_frame(found.head(LONGEST), f"{found.height:,} findings of the check")


def _show_alternatives(
    plan: CapacityPlan, *, requirement: pl.DataFrame, risk: RiskPolicy, how: Mapping[str, Any]
) -> None:
    """Print plans that cost the same as the dearest hour's within 1 %."""
    from workbench import console, planning
    from workbench.planning.explaining import near_equal, near_equal_by_region

    hour = plan.hours.sort("cost_usd", "window_start", descending=[True, False]).row(0, named=True)["window_start"]
    names = ("fleet", "rates", "epsilon_fraction", "floor_replicas", "last_hour_deferrable")
    given = {name: how[name] for name in names}
    try:
        found = near_equal(planning.problem_at(plan, hour, requirement=requirement, risk=risk, **given))
    except PlanError as refusal:
        console.screen().print(f"Near-equal plans: {refusal}", markup=False, soft_wrap=True)
        return
    console.print_frame(
        near_equal_by_region(found), f"Plans of the dearest hour, {hour:%Y-%m-%d %H:%M}, within 1 % of its cost"
    )


def _show_wishes(opened: Study, *, risk: RiskPolicy, how: Mapping[str, Any]) -> None:
    """Plan again under one wish at a time and print what each costs."""
    import polars as pl

    from workbench import console
    from workbench.planning import explaining

    with console.progress() as tell:
        asked = explaining.wishes(
            opened.forecast,
            fleet=opened.fleet,
            risk=risk,
            epsilon_fraction=how["epsilon_fraction"],
            options=how.get("options"),
        )
        costs = explaining.wish_costs(
            opened.forecast,
            asked,
            risk=risk,
            observed=opened.demand,
            progress=lambda done, total: tell("Wishing", done / total),
            **how,
        )
    shown = costs.select(
        "wish",
        pl.col("cost_usd").round(0).alias("cost, USD"),
        pl.col("difference_usd").round(0).alias("difference, USD"),
        (pl.col("difference_fraction") * 100).round(2).alias("difference, %"),
        (pl.col("unserved_fraction") * 100).round(2).alias("unserved, %"),
    )
    console.print_frame(shown, "What each wish would cost")


def _show_alternatives_ahead(plan: CapacityPlan, *, requirement: pl.DataFrame, how: Mapping[str, Any]) -> None:
    """Print look-ahead plans that cost the same within 1 % and stand elsewhere, beside the plan."""
    from workbench import console
    from workbench.planning.explaining import near_equal_ahead, near_equal_by_region_and_gpu

    given = {name: how[name] for name in ("fleet", "rates", "options")}
    try:
        with console.progress() as tell:
            found = near_equal_ahead(
                requirement, **given, progress=lambda done, total: tell("Looking elsewhere", done / total)
            )
    except PlanError as refusal:
        console.screen().print(f"Near-equal plans: {refusal}", markup=False, soft_wrap=True)
        return
    console.print_frame(
        near_equal_by_region_and_gpu(found.plans, beside=plan),
        "Plans within 1 % of the cheapest, hours after the first in fractions: GPUs on the mean of all hours",
    )
    if found.untried:
        told = f"Not found in the time there is: {', '.join(found.untried)}."
        console.screen().print(told, markup=False, soft_wrap=True)


def _told(plan: CapacityPlan) -> str:
    short = plan.shortfall.get_column("window_start").n_unique()
    gap = "" if plan.gap_fraction is None else f", within {plan.gap_fraction:.2%} of its bound"
    hours = plan.hours.height
    return f"Plan by {plan.programme}: {plan.cost_usd:,.0f} USD for {hours:,} windows, {plan.status}{gap}; " + (
        f"work goes short in {short:,} of them." if short else "nothing goes short."
    )
