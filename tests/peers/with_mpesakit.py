"""mpesakit, asked one call a line of JSON, answering one line each; run by peers.py."""

import json
import sys
from typing import Any

from mpesakit.b2c import B2CCommandIDType
from mpesakit.errors import MpesaApiException
from mpesakit.mpesa_client import MpesaClient


class Calls:
    """The library as its users call it. Only its address is not its own."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.client = MpesaClient(told["consumer_key"], told["consumer_secret"])
        self.client.http_client.base_url = told["base_url"]

    def oauth(self) -> Any:
        return {"token": self.client.token_manager.get_token()}

    def stk(self, phone: str, amount: int, reference: str) -> Any:
        return self.client.stk_push(
            business_short_code=int(self.told["shortcode"]), passkey=self.told["passkey"],
            transaction_type="CustomerPayBillOnline", amount=amount, party_a=phone,
            party_b=self.told["shortcode"], phone_number=phone, account_reference=reference,
            callback_url=f"{self.told['callbacks']}/stk", transaction_desc="Deposit",
        )  # fmt: skip

    def query(self, checkout_id: str) -> Any:
        return self.client.stk_query(
            business_short_code=int(self.told["shortcode"]), passkey=self.told["passkey"],
            checkout_request_id=checkout_id,
        )  # fmt: skip

    def b2c(self, phone: str, amount: int, ocid: str) -> Any:
        return self.client.b2c.send_payment(
            originator_conversation_id=ocid, initiator_name=self.told["initiator"],
            security_credential=self.told["credential"],
            command_id=B2CCommandIDType.BusinessPayment, amount=amount,
            party_a=self.told["b2c_shortcode"], party_b=phone, remarks="Winnings",
            **self._doors("b2c"),
        )  # fmt: skip

    def status(self, receipt: str) -> Any:
        return self.client.transactions.query_status(
            initiator=self.told["initiator"], security_credential=self.told["credential"],
            transaction_id=receipt, party_a=int(self.told["shortcode"]), identifier_type=4,
            **self._doors("status"),
        )  # fmt: skip

    def balance(self) -> Any:
        return self.client.balance.query(
            initiator=self.told["initiator"], security_credential=self.told["credential"],
            command_id="AccountBalance", party_a=int(self.told["shortcode"]), identifier_type=4,
            remarks="Morning", **self._doors("balance"),
        )  # fmt: skip

    def register(self) -> Any:
        return self.client.c2b.register_url(
            short_code=int(self.told["shortcode"]), response_type="Completed",
            confirmation_url=f"{self.told['callbacks']}/paid",
            validation_url=f"{self.told['callbacks']}/may",
        )  # fmt: skip

    def parse(self, payload: dict[str, Any]) -> Any:
        """The library's own reading of an STK callback."""
        return self.client.process_stk_callback(payload)

    def _doors(self, kind: str) -> dict[str, str]:
        return {
            "result_url": f"{self.told['callbacks']}/{kind}/result",
            "queue_timeout_url": f"{self.told['callbacks']}/{kind}/timeout",
        }


def main() -> None:
    """The first line says where and as whom."""
    calls = Calls(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = getattr(calls, asked.pop("call"))(**asked)
            told = answer if isinstance(answer, dict) else answer.model_dump(mode="json")
        except MpesaApiException as error:
            told = {"refused": str(error.error.error_message), "status": error.error.status_code}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
