"""Registration, login, the current user, profiles."""

import secrets

import asyncpg
from fastapi import APIRouter, Depends, HTTPException, Response
from pydantic import BaseModel, Field

from . import auth, cache, database, passwords

router = APIRouter(prefix="/api")


class Registration(BaseModel):
    username: str = Field(min_length=1)
    email: str = Field(min_length=3)
    password: str = Field(min_length=1)


class Credentials(BaseModel):
    email: str
    password: str


class Change(BaseModel):
    username: str | None = None
    email: str | None = None
    password: str | None = None
    bio: str | None = None
    image: str | None = None


class NewUser(BaseModel):
    user: Registration


class Login(BaseModel):
    user: Credentials


class UserChange(BaseModel):
    user: Change


def _user(row) -> dict:
    names = ("email", "username", "bio", "image")
    return {"user": {**{name: row[name] for name in names}, "token": auth.issue(row["id"])}}


def _with_session(response: Response) -> None:
    # The edge keeps callers who hold this cookie on one backend. Nothing is stored under it: any backend can serve them.
    response.set_cookie("session", secrets.token_hex(8), httponly=True, samesite="lax")


@router.post("/users", status_code=201)
async def register(new: NewUser, response: Response):
    hashed = await passwords.hash_password(new.user.password)
    try:
        row = await database.fetchrow(
            "INSERT INTO users (email, username, password) VALUES ($1, $2, $3) RETURNING *",
            new.user.email, new.user.username, hashed,
        )
    except asyncpg.UniqueViolationError as taken:
        raise HTTPException(422, "this email or username is taken") from taken
    _with_session(response)
    return _user(row)


@router.post("/users/login")
async def login(given: Login, response: Response):
    row = await database.fetchrow("SELECT * FROM users WHERE email = $1", given.user.email)
    if row is None or not await passwords.matches(given.user.password, row["password"]):
        raise HTTPException(401, "email or password is wrong")
    _with_session(response)
    return _user(row)


@router.get("/user")
async def current(me: int = Depends(auth.required)):
    row = await database.fetchrow("SELECT * FROM users WHERE id = $1", me)
    if row is None:
        raise HTTPException(401, "this user is gone; register again")
    return _user(row)


@router.put("/user")
async def change(changed: UserChange, me: int = Depends(auth.required)):
    given = changed.user
    hashed = await passwords.hash_password(given.password) if given.password else None
    try:
        row = await database.fetchrow(
            """UPDATE users SET email = coalesce($2, email), username = coalesce($3, username),
                      password = coalesce($4, password), bio = coalesce($5, bio), image = coalesce($6, image)
               WHERE id = $1 RETURNING *""",
            me, given.email, given.username, hashed, given.bio, given.image,
        )
    except asyncpg.UniqueViolationError as taken:
        raise HTTPException(422, "this email or username is taken") from taken
    if row is None:
        raise HTTPException(401, "this user is gone; register again")
    await cache.written()
    return _user(row)


async def _profile(name: str, me: int) -> dict:
    row = await database.fetchrow(
        """SELECT username, bio, image,
                  EXISTS (SELECT FROM follows WHERE follower = $2 AND followed = users.id) AS following
           FROM users WHERE username = $1""",
        name, me,
    )
    if row is None:
        raise HTTPException(404, "no such user")
    return {"profile": dict(row)}


@router.get("/profiles/{name}")
async def profile(name: str, me: int = Depends(auth.optional)):
    return await _profile(name, me)


@router.post("/profiles/{name}/follow")
async def follow(name: str, me: int = Depends(auth.required)):
    await database.execute(
        "INSERT INTO follows SELECT $2, id FROM users WHERE username = $1 ON CONFLICT DO NOTHING", name, me
    )
    await cache.written()
    return await _profile(name, me)


@router.delete("/profiles/{name}/follow")
async def unfollow(name: str, me: int = Depends(auth.required)):
    await database.execute(
        "DELETE FROM follows USING users WHERE username = $1 AND followed = users.id AND follower = $2", name, me
    )
    await cache.written()
    return await _profile(name, me)
