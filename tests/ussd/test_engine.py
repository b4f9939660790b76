"""The engine's rules, played with toy screens."""

from core.runtime import Runtime
from tests.ussd import toys
from tests.ussd.handset import Handset, transcript
from ussd.engine import Switchboard


def test_a_choice_leads_on_and_the_navigation_leads_back(handset: Handset) -> None:
    handset.dial().sees("Toy shop", "1 Buy a kite").sees_not("0 Back")
    handset.press("1").sees("Buy kite?", "0 Back 00 Home")
    handset.press("0").sees("Toy shop")
    handset.press("3", "7").sees("Buy 7?")
    handset.press("0").sees("How many?")
    handset.press("00").sees("Toy shop").sees_not("0 Back")


def test_a_wrong_choice_is_told_and_changes_nothing(handset: Handset) -> None:
    handset.dial().press("1", "7").sees("Please choose a number shown.", "Buy kite?")
    handset.press("").sees("Please choose a number shown.", "Buy kite?")
    handset.press("1").sees("Bought: kite")
    assert len(toys.acts) == 1


def test_a_digit_may_end_with_a_hash(handset: Handset) -> None:
    handset.dial().press("1#").sees("Buy kite?").press("00#", "3#", "12#").sees("Buy 12?")


def test_an_answer_nobody_can_read_is_asked_again(handset: Handset) -> None:
    handset.dial().press("3", "ten").sees("Please choose a number shown.", "How many?")
    handset.press("-4").sees("How many?").press("4").sees("Buy 4?")


def test_a_screen_that_refuses_leaves_the_caller_where_he_was(handset: Handset) -> None:
    handset.dial().press("9").sees("letters only", "Toy shop")
    handset.press("1").sees("Buy kite?").press("0").sees("Toy shop").sees_not("0 Back")


def test_a_screen_may_point_to_another(handset: Handset) -> None:
    handset.dial().press("98", "10").sees("Buy kite?").press("0").sees("Toy shop")


def test_long_lists_are_paged_and_the_digits_go_on(handset: Handset) -> None:
    handset.dial().press("6").sees("1 Number 1", "98 More").sees_not("20 Number 20")
    handset.press("98").sees("0 Back", "20 Number 20").sees_not("98 More")
    handset.press("98").sees("Please choose a number shown.", "1 Number 1")
    handset.press("98", "0").sees("1 Number 1").press("98", "20").sees("Buy n20?")


def test_a_last_word_that_is_long_is_paged_too(handset: Handset) -> None:
    handset.dial().press("7").sees("word0", "98 More")
    handset.press("3").sees("Please choose", "98 More")
    while handset.more:
        handset.press("98")
    handset.sees("word59").sees_not("98 More")


def test_a_digit_means_what_was_seen_though_the_list_has_moved(handset: Handset) -> None:
    handset.dial().press("2").sees("1 apples", "2 pears")
    toys.stock.remove("apples")
    handset.press("2").sees("Buy pears?")
    handset.press("0").sees("1 pears")


def test_a_star_may_be_part_of_an_answer(handset: Handset) -> None:
    handset.dial().press("5", "Ami*na").sees("Bought: Ami*na")


def test_the_same_hop_twice_acts_once_and_is_answered_alike(handset: Handset) -> None:
    handset.dial().press("1", "1").sees("Bought: kite")
    first = handset.screen
    assert handset.repeat().screen == first
    assert list(toys.acts.values()) == [1]


def test_a_late_copy_gets_the_reply_of_its_hop_and_disturbs_nothing(handset: Handset) -> None:
    handset.dial().press("1", "1", "1").sees("Toy shop")
    assert handset.send("").text == handset.seen[0]
    assert handset.send("1").text == handset.seen[1]
    assert handset.send("1*1").text == handset.seen[2]
    handset.press("3").sees("How many?")
    assert list(toys.acts.values()) == [1]


def test_a_text_from_nowhere_finds_its_own_way(handset: Handset) -> None:
    handset.dial().press("1").sees("Buy kite?")
    assert handset.send("3*8").text.startswith("Buy 8?")
    handset.text = "3*8"
    handset.press("0").sees("How many?")


def test_an_effect_that_refuses_may_say_why_on_a_screen_of_its_own(handset: Handset) -> None:
    handset.dial().press("8", "1").sees("still working").press("0").sees("Toy shop")
    assert list(toys.acts.values()) == [1]


def test_an_effect_that_refuses_before_it_acts_is_asked_again(handset: Handset) -> None:
    handset.dial().press("8", "2").sees("same as the old one", "Sold out?")
    handset.press("1").sees("still working")


def test_two_decisions_of_one_session_are_two(handset: Handset) -> None:
    handset.dial().press("1", "1", "1", "1", "1").sees("Bought: kite")
    assert list(toys.acts.values()) == [1, 1]


def test_a_direct_dial_walks_at_once_but_not_through_an_effect(handset: Handset) -> None:
    handset.dial("3*100").sees("Buy 100?").press("1").sees("Bought: 100")
    handset.dial("1*1").sees("Buy kite?")
    assert len(toys.acts) == 1
    handset.dial("1*1*1*1").sees("Buy kite?")
    assert len(toys.acts) == 1


def test_a_direct_dial_stops_before_a_secret(handset: Handset) -> None:
    handset.dial(f"4*{toys.SECRET}*1").sees("Secret?")
    assert not toys.tries


def test_a_direct_dial_stops_at_a_list_nobody_has_seen(handset: Handset) -> None:
    handset.dial("2*1*1").sees("1 apples")


def test_a_direct_dial_stops_where_a_star_may_have_been_typed(handset: Handset) -> None:
    handset.dial("5*Ami*na").sees("Name?")
    handset.dial("5*Amina").sees("Name?")  # to take the name is an effect
    assert not toys.acts


def test_a_caller_who_goes_round_in_circles_keeps_his_way_home(handset: Handset) -> None:
    handset.dial()
    for _ in range(40):
        handset.press("1", "9").press("0")
    handset.sees("Toy shop")
    handset.press("6", *["1", "0"] * 40, "00").sees("Toy shop").sees_not("0 Back")


def test_another_phone_or_another_code_ends_the_session(
    handset: Handset, board: Switchboard, rt: Runtime
) -> None:
    handset.dial().press("1")
    stolen = handset.send("1*1", phone="+254712000008")
    assert not stolen.more
    assert "ended" in stolen.text
    assert not handset.send("1*1").more
    handset.dial().press("1")
    assert not handset.send("1*1", code="*999#").more
    assert not toys.acts
    notes = [hop["note"] for hop in transcript(rt) if hop["note"]]
    assert notes == ["phone changed", "code changed"]
