"""M-PESA settings by the command line, on a house in a simulated world, over HTTP."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

from core import breakers
from core.config import Config
from core.errors import NotSent
from core.say import NAIROBI
from core.staff import Role
from demo.engines import Urls
from demo.settings import B2C_SHORTCODE, PAYBILL
from tests import people, standing
from tests.credentials import KEY, NEW, PASSKEY, PASSWORD, PLANTED, SECRET, found_in_database
from tests.flows.conftest import MPESA_PIN
from tests.ground import config_for, environment_for
from tests.house import tree


@pytest.fixture
def config(config: Config) -> Config:
    """Looking at once, so that nothing sleeps."""
    return Config.model_copy(config, update={"mpesa_settings_look": config.stk_delay * 0})


@pytest.fixture
def flask(rt):
    """`flask("mpesa settings show")`: what it printed, and that it ended with `code`."""
    for name, role in (("asha", Role.ADMIN), ("baraka", Role.ADMIN), ("fatuma", Role.FINANCE)):
        people.member(rt, name, role)
    runner = standing.application(rt).test_cli_runner()

    def run(typed, code=0, given=None):
        result = runner.invoke(args=shlex.split(typed), input=given)
        assert "Traceback" not in result.output
        assert result.exit_code == code, result.output
        assert not [value for value in PLANTED if value in result.output]
        return result.output

    return run


@pytest.fixture
def renewed(rt, network):
    """Safaricom's portal has given new keys, and soon the old ones are nothing."""
    kept = {
        "consumer_key": rt.config.mpesa_consumer_key.get_secret_value(),
        "consumer_secret": rt.config.mpesa_consumer_secret.get_secret_value(),
    }
    yield lambda: network.settings(consumer_key=KEY, consumer_secret=SECRET)
    network.settings(**kept)


def lines(**values):
    return "".join(f"{name.upper()}={value}\n" for name, value in values.items())


def seen(output):
    return re.search(r"(?:proposed:|hash) ([0-9a-f]{64})", output)[1]


def tokens(rt):
    return set(rt.redis.scan_iter("daraja:token:*"))


def test_keys_are_renewed_in_a_running_house(flask, rt, network, phone, renewed, work, amina):
    rt.senders["oauth"]({})
    before = tokens(rt)
    assert len(before) == 1
    told = flask("mpesa settings propose --from - --note renewed --as fatuma", given=lines(**NEW))
    assert "MPESA_CONSUMER_SECRET" in told
    shown = flask("mpesa settings show")
    assert seen(shown) == seen(told)
    assert re.search(r"MPESA_CONSUMER_KEY +environment", shown)

    assert "not sent" in flask("mpesa test --proposed", code=1)  # the portal has not turned yet
    renewed()
    assert "ok" in flask("mpesa test --proposed")
    flask(f"mpesa settings approve {seen(told)} --as fatuma", code=1)
    assert "in force: MPESA_CONSUMER_KEY" in flask(f"mpesa settings approve {seen(told)} --as asha")
    flask("mpesa settings show")  # whose process takes them, as every other does
    assert not before & tokens(rt), "the token of the old key is dropped"

    rt.senders["stk"]({"phone": people.AMINA, "amount": 100_00, "ref": "D5M6XQK"})
    phone(people.AMINA).await_stk()
    phone(people.AMINA).enter_mpesa_pin(MPESA_PIN)
    network.drain()
    assert re.search(r"MPESA_CONSUMER_KEY +database .* by fatuma, approved by asha",
                     flask("mpesa settings show"))  # fmt: skip
    assert found_in_database(rt, PLANTED) == []
    with_rest = flask("mpesa settings show --json")
    assert json.loads(with_rest)["version"] == 1


def test_the_test_tells_each_step_in_words(flask, rt, network):
    told = flask("mpesa test --wait 20")
    assert [line.split()[0] for line in told.splitlines()] == [
        "account", "oauth", "balance", "balance", "balance",
    ]  # fmt: skip
    assert f"{PAYBILL}: M-PESA took the question" in told
    assert f"{B2C_SHORTCODE}: M-PESA took the question" in told
    assert "came to /balance" in told
    assert network.books()["transactions"] == []
    assert "No change" in flask("mpesa test --proposed", code=1)


def test_a_token_that_is_kept_proves_nothing(flask, rt, renewed):
    rt.senders["oauth"]({})
    renewed()
    rt.senders["oauth"]({})  # the kept one hides that the portal has turned
    assert re.search(r"oauth +not sent", flask("mpesa test", code=1))


def test_a_wrong_proposal_fails_apart_from_the_house(flask, rt, network):
    flask("mpesa settings propose --from - --note try --as asha", given=lines(**NEW))
    for _ in range(rt.config.breaker_failures + 1):
        told = flask("mpesa test --proposed", code=1)
    assert re.search(r"oauth +not sent", told)
    assert re.search(r"balance +not tried +no token", told)
    assert not breakers.open_for(rt.redis, "oauth", now=rt.now())
    rt.redis.delete(*tokens(rt) or ["none"])
    rt.senders["oauth"]({})


def test_a_wrong_operator_is_refused_in_words(flask, rt, network):
    day = f"{rt.now().astimezone(NAIROBI):%F}"
    values = {"mpesa_initiator_password": PASSWORD, "mpesa_password_set_on": day}
    flask("mpesa settings propose --from - --note new --as asha", given=lines(**values))
    told = flask("mpesa test --proposed --wait 10", code=1)
    assert re.search(r"balance +ok ", told), "it is taken at once, and refused only then"
    assert re.search(r"balance result +refused +came to /balance: 2001", told)


def test_what_was_decided_for_another_shortcode_is_not_sent(rt, network):
    payout = {"phone": people.AMINA, "amount": 100_00, "ocid": "0c1d", "shortcode": "600111"}
    push = {"phone": people.AMINA, "amount": 100_00, "ref": "D5M6XQK", "shortcode": "600222"}
    for kind, request in (("b2c", payout), ("stk", push)):
        with pytest.raises(NotSent) as told:
            rt.senders[kind](request)
        assert told.value.code == "shortcode"
    assert network.payouts() == []
    assert network.books()["transactions"] == []


def test_values_come_by_file_prompt_or_input_and_never_as_arguments(flask, tmp_path):
    file = tmp_path / "values"
    file.write_text("# of the portal\n\n" + lines(mpesa_passkey=PASSKEY))
    told = flask(f"mpesa settings propose --from {file} --note x --as asha")
    assert "MPESA_PASSKEY" in told
    assert flask("mpesa settings refuse --as asha") == "refused\n"
    told = flask("mpesa settings propose consumer-key --note x --as asha", given=f"{KEY}\n")
    assert "MPESA_CONSUMER_KEY" in told
    flask("mpesa settings refuse --as asha")
    told = flask(f"mpesa settings propose consumer-key={KEY} --note x --as asha", code=2)
    assert "never given on the command line" in told
    told = flask("mpesa settings propose pin-pepper --note x --as asha", code=2)
    assert "consumer-key" in told
    told = flask("mpesa settings propose --from - --note x --as asha", code=2, given=f"{KEY}\n")
    assert "Line 1 is not NAME=value" in told
    flask("mpesa settings propose --note x --as asha", code=1)
    told = flask(f"mpesa settings propose --certificate {file} --note x --as asha", code=1)
    assert "not an RSA certificate" in told
    assert "Nothing is proposed." in flask("mpesa settings show")


def test_a_process_of_its_own_takes_them_and_prints_none(flask, rt, urls: Urls, renewed):
    """A worker as the Procfile starts it, in another process, sees the new settings."""
    told = flask("mpesa settings propose --from - --note renewed --as fatuma", given=lines(**NEW))
    flask(f"mpesa settings approve {seen(told)} --as asha")
    renewed()
    env = environment_for(
        urls,
        DARAJA_BASE_URL=rt.config.daraja_base_url,
        MPESA_CERTIFICATE=rt.config.mpesa_certificate,
    )
    flask_command = [sys.executable, "-m", "flask", "--app", "wsgi"]

    def run(*arguments, **changes):
        return subprocess.run(
            [*flask_command, *arguments], cwd=tree.ROOT, env={**os.environ, **env, **changes},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    tested = run("mpesa", "test")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    wrong = config_for(urls).data_keys.current + "x:" + "A" * 43 + "="
    shut = run("worker", "messages", "--burst", DATA_KEYS=wrong)
    assert shut.returncode == 1
    assert "cannot be opened: no key k1 in the ring" in shut.stderr
    for printed in (tested, shut):
        assert not [value for value in PLANTED if value in printed.stdout + printed.stderr]
