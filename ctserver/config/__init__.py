"""ctserver.toml and the environment -> frozen settings. Owns their shape; reports every mistake at once.

Secrets are never written in ctserver.toml: they come from a file that it names, or from the environment.
"""

from ctserver.config.lines import Line, Menu
from ctserver.config.load import load
from ctserver.config.numbers import NumberUse, number_uses
from ctserver.config.problems import ConfigError, Problem
from ctserver.config.secrets import secret_lines, variable_of
from ctserver.config.settings import Settings
from ctserver.config.sites import Pool, Rule, Site, Static, Target
from ctserver.config.telephony import Asterisk
from ctserver.config.types import MAIN
from ctserver.config.webhooks import WebHook

__all__ = [
    "MAIN",
    "Asterisk",
    "ConfigError",
    "Line",
    "Menu",
    "NumberUse",
    "Pool",
    "Problem",
    "Rule",
    "Settings",
    "Site",
    "Static",
    "Target",
    "WebHook",
    "load",
    "number_uses",
    "secret_lines",
    "variable_of",
]
