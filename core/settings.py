"""Every setting of the house: its name, its form, and its default where one is safe."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr

from core.config_forms import (
    Bytes,
    Count,
    DatabaseUrl,
    HiddenUrl,
    KeyRing,
    Money,
    Networks,
    OneRate,
    Percent,
    Rates,
    Tokens,
    Url,
    Wait,
    Waits,
)
from core.rates import Rate

NO_SECRET = SecretStr("")
# Safaricom publishes no limits; these are far from what one organisation needs.
DARAJA_RATES = {
    "oauth": Rate(1, 5),
    "stk": Rate(25, 100),
    "stk_query": Rate(10, 50),
    "b2c": Rate(25, 100),
    "status_query": Rate(10, 50),
    "reversal": Rate(2, 10),
    "balance": Rate(1, 5),
    "pull": Rate(1, 10),
    "pull_register": Rate(1, 2),
    "c2b_register": Rate(1, 2),
}


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def _after(*seconds: float) -> tuple[timedelta, ...]:
    return tuple(map(_seconds, seconds))


class Settings(BaseModel):
    """Every setting, by the lower-case name of its environment variable.

    Money is written in shillings and held in cents; waits are written in seconds and held as
    timedeltas, unless the name says its unit.
    """

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True)

    # The place
    app_env: Literal["demo", "test", "sandbox", "production"]
    debug: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    public_url: Url
    database_url: DatabaseUrl
    migration_database_url: DatabaseUrl = ""  # known to the release step alone
    database_connections: Count = 4  # of each process; 8 to 16 over all processes serve best
    redis_url: HiddenUrl

    # Secrets of the house
    secret_key: SecretStr
    data_keys: KeyRing
    pin_pepper: Bytes
    code_key: Bytes
    key_key: Bytes
    metrics_token: SecretStr

    # Doors
    aggregator_hook_token: Tokens
    daraja_hook_token: Tokens
    c2b_hook_token: Tokens
    aggregator_allowed_ips: Networks = ()
    daraja_allowed_ips: Networks = ()
    trusted_proxies: Networks = ()
    api_rate: OneRate = Rate(5, 20)

    # The aggregator
    at_username: str = ""
    at_api_key: SecretStr = NO_SECRET
    at_sender_id: str = ""
    at_promo_sender_id: str = ""
    at_short_code: str = ""
    at_base_url: Url
    ussd_code: str = ""

    # M-PESA
    mpesa_consumer_key: SecretStr = NO_SECRET
    mpesa_consumer_secret: SecretStr = NO_SECRET
    mpesa_passkey: SecretStr = NO_SECRET
    mpesa_shortcode: str = ""
    mpesa_till_number: str = ""
    mpesa_b2c_shortcode: str = ""
    mpesa_initiator_name: str = ""
    mpesa_initiator_password: SecretStr = NO_SECRET
    mpesa_password_set_on: date | None = None
    mpesa_certificate: str = ""
    mpesa_pull_number: str = ""
    mpesa_production: bool = False
    daraja_base_url: Url

    # Rules of the trade
    min_age: Count = 18
    payout_platform_fee_pct: Percent = Decimal("5.00")
    tip_tipster_share_pct: Percent = Decimal("60.00")
    deposit_min: Money = 1_00
    deposit_max: Money = 250_000_00
    stake_min: Money = 20_00
    stake_max: Money = 100_000_00
    payout_min_amount: Money = 10_00
    payout_max_amount: Money = 250_000_00
    sms_no_pin_limit: Money = 200_00
    ussd_no_pin_limit: Money = 1_000_00
    id_required_over: Money = 20_000_00
    daraja_confirm_over: Money = 10_000_00
    daraja_confirm_cap: Money = 500_000_00
    refund_hold_over: Money = 10_000_00
    c2b_accounts: Literal["any", "known"] = "any"
    payout_hold_over: Money = 20_000_00
    adjust_most: Money = 10_000_00
    float_low: Money = 50_000_00
    proposal_hours: Count = 24
    dispute_window: Wait = _seconds(3600)
    settle_chunk: Count = 1_000

    # Codes and PINs
    code_seconds: Count = 600
    code_tries: Count = 3
    code_resend: Waits = _after(30, 60, 120)
    codes_per_day: Count = 5
    under_age_hold: Wait = _seconds(30 * 86400)  # trying years is no pastime then
    pin_locks: Waits = _after(900, 3600, 86400)
    pin_reset_hold: Wait = _seconds(86400)

    # Staff
    staff_idle: Wait = _seconds(1800)
    staff_absolute: Wait = _seconds(43200)
    staff_fresh: Wait = _seconds(300)
    staff_locks: Waits = _after(900, 3600, 86400)
    staff_invite: Wait = _seconds(86400)

    # Channels
    ussd_session: Wait = _seconds(300)
    ussd_resume: Wait = _seconds(180)
    ussd_hop_wait: Wait = _seconds(4)
    sms_repeat: Wait = _seconds(60)
    order_offer: Wait = _seconds(300)
    order_life: Wait = _seconds(600)
    claims_per_day: Count = 5
    claim_retry: Waits = _after(120, 900, 3600)
    stranger_replies_per_day: Count = 3

    # Partners
    connect_timeout: Wait = _seconds(5)
    at_timeout: Wait = _seconds(9)
    daraja_timeout: Wait = _seconds(30)
    token_margin: Wait = _seconds(60)
    daraja_rates: Rates = DARAJA_RATES
    breaker_failures: Count = 5
    breaker_open: Wait = _seconds(30)

    # Promises and payments
    send_retry: Waits = _after(5, 30, 120, 600, 3600)
    sending_stuck: Wait = _seconds(120)
    stk_delay: Wait = _seconds(3)
    stk_query_after: Wait = _seconds(75)
    stk_query_retry: Waits = _after(120, 300, 900, 3600)
    stk_expiry: Wait = _seconds(300)
    stk_pause: Wait = _seconds(90)
    confirm_within: Wait = _seconds(60)
    payout_result_wait: Wait = _seconds(120)
    payout_doubt_told: Wait = _seconds(900)  # most doubts end within the first questions
    status_retry: Waits = _after(120, 300, 900, 3600, 10800, 43200)
    pull_overlap: Wait = _seconds(7200)
    mpesa_settings_look: Wait = _seconds(5)

    @property
    def platform_fee_bp(self) -> int:
        """The house's fee in hundredths of a per cent."""
        return int(self.payout_platform_fee_pct * 100)
