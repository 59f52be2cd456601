"""Pattern 1: one mapped instance for each file of a day's S3 prefix.

`list_files` lists what is there, `process_file` cleans one file (8 at a time, 3 retries, 300 s apart), `summarize_run`
counts what became of every listed file and fails the run above 10 % failures. Meant for 200-500 files a day.

The same input always gives the same object, so retries, clears and backfills may repeat anything. Needs the connection
`aws_default`, the pool `s3_etl` and the buckets `raw-data` and `processed-data`. Run a day by hand with

    airbed run s3_daily_processor --day 2026-01-05
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pendulum
from airflow.sdk import CronDataIntervalTimetable, dag, get_current_context, task

from mapping import metrics
from mapping.day import run_day, run_day_end
from mapping.limits import require_between
from mapping.outcomes import Kind, outcomes, without_result_lost
from mapping.recorded import describe, recorded
from mapping.staging import download, private_folder, upload
from mapping.summary import Summary

SOURCE, TARGET = "raw-data", "processed-data"
CONN_ID = "aws_default"
MAX_FILES = 1000  # [core] max_map_length is 1024: beyond it the listing would fail in its XCom push
MANY_FILES = 500
MAX_FAILURES = 0.10

log = logging.getLogger(__name__)


class Unreadable(Exception):
    """The file itself is bad: no retry can help."""


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", "UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=2,
    max_active_tasks=16,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=300), "execution_timeout": timedelta(hours=1)},
    tags=["airbed", "mapping", "s3"],
)
def s3_daily_processor() -> None:
    """Clean the day's files, one instance each."""

    @task
    def list_files() -> list[dict[str, Any]]:
        """The day's parquet files. Sorted, because the order decides each file's map_index."""
        prefix = f"raw/{run_day(get_current_context()):%Y/%m/%d}/"
        found = s3_hook().iter_file_metadata(prefix, SOURCE)
        files = [{"key": each["Key"], "expected_size": each["Size"]} for each in found]
        files = sorted((each for each in files if each["key"].endswith(".parquet")), key=lambda each: each["key"])
        if len(files) > MANY_FILES:
            log.warning(
                "%s files under %s: more than %s instances in one run are worth an alert",
                len(files),
                prefix,
                MANY_FILES,
            )
        return require_between(files, 1, MAX_FILES, f"parquet files under s3://{SOURCE}/{prefix}")

    # multiple_outputs=False: Airflow takes `-> dict` for one XCom (a request, a row) per key, in each instance.
    @task(pool="s3_etl", max_active_tis_per_dag=8, multiple_outputs=False)
    @recorded
    def process_file(file: dict[str, Any]) -> dict[str, Any]:
        """Drop rows without customer_id, stamp the rest. S3 trouble raises and is retried; a bad file is not."""
        context = get_current_context()
        source_key = file["key"]
        staging_key = f"staging/{source_key.removeprefix('raw/').removesuffix('.parquet')}_v2.parquet"
        s3 = s3_hook().get_conn()
        with private_folder("process_file") as folder:
            source = download(s3, SOURCE, source_key, folder / "source", expected_size=file["expected_size"])
            try:
                counts = clean(source, folder / "cleaned", processed_at=run_day_end(context))
            except Unreadable as error:
                log.error("%s is unreadable: %s", source_key, error)
                # What an earlier, readable version of this file gave must not pass for this one's output.
                s3.delete_object(Bucket=TARGET, Key=staging_key)
                return {"status": "failed", "source_key": source_key, "error": str(error)}
            upload(s3, folder / "cleaned", TARGET, staging_key)
        return {"status": "ok", "source_key": source_key, "staging_key": staging_key, **counts}

    # all_done: the summary has to run exactly when something failed. It is the only leaf, so it decides the run.
    @task(trigger_rule="all_done", multiple_outputs=False)
    def summarize_run(files: list[dict[str, Any]] | None, ti: Any = None) -> dict[str, Any]:
        """Count outcomes against the list (None: the listing failed, and that is a failure too)."""
        summary = Summary("process_file", without_result_lost(outcomes(ti, "process_file", files)))
        metrics.send(summary, dag_id=ti.dag_id)
        done = [each.value for each in summary.of(Kind.SUCCESS)]
        rows = {name: sum(each[name] for each in done) for name in ("rows_processed", "rows_dropped")}
        log.info("%s rows processed, %s dropped", *rows.values())
        return {**summary.check(max_failed=MAX_FAILURES), **rows}

    files = list_files()
    process_file.expand(file=files) >> summarize_run(files)


def s3_hook() -> Any:
    """The hook, imported late: parsing this file must stay cheap."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    return S3Hook(CONN_ID)


def clean(source: Path, target: Path, *, processed_at: datetime) -> dict[str, int]:
    """Write the rows that have a customer_id, with a column processed_at, as parquet; rows read = processed + dropped.

    `processed_at` is the end of the run's day, not the clock: the same input gives the same bytes. Raises Unreadable
    for what is no parquet, is damaged, or has no customer_id; all other trouble as it is, worth another try.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.ParquetFile(source).read(use_threads=False)
        customers = rows.column("customer_id")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, KeyError, OSError) as error:
        # For damaged data pyarrow raises OSError too, without a number. One with a number is the machine's trouble, as
        # is a lack of memory or threads (other ArrowExceptions): a retry may well help there.
        if getattr(error, "errno", None) is not None:
            raise
        raise Unreadable(describe(error)) from error
    kept = rows.filter(customers.is_valid())
    stamp = pa.repeat(pa.scalar(processed_at, pa.timestamp("us", "UTC")), kept.num_rows)
    pq.write_table(kept.append_column("processed_at", stamp), target, compression="snappy")
    return {"rows_processed": kept.num_rows, "rows_dropped": rows.num_rows - kept.num_rows}


s3_daily_processor()
