"""The grammar, by tables: what bettors in Kenya type, and what it means."""

import pytest

from core.money import Cents
from sms import meanings as m
from sms.grammar import parse
from sms.meanings import Bets, Slip

ARABIC = {ord(str(digit)): chr(0x660 + digit) for digit in range(10)}  # as some phones type them


def slip(code: int, pick: str, kes: int) -> Slip:
    return Slip(code, pick, Cents(kes * 100))


def deposit(kes: int) -> m.Deposit:
    return m.Deposit(Cents(kes * 100))


def withdraw(kes: int, pin: str | None) -> m.Withdraw:
    return m.Withdraw(Cents(kes * 100), pin)


HOME_50 = Bets((slip(101, "1", 50),))
TWO = Bets((slip(101, "1", 50), slip(102, "X", 20)))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("101#1#50", HOME_50),
        ("101 1 50", HOME_50),
        ("101,1,50", HOME_50),
        ("101\n1\n50", HOME_50),
        ("101#1*50", HOME_50),
        ("101 1*50", HOME_50),
        ("101 1 * 50", HOME_50),
        ("BET 101 1 50", HOME_50),
        ("bet101 1 50", HOME_50),
        ("Bet 101#1*50", HOME_50),
        ("BETI 101 1 50", HOME_50),
        ("  101 # 1 # 50.  ", HOME_50),
        ("101#1#KES 50", HOME_50),
        ("101#1#50/-", HOME_50),
        ("101#1#ksh50", HOME_50),
        ("101#1#50".translate(ARABIC), HOME_50),
        ("101#X#50", Bets((slip(101, "X", 50),))),
        ("101#x#50", Bets((slip(101, "X", 50),))),
        ("6425#0*70", Bets((slip(6425, "X", 70),))),
        ("101#YES#50", Bets((slip(101, "YES", 50),))),
        ("101 ndio 50", Bets((slip(101, "NDIO", 50),))),
        ("101 HAPANA*50", Bets((slip(101, "HAPANA", 50),))),
        ("101#Gor Mahia#50", Bets((slip(101, "GOR MAHIA", 50),))),
        ("BET 101 GOR MAHIA 50", Bets((slip(101, "GOR MAHIA", 50),))),
        ("101#8#50", Bets((slip(101, "8", 50),))),
        ("101#1#1,000", Bets((slip(101, "1", 1000),))),
        ("101#1#50#4821", Bets((slip(101, "1", 50),), pin="4821")),
        ("101 1 50 4821", Bets((slip(101, "1", 50),), pin="4821")),
        ("101 1*50 4821", Bets((slip(101, "1", 50),), pin="4821")),
        ("101#1#50 AGAIN", Bets((slip(101, "1", 50),), again=True)),
        ("101#1#50 tena", Bets((slip(101, "1", 50),), again=True)),
        ("101#1#50 4821 AGAIN", Bets((slip(101, "1", 50),), pin="4821", again=True)),
        ("101#1#50 AGAIN 4821", Bets((slip(101, "1", 50),), pin="4821", again=True)),
        ("101#1#50 102#X#20", TWO),
        ("101#1#50\n102#X#20", TWO),
        ("101#1#50, 102#X#20", TWO),
        ("101#1#50,102#X#20", TWO),
        ("101#1#50#102#X#20", TWO),
        ("101 1*50 102 0*20", TWO),
        ("BET 101 1 50\nBET 102 X 20", TWO),
        ("101#1#50 102#X#20 4821", Bets(TWO.slips, pin="4821")),
        ("101#GOR MAHIA#50 102#X#20", Bets((slip(101, "GOR MAHIA", 50), TWO.slips[1]))),
    ],
)
def test_every_dialect_of_a_bet(text: str, meaning: m.Meaning) -> None:
    assert parse(text).meaning == meaning


@pytest.mark.parametrize(
    ("text", "pairs", "stake"),
    [
        ("1234#1#2234#2#100", ((1234, "1"), (2234, "2")), 100_00),
        ("1234#1#2234#2#3234#X#100", ((1234, "1"), (2234, "2"), (3234, "X")), 100_00),
        ("1234#1#2234#2#3234#1#1000", ((1234, "1"), (2234, "2"), (3234, "1")), 1_000_00),
        ("6425#1+2600#2+1850#0*70", ((6425, "1"), (2600, "2"), (1850, "X")), 70_00),
        ("Bet 30250#X+30255#X*1000", ((30250, "X"), (30255, "X")), 1_000_00),
        ("102#1+101#0*1000", ((102, "1"), (101, "X")), 1_000_00),
    ],
)
def test_a_combined_bet_is_known_for_one_and_is_never_placed(text, pairs, stake) -> None:
    assert parse(text).meaning == m.Combined(pairs, stake)


@pytest.mark.parametrize(
    "text", ["101#1#102#2#4826", "101 1 102 2 4826", "101#1#102#2 4826", "BET 101#1#102#2#4826"]
)
def test_a_pin_behind_bets_without_stakes_is_never_read_as_a_stake(text) -> None:
    read = parse(text)
    assert read.meaning == m.StakeOrPin(((101, "1"), (102, "2")))
    assert "4826" not in read.masked
    assert "101" in read.masked


@pytest.mark.parametrize("text", ["YES 4826", "NDIO 4826", "CLAIM 4826", "CLAIM QWE4826"])
def test_a_pin_where_none_belongs_is_not_kept(text) -> None:
    assert "4826" not in parse(text).masked


def test_the_code_of_a_claim_is_kept_whole() -> None:
    assert parse("CLAIM QWE4826RTY").masked == "CLAIM QWE4826RTY"


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("101#1", ((101, "1"),)),
        ("BET 101 X", ((101, "X"),)),
        ("101 GOR MAHIA", ((101, "GOR MAHIA"),)),
        ("101#1#102#2", ((101, "1"), (102, "2"))),
        ("101#1#102#2#103#X", ((101, "1"), (102, "2"), (103, "X"))),
    ],
)
def test_a_bet_without_a_stake_is_asked_for_one(text, pairs) -> None:
    assert parse(text).meaning == m.StakeMissing(pairs)


@pytest.mark.parametrize(
    "text",
    [
        "101#1#abc",
        "101#YES#abc",
        "101#1#-50",
        "101#1#0",
        "101#1#1000000000000000000",
        "101#1#50.50",
        "101#1#5O",
        "101#1#50 102#X#abc",
        "DEP abc",
        "DEP 0",
        "DEP -5",
        "DEP 1000000000000000000",
        "W abc 1234",
        "DEP 10.5",
        "DEP 😀",
    ],
)
def test_an_amount_that_cannot_be_read_is_never_guessed(text: str) -> None:
    assert parse(text).meaning == m.AmountUnreadable()


@pytest.mark.parametrize(
    "text",
    [
        "BET",
        "BETI",
        "101#0#50",  # nought is a draw only before a star
        "101#9#50",
        "101#12#50",
        "1#1#50",
        "101#1#50 102",
        "101#1#50 4821 99",
        "12345678#1#50",
        "101##",
        "1 2 3 4",
    ],
)
def test_what_is_nearly_a_bet_gets_told_how_bets_go(text: str) -> None:
    assert parse(text).meaning in (m.Usage("bet"), m.Odds(101))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("JOIN Amina Wanjiku", m.Join("Amina Wanjiku")),
        ("jiunge  Amina   Wanjiku ", m.Join("Amina Wanjiku")),
        ("JOIN", m.Join("")),
        ("join: Amina Wa-Njiku", m.Join("Amina Wa-Njiku")),
        ("JOIN Amina*Wanjiku", m.Join("Amina*Wanjiku")),
        ("ACCEPT 25121990", m.Accept("25121990")),
        ("KUBALI 25/12/1990", m.Accept("25121990")),
        ("accept 25 12 1990", m.Accept("25121990")),
        ("ACCEPT", m.Usage("accept")),
        ("VERIFY 123456", m.Verify("123456")),
        ("THIBITISHA 123 456", m.Verify("123456")),
        ("123456", m.Verify("123456")),
        ("VERIFY", m.Usage("verify")),
        ("VERIFY 12345", m.Usage("verify")),
        ("BAL", m.Balance()),
        ("balance", m.Balance()),
        ("Salio.", m.Balance()),
        ("BAL please", m.Balance()),
        ("DEP 100", deposit(100)),
        ("D#100", deposit(100)),
        ("D100", deposit(100)),
        ("DEPOSIT#100", deposit(100)),
        ("WEKA 100", deposit(100)),
        ("DEP 1,000", deposit(1000)),
        ("DEP KES 100", deposit(100)),
        ("DEP", m.Usage("deposit")),
        ("DEP 100 200", m.Usage("deposit")),
        ("W#500#1234", withdraw(500, "1234")),
        ("W 500 1234", withdraw(500, "1234")),
        ("WITHDRAW 500 1234", withdraw(500, "1234")),
        ("TOA 500 1234", withdraw(500, "1234")),
        ("W 1,000 1234", withdraw(1000, "1234")),
        ("W 500", withdraw(500, None)),
        ("W 500 12345", m.Usage("withdraw")),
        ("W 500 123", m.Usage("withdraw")),
        ("GAMES", m.Games(None)),
        ("MECHI football", m.Games("FOOTBALL")),
        ("michezo hali ya hewa", m.Games("HALI YA HEWA")),
        ("GAMES TOP", m.Games(None, biggest=True)),
        ("MECHI KUBWA soka", m.Games("SOKA", biggest=True)),
        ("ODDS 101", m.Odds(101)),
        ("BEI 101", m.Odds(101)),
        ("101", m.Odds(101)),
        ("ODDS", m.Usage("odds")),
        ("BETS", m.MyBets()),
        ("BETI ZANGU", m.MyBets()),
        ("RESULT 101", m.Result(101)),
        ("MATOKEO 101", m.Result(101)),
        ("RESULT", m.Usage("result")),
        ("STATUS", m.Status(None)),
        ("HALI ab12", m.Status("AB12")),
        ("PIN 1234 5678", m.Pin("1234", "5678")),
        ("PIN 1234", m.Usage("pin")),
        ("RESET", m.Reset()),
        ("reset 123456 5937 Amina Wanjiku", m.Reset("123456", "5937", "AMINA WANJIKU")),
        ("RESET 123456 5937", m.Usage("reset")),
        ("RESET 123456", m.Usage("reset")),
        ("LANG SW", m.Language("sw")),
        ("LUGHA kiingereza", m.Language("en")),
        ("LANG FR", m.Usage("lang")),
        ("AUTO ON 1234", m.AutoCashout(True, "1234")),
        ("AUTO OFF", m.AutoCashout(False, None)),
        ("AUTO", m.Usage("auto")),
        ("STOP", m.Stop()),
        ("TOKA", m.Stop()),
        ("ONDOKA", m.Stop()),
        ("stop it please", m.Stop()),
        ("START", m.Start()),
        ("CANCEL 9002711", m.Cancel()),
        ("FUTA", m.Cancel()),
        ("YES", m.Yes()),
        ("ndio.", m.Yes()),
        ("Ndiyo", m.Yes()),
        ("PAYBILL", m.Paybill()),
        ("LIPA", m.Paybill()),
        ("CLAIM QWE12RTY34", m.Claim("QWE12RTY34")),
        ("claim qwe12 rty34", m.Claim("QWE12RTY34")),
        ("STATUS W", m.Status(None, payout=True)),
        ("HALI TOA", m.Status(None, payout=True)),
        ("STATUS DABC234", m.Status("DABC234")),
        ("YES 4826", m.Usage("yes")),
        ("CLAIM", m.Usage("claim")),
        ("CLAIM 4826", m.Usage("claim")),
        ("CLAIM QWE12RTY345", m.Usage("claim")),
        ("HELP", m.Help(None)),
        ("MSAADA", m.Help(None)),
        ("HELP DEP", m.Help("deposit")),
        ("MSAADA weka", m.Help("deposit")),
        ("HELP TIPS", m.Help(None)),
    ],
)
def test_every_keyword_in_both_languages(text: str, meaning: m.Meaning) -> None:
    assert parse(text).meaning == meaning


@pytest.mark.parametrize(
    "text",
    [
        "TIPS", "VIDOKEZO T12", "BUY T123", "BUY T123 WALLET 1234", "NUNUA T1", "SELL x",
        "NEWS OFF", "SMSPIN ON", "COMPLAIN late", "LALAMIKO", "LIMIT DAY 500",
        "BREAK 7", "PUMZIKA", "EXCLUDE 6 1234", "JIZUIE",
    ],
)  # fmt: skip
def test_words_of_what_is_not_open_yet_get_help_and_do_nothing(text: str) -> None:
    assert parse(text).meaning == m.Help(None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SALO", ("SALIO",)),
        ("BALNCE", ("BALANCE",)),
        ("BALANEC", ("BALANCE",)),
        ("WITH 500 1234", ("WITHDRAW",)),
        ("WITHDRAE 500 1234", ("WITHDRAW",)),
        ("DEPOST 100", ("DEPOSIT",)),
        ("BTE 101 X 50", ("BET",)),
        ("MECH", ("MECHI",)),
        ("TOKA 500 1234", ("TOA", "STOP")),
    ],
)
def test_a_near_miss_is_asked_about_and_never_acts(text: str, words: tuple[str, ...]) -> None:
    assert parse(text).meaning == m.DidYouMean(words)


@pytest.mark.parametrize(
    "text", ["", "   ", "😀", "hello", "#", "*", ",,,", "KES", "x", "ST", "\x00"]
)
def test_what_means_nothing_is_said_to_mean_nothing(text: str) -> None:
    assert parse(text).meaning == m.NotUnderstood()


@pytest.mark.parametrize(
    ("text", "lang"),
    [("JIUNGE Amina", "sw"), ("JOIN Amina", None), ("MECHI", "sw"), ("101#1#50", None)],
)
def test_a_kiswahili_keyword_tells_the_language_of_a_stranger(text: str, lang: str | None) -> None:
    assert parse(text).lang == lang


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("W#500#1234", "W#500#****"),
        ("W 1500 1234", "W 1500 ****"),
        ("W#1234", "W#****"),  # an amount, but perhaps the PIN of who forgot the amount
        ("W 500", "W 500"),
        ("101#1#50#4821", "101#1#50#****"),
        ("1234#1#5000#4821", "1234#1#5000#****"),
        ("101#1#4821#4821", "101#1#4821#****"),
        ("PIN 4821 5937", "PIN **** ****"),
        ("PIN 48 21", "PIN ** **"),
        ("RESET 123456 5937 Amina Wanjiku", "RESET ****** **** Amina Wanjiku"),
        ("VERIFY 123456", "VERIFY ******"),
        ("123456", "******"),
        ("4821", "****"),
        ("ACCEPT 25/12/1990", "ACCEPT **/**/****"),
        ("AUTO OFF 4821", "AUTO OFF ****"),
        ("WITHDRAE 500 4821", "WITHDRAE *** ****"),
        ("W 500 48211", "W *** *****"),
        ("my pin is 4821", "my pin is ****"),
        ("my pin is 4 8 2 1", "my pin is * * * *"),
        ("EXCLUDE 6 4821", "EXCLUDE 6 ****"),
        ("BUY T123 WALLET 4821", "BUY T123 WALLET ****"),
        ("JOIN Amina Wanjiku 4821", "JOIN Amina Wanjiku ****"),
        ("1234".translate(ARABIC), "****"),
        ("STATUS 4821", "STATUS ****"),
        ("DEP 1000", "DEP 1000"),
    ],
)
def test_what_is_kept_of_a_text_shows_no_pin_and_no_code(text: str, kept: str) -> None:
    assert parse(text).masked == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [("W 4821 1234", "W **** ****"), ("101#1#4821#1234", "101#1#****#****")],
)
def test_after_a_wrong_pin_amounts_are_hidden_too(text: str, kept: str) -> None:
    """The two may have been typed in each other's place."""
    assert parse(text).all_masked == kept
