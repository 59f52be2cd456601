"""What the one-shot containers of docker-compose.yaml do: `python -m airbed_init migrate|buckets`. Repeatable."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def migrate() -> None:
    """Bring the metadata database up to date, write the login of the one user, make the folders and the pools."""
    home = Path(os.environ["AIRFLOW_HOME"])
    for folder in (home / "logs", home / "scenario-dags"):
        folder.mkdir(parents=True, exist_ok=True)
    passwords = home / "passwords.json"
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({"admin": os.environ["ADMIN_PASSWORD"]}))

    from airflow.utils import db

    db.upgradedb()

    from airflow.models.pool import Pool

    from airbed.topology import POOLS

    for pool in POOLS:
        Pool.create_or_update_pool(pool.name, pool.slots, pool.description, include_deferred=False)


def buckets() -> None:
    """Make the buckets that are missing."""
    import boto3
    from botocore.config import Config

    from airbed.topology import BUCKETS

    login = json.loads(os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
    client = boto3.client(
        "s3",
        endpoint_url=os.environ["S3_URL"],
        region_name=login["extra"]["region_name"],
        aws_access_key_id=login["login"],
        aws_secret_access_key=login["password"],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 8, "mode": "standard"}),
    )
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for bucket in BUCKETS:
        if bucket not in present:
            client.create_bucket(Bucket=bucket)


if __name__ == "__main__":
    {"migrate": migrate, "buckets": buckets}[sys.argv[1]]()
