"""The story of the house: two strangers, one game, and money that ends where it should."""

import pytest

from core import ledger
from core.ledger import AccountKind
from tests import games, people
from tests.flows import acts

FLOAT = 1_000_000  # shillings that the simulated M-PESA lends every organisation

WORDS = {
    "en": {"balance": "Balance", "placed": "placed", "won": "You won"},
    "sw": {"balance": "Salio", "placed": "imewekwa", "won": "Umeshinda"},
}


@pytest.mark.parametrize("lang", ["en", "sw"])
def test_from_dial_to_payout(rt, network, phone, work, lang):
    words = WORDS[lang]
    amina, brian = phone("+254712000001"), phone("+254712000002")
    wanjiku, kamau = (people.member(rt, name) for name in ("wanjiku", "kamau"))
    derby = games.derby(rt, wanjiku)

    acts.sign_up_by_ussd(amina, work, lang=lang)
    acts.sign_up_by_sms(brian, work)
    acts.deposit_by_ussd(amina, work, 100)
    brian.text("DEP 200")
    acts.pay(brian, work)
    assert acts.wallets(rt, amina, brian) == [100_00, 200_00]

    amina.dial().sees("CON", words["balance"], "KES 100")
    amina.press("1", "3", str(derby.code)).sees("CON", "Gor Mahia", "1 Yes")
    amina.press("1", "100").sees("CON", "KES 100")
    amina.press("1").sees(words["placed"])
    brian.text(f"{derby.code}#2#200")
    work()
    brian.await_sms(str(derby.code), "200")
    assert acts.wallets(rt, amina, brian) == [0, 0]

    games.close(rt, derby, wanjiku)
    games.decide(rt, derby, 1, proposer=wanjiku, approver=kamau)
    work()

    amina.await_sms(words["won"], "285")
    assert [amina.balance(), brian.balance()] == [5_000 - 100 + 285, 5_000 - 200]
    with rt.transaction() as tx:
        assert ledger.total(tx, AccountKind.FEES) == 15_00
        assert ledger.total(tx, AccountKind.PAYOUTS_PENDING) == 0
        ours = ledger.total(tx, AccountKind.MPESA_UTILITY)
    houses = network.books()["organisations"]
    theirs = sum(house["utility"] - FLOAT for house in houses)
    assert ours == theirs * 100 == 15_00
