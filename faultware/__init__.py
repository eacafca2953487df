"""faultware: a Python web service hosts its own chaos.

The middlewares are `faultware.asgi.FaultMiddleware` and `faultware.wsgi.FaultMiddleware`; this module holds the words
rules are written in. Importing it loads neither Starlette nor Werkzeug nor pydantic.
"""

from faultware.core.faults import (
    Abort,
    Delay,
    Exponential,
    Hang,
    LogNormal,
    Normal,
    Pareto,
    Raise,
    Uniform,
)
from faultware.core.matching import Match, PathMatch, TextMatch
from faultware.core.rules import Rule
from faultware.core.sampling import SampleBy
from faultware.errors import (
    ConfigurationError,
    FaultwareError,
    InjectedDisconnect,
    InjectedFault,
    MissingExtraError,
    RuleError,
    SettingsError,
    StoreError,
)

__version__ = "0.1.0"

__all__ = [
    "Abort",
    "ConfigurationError",
    "Delay",
    "Exponential",
    "FaultwareError",
    "Hang",
    "InjectedDisconnect",
    "InjectedFault",
    "LogNormal",
    "Match",
    "MissingExtraError",
    "Normal",
    "Pareto",
    "PathMatch",
    "Raise",
    "Rule",
    "RuleError",
    "SampleBy",
    "SettingsError",
    "StoreError",
    "TextMatch",
    "Uniform",
]
