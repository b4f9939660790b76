"""2. The password of a push is base64(shortcode + passkey + timestamp), the timestamp Nairobi's."""

import base64
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from mpesa import secrets

SHORTCODES = st.integers(10_000, 9_999_999).map(str)
PASSKEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=64)
MOMENTS = st.integers(0, 4_000_000_000_000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)


@given(SHORTCODES, PASSKEYS, MOMENTS)
def test_the_password_is_made_of_the_fields_beside_it(shortcode, passkey, now):
    fields = secrets.password(shortcode, passkey, now)

    stamp = fields["Timestamp"]
    assert base64.b64decode(fields["Password"]).decode() == shortcode + passkey + stamp
    assert fields["BusinessShortCode"] == int(shortcode)
    told = datetime.strptime(stamp, "%Y%m%d%H%M%S").replace(tzinfo=ZoneInfo("Africa/Nairobi"))
    assert told == now.replace(microsecond=0)
