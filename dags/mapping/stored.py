"""Values that the XCom backend keeps in object storage, and how to notice that one is gone.

`XComObjectStorageBackend` answers with the object's URL, as a plain string and without an error, when the object is
missing or its JSON is cut (Airflow 3.3.2, `providers/common/io/xcom/backend.py`, `deserialize_value`). A sum of lengths
then stays plausible and wrong.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk.configuration import conf


def lost_object(value: Any) -> str | None:
    """The URL of the XCom object that should have been `value` but is missing or cut; None when the value is fine."""
    if not isinstance(value, str):
        return None
    folder = conf.get("common.io", "xcom_objectstorage_path", fallback="")
    return value if folder and value.startswith(folder.rstrip("/") + "/") else None
