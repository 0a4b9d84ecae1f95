"""FastAPI peer: async handlers on the loop, `def` handlers on AnyIO's threads (THREADS of them)."""

import os
import time

import anyio.to_thread
from fastapi import FastAPI
from fastapi.responses import FileResponse, PlainTextResponse

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


@app.on_event("startup")
async def limit():
    anyio.to_thread.current_default_thread_limiter().total_tokens = int(os.environ["THREADS"])


@app.get("/hello", response_class=PlainTextResponse)
async def hello():
    return PlainTextResponse("Hello World!")


@app.get("/noop", response_class=PlainTextResponse)
def noop():
    return PlainTextResponse("Hello World!")


@app.get("/sleep", response_class=PlainTextResponse)
def sleep():
    time.sleep(0.05)
    return PlainTextResponse("Hello World!")


@app.get("/spin", response_class=PlainTextResponse)
def spin():
    until = time.thread_time_ns() + 1_000_000
    while time.thread_time_ns() < until:
        pass
    return PlainTextResponse("Hello World!")


@app.get("/file16k")
def file16k():
    return FileResponse(os.path.join(os.environ["FILES"], "file16k"))
