"""Running DAGs on a bed: trigger, follow, outcomes, backfills, orphaned XComs."""
