"""What `Describe` is measured against: one SELECT by primary key through asyncpg, behind FastAPI.

It checks nothing, and answers with a few columns as they are.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

CONNECTIONS = 8


def create_app(dsn: str) -> FastAPI:
    """The application, over a table `tasks`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
            app.state.pool = pool
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/record")
    async def describe(request: Request) -> JSONResponse:
        body = await request.json()
        row = await app.state.pool.fetchrow(
            "SELECT task_id, status, create_time FROM tasks WHERE task_id = $1", body["Data"]["TaskID"]
        )
        return JSONResponse(
            {"TaskID": row["task_id"], "Status": row["status"], "CreateTime": row["create_time"].timestamp()}
        )

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]), port=int(sys.argv[2]), log_config=None, access_log=False)
