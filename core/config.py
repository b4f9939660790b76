"""The settings of the house: one frozen value, read once, every fault reported at once."""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from core.config_rules import unsafe
from core.settings import Settings

PARTNERS: Mapping[str, Mapping[str, str]] = {
    "sandbox": {
        "AT_BASE_URL": "https://api.sandbox.africastalking.com",
        "DARAJA_BASE_URL": "https://sandbox.safaricom.co.ke",
        # It was seen to turn away more than five queries a minute.
        "DARAJA_RATES": "oauth=1/5,stk=1/5,stk_query=0.08/1,b2c=1/5,status_query=1/5,"
        "reversal=1/2,balance=1/2,pull=1/2,pull_register=1/2,c2b_register=1/2",
    },
    "production": {
        "AT_BASE_URL": "https://api.africastalking.com",
        "DARAJA_BASE_URL": "https://api.safaricom.co.ke",
        "MPESA_PRODUCTION": "true",
    },
}
URLS = ("public_url", "at_base_url", "daraja_base_url")


class ConfigFaults(Exception):
    """Everything that is wrong with the settings; `faults` are sentences without secrets."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(["the settings are refused:", *(f"- {f}" for f in faults)]))
        self.faults = faults


class Config(Settings):
    """The settings, read and found safe for their environment."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Self:
        """Read `env`, by default the environment of this process; raises ConfigFaults."""
        values, faults = _values(os.environ if env is None else env)
        try:
            config = cls.model_validate(values)
        except ValidationError as error:
            faults = _unreadable(error) | faults
            # Go on with stand-ins for the faulty, so that one start tells everything.
            config = cls.model_validate(_stand_ins(faults) | _without(values, faults))
        sentences = [f"{variable}: {sentence}" for variable, sentence in faults.items()]
        if "APP_ENV" not in faults:
            sentences += [rule for rule in unsafe(config) if rule.split(":")[0] not in faults]
        if sentences:
            raise ConfigFaults(sentences)
        return config


def _values(env: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What is set, and the files that cannot be read; a variable that is empty is not set."""
    given = {**PARTNERS.get(env.get("APP_ENV", ""), {}), **{k: v for k, v in env.items() if v}}
    values: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name in Settings.model_fields:
        variable = name.upper()
        if path := given.get(f"{variable}_FILE"):
            try:
                values[name] = Path(path).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                faults[variable] = f"the file it names cannot be read ({type(error).__name__})"
        elif variable in given:
            values[name] = given[variable]
    return values, faults


def _unreadable(error: ValidationError) -> dict[str, str]:
    """A sentence for each variable, never with its value: that may be a secret."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return {str(one["loc"][0]).upper(): _sentence(one["msg"]) for one in found}


def _sentence(message: str) -> str:
    return "missing" if message == "Field required" else message.removeprefix("Value error, ")


def _without(values: Mapping[str, str], faults: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if name.upper() not in faults}


def _stand_ins(faults: Mapping[str, str]) -> dict[str, str]:
    """Something well written for each faulty setting that has no default; it is never used."""
    kinds = {
        "app_env": "production",
        "database_url": "postgresql://",
        "redis_url": "redis://",
        "data_keys": f"stand-in:{_random_key()}",
        **dict.fromkeys(URLS, "https://stand-in.invalid"),
        **{name: _random_key() for name in ("pin_pepper", "code_key", "key_key")},
    }
    return {
        name: kinds.get(name) or secrets.token_hex(32)
        for name, setting in Settings.model_fields.items()
        if setting.is_required() and name.upper() in faults
    }


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()
