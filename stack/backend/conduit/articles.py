"""Articles, favourites, comments, tags. Postgres renders the JSON: the hot list never becomes Python objects."""

import re
import secrets

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import BaseModel, Field

from . import auth, cache, database

router = APIRouter(prefix="/api")

_TIME = """to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
_AUTHOR = """json_build_object('username', u.username, 'bio', u.bio, 'image', u.image,
    'following', EXISTS (SELECT FROM follows WHERE follower = $1 AND followed = u.id))"""
# $1 is the reader's id, 0 for none. Lists leave out the body, as the RealWorld specification says since 2024.
_ARTICLE = f"""'slug', a.slug, 'title', a.title, 'description', a.description, 'tagList', a.tags,
    'createdAt', {_TIME.format('a.created_at')}, 'updatedAt', {_TIME.format('a.updated_at')},
    'favorited', EXISTS (SELECT FROM favorites WHERE article = a.id AND reader = $1),
    'favoritesCount', (SELECT count(*) FROM favorites WHERE article = a.id), 'author', {_AUTHOR}"""
_COMMENT = f"""json_build_object('id', c.id, 'body', c.body, 'createdAt', {_TIME.format('c.created_at')},
    'updatedAt', {_TIME.format('c.created_at')}, 'author', {_AUTHOR})"""


class Draft(BaseModel):
    title: str = Field(min_length=1)
    description: str
    body: str
    tagList: list[str] = []


class Revision(BaseModel):
    title: str | None = None
    description: str | None = None
    body: str | None = None


class NewArticle(BaseModel):
    article: Draft


class ArticleChange(BaseModel):
    article: Revision


class Words(BaseModel):
    body: str = Field(min_length=1)


class NewComment(BaseModel):
    comment: Words


def slug_of(title: str) -> str:
    """A readable, unique path for a title: two articles may share one title."""
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60]
    return f"{words}-{secrets.token_hex(4)}".lstrip("-")


def _json(body: str | bytes, status: int = 200) -> Response:
    return Response(body, status_code=status, media_type="application/json")


async def _list(where: str, me: int, limit: int, offset: int, *args) -> bytes:
    found = await database.fetchval(
        f"""SELECT json_build_object(
                'articles', coalesce((SELECT json_agg(page.article) FROM (
                    SELECT json_build_object({_ARTICLE}) AS article
                    FROM articles a JOIN users u ON u.id = a.author WHERE {where}
                    ORDER BY a.id DESC LIMIT $2 OFFSET $3) page), '[]'),
                'articlesCount', (SELECT count(*) FROM articles a JOIN users u ON u.id = a.author WHERE {where}))""",
        me, limit, offset, *args,
    )
    return found.encode()


def _page(request: Request) -> tuple[int, int]:
    """limit and offset, taken by hand: this is the hottest route, and two integers need no model."""
    try:
        limit, offset = (int(request.query_params.get(name, other)) for name, other in (("limit", 20), ("offset", 0)))
    except ValueError as bad:
        raise HTTPException(422, "limit and offset must be whole numbers") from bad
    if not (0 <= limit <= 100 and 0 <= offset <= 1_000_000):
        raise HTTPException(422, "limit must be within 0 to 100, offset within 0 to 1000000")
    return limit, offset


@router.get("/articles")
async def articles(request: Request):
    me = auth.optional(request)
    limit, offset = _page(request)
    wanted = [request.query_params.get(name) for name in ("tag", "author", "favorited")]
    where = """($4::text IS NULL OR a.tags @> ARRAY[$4]) AND ($5::text IS NULL OR u.username = $5)
        AND ($6::text IS NULL OR EXISTS (SELECT FROM favorites f JOIN users r ON r.id = f.reader
                                         WHERE f.article = a.id AND r.username = $6))"""
    key = f"list:{me}:{limit}:{offset}:{wanted!r}"
    return _json(await cache.body(key, lambda: _list(where, me, limit, offset, *wanted)))


@router.get("/articles/feed")
async def feed(request: Request):
    me = auth.required(request)
    limit, offset = _page(request)
    where = "a.author IN (SELECT followed FROM follows WHERE follower = $1)"
    return _json(await cache.body(f"feed:{me}:{limit}:{offset}", lambda: _list(where, me, limit, offset)))


@router.get("/tags")
async def tags():
    async def render() -> bytes:
        found = await database.fetchval(
            """SELECT json_build_object('tags', coalesce(json_agg(tag), '[]')) FROM (
                   SELECT unnest(tags) AS tag FROM articles GROUP BY tag ORDER BY count(*) DESC, tag LIMIT 50) common"""
        )
        return found.encode()

    return _json(await cache.body("tags", render))


async def _one(slug: str, me: int) -> Response:
    found = await database.fetchval(
        f"""SELECT json_build_object('article', json_build_object({_ARTICLE}, 'body', a.body))
            FROM articles a JOIN users u ON u.id = a.author WHERE a.slug = $2""",
        me, slug,
    )
    if found is None:
        raise HTTPException(404, "no such article")
    return _json(found)


@router.get("/articles/{slug}")
async def article(slug: str, me: int = Depends(auth.optional)):
    return await _one(slug, me)


@router.post("/articles", status_code=201)
async def publish(new: NewArticle, me: int = Depends(auth.required)):
    draft = new.article
    made = await database.fetchval(
        f"""WITH a AS (INSERT INTO articles (slug, title, description, body, tags, author)
                       SELECT $2, $3, $4, $5, $6, id FROM users WHERE id = $1 RETURNING *)
            SELECT json_build_object('article', json_build_object({_ARTICLE}, 'body', a.body))
            FROM a JOIN users u ON u.id = a.author""",
        me, slug_of(draft.title), draft.title, draft.description, draft.body, draft.tagList,
    )
    if made is None:
        raise HTTPException(401, "this user is gone; register again")
    await cache.written()
    return _json(made, 201)


async def _own(slug: str, me: int) -> int:
    """The article's id, if `me` wrote it."""
    row = await database.fetchrow("SELECT id, author FROM articles WHERE slug = $1", slug)
    if row is None:
        raise HTTPException(404, "no such article")
    if row["author"] != me:
        raise HTTPException(403, "only its author may do this")
    return row["id"]


@router.put("/articles/{slug}")
async def revise(slug: str, changed: ArticleChange, me: int = Depends(auth.required)):
    number, given = await _own(slug, me), changed.article
    renamed = slug_of(given.title) if given.title else slug
    await database.execute(
        """UPDATE articles SET slug = $2, title = coalesce($3, title), description = coalesce($4, description),
                  body = coalesce($5, body), updated_at = now() WHERE id = $1""",
        number, renamed, given.title, given.description, given.body,
    )
    await cache.written()
    return await _one(renamed, me)


@router.delete("/articles/{slug}", status_code=204)
async def withdraw(slug: str, me: int = Depends(auth.required)):
    await database.execute("DELETE FROM articles WHERE id = $1", await _own(slug, me))
    await cache.written()


@router.post("/articles/{slug}/favorite")
async def favorite(slug: str, me: int = Depends(auth.required)):
    await database.execute(
        """INSERT INTO favorites SELECT a.id, u.id FROM articles a, users u WHERE a.slug = $1 AND u.id = $2
           ON CONFLICT DO NOTHING""",
        slug, me,
    )
    await cache.written()
    return await _one(slug, me)


@router.delete("/articles/{slug}/favorite")
async def unfavorite(slug: str, me: int = Depends(auth.required)):
    await database.execute(
        "DELETE FROM favorites USING articles a WHERE a.slug = $1 AND article = a.id AND reader = $2", slug, me
    )
    await cache.written()
    return await _one(slug, me)


@router.get("/articles/{slug}/comments")
async def comments(slug: str, limit: int = Query(100, ge=1, le=100), me: int = Depends(auth.optional)):
    found = await database.fetchval(
        f"""SELECT json_build_object('comments', coalesce((SELECT json_agg(page.comment) FROM (
                SELECT {_COMMENT} AS comment FROM comments c JOIN users u ON u.id = c.author
                WHERE c.article = a.id ORDER BY c.id DESC LIMIT $3) page), '[]'))
            FROM articles a WHERE a.slug = $2""",
        me, slug, limit,
    )
    if found is None:
        raise HTTPException(404, "no such article")
    return _json(found)


@router.post("/articles/{slug}/comments")
async def comment(slug: str, new: NewComment, me: int = Depends(auth.required)):
    found = await database.fetchval(
        f"""WITH c AS (INSERT INTO comments (article, author, body)
                       SELECT a.id, u.id, $3 FROM articles a, users u WHERE a.slug = $2 AND u.id = $1 RETURNING *)
            SELECT json_build_object('comment', {_COMMENT}) FROM c JOIN users u ON u.id = c.author""",
        me, slug, new.comment.body,
    )
    if found is None:
        raise HTTPException(404, "no such article")
    return _json(found)


@router.delete("/articles/{slug}/comments/{number}", status_code=204)
async def retract(slug: str, number: int, me: int = Depends(auth.required)):
    author = await database.fetchval(
        "SELECT c.author FROM comments c JOIN articles a ON a.id = c.article WHERE a.slug = $1 AND c.id = $2",
        slug, number,
    )
    if author is None:
        raise HTTPException(404, "no such comment")
    if author != me:
        raise HTTPException(403, "only its author may do this")
    await database.execute("DELETE FROM comments WHERE id = $1", number)
