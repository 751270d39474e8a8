"""Everything an operator can set: read once from the environment and `.env`, checked, frozen, handed down."""

from app.settings.catalog import NOT_YET_USED, SECRET_NAMES, SETTING_NAMES, Given, Settings
from app.settings.loading import ENV_FILE, Inspection, SettingsError, inspect_settings, load_settings
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
    "ENV_FILE",
    "NOT_YET_USED",
    "SECRET_NAMES",
    "SETTING_NAMES",
    "Given",
    "Inspection",
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
    "inspect_settings",
    "load_settings",
]
