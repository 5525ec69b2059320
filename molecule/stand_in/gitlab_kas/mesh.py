"""KAS's neighbours: this KAS writes its own URL into Redis, finds the others there, and calls each of them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from pathlib import Path
from typing import Any

import redis.asyncio as redis
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisError

from gitlab_kas import call, grpc, own_url
from gitlab_kas.config import reason
from gitlab_kas.errors import KasError
from gitlab_kas.log import Log
from gitlab_kas.services import PRIVATE_CALL

PERIOD_S = 2.0
LIFETIME_S = 3 * PERIOD_S
TIMEOUT_S = 2.0


def client(cfg: dict[str, Any]) -> redis.Redis:
    """A client for the `redis` part of the configuration; it connects when it is used. Raises KasError."""
    options: dict[str, Any] = {
        "username": cfg.get("username"),
        "password": password(cfg.get("password_file")),
        "socket_timeout": TIMEOUT_S,
        "socket_connect_timeout": TIMEOUT_S,
        "decode_responses": True,
    }
    if "sentinel" in cfg:
        sentinel = cfg["sentinel"]
        addresses = [own_url.split(address) for address in sentinel["addresses"]]
        kwargs = {
            "username": cfg.get("username"),  # KAS has no other one for the Sentinels
            "password": password(sentinel.get("sentinel_password_file")),
            "socket_timeout": TIMEOUT_S,
            **tls_options(sentinel.get("tls", cfg["tls"])),
        }
        finder = Sentinel(addresses, sentinel_kwargs=kwargs, **tls_options(cfg["tls"]), **options)
        return finder.master_for(sentinel["master_name"])
    address = cfg["server"]["address"]
    if cfg["network"] == "unix":
        return redis.Redis(unix_socket_path=address, **options)
    host, port = own_url.split(address)
    return redis.Redis(host=host, port=int(port), **tls_options(cfg["tls"]), **options)


def tls_options(tls: dict[str, Any]) -> dict[str, Any]:
    """Beside the CA given here, OpenSSL trusts what lies in SSL_CERT_DIR."""
    if not tls.get("enabled"):
        return {}
    names = {"ssl_ca_certs": "ca_certificate_file", "ssl_certfile": "certificate_file", "ssl_keyfile": "key_file"}
    files = {ours: tls[theirs] for ours, theirs in names.items() if tls.get(theirs)}
    if ("ssl_certfile" in files) != ("ssl_keyfile" in files):
        raise KasError("both certificate and key files must be specified")
    for path in files.values():
        read(path)
    return {"ssl": True, "ssl_check_hostname": True, **files}


def password(path: str | None) -> str | None:
    return read(path) if path else None


def read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise KasError(f"open {path}: {reason(error)}") from None


def trust(directory: str, ca_file: str | None) -> ssl.SSLContext:
    """What this KAS believes of its peers' certificates: every file of SSL_CERT_DIR."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    files = [*Path(directory).iterdir()] if Path(directory).is_dir() else []
    for path in [*files, *([Path(ca_file)] if ca_file else [])]:
        try:
            context.load_verify_locations(cafile=path)
        except OSError:  # unreadable, or no certificate: Go passes over it as well
            continue
    return context


def store_reason(error: Exception) -> str:
    """Why Redis cannot be used; the client hides what TLS found behind an error of its own."""
    if isinstance(error.__context__, ssl.SSLError):
        return call.tls_reason(error.__context__)
    return str(error) or "context deadline exceeded"


class Mesh:
    """The peers and how each answered last."""

    def __init__(self, store: redis.Redis, prefix: str, own: list[str], secret: bytes, name: str, log: Log) -> None:
        self.store, self.key, self.own = store, f"{prefix}:kas_urls", own
        self.secret, self.name, self.log = secret, name, log
        self.answers: dict[str, str] = {}  # URL: "" or the error
        self.is_over = False

    async def probe(self) -> str:
        """Empty, or why Redis cannot be used."""
        try:
            await asyncio.wait_for(self.store.ping(), TIMEOUT_S)
        except (RedisError, OSError, asyncio.TimeoutError) as error:
            return store_reason(error)
        return ""

    async def run(self, tls: ssl.SSLContext) -> None:
        while not self.is_over:
            try:
                peers = await self.meet()
            except (RedisError, OSError, asyncio.TimeoutError) as error:
                self.log.error("Failed to refresh data in Redis", error=store_reason(error))
            else:
                await asyncio.gather(*(self.call(url, tls) for url in peers))
            await asyncio.sleep(PERIOD_S)

    async def meet(self) -> list[str]:
        """Write the own URLs, forget what has lapsed, return the others' URLs."""
        now = time.time()
        await self.store.zremrangebyscore(self.key, 0, now - LIFETIME_S)
        await self.store.zadd(self.key, dict.fromkeys(self.own, now))
        peers = [url for url in await self.store.zrange(self.key, 0, -1) if url not in self.own]
        for gone in self.answers.keys() - set(peers):
            del self.answers[gone]
            self.log.info("KAS has left", kas_url=gone)
        return peers

    async def call(self, url: str, tls: ssl.SSLContext) -> None:
        try:
            bearer = grpc.token(self.secret, grpc.KAS)
            await asyncio.wait_for(call.call(url, PRIVATE_CALL, bearer, tls, self.name), TIMEOUT_S)
            answer = ""
        except asyncio.TimeoutError:
            answer = "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
        except grpc.RpcError as error:
            answer = call.shown(error)
        if self.answers.get(url) == answer:
            return
        self.answers[url] = answer
        if answer:
            self.log.error("Failed to reach KAS", kas_url=url, error=answer)
        else:
            self.log.info("Reached KAS", kas_url=url)

    async def leave(self) -> None:
        with contextlib.suppress(RedisError, OSError, asyncio.TimeoutError):  # else the entry lapses by itself
            await asyncio.wait_for(self.store.zrem(self.key, *self.own), TIMEOUT_S)
