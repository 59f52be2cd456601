"""Pattern 1 as taught: files of a day, and a summary that counts failures as None.

The smallest port that runs on Airflow 3.3.2. Changed: imports from `airflow.sdk`; the day is that of the data interval;
each try has a folder of its own, so that only S3 decides; one retry instead of three; no metrics.
"""

from __future__ import annotations

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import CronDataIntervalTimetable, dag, task


@dag(
    schedule=CronDataIntervalTimetable("0 0 * * *", "UTC"),
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_tasks=16,
)
def taught_s3_daily() -> None:
    """List the files, clean each, report."""

    @task
    def list_files(data_interval_start: Any = None) -> list[dict[str, Any]]:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        found = S3Hook("aws_default").get_file_metadata(f"raw/{data_interval_start:%Y/%m/%d}/", "raw-data")
        keys = sorted((each["Key"], each["Size"]) for each in found if each["Key"].endswith(".parquet"))
        return [{"key": key, "expected_size": size} for key, size in keys]

    @task(max_active_tis_per_dag=8, retries=1, retry_delay=timedelta(seconds=300))
    def process_file(file: dict[str, Any]) -> dict[str, Any]:
        import pandas as pd
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        s3 = S3Hook("aws_default").get_conn()
        staging_key = file["key"].replace("raw/", "staging/").replace(".parquet", "_v2.parquet")
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, "file.parquet")
            s3.download_file("raw-data", file["key"], str(local))
            rows = pd.read_parquet(local)
            kept = rows.dropna(subset=["customer_id"]).assign(processed_at=pd.Timestamp.now("UTC"))
            kept.to_parquet(local)
            s3.upload_file(str(local), "processed-data", staging_key)
        return {"source_key": file["key"], "staging_key": staging_key, "rows_processed": len(kept)}

    @task(trigger_rule="all_done")
    def summarize_run(results: Any) -> dict[str, int]:
        done = list(results)
        failed = sum(1 for each in done if each is None)
        if failed > 0.1 * len(done):
            raise RuntimeError(f"{failed} of {len(done)} files failed")
        return {"files": len(done), "failed": failed, "rows_processed": sum(each["rows_processed"] for each in done)}

    summarize_run(process_file.expand(file=list_files()))


taught_s3_daily()
