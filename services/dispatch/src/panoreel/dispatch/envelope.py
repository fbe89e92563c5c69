"""What a request's body must look like: `{"Action": …, "Data": {…}}`."""

import json
from typing import Any

from panoreel.dispatch.parameters import InvalidParam


def read_envelope(body: bytes) -> tuple[str, dict[str, Any]]:
    """The action's name and its `Data`, into which a `TaskID` beside it is copied.

    Raises:
        InvalidParam: the body is not the documented envelope.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidParam('the body must be JSON such as {"Action": "Describe", "Data": {…}}') from error
    if not isinstance(request, dict):
        raise InvalidParam("the body must be a JSON object with Action and Data")
    name, data, task_id = request.get("Action"), request.get("Data"), request.get("TaskID")
    if not isinstance(name, str) or not name:
        raise InvalidParam("Action missing")
    if not isinstance(data, dict):
        raise InvalidParam("Data missing: it must be a JSON object")
    if task_id is None:
        return name, data
    if data.get("TaskID") not in (None, task_id):
        raise InvalidParam("TaskID in Data and the one beside it differ; leave one of them out")
    return name, data | {"TaskID": task_id}
