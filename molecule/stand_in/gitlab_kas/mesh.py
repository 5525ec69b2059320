"""An instrument of the tests that no KAS has: this KAS writes its own URL into Redis, finds the others there, calls
each of them as a KAS calls another, and says in its log and its metrics what became of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time

from gitlab_kas import call
from gitlab_kas.grpc import KAS, RpcError, token
from gitlab_kas.log import Log
from gitlab_kas.services import PRIVATE_CALL
from gitlab_kas.store import Store, StoreError, within

PERIOD_S = 2.0
LIFETIME_S = 3 * PERIOD_S
TIMEOUT_S = 2.0


class Mesh:
    """The peers and how each answered last."""

    def __init__(self, store: Store, prefix: str, own: list[str], secret: bytes, name: str, log: Log) -> None:
        self.store, self.key, self.own = store, f"{prefix}:stand_in_urls", own
        self.secret, self.name, self.log = secret, name, log
        self.answers: dict[str, str] = {}  # URL: "" or the error

    async def run(self, tls: ssl.SSLContext) -> None:
        try:
            while True:
                with contextlib.suppress(StoreError):
                    peers = await within(TIMEOUT_S, self.meet())
                    await asyncio.gather(*(self.call(url, tls) for url in peers))
                await asyncio.sleep(PERIOD_S)
        finally:
            await self.leave()

    async def meet(self) -> list[str]:
        """Write the own URLs, forget what has lapsed, return the others' URLs."""
        now = time.time()
        async with self.store.connection() as redis:
            await redis.call("ZREMRANGEBYSCORE", self.key, 0, now - LIFETIME_S)
            for url in self.own:
                await redis.call("ZADD", self.key, now, url)
            peers = [url for url in await redis.call("ZRANGE", self.key, 0, -1) if url not in self.own]
        for gone in self.answers.keys() - set(peers):
            del self.answers[gone]
            self.log.info("KAS has left", kas_url=gone)
        return peers

    async def call(self, url: str, tls: ssl.SSLContext) -> None:
        try:
            answer = ""
            bearer = token(self.secret, KAS)
            async with asyncio.timeout(TIMEOUT_S):
                await call.call(url, PRIVATE_CALL, bearer, tls, self.name)
        except TimeoutError:
            answer = "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
        except RpcError as error:
            answer = call.shown(error)
        if self.answers.get(url) == answer:
            return
        self.answers[url] = answer
        if answer:
            self.log.error("Failed to reach KAS", kas_url=url, error=answer)
        else:
            self.log.info("Reached KAS", kas_url=url)

    async def leave(self) -> None:
        async def remove() -> None:
            async with self.store.connection() as redis:
                await redis.call("ZREM", self.key, *self.own)

        with contextlib.suppress(StoreError):  # else the entry lapses by itself
            await within(TIMEOUT_S, remove())
