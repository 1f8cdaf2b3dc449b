"""Airflow, where a test imports it, has a home of its own and not the developer's."""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="agentfix-tests-"))
