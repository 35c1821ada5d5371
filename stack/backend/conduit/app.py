"""The application: routes, lifespan, errors as the RealWorld specification writes them."""

import asyncio
import contextlib

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from . import articles, cache, database, metrics, settings, state, users

# How long a start waits for Postgres before it opens its port all the same and answers 503.
FIRST_CONNECT = 15.0


@contextlib.asynccontextmanager
async def lifespan(_: FastAPI):
    metrics.start()
    connected = asyncio.Event()
    tasks = [asyncio.create_task(database.keep_connected(connected)), asyncio.create_task(cache.keep_connected())]
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(connected.wait(), FIRST_CONNECT)
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


app = FastAPI(title="Conduit", version=settings.VERSION, lifespan=lifespan, docs_url=None, redoc_url=None)
app.include_router(articles.router)
app.include_router(users.router)


def _errors(status: int, *said: str, headers: dict | None = None) -> JSONResponse:
    return JSONResponse({"errors": {"body": list(said)}}, status, headers)


async def _database_lost(_: Request, __: Exception) -> JSONResponse:
    return _errors(503, "the database cannot be reached", headers={"Retry-After": "1"})


for lost in database.LOST:
    app.add_exception_handler(lost, _database_lost)


@app.exception_handler(RequestValidationError)
async def _invalid(_: Request, bad: RequestValidationError) -> JSONResponse:
    said = (f"{'.'.join(str(part) for part in problem['loc'][1:])}: {problem['msg']}" for problem in bad.errors())
    return _errors(422, *said)


@app.exception_handler(HTTPException)
async def _refused(_: Request, refused: HTTPException) -> JSONResponse:
    return _errors(refused.status_code, refused.detail)


@app.get("/health")
async def health():
    """Alive: the process answers."""
    return {"status": "alive", "version": settings.VERSION, "instance": settings.INSTANCE}


def _readiness(also: bool) -> JSONResponse:
    good = database.ready() and not state.draining and also
    return JSONResponse({"database": database.ready(), "listening_for": round(state.listening_for(), 1)}, 200 if good else 503)


@app.get("/ready")
async def ready():
    """Able to serve: Postgres is reached and the process is not on its way out. Redis is not needed."""
    return _readiness(True)


@app.get("/settled")
async def settled():
    """Ready, and for long enough to be in the edge's rotation again. The container's health check."""
    return _readiness(state.listening_for() >= settings.SETTLE_SECONDS)


@app.get("/metrics")
async def exposition():
    return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


# Around everything, so that the answer to an unhandled error is signed and counted too.
served = metrics.Middleware(app)
