"""Daraja's refusals: its own envelope, the gateway's, and the codes with many meanings."""

from simulator import ids
from simulator.answers import Answer


class Refused(Exception):
    """Daraja's error envelope."""

    def __init__(self, status: int, code: str, message: str, request_id: str = "") -> None:
        super().__init__(f"{code} {message}")
        self.answer = Answer(
            status,
            {
                "requestId": request_id or ids.error_request(),
                "errorCode": code,
                "errorMessage": message,
            },
        )


SPIKE_ARREST = Answer(
    429,
    {
        "fault": {
            "faultstring": "Spike arrest violation. Allowed rate : MessageRate"
            "{messagesPerPeriod=5, periodInMicroseconds=60000000, maxBurstMessageCount=1.0}",
            "detail": {"errorcode": "policies.ratelimit.SpikeArrestViolation"},
        }
    },
)

# The refusals a `rejectsSync` fault can name. One code has many meanings: match the message too.
ERRORS: dict[str, tuple[int, str, str]] = {
    "invalidField": (400, "400.002.02", "Bad Request - Invalid Amount"),
    "merchantMissing": (500, "500.001.1001", "Merchant does not exist"),
    "wrongCredentials": (500, "500.001.1001", "Wrong credentials"),
    "lockSubscriber": (
        500,
        "500.001.1001",
        "Unable to lock subscriber, a transaction is already in process for the current subscriber",
    ),
    "beingProcessed": (500, "500.001.1001", "The transaction is being processed"),
    "duplicate": (500, "500.002.1001", "Duplicate OriginatorConversationID."),
    "systemInternal": (500, "500.002.1001", "System internal error."),
    "maintenance": (500, "500.002.1001", "Service is currently under maintenance"),
    "systemBusy": (500, "500.003.02", "System is busy. Please try again in few minutes."),
    "spikeArrest": (500, "500.003.02", "Error Occurred: Spike Arrest Violation"),
    "quota": (500, "500.003.03", "Quota Violation"),
    "internal": (500, "500.003.1001", "Internal Server Error"),
    "refusesV3": (403, "403.002.1001", "Forbidden"),
    "noProduct": (
        401,
        "401.002.01",
        "Error Occurred - Invalid API call as no apiproduct match found",
    ),
    "notFound": (404, "404.001.01", "Resource not found"),
}

# A dead token looks different on every product.
INVALID_TOKEN: dict[str, tuple[int, str, str]] = {
    "stk": (404, "404.001.03", "Invalid Access Token"),
    "stk_query": (404, "404.001.03", "Invalid Access Token"),
    "b2c": (401, "401.002.01", "Error Occurred - Invalid Access Token"),
    "status": (400, "400.003.01", "Invalid Access Token"),
    "c2b_register": (400, "400.003.01", "Invalid Access Token"),
    "balance": (401, "401.002.01", "Error Occurred - Invalid Access Token"),
    "reversal": (404, "404.001.03", "Invalid Access Token"),
    "pull": (401, "401.001", "Invalid Access Token"),
}


def invalid_token(product: str, token: str) -> Refused:
    status, code, message = INVALID_TOKEN[product]
    named = code == "401.002.01"  # these tell the dead token back
    return Refused(status, code, f"{message} - {token}" if named else message)


def named_error(name: str) -> Refused:
    return Refused(*ERRORS[name])


def invalid(field: str) -> Refused:
    return Refused(400, "400.002.02", f"Bad Request - Invalid {field}")
