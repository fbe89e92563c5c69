"""The description of the API for programs and for people."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import fastapi_offline
from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field, create_model
from pydantic.json_schema import models_json_schema

from panoreel.dispatch.answers import Refusal
from panoreel.dispatch.parameters import (
    ClipParameters,
    ListParameters,
    RefreshParameters,
    StartParameters,
    TaskParameters,
)

PARAMETERS: Final[dict[str, type[BaseModel]]] = {
    "Start": StartParameters,
    "Pause": TaskParameters,
    "Resume": TaskParameters,
    "Refresh": RefreshParameters,
    "Stop": TaskParameters,
    "Cancel": TaskParameters,
    "ForceStop": TaskParameters,
    "Clip": ClipParameters,
    "Describe": TaskParameters,
    "DescribeDetail": TaskParameters,
    "List": ListParameters,
}
"""`Data` of each action."""

DESCRIPTION: Final = """Records a web page into a video file, as Tencent Cloud's panoramic recording does.

An action that fails is answered with status 200, an `ErrorCode` and an `ErrorMessage`. Where there are keys,
every request is signed as Tencent Cloud API Gateway has it: with an application key or a key pair."""

REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"model": Refusal, "description": "not signed by a key that may do this"},
    408: {"model": Refusal, "description": "the request took longer than ten seconds to arrive"},
    413: {"description": "the body is longer than 512 KiB"},
    429: {"model": Refusal, "description": "the key makes too many requests"},
    503: {"description": "too many connections are open"},
}

_SCHEMAS: Final = "#/components/schemas/"
ACTION_PATHS: Final = ("/", "/record")
_ASSETS: Final = Path(fastapi_offline.__file__).parent / "static"
_POLICY: Final = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src data:;"
    " script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'"
}


class DirectRoute(APIRoute):
    """A route that is described, and whose endpoint gets the request as it is.

    FastAPI would look for dependencies at every call: a quarter of the time that Describe takes besides its
    SELECT.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself."""
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


class DescribedApi(FastAPI):
    """FastAPI whose description has the envelope of every action in it.

    The envelope is read by hand, because a wrong one is no HTTP error.
    """

    def openapi(self) -> dict[str, Any]:
        """The description (OpenAPI 3.1), made once."""
        if self.openapi_schema is None:
            schema = super().openapi()
            envelopes, definitions = _envelopes()
            schema["components"]["schemas"] |= definitions
            for path in ACTION_PATHS:
                content = {"application/json": {"schema": envelopes}}
                schema["paths"][path]["post"]["requestBody"] = {"required": True, "content": content}
        return super().openapi()


def _envelopes() -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a request, and the definitions that it refers to."""
    models = {action: _envelope(action, parameters) for action, parameters in PARAMETERS.items()}
    _, schema = models_json_schema(
        [(model, "validation") for model in models.values()], ref_template=f"{_SCHEMAS}{{model}}"
    )
    references = {action: f"{_SCHEMAS}{model.__name__}" for action, model in models.items()}
    envelopes = {
        "oneOf": [{"$ref": reference} for reference in references.values()],
        "discriminator": {"propertyName": "Action", "mapping": references},
    }
    return envelopes, schema["$defs"]


def _envelope(action: str, parameters: type[BaseModel]) -> type[BaseModel]:
    return create_model(
        f"{action}Request",
        Action=(str, Field(json_schema_extra={"const": action})),
        Data=(parameters, ...),
    )


def add_docs(api: FastAPI) -> None:
    """Serve the description as a page at `/docs`, which loads nothing from elsewhere."""

    @api.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        # Nothing can be tried from the page: the API takes no requests of web pages.
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title=api.title,
            swagger_js_url="docs/swagger-ui.js",
            swagger_css_url="docs/swagger-ui.css",
            swagger_favicon_url="data:,",
            swagger_ui_parameters={"supportedSubmitMethods": []},
        )
        page.headers.update(_POLICY)
        return page

    @api.get("/docs/swagger-ui.js", include_in_schema=False)
    async def script() -> FileResponse:
        return FileResponse(_ASSETS / "swagger-ui-bundle.js")

    @api.get("/docs/swagger-ui.css", include_in_schema=False)
    async def style() -> FileResponse:
        return FileResponse(_ASSETS / "swagger-ui.css")
