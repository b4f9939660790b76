"""Looking a customer up over the API: masked, and never without a line of the audit."""

from core import audit
from tests.api.programs import refused


def test_a_customer_is_found_by_every_form_of_their_number(rt, amina, ann):
    for number in ("0712000001", "254712000001", "+254712000001", "712000001"):
        told = ann.get(f"/customers/{number}").get_json()
        assert (told["customer"], told["name"]) == (amina.id, "Amina Wanjiru")
        assert (told["phone"], told["balance"], told["owed"]) == ("2547*****001", 1_000_00, 0)
        assert told["standing"] == "active"


def test_that_somebody_looked_is_kept_found_or_not(rt, amina, ann):
    ann.get("/customers/0712000001")
    refused(ann.get("/customers/0712000077"), 404, "http.no_customer")
    refused(ann.get("/customers/712000099"), 404, "http.no_customer")
    refused(ann.get("/customers/amina"), 404, "http.not_found")

    with rt.transaction() as tx:
        lines = list(reversed(audit.lines(tx, action="read customer")))
        assert audit.verify(tx).ok
    assert [(line.subject, line.facts["customer"]) for line in lines] == [
        ("phone:2547*****001", amina.id),
        ("phone:2547*****077", None),
        ("phone:2547*****099", None),
    ]
    assert {(line.staff_id, line.channel) for line in lines} == {(ann.member.id, "api")}
    assert not [line for line in lines if "712000" in line.body]
