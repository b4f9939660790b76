"""The settings of demo and tests: complete, harmless, and the same every time."""

import base64
import hashlib

from demo.engines import Urls

USSD_CODE, SMS_CODE, SENDER = "*384*7#", "22384", "HOUSE"
PAYBILL, TILL, B2C_SHORTCODE = "174379", "174380", "600986"
INITIATOR = "house"
NOWHERE = "http://127.0.0.1:9"  # the discard port: whoever calls a partner unasked is refused


def house(
    urls: Urls, *, app_env: str, web: str = NOWHERE, simulator: str = NOWHERE
) -> dict[str, str]:
    """Every variable a process of the house needs; `web` and `simulator` are base addresses.

    The secrets are derived from their names: whoever reads this knows them, and they guard nothing.
    """
    return {
        **urls.environment(),
        "APP_ENV": app_env,
        "PUBLIC_URL": web,
        "SECRET_KEY": _hex("SECRET_KEY"),
        "METRICS_TOKEN": _hex("METRICS_TOKEN"),
        "DATA_KEYS": f"k1:{_base64('DATA_KEYS')}",
        "PIN_PEPPER": _base64("PIN_PEPPER"),
        "CODE_KEY": _base64("CODE_KEY"),
        "KEY_KEY": _base64("KEY_KEY"),
        "AGGREGATOR_HOOK_TOKEN": _hex("AGGREGATOR_HOOK_TOKEN"),
        "DARAJA_HOOK_TOKEN": _hex("DARAJA_HOOK_TOKEN"),
        "C2B_HOOK_TOKEN": _hex("C2B_HOOK_TOKEN"),
        "AGGREGATOR_ALLOWED_IPS": "127.0.0.1,::1",
        "DARAJA_ALLOWED_IPS": "127.0.0.1,::1",
        "AT_USERNAME": "house",
        "AT_API_KEY": _credential("AT_API_KEY"),
        "AT_SHORT_CODE": SMS_CODE,
        "AT_SENDER_ID": SENDER,
        "AT_BASE_URL": simulator,
        "USSD_CODE": USSD_CODE,
        "MPESA_CONSUMER_KEY": _credential("MPESA_CONSUMER_KEY"),
        "MPESA_CONSUMER_SECRET": _credential("MPESA_CONSUMER_SECRET"),
        "MPESA_PASSKEY": _credential("MPESA_PASSKEY"),
        "MPESA_SHORTCODE": PAYBILL,
        "MPESA_B2C_SHORTCODE": B2C_SHORTCODE,
        "MPESA_INITIATOR_NAME": INITIATOR,
        "MPESA_INITIATOR_PASSWORD": _credential("MPESA_INITIATOR_PASSWORD"),
        "DARAJA_BASE_URL": simulator,
        "DISPUTE_WINDOW": "0",  # nobody disputes a story, and nobody wants to wait for its end
    }


def world(*, web: str, port: int, key_file: str = "") -> dict[str, str]:
    """Every variable of the simulated world around that house."""
    aggregator = f"{web}/hooks/{_hex('AGGREGATOR_HOOK_TOKEN')}"
    paybill = f"{web}/hooks/{_hex('C2B_HOOK_TOKEN')}/c2b"
    told = {
        "port": str(port),
        "ussd_callback": f"{aggregator}/ussd",
        "ussd_end_callback": f"{aggregator}/ussd/end",
        "sms_callback": f"{aggregator}/sms",
        "delivery_callback": f"{aggregator}/sms/delivery",
        "optout_callback": f"{aggregator}/sms/optout",
        "c2b_confirmation": f"{paybill}/confirm",
        "c2b_validation": f"{paybill}/validate",
        "b2c_charges": "0",  # the house of the demo has been told no tariff
        "at_username": "house",
        "at_api_key": _credential("AT_API_KEY"),
        "sender_ids": f"{SENDER},{SMS_CODE}",
        "service_codes": USSD_CODE,
        "short_code": SMS_CODE,
        "consumer_key": _credential("MPESA_CONSUMER_KEY"),
        "consumer_secret": _credential("MPESA_CONSUMER_SECRET"),
        "passkey": _credential("MPESA_PASSKEY"),
        "shortcode": PAYBILL,
        "till_number": TILL,
        "b2c_shortcode": B2C_SHORTCODE,
        "initiator_name": INITIATOR,
        "initiator_password": _credential("MPESA_INITIATOR_PASSWORD"),
        "key_file": key_file,
    }
    return {f"SIM_{name.upper()}": value for name, value in told.items()}


def _digest(name: str) -> bytes:
    """32 bytes that begin with the word by which production knows and refuses them."""
    return b"demo" + hashlib.sha256(name.encode()).digest()[4:]


def _hex(name: str) -> str:
    return _digest(name).hex()


def _credential(name: str) -> str:
    """A partner's secret; outside production the house refuses what looks real."""
    return f"demo-{_hex(name)}"


def _base64(name: str) -> str:
    return base64.b64encode(_digest(name)).decode()
