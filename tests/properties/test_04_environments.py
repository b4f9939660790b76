"""4. Sandbox and production never mix: a start with anything of the other world is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import config_mpesa
from core.config import PARTNERS, Config, ConfigFaults
from tests.core.test_config import DEMO, PRODUCTION, SANDBOX, TEST, WORLDS

PUBLIC = config_mpesa.PUBLIC
SANDBOX_THINGS = {
    "DARAJA_BASE_URL": PARTNERS["sandbox"]["DARAJA_BASE_URL"],
    "MPESA_PRODUCTION": "false",
    "MPESA_SHORTCODE": PUBLIC["mpesa_shortcode"][0],
    "MPESA_PASSKEY": PUBLIC["mpesa_passkey"][0],
    "MPESA_INITIATOR_NAME": PUBLIC["mpesa_initiator_name"][0],
    "MPESA_INITIATOR_PASSWORD": PUBLIC["mpesa_initiator_password"][0],
    "MPESA_CONSUMER_KEY": "simulated-key",
    "AT_USERNAME": "sandbox",
}
REAL_THINGS = {
    "DARAJA_BASE_URL": PARTNERS["production"]["DARAJA_BASE_URL"],
    "MPESA_PRODUCTION": "true",
}
SOME = st.sets(st.sampled_from(sorted(SANDBOX_THINGS)), min_size=1)


@given(SOME)
def test_nothing_of_the_sandbox_starts_in_production(names):
    with pytest.raises(ConfigFaults) as refused:
        Config.from_env(PRODUCTION | {name: SANDBOX_THINGS[name] for name in names})
    told = {fault.partition(":")[0] for fault in refused.value.faults}
    assert names <= told


@given(st.sampled_from(["demo", "test", "sandbox"]), st.sets(st.sampled_from(sorted(REAL_THINGS))))
def test_nothing_of_production_starts_elsewhere(world, names):
    env = {"demo": DEMO, "test": TEST, "sandbox": SANDBOX}[world]
    mixed = env | {name: REAL_THINGS[name] for name in names}
    if not names:
        assert Config.from_env(mixed).app_env == world
        return
    with pytest.raises(ConfigFaults) as refused:
        Config.from_env(mixed)
    assert names & {fault.partition(":")[0] for fault in refused.value.faults}
    assert set(WORLDS) >= {world}
