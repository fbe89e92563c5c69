"""The answer to a request that reaches no action: HTTP status, and `{"message": …}`."""

import json
from collections.abc import Mapping
from uuid import uuid4

import structlog
from starlette.responses import Response

_logger = structlog.get_logger()


def refusal(status: int, message: str, headers: Mapping[str, str] = {}) -> Response:
    """The answer, which is logged too; its `X-Api-RequestId` finds it there."""
    request_id = uuid4().hex
    _logger.info("request refused", request_id=request_id, status=status, reason=message)
    content = json.dumps({"message": message}, separators=(",", ":")) + "\n"
    return Response(content, status, {"X-Api-RequestId": request_id, **headers}, "application/json")
