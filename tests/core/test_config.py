"""The settings: read whole or refused whole, and never shown."""

import base64
import re
import secrets
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import ValidationError

from core.config import PARTNERS, Config, ConfigFaults
from core.config_forms import ANYWHERE
from demo import settings as demo
from demo.engines import Urls

ROOT = Path(__file__).parents[2]
HERE = "http://127.0.0.1:8000"
URLS = Urls(
    "postgresql://house:canary@127.0.0.1/house",
    "postgresql://owner@127.0.0.1/house",
    "redis://127.0.0.1/0",
)


def _certificate(key) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Safaricom")])
    built = x509.CertificateBuilder(
        name,
        name,
        key.public_key(),
        1,
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2036, 1, 1, tzinfo=UTC),
    ).sign(key, hashes.SHA256())
    return built.public_bytes(serialization.Encoding.PEM).decode()


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


TEST = demo.house(URLS, app_env="test", web=HERE, simulator=HERE)
DEMO = {**TEST, "APP_ENV": "demo"}
PRODUCTION = {
    "APP_ENV": "production",
    "PUBLIC_URL": "https://house.example.co.ke",
    "DATABASE_URL": "postgres://house:canary@db.internal/house",
    "REDIS_URL": "rediss://:canary@redis.internal/0",
    "SECRET_KEY": secrets.token_hex(32),
    "METRICS_TOKEN": secrets.token_urlsafe(32),
    "DATA_KEYS": f"k2:{_key()},k1:{_key()}",
    "PIN_PEPPER": _key(),
    "CODE_KEY": _key(),
    "KEY_KEY": _key(),
    "AGGREGATOR_HOOK_TOKEN": f"{secrets.token_hex(32)},{secrets.token_hex(32)}",
    "DARAJA_HOOK_TOKEN": secrets.token_hex(32),
    "C2B_HOOK_TOKEN": secrets.token_hex(32),
    "AGGREGATOR_ALLOWED_IPS": "any",
    "DARAJA_ALLOWED_IPS": "196.201.214.200,196.201.213.0/24",
    "TRUSTED_PROXIES": "10.0.0.0/24",
    "AT_USERNAME": "house",
    "AT_API_KEY": "atsk_canary",
    "AT_SHORT_CODE": "22384",
    "AT_SENDER_ID": "HOUSE",
    "USSD_CODE": "*384*7#",
    "MPESA_CONSUMER_KEY": "canary-key",
    "MPESA_CONSUMER_SECRET": "canary-secret",
    "MPESA_PASSKEY": "canary-passkey",
    "MPESA_SHORTCODE": "600999",
    "MPESA_B2C_SHORTCODE": "600998",
    "MPESA_INITIATOR_NAME": "house",
    "MPESA_INITIATOR_PASSWORD": "canary-password",
    "MPESA_CERTIFICATE": _certificate(rsa.generate_private_key(65537, 2048)),
}
SANDBOX = {**PRODUCTION, "APP_ENV": "sandbox"}
WORLDS = {"test": TEST, "demo": DEMO, "sandbox": SANDBOX, "production": PRODUCTION}


def faults_of(env: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigFaults) as refused:
        Config.from_env(env)
    assert refused.value.faults
    return refused.value.faults


@pytest.mark.parametrize("world", WORLDS)
def test_each_world_starts_with_its_own_settings(world: str) -> None:
    config = Config.from_env(WORLDS[world])
    assert config.app_env == world
    assert config.mpesa_production is (world == "production")


@pytest.mark.parametrize("world", PARTNERS)
def test_sandbox_and_production_know_their_partners(world: str) -> None:
    config = Config.from_env(WORLDS[world])
    assert config.daraja_base_url == PARTNERS[world]["DARAJA_BASE_URL"]
    assert config.at_base_url == PARTNERS[world]["AT_BASE_URL"]


@pytest.mark.parametrize(
    ("name", "written", "held"),
    [
        ("STAKE_MIN", "20", 20_00),
        ("STAKE_MIN", "20.50", 20_50),
        ("PAYOUT_PLATFORM_FEE_PCT", "7.25", Decimal("7.25")),
        ("MIN_AGE", "21", 21),
        ("DEBUG", "true", True),
        ("STK_DELAY", "3", timedelta(seconds=3)),
        ("STK_DELAY", "0.05", timedelta(milliseconds=50)),
        ("STK_DELAY", "0", timedelta(0)),
        ("CODE_RESEND", "1, 2,3.5", tuple(timedelta(seconds=s) for s in (1, 2, 3.5))),
        ("DARAJA_ALLOWED_IPS", "any", ANYWHERE),
        ("DARAJA_ALLOWED_IPS", "1.2.3.4, ::1", (ip_network("1.2.3.4/32"), ip_network("::1/128"))),
        ("TRUSTED_PROXIES", "", ()),
        ("PUBLIC_URL", f"{HERE}/", HERE),
        ("DATABASE_URL", "postgres://h:p@db/x", "postgresql+psycopg2://h:p@db/x"),
        ("DATABASE_URL", "postgresql://h:p@db/x", "postgresql+psycopg2://h:p@db/x"),
        ("DATABASE_URL", "postgresql+psycopg2://db/x", "postgresql+psycopg2://db/x"),
        ("KEY_KEY", base64.b64encode(b"k" * 32).decode(), b"k" * 32),
    ],
)
def test_a_setting_is_held_in_the_form_the_house_uses(
    name: str, written: str, held: object
) -> None:
    assert getattr(Config.from_env({**TEST, name: written}), name.lower()) == held


@pytest.mark.parametrize(
    ("name", "written", "fault"),
    [
        ("APP_ENV", "staging", "'demo', 'test', 'sandbox' or 'production'"),
        ("STAKE_MIN", "ten", "not an amount"),
        ("STAKE_MIN", "nan", "not an amount"),
        ("STAKE_MIN", "inf", "not an amount"),
        ("STAKE_MIN", "-1", "greater than or equal to 0"),
        ("STAKE_MIN", "1.005", "two decimals"),
        ("PAYOUT_PLATFORM_FEE_PCT", "101", "less than or equal to 100"),
        ("PAYOUT_PLATFORM_FEE_PCT", "5.001", "2 decimal places"),
        ("MIN_AGE", "0", "greater than or equal to 1"),
        ("STK_DELAY", "soon", "not a number of seconds"),
        ("STK_DELAY", "-1", "not negative"),
        ("STK_DELAY", "nan", "not a number of seconds"),
        ("STK_DELAY", "1e30", "not a number of seconds"),
        ("CODE_RESEND", ",", "at least 1 item"),
        ("CODE_RESEND", "30,x", "not a number of seconds"),
        ("DARAJA_ALLOWED_IPS", "1.2.3.4/8", "networks like"),
        ("DARAJA_ALLOWED_IPS", "everyone", "networks like"),
        ("PUBLIC_URL", "house.example.co.ke", "http:// or https://"),
        ("PUBLIC_URL", "ftp://x.y", "http:// or https://"),
        ("DATABASE_URL", "sqlite:///x", "postgresql:// address"),
        ("DATABASE_URL", "house", "postgresql:// address"),
        ("PIN_PEPPER", "c2hvcnQ=", "at least 32 bytes in base64"),
        ("PIN_PEPPER", "!", "not base64"),
        ("DATA_KEYS", f"{'A' * 43}=", "no id"),
        ("C2B_HOOK_TOKEN", "abc", "hex digits"),
        ("C2B_HOOK_TOKEN", "Z" * 64, "hex digits"),
        ("C2B_HOOK_TOKEN", f"{'a' * 64},{'b' * 64},{'c' * 64}", "two during a rotation"),
        ("C2B_HOOK_TOKEN", ",", "two during a rotation"),
    ],
)
def test_a_setting_that_cannot_be_read_is_named(name: str, written: str, fault: str) -> None:
    faults = faults_of({**TEST, name: written})
    assert len(faults) == 1
    assert faults[0].startswith(f"{name}: ")
    assert fault in faults[0]


def test_everything_that_is_missing_is_named_at_once() -> None:
    required = {name.upper() for name, field in Config.model_fields.items() if field.is_required()}
    assert {fault.split(":")[0] for fault in faults_of({})} == required


def test_an_empty_value_is_a_missing_one() -> None:
    assert faults_of({**TEST, "KEY_KEY": ""}) == ["KEY_KEY: missing"]


def test_the_unreadable_and_the_unsafe_are_told_together() -> None:
    broken = {**PRODUCTION, "STK_DELAY": "soon", "DEBUG": "1", "KEY_KEY": "", "AT_API_KEY": ""}
    named = [fault.split(":")[0] for fault in faults_of(broken)]
    assert sorted(named) == ["AT_API_KEY", "DEBUG", "KEY_KEY", "STK_DELAY"]


DEMO_KEY = base64.b64encode(b"demo" + secrets.token_bytes(28)).decode()
DEMO_HEX = (b"demo" + secrets.token_bytes(28)).hex()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"SECRET_KEY": "hunter2"}, "SECRET_KEY: under 32"),
        ({"SECRET_KEY": "change-me-" * 4}, "SECRET_KEY: repetitive, or the value of a demo"),
        ({"SECRET_KEY": "ab" * 20}, "SECRET_KEY: repetitive"),
        ({"SECRET_KEY": DEMO_HEX}, "SECRET_KEY: repetitive, or the value of a demo"),
        ({"METRICS_TOKEN": "short"}, "METRICS_TOKEN: under 32"),
        ({"PIN_PEPPER": DEMO_KEY}, "PIN_PEPPER: repetitive, or the value of a demo"),
        ({"CODE_KEY": base64.b64encode(bytes(32)).decode()}, "CODE_KEY: repetitive"),
        ({"DATA_KEYS": f"k1:{DEMO_KEY}"}, "DATA_KEYS: repetitive, or the value of a demo"),
        ({"DARAJA_HOOK_TOKEN": DEMO_HEX}, "DARAJA_HOOK_TOKEN: repetitive, or the value of a demo"),
        ({"C2B_HOOK_TOKEN": "0" * 64}, "C2B_HOOK_TOKEN: repetitive"),
        ({"C2B_HOOK_TOKEN": PRODUCTION["DARAJA_HOOK_TOKEN"]}, "one token serves several doors"),
        ({"KEY_KEY": PRODUCTION["CODE_KEY"]}, "one secret serves two purposes"),
        ({"DEBUG": "1"}, "DEBUG: never"),
        ({"MIN_AGE": "17"}, "MIN_AGE: under 18"),
        ({"PUBLIC_URL": "http://house.example.co.ke"}, "PUBLIC_URL: must be https"),
        ({"PUBLIC_URL": "https://localhost:8000"}, "PUBLIC_URL: a simulator"),
        ({"PUBLIC_URL": "https://mpesa-bets.co.ke"}, "PUBLIC_URL: Daraja calls no address"),
        ({"DARAJA_BASE_URL": "http://127.0.0.1:8001"}, "DARAJA_BASE_URL: a simulator"),
        ({"DARAJA_BASE_URL": "https://10.0.0.7"}, "DARAJA_BASE_URL: a simulator"),
        ({"DARAJA_BASE_URL": "https://[::1]:8001"}, "DARAJA_BASE_URL: a simulator"),
        ({"AT_BASE_URL": "https://simulator.example.com"}, "AT_BASE_URL: a simulator"),
        ({"AT_BASE_URL": "https://simulator"}, "AT_BASE_URL: a simulator"),
        ({"DARAJA_BASE_URL": PARTNERS["sandbox"]["DARAJA_BASE_URL"]}, "DARAJA_BASE_URL: a sandbox"),
        ({"AT_USERNAME": "sandbox"}, "AT_USERNAME: a sandbox"),
        ({"MPESA_PRODUCTION": "false"}, "MPESA_PRODUCTION: False does not go with production"),
        ({"AGGREGATOR_ALLOWED_IPS": ""}, "AGGREGATOR_ALLOWED_IPS: empty"),
        ({"DARAJA_ALLOWED_IPS": ""}, "DARAJA_ALLOWED_IPS: empty"),
        ({"TRUSTED_PROXIES": "any"}, "TRUSTED_PROXIES: any would"),
        ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "TRUSTED_PROXIES: any would"),
        ({"MIGRATION_DATABASE_URL": PRODUCTION["DATABASE_URL"]}, "DATABASE_URL: the role"),
        ({"MPESA_CERTIFICATE": "nonsense"}, "MPESA_CERTIFICATE: not an RSA certificate"),
        (
            {"MPESA_CERTIFICATE": _certificate(ec.generate_private_key(ec.SECP256R1()))},
            "MPESA_CERTIFICATE: not an RSA certificate",
        ),
        ({"STAKE_MIN": "200", "STAKE_MAX": "100"}, "STAKE_MIN: above STAKE_MAX"),
        ({"PAYOUT_MIN_AMOUNT": "9"}, "PAYOUT_MIN_AMOUNT: under 10"),
        ({"PAYOUT_MAX_AMOUNT": "19"}, "PAYOUT_MAX_AMOUNT: under twice"),
    ],
)
def test_production_refuses_what_is_unsafe(change: dict[str, str], fault: str) -> None:
    faults = faults_of({**PRODUCTION, **change})
    assert any(fault in told for told in faults), faults


CREDENTIALS = [
    "AT_USERNAME", "AT_API_KEY", "AT_SHORT_CODE", "USSD_CODE",
    "MPESA_CONSUMER_KEY", "MPESA_CONSUMER_SECRET", "MPESA_PASSKEY",
    "MPESA_SHORTCODE", "MPESA_B2C_SHORTCODE", "MPESA_INITIATOR_NAME",
    "MPESA_INITIATOR_PASSWORD", "MPESA_CERTIFICATE",
]  # fmt: skip


@pytest.mark.parametrize("world", ["sandbox", "production"])
def test_missing_credentials_are_named_all_at_once(world: str) -> None:
    bare = {name: value for name, value in WORLDS[world].items() if name not in CREDENTIALS}
    expected = [f"{name}: missing, and {world} needs it" for name in CREDENTIALS]
    assert sorted(faults_of(bare)) == sorted(expected)


def test_production_refuses_every_secret_of_the_demo() -> None:
    named = {fault.split(":")[0] for fault in faults_of({**DEMO, "APP_ENV": "production"})}
    assert named >= {
        "SECRET_KEY", "METRICS_TOKEN", "DATA_KEYS", "PIN_PEPPER", "CODE_KEY", "KEY_KEY",
        "AGGREGATOR_HOOK_TOKEN", "DARAJA_HOOK_TOKEN", "C2B_HOOK_TOKEN",
        "PUBLIC_URL", "AT_BASE_URL", "DARAJA_BASE_URL",
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"DARAJA_BASE_URL": "https://api.safaricom.co.ke"},
        {"DARAJA_BASE_URL": "https://sandbox.safaricom.co.ke"},
        {"AT_BASE_URL": "https://api.africastalking.com"},
        {"MPESA_PRODUCTION": "true"},
        *({name: "bfb279f9aa9bdbcf"} for name in CREDENTIALS if re.search("KEY|SECRET|PASS", name)),
    ],
)
def test_a_demo_refuses_to_touch_the_real_world(change: dict[str, str]) -> None:
    (fault,) = faults_of({**DEMO, **change})
    assert fault.split(":")[0] in change


def test_tests_refuse_real_partners_too() -> None:
    (fault,) = faults_of({**TEST, "DARAJA_BASE_URL": "https://api.safaricom.co.ke"})
    assert "simulator on this machine only" in fault


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    path.write_text(base64.b64encode(b"f" * 32).decode() + "\n")
    assert Config.from_env({**TEST, "PIN_PEPPER_FILE": str(path)}).pin_pepper == b"f" * 32


def test_a_file_that_cannot_be_read_is_named_once(tmp_path: Path) -> None:
    bare = {name: value for name, value in TEST.items() if name != "PIN_PEPPER"}
    for env in (bare, TEST):  # a file that is named is meant: there is no falling back
        (fault,) = faults_of({**env, "PIN_PEPPER_FILE": str(tmp_path / "absent")})
        assert fault == "PIN_PEPPER: the file it names cannot be read (FileNotFoundError)"


def test_no_secret_is_ever_shown() -> None:
    config = Config.from_env(PRODUCTION)
    told = f"{config!r} {config}"
    shown = [name for name, value in PRODUCTION.items() if _is_secret(name) and value in told]
    assert not shown
    assert "canary" not in told
    for key in config.data_keys.keys.values():
        assert repr(key) not in told


def test_no_fault_repeats_a_value() -> None:
    names = [name.upper() for name in Config.model_fields if name != "app_env"]
    garbled = {**dict.fromkeys(names, "canary\u00e9"), "APP_ENV": "production"}
    assert "canary" not in str(ConfigFaults(faults_of(garbled)))


def test_settings_cannot_be_changed() -> None:
    config = Config.from_env(TEST)
    with pytest.raises(ValidationError, match="frozen"):
        config.min_age = 12


def test_the_fee_is_also_told_in_basis_points() -> None:
    assert Config.from_env({**TEST, "PAYOUT_PLATFORM_FEE_PCT": "7.25"}).platform_fee_bp == 725


def test_the_example_lists_exactly_the_settings_each_with_a_sentence() -> None:
    text = (ROOT / ".env.example").read_text()
    entries = re.findall(r"^# ([A-Z].+[.:)])\n([A-Z0-9_]+)=(.*)$", text, flags=re.MULTILINE)
    named = [name for _, name, _ in entries]
    assert sorted(named) == sorted(name.upper() for name in Config.model_fields)
    assert len(re.findall("^[A-Z0-9_]+=", text, flags=re.MULTILINE)) == len(named)


def test_the_example_shows_the_defaults() -> None:
    lines = re.findall(r"^([A-Z0-9_]+)=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(lines) > 40
    shown = Config.from_env({**TEST, **dict(lines)})
    plain = Config.from_env({n: value for n, value in TEST.items() if n != "DISPUTE_WINDOW"})
    for name in Config.model_fields:
        assert getattr(shown, name) == getattr(plain, name), name


def _is_secret(name: str) -> bool:
    return bool(re.search("URL|SECRET|TOKEN|KEY|PEPPER|PASS", name)) and name != "PUBLIC_URL"
