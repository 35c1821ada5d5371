"""Who is asking: `Authorization: Token <jwt>`."""

import time

import jwt
from fastapi import HTTPException, Request

from . import database

LIFETIME = 24 * 3600


def issue(user: int) -> str:
    """A token for the user with this id."""
    return jwt.encode({"sub": str(user), "exp": int(time.time()) + LIFETIME}, database.token_key, algorithm="HS256")


def optional(request: Request) -> int:
    """The caller's user id, or 0 for a caller without a token. A token that is not ours is an error, not an absence."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return 0
    if not database.token_key:
        raise database.Unavailable
    try:
        if scheme not in ("Token", "Bearer"):
            raise jwt.InvalidTokenError
        return int(jwt.decode(token, database.token_key, algorithms=["HS256"])["sub"])
    except (jwt.InvalidTokenError, KeyError, ValueError) as bad:
        raise HTTPException(401, "this token is not valid; log in again") from bad


def required(request: Request) -> int:
    """The caller's user id; 401 without a token."""
    user = optional(request)
    if user == 0:
        raise HTTPException(401, "this needs a token: Authorization: Token <jwt>")
    return user
