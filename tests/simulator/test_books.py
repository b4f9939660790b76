"""The books find what does not belong in them."""

from simulator.books import Books


def test_a_balance_that_is_not_its_lines_is_found() -> None:
    books = Books()
    amina = books.open_person("254712000001", pin="1234", balance=500)
    house = books.open_organisation("174379", name="HOUSE", utility=1_000)
    books.pay_in(amina, house, 200, reason="Pay Bill")
    books.pay_out(house, amina, 150, reason="Payout")
    books.note_failure(amina, house, 99, paid_in=False, reason="Payout")
    books.set_balance(amina.phone, 900)
    books.set_float(house.shortcode, 40)
    assert books.discrepancies() == []
    assert (amina.balance, house.utility, house.charges) == (900, 40, -5)

    amina.balance += 1
    house.utility -= 2
    house.charges = 0
    assert books.discrepancies() == [
        "254712000001 holds 901, its lines say 900",
        "174379 holds 38, its lines say 40",
        "174379 charges holds 0, its lines say -5",
    ]


def test_a_day_is_counted_in_each_direction() -> None:
    books = Books()
    amina = books.open_person("254712000001", pin="1234", balance=500)
    house = books.open_organisation("174379", name="HOUSE", utility=1_000)
    books.pay_in(amina, house, 200, reason="Pay Bill")
    books.pay_out(house, amina, 150, reason="Payout")
    books.note_failure(amina, house, 99, paid_in=True, reason="Pay Bill")
    assert books.moved_today(amina.phone, paid_in=True) == 200
    assert books.moved_today(amina.phone, paid_in=False) == 150
    assert books.paid_lately(amina.phone, "174379", 200)
    assert not books.paid_lately(amina.phone, "174379", 99)
