"""How each kind of promise is kept, and each kind of callback acted on."""

from collections.abc import Mapping

from core.inbox import Processor
from core.outbox import Errand

ERRANDS: Mapping[str, Errand] = {}

PROCESSORS: Mapping[str, Processor] = {}
