"""Migrations and seed data, run by whichever backend starts first."""

import pathlib
import secrets

import asyncpg

from . import passwords, settings

USERS = 50
ARTICLES = 300
TAGS = ["failover", "latency", "postgres", "redis", "nginx", "alerts", "deploys", "queues", "caches", "drills"]
# Any fixed number: backends that start together take turns on it.
LOCK = 7_041


async def prepare(connection: asyncpg.Connection) -> str:
    """Bring the database to this version's schema, seed it once, and return the key that signs tokens."""
    schema = pathlib.Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await connection.execute(schema)
        # Kept in the database: all backends must sign alike, and tokens outlive a restart.
        await connection.execute(
            "INSERT INTO settings VALUES ('token_key', $1) ON CONFLICT DO NOTHING", secrets.token_hex(32)
        )
        if settings.DRILL_PASSWORD:
            await _seed(connection)
        return await connection.fetchval("SELECT value FROM settings WHERE name = 'token_key'")


async def _seed(connection: asyncpg.Connection) -> None:
    stored = await connection.fetchval("SELECT password FROM users WHERE email = 'u0@example.test'")
    if stored is not None and await passwords.matches(settings.DRILL_PASSWORD, stored):
        return
    # One hash for all fifty: they share a known password, so a salt each would protect nothing and cost a second.
    hashed = await passwords.hash_password(settings.DRILL_PASSWORD)
    await connection.execute(
        """INSERT INTO users (email, username, password, bio, api_key)
           SELECT format('u%s@example.test', n), format('u%s', n), $1, format('Seeded user %s', n), format('key-%s', n)
           FROM generate_series(0, $2 - 1) n
           ON CONFLICT (email) DO UPDATE SET password = EXCLUDED.password""",
        hashed,
        USERS,
    )
    if stored is not None:
        return
    await connection.execute(
        """INSERT INTO articles (slug, title, description, body, tags, author, created_at)
           SELECT format('seeded-article-%s', n), format('Seeded article %s', n),
                  format('What we learned from drill %s.', n),
                  repeat(format('Paragraph of article %s. ', n), 20),
                  ARRAY[($1::text[])[n % $2 + 1], ($1::text[])[(n + 1 + n / $2 % ($2 - 1)) % $2 + 1]],
                  (SELECT id FROM users WHERE username = format('u%s', n % $3)),
                  now() - make_interval(mins => $4 - n)
           FROM generate_series(1, $4) n""",
        TAGS,
        len(TAGS),
        USERS,
        ARTICLES,
    )
    await connection.execute(
        """INSERT INTO favorites (article, reader)
           SELECT a.id, u.id FROM articles a JOIN users u ON (a.id + u.id) % 17 = 0"""
    )
    await connection.execute(
        """INSERT INTO follows (follower, followed)
           SELECT f.id, t.id FROM users f JOIN users t ON t.id <> f.id AND (f.id + t.id) % 11 = 0"""
    )
