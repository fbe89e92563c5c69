"""The action API over HTTP: `POST /record` (or `/`) with `{"Action": …, "Data": {…}}`.

Application errors are HTTP 200 with `ErrorCode` and `ErrorMessage`, as clients of the API expect.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final
from uuid import uuid4

import structlog
from fastapi import Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from panoreel.contracts.commands import InvalidStatus, PastStop, Rejected
from panoreel.contracts.task import MissingTask
from panoreel.contracts.upcasters import UndecodableEvent
from panoreel.dispatch.actions.calls import Action, Call, Caller
from panoreel.dispatch.actions.reading import Reading
from panoreel.dispatch.answers import Answer, Live, Ready, Refusal, TaskEvents
from panoreel.dispatch.authentication.keys import ApplicationName
from panoreel.dispatch.authentication.middleware import MAX_BODY_BYTES
from panoreel.dispatch.envelope import read_envelope
from panoreel.dispatch.health import Health
from panoreel.dispatch.openapi import (
    ACTION_PATHS,
    DESCRIPTION,
    REFUSALS,
    DescribedApi,
    DirectRoute,
    add_docs,
)
from panoreel.dispatch.parameters import InvalidParam, TaskParameters
from panoreel.dispatch.parameters.fields import PublicTaskId
from panoreel.dispatch.readmodel import ReadModelUnavailable
from panoreel.dispatch.refusal import refusal
from panoreel.eventlog.errors import EventLogError
from panoreel.signing.strings import is_form

_UNAVAILABLE: Final = (EventLogError, ReadModelUnavailable, UndecodableEvent, MissingTask)

_logger = structlog.get_logger()


def create_api(actions: Mapping[str, Action], reading: Reading, health: Health) -> DescribedApi:
    """The HTTP application."""
    api = DescribedApi(
        title="Panoreel",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        max_body_size=MAX_BODY_BYTES,
        exception_handlers={HTTPException: _no_such_place, RequestValidationError: _wrong_place},
    )
    _add_actions(api, actions)
    _add_events(api, reading)
    _add_probes(api, health)
    add_docs(api)
    return api


def _add_actions(api: DescribedApi, actions: Mapping[str, Action]) -> None:
    async def act(request: Request) -> Response:
        """Carry out an action."""
        request_id = uuid4().hex
        answer = await _answer(actions, request, request_id)
        return JSONResponse(answer | {"RequestID": request_id}, headers={"X-Api-RequestId": request_id})

    for path in ACTION_PATHS:
        route = DirectRoute(path, act, methods=["POST"], response_model=Answer, responses=REFUSALS)
        api.router.routes.append(route)


def _add_events(api: DescribedApi, reading: Reading) -> None:
    refusals = REFUSALS | {
        404: {"model": Refusal, "description": "no such task"},
        422: {"model": Refusal, "description": "a parameter is wrong"},
        503: {"model": Refusal, "description": "the events cannot be read now"},
    }

    @api.get("/tasks/{task_id}/events", response_model=TaskEvents, responses=refusals)
    async def events(
        request: Request,
        task_id: PublicTaskId,
        application: Annotated[ApplicationName | None, Query(description="for an admin's key")] = None,
    ) -> Response:
        """A task's events, oldest first."""
        try:
            parameters = TaskParameters(TaskID=task_id, Application=application)
            history = await reading.history(_caller(request), parameters)
        except InvalidParam as error:
            return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except Rejected as error:
            return refusal(HTTPStatus.NOT_FOUND, str(error))
        except _UNAVAILABLE:
            _logger.exception("request failed", task_id=task_id)
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "the events cannot be read now, try again")
        if not history:
            return refusal(HTTPStatus.NOT_FOUND, f"no task {task_id}")
        return JSONResponse({"Events": history})


def _add_probes(api: DescribedApi, health: Health) -> None:
    @api.get("/healthz", response_model=Live, responses={503: {"model": Live}})
    async def healthz() -> Response:
        """Whether the process works. What it cannot mend by itself is told too."""
        if health.failure:
            failing = {"status": "failing", "projection": health.failure}
            return JSONResponse(failing, HTTPStatus.SERVICE_UNAVAILABLE)
        udp = health.webrtc_udp
        return JSONResponse({"status": "ok"} | ({"webrtc_udp": udp} if udp else {}))

    @api.get("/readyz", response_model=Ready, responses={503: {"model": Ready}})
    async def readyz() -> Response:
        """Whether requests can be answered now."""
        problems = await health.problems()
        if problems:
            not_ready = {"status": "not ready", "problems": problems}
            return JSONResponse(not_ready, HTTPStatus.SERVICE_UNAVAILABLE)
        return JSONResponse({"status": "ready"})


async def _answer(actions: Mapping[str, Action], request: Request, request_id: str) -> dict[str, Any]:
    try:
        signed = hasattr(request.state, "key")
        if "Origin" in request.headers and not signed:
            # A browser says so on behalf of a page, perhaps of the one that is being recorded: no page may.
            raise InvalidParam("without keys the API is not for web pages: leave out the Origin header")
        if signed and is_form(request.headers.get("Content-Type", "").encode("latin-1")):
            # A signature covers a form's fields, not its bytes: JSON in it could be altered.
            raise InvalidParam("Content-Type must be application/json")
        name, data = read_envelope(await request.body())
        action = actions.get(name)
        if action is None:
            known = ", ".join(actions)
            raise InvalidParam(f"unknown action {name[:64]!r}; Action must be one of {known}")
        return await action(Call(data, _caller(request), request_id))
    except InvalidStatus as error:
        return _error("InvalidStatus", error)
    except PastStop as error:
        return _error("InternalError", error)
    except (InvalidParam, Rejected) as error:
        return _error("InvalidParam", error)
    except ClientDisconnect:
        return {}  # nobody hears the answer
    except _UNAVAILABLE:
        _logger.exception("request failed", request_id=request_id)
        sentence = f"the request could not be carried out now, try again; look for {request_id} in the log"
        return _error("InternalError", sentence)


def _caller(request: Request) -> Caller:
    key = getattr(request.state, "key", None)
    return Caller() if key is None else Caller(key.application, key.admin)


def _error(code: str, message: object) -> dict[str, Any]:
    # A field's name comes from the caller, and half a surrogate pair in it could not be sent back.
    sentence = str(message).encode(errors="backslashreplace").decode()
    return {"ErrorCode": code, "ErrorMessage": sentence}


async def _no_such_place(request: Request, error: Exception) -> Response:
    """As Tencent Cloud API Gateway says it (document 628/11906)."""
    assert isinstance(error, HTTPException)
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            return refusal(HTTPStatus.NOT_FOUND, f"There is no api match uri[{request.url.path}]")
        case HTTPStatus.METHOD_NOT_ALLOWED:
            return refusal(HTTPStatus.NOT_FOUND, f"There is no api match method[{request.method}]")
        case status:
            return refusal(status, error.detail, error.headers or {})


async def _wrong_place(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problem = error.errors()[0]
    message = problem["msg"].removeprefix("Value error, ")
    return refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"{problem['loc'][-1]} {message}")
