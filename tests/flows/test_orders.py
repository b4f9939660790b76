"""Money that is missing, over HTTP in both languages: deposit and bet, claims, paying by hand."""

import pytest

from core import customers, deposits
from tests import games, people
from tests.flows import acts

WORDS = {
    "en": {
        "both": "Deposit KES 100 and bet", "yes": "1 Yes", "asked": "Your bet is placed as soon",
        "placed": "placed: KES 100", "late": "not placed", "claim": "Type the M-PESA code",
        "asking": "We are asking M-PESA", "received": "received", "hand": "2 Paybill",
        "failed": "could not reach your phone", "offer": "Send YES to 22384", "word": "YES",
        "again": "Try again",
        "with_us": "Our staff will look at",
    },
    "sw": {
        "both": "Weka KES 100 ubet", "yes": "1 Ndio", "asked": "Bet yako itawekwa pesa ikiingia",
        "placed": "imewekwa: KES 100", "late": "haijawekwa", "claim": "Andika code ya M-PESA",
        "asking": "Tunauliza M-PESA", "received": "Tumepokea", "hand": "2 Paybill",
        "failed": "Hatukupata simu yako", "offer": "Tuma NDIO kwa 22384", "word": "NDIO",
        "again": "Jaribu tena",
        "with_us": "Wahudumu wetu wataangalia",
    },
}  # fmt: skip
BOTH = pytest.mark.parametrize("lang", ["en", "sw"])


@pytest.fixture
def joined(rt, phone):
    """`joined(lang)`: a phone whose owner has signed up, and speaks that language."""

    def speaking(lang, number="+254712000001"):
        customer = people.customer(rt, number, "Amina Wanjiru")
        with rt.transaction() as tx:
            customers.set_language(tx, tx.merge(customer, load=False), lang)
        return phone(number)

    return speaking


def balance(rt, phone):
    return acts.wallets(rt, phone)[0]


@BOTH
def test_a_bet_without_money_is_paid_and_placed_in_one(rt, joined, work, lang):
    words, amina = WORDS[lang], joined(lang)
    wanjiku = people.member(rt, "wanjiku")
    derby = games.derby(rt, wanjiku)
    amina.dial().press("1", "3", str(derby.code), "1", "100").sees("CON", words["both"])
    amina.press("1").sees("CON", words["yes"]).press("1").sees("END", words["asked"])
    acts.pay(amina, work)
    amina.await_sms(words["placed"])
    assert (balance(rt, amina), amina.balance()) == (0, 4_900)

    amina.text(f"{derby.code}#2#60")
    work()
    amina.await_sms(words["offer"])
    amina.text(words["word"])
    work()
    amina.await_stk()
    games.close(rt, derby, wanjiku)  # while the prompt is on the phone
    amina.enter_mpesa_pin(acts.MPESA_PIN)
    work()
    amina.await_sms(words["late"])
    assert (balance(rt, amina), amina.balance()) == (60_00, 4_840)


@BOTH
def test_a_payment_that_got_lost_is_claimed_by_its_code(rt, network, joined, work, lang):
    words, amina, brian = WORDS[lang], joined(lang), joined("en", "+254712000002")
    wrong = amina.pay_paybill(70, account="wrong")  # which leaves nobody to credit
    work()
    network.fault("emptyBody", "pull")
    receipt = amina.pay_paybill(250, account="wrong", deliver=False)
    brian.text(f"CLAIM {receipt}")
    work()
    brian.await_sms("not paid to us from this phone")
    amina.dial().press("3", "03").sees("CON", words["claim"]).press(receipt)
    amina.sees("CON", words["asking"], receipt)
    work()
    amina.await_sms(words["received"], "KES 250", receipt)
    assert acts.wallets(rt, amina, brian) == [250_00, 0]
    amina.dial().press("3", "03", wrong).sees("CON", words["with_us"], wrong)


@BOTH
def test_a_phone_that_is_off_pays_by_hand_under_its_reference(rt, network, joined, work, lang):
    words, amina = WORDS[lang], joined(lang)
    network.fault("resultCode", "stk", phone=amina.number, code="1037")
    amina.dial().press("3", "100", "1").sees("END")
    work()
    with rt.transaction() as tx:
        ref = deposits.last(tx, customers.find(tx, amina.number).id).ref
    amina.await_sms(words["failed"], f"Paybill {rt.config.mpesa_shortcode}", ref)
    amina.dial().press("3", "01").sees("CON", words["again"], words["hand"])
    amina.press("2").sees("CON", ref)
    amina.pay_paybill(100, account=ref)
    work()
    amina.await_sms("KES 100", containing="Ref")
    assert balance(rt, amina) == 100_00
