"""Unit tests need no service; some import Airflow, which makes its home folder at once."""

from __future__ import annotations

import os
import tempfile

_HOME = tempfile.TemporaryDirectory(prefix="airbed-unit-")
os.environ["AIRFLOW_HOME"] = _HOME.name
