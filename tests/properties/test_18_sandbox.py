"""18. In the sandbox the house keeps to what that can do, and touches nothing real."""

from hypothesis import given
from hypothesis import strategies as st

from core import config_mpesa
from core.config import PARTNERS, Config, ConfigFaults
from tests.core.test_config import SANDBOX

HOSTS = st.sampled_from(
    [PARTNERS["sandbox"]["DARAJA_BASE_URL"], PARTNERS["production"]["DARAJA_BASE_URL"],
     "https://API.SAFARICOM.co.ke", "https://sandbox.safaricom.co.ke/"]
)  # fmt: skip
PASSKEY, SHORTCODE = config_mpesa.PUBLIC["mpesa_passkey"][0], "174379"


@given(HOSTS, st.booleans(), st.booleans(), st.booleans())
def test_the_sandbox_is_whole_or_refused(host, live, public_code, public_key):
    env = SANDBOX | {
        "DARAJA_BASE_URL": host,
        "MPESA_PRODUCTION": str(live).lower(),
        **({"MPESA_SHORTCODE": SHORTCODE} if public_code else {}),
        **({"MPESA_PASSKEY": PASSKEY} if public_key else {}),
    }
    sound = "sandbox" in host and not live and public_code == public_key
    try:
        config = Config.from_env(env)
    except ConfigFaults:
        assert not sound
        return
    assert sound
    # Five queries a minute, one at a time, is what it was seen to bear.
    rate = config.daraja_rates["stk_query"]
    assert (rate.per_second * 60 <= 5, rate.at_once) == (True, 1)
    assert all(rate.per_second <= 1 for rate in config.daraja_rates.values())
