"""Password hashes: PBKDF2-HMAC-SHA256, off the event loop."""

import asyncio
import base64
import hashlib
import hmac
import os
from concurrent.futures import ThreadPoolExecutor

# 20,000 rounds are about 10 ms of a core, so 50 users can log in at 5/s without a drill measuring the hash instead of
# the system. Production value: 600,000 (OWASP, 2023). The count is stored with each hash, so it can be raised any day.
ROUNDS = 20_000

# A pool of its own: hashes must not queue behind name look-ups, which use the loop's default pool.
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="hash")


def hash_now(password: str, rounds: int = ROUNDS) -> str:
    """`rounds$salt$key` for a new salt."""
    salt = os.urandom(16)
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    return f"{rounds}${base64.b64encode(salt).decode()}${base64.b64encode(key).decode()}"


def matches_now(password: str, stored: str) -> bool:
    """Whether `password` is the one that `stored` was made from."""
    rounds, salt, key = stored.split("$")
    found = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    return hmac.compare_digest(found, base64.b64decode(key))


async def hash_password(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_pool, hash_now, password)


async def matches(password: str, stored: str) -> bool:
    return await asyncio.get_running_loop().run_in_executor(_pool, matches_now, password, stored)
