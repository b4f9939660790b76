"""Calls that were lost, dropped or answered twice: nothing is done again, nothing is guessed."""

import json

import pytest
from sqlalchemy import func, select

from core.effects import Effect
from core.runtime import Runtime
from tests.ussd import toys
from tests.ussd.handset import Handset
from ussd.engine import Switchboard


@pytest.fixture
def rt_redis(rt: Runtime):
    """The Redis of the house."""
    return rt.redis


def evict(rt: Runtime) -> None:
    """Redis forgets everything."""
    rt.redis.flushdb()


def effects_kept(rt: Runtime) -> int:
    with rt.transaction() as tx:
        return tx.scalar(select(func.count()).select_from(Effect)) or 0


def test_a_lost_call_is_found_again_by_its_text(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("3", "0", "3", "12").sees("Buy 12?")
    evict(rt)
    assert handset.repeat().screen.startswith("Buy 12?")
    evict(rt)
    handset.press("0").sees("How many?")


def test_a_rebuilt_call_stops_at_what_was_refused(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("3", "x", "12").sees("Buy 12?")
    evict(rt)
    handset.repeat().sees("How many?", "choose a number")


def test_an_effect_never_runs_on_a_rebuilt_hop(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("1")
    evict(rt)
    handset.press("1").sees("Buy kite?")
    assert not toys.acts
    handset.press("1").sees("Bought: kite")
    assert list(toys.acts.values()) == [1]


def test_an_effect_that_was_done_is_shown_again_and_not_done_again(
    handset: Handset, rt: Runtime
) -> None:
    handset.dial().press("1", "1").sees("Bought: kite")
    bought = handset.screen
    evict(rt)
    assert handset.repeat().screen == bought
    evict(rt)
    handset.press("0").sees("Toy shop")
    evict(rt)
    handset.press("1").sees("Buy kite?")
    assert list(toys.acts.values()) == [1]


def test_a_choice_typed_with_a_hash_is_found_again_too(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("1", "1# ").sees("Bought: kite")
    evict(rt)
    handset.repeat().sees("Bought: kite")
    assert list(toys.acts.values()) == [1]


def test_an_answer_that_was_taken_is_found_again_with_its_star(
    handset: Handset, rt: Runtime
) -> None:
    handset.dial().press("5", "Ami*na").sees("Bought: Ami*na")
    evict(rt)
    handset.repeat().sees("Bought: Ami*na")
    evict(rt)
    handset.press("1").sees("Toy shop")
    assert list(toys.acts.values()) == [1]


def test_a_refusal_that_was_kept_is_shown_again(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("8", "1").sees("still working")
    evict(rt)
    handset.repeat().sees("still working")
    assert list(toys.acts.values()) == [1]


def test_a_rebuilt_call_stops_before_the_secret(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("4", "1111").sees("Wrong PIN", "Secret?")
    evict(rt)
    handset.press("1").sees("Secret?")
    assert sum(toys.tries.values()) == 1
    evict(rt)
    handset.press(toys.SECRET).sees("Secret?")
    assert sum(toys.tries.values()) == 1
    handset.press(toys.SECRET).sees("Inside")


def test_a_rebuilt_call_stops_at_a_list_that_may_have_moved(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("2", "1").sees("Buy apples?")
    toys.stock.remove("apples")
    evict(rt)
    handset.press("1").sees("Fruit", "1 pears")
    assert not toys.acts


def test_a_reply_that_was_never_kept_is_given_again(
    handset: Handset, rt: Runtime, rt_redis
) -> None:
    """The process died after the commit and before Redis heard of it."""
    handset.dial().press("1")
    key = f"ussd:call:{handset.session}"
    before = rt_redis.get(key)
    handset.press("1").sees("Bought: kite")
    rt_redis.set(key, before)
    handset.repeat().sees("Bought: kite")
    assert list(toys.acts.values()) == [1]
    assert effects_kept(rt) == 1


def test_what_fails_leaves_the_call_as_it_was(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("1")
    toys.broken.append(RuntimeError("the till is stuck"))
    with pytest.raises(RuntimeError):
        handset.send("1*1")
    assert effects_kept(rt) == 0
    handset.press("1").sees("Bought: kite")
    assert effects_kept(rt) == 1


def test_a_hold_of_the_dead_is_taken_over(handset: Handset, rt: Runtime, rt_redis) -> None:
    """A process was killed at work: its hold dies, and the waiting copy does the work."""
    handset.dial().press("1")
    rt_redis.set(f"ussd:hold:{handset.session}", "the dead", px=150)
    handset.press("1").sees("Bought: kite")


def test_a_hop_that_waits_in_vain_ends_politely(handset: Handset, rt: Runtime, rt_redis) -> None:
    handset.dial()
    handset.board.sessions.hold = 0.05
    rt_redis.set(f"ussd:hold:{handset.session}", "somebody slow", px=60_000)
    handset.press("1").ended().sees("still working")
    rt_redis.delete(f"ussd:hold:{handset.session}")
    assert handset.send("1").text.startswith("Buy kite?")


def test_a_hold_that_was_lost_keeps_the_winners_reply(
    handset: Handset, rt: Runtime, rt_redis
) -> None:
    """Slower than its hold lives: a copy of the hop was answered, and that answer stands."""
    handset.dial().press("1")
    board, hop_text = handset.board, "1*1"
    held = board.sessions.take(handset.hop(hop_text))
    assert held is not None
    rt_redis.delete(f"ussd:hold:{handset.session}")
    winner = handset.send(hop_text)
    assert board._attend(held, handset.hop(hop_text)) == winner
    assert effects_kept(rt) == 1


def test_a_redial_after_a_drop_may_go_on(handset: Handset, rt: Runtime) -> None:
    handset.dial().press("3", "12").sees("Buy 12?")
    handset.dial().sees("cut off", "1 Continue", "2 Start again").press("1").sees("Buy 12?")
    handset.press("0").sees("How many?").press("0").sees("Toy shop")
    handset.press("3", "5").dial().press("2").sees("Toy shop").sees_not("0 Back")


def test_no_offer_from_home_nor_after_three_minutes_nor_to_another(
    handset: Handset, rt: Runtime, wait, board: Switchboard
) -> None:
    handset.dial().dial().sees("Toy shop")
    handset.press("1")
    wait(minutes=3, seconds=1)
    handset.dial().sees("Toy shop")
    handset.press("1")
    Handset(board, phone="+254712000008").dial().sees("Toy shop")
    handset.dial().sees("cut off")


def test_dropped_once_more_at_the_offer_the_offer_is_the_same(handset: Handset) -> None:
    handset.dial().press("3", "12")
    handset.dial().sees("cut off")
    handset.dial().sees("cut off").press("1").sees("Buy 12?").press("0").sees("How many?")


def test_a_direct_dial_is_not_held_up_by_an_offer(handset: Handset) -> None:
    handset.dial().press("1")
    handset.dial("3*4").sees("Buy 4?")


def test_a_redial_shows_what_was_done_and_does_not_offer_it_again(
    handset: Handset, rt: Runtime, rt_redis
) -> None:
    """The purchase was committed, but the call does not know: the process died in between."""
    handset.dial().press("1")
    key = f"ussd:call:{handset.session}"
    before = rt_redis.get(key)
    handset.press("1").sees("Bought: kite")
    rt_redis.set(key, before)
    handset.dial().sees("cut off").press("1").sees("Bought: kite").press("0").sees("Toy shop")
    assert list(toys.acts.values()) == [1]


def test_a_redial_never_goes_past_a_secret(handset: Handset, rt: Runtime, rt_redis) -> None:
    handset.dial().press("4", toys.SECRET).sees("Inside")
    handset.dial().press("1").sees("Secret?")
    handset.press(toys.SECRET).sees("Inside")
    key = f"ussd:call:{handset.session}"
    before = rt_redis.get(key)
    handset.press("1").sees("Bought: gold")
    rt_redis.set(key, before)
    handset.dial().press("1").sees("Bought: gold")
    assert list(toys.acts.values()) == [1]


def test_a_secret_given_and_left_is_asked_again_only_behind_it(handset: Handset) -> None:
    handset.dial().press("4", toys.SECRET, "0", "0", "3", "9").sees("Buy 9?")
    handset.dial().press("1").sees("Buy 9?")


def test_the_call_that_was_left_is_over(handset: Handset, board: Switchboard) -> None:
    handset.dial().press("1")
    old, text = handset.session, handset.text
    handset.dial().press("1").sees("Buy kite?")
    late = handset.send("1*1", session=old)
    assert not late.more
    assert "ended" in late.text
    assert handset.send(text, session=old).text.startswith("Buy kite?")  # a late copy, no more
    assert not toys.acts


def test_a_doubled_start_does_not_end_the_call_that_is_on(handset: Handset) -> None:
    """Some networks send a second session start for one dial, under another number."""
    handset.dial().press("1")
    assert "cut off" in handset.send("", session="ATUid_doubled").text
    handset.press("1").sees("Bought: kite")
    late = handset.send("1", session="ATUid_doubled")
    assert late.text.startswith("Bought: kite")
    assert list(toys.acts.values()) == [1]


def test_a_call_that_ended_meanwhile_leads_to_the_entry(handset: Handset) -> None:
    handset.dial().press("3", "5")
    handset.send("", session="ATUid_other")
    handset.press("00").sees("Toy shop")
    assert handset.send("1", session="ATUid_other").text.startswith("Toy shop")


def test_a_call_of_another_version_is_as_good_as_lost(
    handset: Handset, rt: Runtime, rt_redis
) -> None:
    handset.dial().press("3", "12")
    key = f"ussd:call:{handset.session}"
    state = json.loads(rt_redis.get(key))
    state["stack"][-1][0] = "ussd.screens.gone.gone"
    rt_redis.set(key, json.dumps(state))
    handset.press("0").sees("How many?")
    rt_redis.set(key, json.dumps({**state, "colour": "green"}))
    handset.press("0").sees("Toy shop")
