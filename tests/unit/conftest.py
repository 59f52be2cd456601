"""Unit tests need no service; some import Airflow, which makes its home folder at once."""

from __future__ import annotations

import os
import tempfile

from hypothesis import settings

_HOME = tempfile.TemporaryDirectory(prefix="airbed-unit-")
os.environ["AIRFLOW_HOME"] = _HOME.name

# How long an example takes says something about the machine only.
settings.register_profile("airbed", deadline=None)
settings.load_profile("airbed")
