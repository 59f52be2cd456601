"""Values that the XCom backend keeps in object storage, and how to notice that one is gone.

`XComObjectStorageBackend` answers with the object's URL, as a plain string and without an error, when the object is
missing or its JSON is cut (Airflow 3.3.2, `providers/common/io/xcom/backend.py`, `deserialize_value`). A sum of lengths
then stays plausible and wrong.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException


def lost_object(value: Any) -> str | None:
    """The URL of the XCom object that should have been `value` but is missing or cut; None when the value is fine."""
    if not isinstance(value, str):
        return None
    folder = conf.get("common.io", "xcom_objectstorage_path", fallback="")
    return value if folder and value.startswith(folder.rstrip("/") + "/") else None


def require_object_storage() -> None:
    """Make sure that large XComs do go to object storage, before something returns one.

    Without it 4 x 50 MB cost the API server 3 GB of memory and the push times out (Airflow 3.3.2).

    Raises AirflowFailException (not retried) that names the setting which is missing.
    """
    backend = conf.get("core", "xcom_backend", fallback="")
    if not backend.endswith(".XComObjectStorageBackend"):
        raise AirflowFailException(
            f"[core] xcom_backend is {backend!r}: large values would go to the metadata database; set it to "
            "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend"
        )
    if conf.getint("common.io", "xcom_objectstorage_threshold", fallback=-1) < 0:
        raise AirflowFailException(
            "[common.io] xcom_objectstorage_threshold is -1, which keeps every value in the metadata database; "
            "set it to a number of bytes, for example 4096"
        )
