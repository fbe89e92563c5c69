"""The action API over HTTP: `POST /record` (or `/`) with `{"Action": …, "Data": {…}}`.

Application errors are HTTP 200 with `ErrorCode` and `ErrorMessage`, as clients of the API expect.
"""

import json
from typing import Any, Final
from uuid import uuid4

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect

from panoreel.contracts.commands import InvalidStatus, Rejected
from panoreel.contracts.identifiers import TaskId
from panoreel.contracts.task import MissingTask
from panoreel.contracts.upcasters import UndecodableEvent
from panoreel.dispatch.actions import Actions
from panoreel.dispatch.authentication.middleware import MAX_BODY_BYTES
from panoreel.dispatch.parameters import InvalidParam
from panoreel.dispatch.projector import Projector
from panoreel.eventlog.errors import EventLogError

_UNAVAILABLE: Final = (EventLogError, SQLAlchemyError, OSError, UndecodableEvent, MissingTask)

_logger = structlog.get_logger()


def create_api(actions: Actions, projector: Projector) -> FastAPI:
    """The HTTP application."""
    api = FastAPI(title="Panoreel", max_body_size=MAX_BODY_BYTES)

    @api.post("/")
    @api.post("/record")
    async def act(request: Request) -> JSONResponse:
        request_id = uuid4().hex
        answer = await _answer(actions, request, request_id)
        return JSONResponse(answer | {"RequestID": request_id}, headers={"X-Api-RequestId": request_id})

    @api.get("/tasks/{task_id}/events")
    async def task_events(task_id: TaskId) -> JSONResponse:
        try:
            history = await actions.history(task_id)
        except _UNAVAILABLE:
            _logger.exception("request failed", task_id=task_id)
            return JSONResponse({"message": "the events cannot be read now, try again"}, status_code=503)
        if not history:
            return JSONResponse({"message": f"no task {task_id}"}, status_code=404)
        return JSONResponse({"Events": history})

    @api.get("/healthz")
    async def health() -> JSONResponse:
        if projector.failure:
            return JSONResponse({"status": "failing", "projection": projector.failure}, status_code=503)
        return JSONResponse({"status": "ok"})

    return api


async def _answer(actions: Actions, request: Request, request_id: str) -> dict[str, Any]:
    try:
        if "Origin" in request.headers:
            # A browser says so on behalf of a page, perhaps of the one that is being recorded: no page may.
            raise InvalidParam("the API is not for web pages: leave out the Origin header")
        if hasattr(request.state, "key") and _is_form(request):
            # A signature covers a form's fields, not its bytes: JSON in it could be altered.
            raise InvalidParam("Content-Type must be application/json")
        name, data = _envelope(await request.body())
        action = actions.by_name.get(name)
        if action is None:
            known = ", ".join(actions.by_name)
            raise InvalidParam(f"unknown action {name[:64]!r}; Action must be one of {known}")
        return await action(data, request_id)
    except InvalidStatus as error:
        return _error("InvalidStatus", error)
    except (InvalidParam, Rejected) as error:
        return _error("InvalidParam", error)
    except ClientDisconnect:
        return {}  # nobody hears the answer
    except _UNAVAILABLE:
        _logger.exception("request failed", request_id=request_id)
        sentence = f"the request could not be carried out now, try again; look for {request_id} in the log"
        return _error("InternalError", sentence)


def _is_form(request: Request) -> bool:
    return request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")


def _envelope(body: bytes) -> tuple[str, dict[str, Any]]:
    """The action's name and its `Data`.

    Raises:
        InvalidParam: the body is not the documented envelope.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidParam('the body must be JSON such as {"Action": "Describe", "Data": {…}}') from error
    if not isinstance(request, dict):
        raise InvalidParam("the body must be a JSON object with Action and Data")
    name, data = request.get("Action"), request.get("Data")
    if not isinstance(name, str) or not name:
        raise InvalidParam("Action missing")
    if not isinstance(data, dict):
        raise InvalidParam("Data missing: it must be a JSON object")
    return name, data


def _error(code: str, message: object) -> dict[str, Any]:
    return {"ErrorCode": code, "ErrorMessage": str(message)}
