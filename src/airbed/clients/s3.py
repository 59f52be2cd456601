"""A boto3 client for a bed's S3."""

from __future__ import annotations

import os
from typing import Any

from airbed.clients.environment import without_the_callers
from airbed.endpoints import S3Endpoint


def s3_client(endpoint: S3Endpoint, *, attempts: int = 3, read_timeout: float = 60) -> Any:
    """A client on the direct address, with the bed's keys; nothing of the caller's AWS settings is read.

    `attempts` of each request, the first included; `read_timeout` in seconds.
    """
    import boto3
    import botocore.session
    from botocore.config import Config

    without_files = botocore.session.Session()
    for name in ("config_file", "credentials_file"):
        without_files.set_config_variable(name, os.devnull)
    config = Config(
        s3={"addressing_style": "path"},
        connect_timeout=5,
        read_timeout=read_timeout,
        retries={"total_max_attempts": attempts},
        proxies={},
    )
    with without_the_callers():
        session = boto3.session.Session(
            aws_access_key_id=endpoint.access_key,
            aws_secret_access_key=endpoint.secret_key,
            region_name=endpoint.region,
            botocore_session=without_files,
        )
        return session.client("s3", endpoint_url=endpoint.direct, config=config)
