"""What the simulated world is told at its start, and may be told again while it runs."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

# Printed in Safaricom's public sandbox documents: a secret of nobody.
SANDBOX_PASSKEY = "bfb279f9aa9bdbcf158e97dd71a467cd2e0c893059b10f78e6b72ada1ed2c919"
SANDBOX_INITIATOR_PASSWORD = "Safaricom999!*!"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`SIM_<FIELD>` in the environment; money is whole shillings, waits are seconds."""

    host: str = "127.0.0.1"
    port: int = 8001

    # Where the house listens. An empty address means that nobody is told.
    ussd_callback: str = ""
    ussd_end_callback: str = ""
    sms_callback: str = ""
    delivery_callback: str = ""
    optout_callback: str = ""
    c2b_confirmation: str = ""  # until addresses are registered
    c2b_validation: str = ""

    # The aggregator's account. An empty name, key or list accepts any.
    at_username: str = ""
    at_api_key: str = ""
    sender_ids: str = ""
    service_codes: str = "*384*7#"
    short_code: str = "22384"
    network_code: str = "63902"
    sms_cost: str = "0.80"

    # The organisation at M-PESA.
    consumer_key: str = "simulated-consumer-key"
    consumer_secret: str = "simulated-consumer-secret"
    passkey: str = SANDBOX_PASSKEY
    shortcode: str = "174379"
    till_number: str = "174380"
    b2c_shortcode: str = "600986"
    initiator_name: str = "testapi"
    initiator_password: str = SANDBOX_INITIATOR_PASSWORD
    organisation: str = "BETTING HOUSE"
    key_file: str = ""  # keeps the certificate's key between runs; a new one is made without it

    # Opening balances and the people's M-PESA PIN.
    utility_float: int = 1_000_000
    phone_balance: int = 5_000
    phone_pin: str = "1234"

    answer_delay: float = 0.8  # between an acceptance and what follows from it
    app_timeout: float = 15.0  # how long the network waits for the house's screen
    handset_timeout: float = 60.0  # how long a customer may think
    session_limit: float = 180.0  # how long a USSD session may last in all
    stk_timeout: float = 60.0  # how long a prompt waits for its PIN
    token_seconds: int = 3599
    retry_first: float = 1.0  # the aggregator tries again, doubling the wait each time ...
    retry_window: float = 600.0  # ... for ten minutes

    strict_tokens: bool = True  # a new token kills the one before
    strict_urls: bool = True  # M-PESA refuses addresses with "query", "mpesa" and the like in them
    c2b_copy: bool = False  # every STK payment is also confirmed as C2B
    c2b_version: str = "v2"  # until addresses are registered: v1 hashes the number, v2 masks it
    c2b_validates: bool = False  # Safaricom turns validation on when it is asked to by e-mail
    validation_timeout: float = 8.0  # then the registered ResponseType decides
    register_once: bool = False  # as in production: a second registration is refused
    b2c_charges: bool = True  # a payout costs the organisation what the tariff says
    pull_utc: bool = False  # whether the Z behind a pull row's date tells the truth
    same_amount_rule: bool = False  # result 17: same customer and amount within two minutes
    clock_ahead: float = 0.0  # seconds by which the world's dates are later than the machine's
    scenarios: str = ""  # standing ones: "stk:0712000009:losesCallback, b2c:=77:losesSync"

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        told = {
            field.name: env[f"SIM_{field.name.upper()}"]
            for field in fields(cls)
            if env.get(f"SIM_{field.name.upper()}", "") != ""
        }
        return cls().told(told)

    def told(self, changes: Mapping[str, Any]) -> "Settings":
        """The same settings with some of them changed; raises ValueError on what is not one."""
        kinds = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        unknown = sorted(set(changes) - set(kinds))
        if unknown:
            raise ValueError(f"no such setting: {', '.join(unknown)}")
        return replace(self, **{name: _read(kinds[name], told) for name, told in changes.items()})

    @property
    def codes(self) -> list[str]:
        return [code.strip() for code in self.service_codes.split(",") if code.strip()]

    @property
    def senders(self) -> list[str]:
        return [sender.strip() for sender in self.sender_ids.split(",") if sender.strip()]


def _read(kind: type, told: Any) -> Any:
    if kind is bool:
        return str(told).strip().lower() in {"1", "true", "yes", "on"}
    return kind(told)
