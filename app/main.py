"""The roof: `app.main:app` is what uvicorn serves."""

from __future__ import annotations

import sys

from app.jobs.scheduler import running_jobs
from app.settings import Settings, SettingsError, load_settings
from app.telemetry.logging import configure_logging
from app.web.app import create_app


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        sys.exit(str(error))


settings = _settings()
configure_logging(settings.log_level, settings.log_format)
app = create_app(settings, meanwhile=running_jobs)
