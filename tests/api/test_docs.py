"""The examples of docs/api.md, run as a reader would run them: bash, openssl, curl, and a house."""

import json
import re
import subprocess
from functools import partial

import pytest

from core import adjustments, api_keys, settling
from core.money import Cents
from core.staff import Role
from tests import cashier, games, mpesa, staff_people
from tests.doors import free_port, open_house
from tests.house import tree

DOCS = (tree.ROOT / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", DOCS, re.DOTALL)
FUNCTION, EXAMPLES = BLOCKS[0], BLOCKS[1:]
ANSWERS = re.findall(r"```json\n(\d{3}) (\{.*?\})\n```", DOCS)


@pytest.fixture
def house(rt, config):
    """The house's doors, really open, and where."""
    port = free_port()
    with open_house(config, port) as served:
        yield served, f"http://127.0.0.1:{port}"


@pytest.fixture
def shell(house):
    """`shell(akinyi, example)`: status and facts of the answer to an example of theirs."""
    served, where = house

    def run(person, example, totp=""):
        with served.transaction() as tx:
            key, secret = api_keys.make(
                tx, person.staff, "docs", now=served.now(), config=served.config
            )
        told = {"HOUSE": where, "KEY": key, "SECRET": secret, "TOTP": totp}
        # The first answer is the body; what curl is asked beside it is the status.
        function = FUNCTION.replace("curl -sS", "curl -sS -w '\\n%{http_code}'")
        environ = {"PATH": "/usr/local/bin:/usr/bin:/bin"} | told
        done = subprocess.run(
            ["bash", "-euc", f"{function}\n{example}"],
            env=environ, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body)

    return run


def test_every_example_does_what_it_says(house, shell, amina, brian):
    rt, _ = house
    daraja = mpesa.Daraja(rt)
    wanjiku, kamau = (staff_people.enrolled(rt, name, Role.TRADER) for name in ("wanjiku", "kamau"))
    akinyi = staff_people.enrolled(rt, "akinyi", Role.FINANCE)
    market = games.derby(rt, wanjiku.staff)
    for outcome, customer in enumerate((amina, brian), 1):
        games.placed(rt, customer, market, outcome, 100)
    games.close(rt, market, wanjiku.staff)
    failed = [fail(rt, daraja, customer) for customer in (amina, amina, brian)]
    cashier.withdraw(rt, brian, 400)  # so that what failed cannot be paid anew
    real = {"101": str(market.code), "/12/": f"/{failed[0]}/"}

    try_out = partial(tried, shell, real)

    put = try_out(0, wanjiku, wanjiku.code())
    seen = try_out(1, kamau)
    assert (seen["hash"], seen["by"]) == (put["hash"], "wanjiku")
    try_out(2, kamau, kamau.code(), **{"9f2c...": seen["hash"]})
    with rt.transaction() as tx:
        (due,) = settling.settlement.due(tx, now=rt.now())
    settling.work(rt, due)
    assert try_out(3, akinyi)["stage"] == "settled"
    wrong = try_out(4, wanjiku, wanjiku.code())
    assert wrong["preview"]["to_reverse"] == 200_00
    try_out(7, kamau, kamau.code(), **{"/3/": f"/{wrong['proposal']}/"})
    give(rt, akinyi.staff, amina)
    otieno = staff_people.enrolled(rt, "otieno", Role.FINANCE)
    (waits,) = try_out(5, otieno)["approvals"]
    decided = {"/3/": f"/{waits['proposal']}/", "9f2c...": waits["hash"]}
    try_out(6, otieno, otieno.code(), **decided)
    assert try_out(8, akinyi, akinyi.code())["payout"] == failed[0]
    assert [one["payout"] for one in try_out(9, akinyi, akinyi.code())["tried"]] == [failed[1]]
    assert try_out(11, akinyi)["name"] == "Amina Wanjiru"
    assert len(try_out(10, akinyi)["payments"]) == 3


def tried(shell, real, number, person, totp="", **seen):
    """What an example answers, once it names what is really there: all that the docs promise."""
    example = EXAMPLES[number]
    for told, is_so in (real | seen).items():
        example = example.replace(told, is_so)
    status, facts = shell(person, example, totp)
    told, fields = ANSWERS[number]
    assert status == int(told), facts
    promised = set(re.findall(r'"(\w+)":', fields)) - names(facts)
    assert not promised, f"docs/api.md promises {promised}"
    return facts


def names(facts):
    """Every name in an answer, however deep."""
    if isinstance(facts, list):
        return set().union(*map(names, facts))
    return set(facts).union(*map(names, facts.values())) if isinstance(facts, dict) else set()


def give(rt, by, customer):
    with rt.transaction() as tx:
        adjustments.propose(
            tx, customer.phone, "credit", amount=Cents(80_00), note="an outage", by=by,
            now=rt.now(), config=rt.config,
        )  # fmt: skip


def fail(rt, daraja, customer):
    number = cashier.sent(rt, customer, 100)
    request = daraja.requests("b2c")[-1]
    mpesa.post(rt, "b2c_result", mpesa.payout_result(request, 2040))
    return number
