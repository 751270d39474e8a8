"""Everything an operator can set: read once from the environment and `.env`, checked, frozen, handed down."""

from app.settings.catalog import NOT_YET_USED, SECRET_NAMES, SETTING_NAMES, Settings
from app.settings.loading import SettingsError, load_settings
from app.settings.values import (
    LogFormat,
    LogLevel,
    RateLimit,
    RateLimitPolicy,
    RatePeriod,
    SmtpTls,
    StoreAway,
    StoreAwayRules,
)

__all__ = [
    "NOT_YET_USED",
    "SECRET_NAMES",
    "SETTING_NAMES",
    "LogFormat",
    "LogLevel",
    "RateLimit",
    "RateLimitPolicy",
    "RatePeriod",
    "Settings",
    "SettingsError",
    "SmtpTls",
    "StoreAway",
    "StoreAwayRules",
    "load_settings",
]
