"""The M-PESA account of each environment: whole or refused, and never two worlds in one."""

import pytest

from core import config_mpesa
from core.config import PARTNERS, Config
from core.rates import Rate
from core.settings import DARAJA_RATES
from tests.core.test_config import DEMO, PRODUCTION, SANDBOX, TEST, WORLDS, faults_of

PUBLIC_PASSKEY = config_mpesa.PUBLIC["mpesa_passkey"][0]
PUBLIC_PASSWORD = config_mpesa.PUBLIC["mpesa_initiator_password"][0]


@pytest.mark.parametrize("world", list(WORLDS))
def test_each_world_may_start(world):
    Config.from_env(WORLDS[world])


@pytest.mark.parametrize(
    ("env", "change", "fault"),
    [
        (SANDBOX, {"DARAJA_BASE_URL": PARTNERS["production"]["DARAJA_BASE_URL"]},
         "DARAJA_BASE_URL: a production address does not go with sandbox"),
        (SANDBOX, {"DARAJA_BASE_URL": "https://API.Safaricom.co.ke/"},
         "DARAJA_BASE_URL: a production address does not go with sandbox"),
        (PRODUCTION, {"DARAJA_BASE_URL": PARTNERS["sandbox"]["DARAJA_BASE_URL"]},
         "DARAJA_BASE_URL: a sandbox address does not go with production"),
        (SANDBOX, {"MPESA_PRODUCTION": "true"},
         "MPESA_PRODUCTION: True does not go with sandbox"),
        (SANDBOX, {"MPESA_SHORTCODE": "174379"}, "MPESA_PASSKEY: the sandbox's passkey"),
        (SANDBOX, {"MPESA_PASSKEY": PUBLIC_PASSKEY}, "MPESA_PASSKEY: the sandbox's passkey"),
        (PRODUCTION, {"MPESA_SHORTCODE": "174379"}, "MPESA_SHORTCODE: printed"),
        (PRODUCTION, {"MPESA_PASSKEY": PUBLIC_PASSKEY}, "MPESA_PASSKEY: printed"),
        (PRODUCTION, {"MPESA_INITIATOR_NAME": "testapi"}, "MPESA_INITIATOR_NAME: printed"),
        (PRODUCTION, {"MPESA_INITIATOR_PASSWORD": PUBLIC_PASSWORD},
         "MPESA_INITIATOR_PASSWORD: printed"),
        (PRODUCTION, {"MPESA_CONSUMER_KEY": "demo-1234"},
         "MPESA_CONSUMER_KEY: the value of a demo"),
        (SANDBOX, {"MPESA_CONSUMER_SECRET": "simulated-consumer-secret"},
         "MPESA_CONSUMER_SECRET: the value of a demo"),
        (SANDBOX, {"MPESA_CERTIFICATE": "-----BEGIN"}, "MPESA_CERTIFICATE: not an RSA"),
        (TEST, {"MPESA_SHORTCODE": "17437x"}, "MPESA_SHORTCODE: a shortcode has"),
        (TEST, {"MPESA_SHORTCODE": "1234"}, "MPESA_SHORTCODE: a shortcode has"),
        (DEMO, {"MPESA_TILL_NUMBER": "12345678"}, "MPESA_TILL_NUMBER: a shortcode has"),
        (PRODUCTION, {"MPESA_B2C_SHORTCODE": "\u0661\u0662\u0663\u0664\u0665"},
         "MPESA_B2C_SHORTCODE: a shortcode has"),
        (PRODUCTION, {"MPESA_PULL_NUMBER": "0722"}, "MPESA_PULL_NUMBER: not a phone number"),
        (TEST, {"DARAJA_RATES": "stk=5"}, "DARAJA_RATES: a rate is 25/100"),
        (TEST, {"DARAJA_RATES": "stk=x/5"}, "DARAJA_RATES: a rate is 25/100"),
        (TEST, {"DARAJA_RATES": "stk=0/5"}, "DARAJA_RATES: a rate is above nothing"),
        (TEST, {"DARAJA_RATES": "stk=inf/5"}, "DARAJA_RATES: a rate is above nothing"),
        (TEST, {"DARAJA_RATES": "stk=nan/5"}, "DARAJA_RATES: a rate is above nothing"),
        (TEST, {"DARAJA_RATES": "stk=5/0"}, "DARAJA_RATES: a rate is above nothing"),
        (TEST, {"API_RATE": "x/5"}, "API_RATE: a rate is 25/100"),
        (TEST, {"API_RATE": "0/5"}, "API_RATE: a rate is above nothing"),
        (TEST, {"DARAJA_RATES": "sms=5/5"}, "DARAJA_RATES: products of Daraja only"),
        (TEST, {"BREAKER_FAILURES": "0"}, "BREAKER_FAILURES: "),
        (TEST, {"BREAKER_OPEN": "-1"}, "BREAKER_OPEN: a wait is not negative"),
    ],
)  # fmt: skip
def test_a_mixed_or_misshapen_account_is_refused(env, change, fault):
    (told,) = [one for one in faults_of({**env, **change}) if one.startswith(fault)]
    assert not [value for value in change.values() if value in told and value != "174379"]


def test_safaricoms_own_sandbox_account_may_be_used_in_the_sandbox():
    Config.from_env(
        {
            **SANDBOX,
            "MPESA_SHORTCODE": "174379",
            "MPESA_PASSKEY": PUBLIC_PASSKEY,
            "MPESA_INITIATOR_NAME": "testapi",
            "MPESA_INITIATOR_PASSWORD": PUBLIC_PASSWORD,
        }
    )


def test_rates_are_those_that_are_listed_and_no_others():
    config = Config.from_env({**TEST, "DARAJA_RATES": "stk=0.5/3, b2c=2/1"})

    assert dict(config.daraja_rates) == {"stk": Rate(0.5, 3), "b2c": Rate(2, 1)}


def test_the_sandbox_is_asked_more_seldom():
    slow, usual = (Config.from_env(env).daraja_rates for env in (SANDBOX, PRODUCTION))

    assert usual == DARAJA_RATES
    assert set(slow) == set(usual)
    assert all(slow[product].per_second <= usual[product].per_second for product in usual)
