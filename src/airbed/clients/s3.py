"""A boto3 client for a bed's S3."""

from __future__ import annotations

from typing import Any

from airbed.endpoints import S3Endpoint


def s3_client(endpoint: S3Endpoint, *, attempts: int = 3, read_timeout: float = 60) -> Any:
    """A client on the direct address, with the bed's keys; nothing of the caller's AWS settings is read.

    `attempts` of each request, the first included; `read_timeout` in seconds.
    """
    import boto3
    from botocore.config import Config

    session = boto3.session.Session(
        aws_access_key_id=endpoint.access_key,
        aws_secret_access_key=endpoint.secret_key,
        region_name=endpoint.region,
    )
    return session.client(
        "s3",
        endpoint_url=endpoint.direct,
        config=Config(
            s3={"addressing_style": "path"},
            connect_timeout=5,
            read_timeout=read_timeout,
            retries={"total_max_attempts": attempts},
            proxies={},
        ),
    )
