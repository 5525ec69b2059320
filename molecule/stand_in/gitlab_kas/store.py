"""Redis as KAS uses it, alone or behind Sentinels: a connection of its own for each question."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

from gitlab_kas import dial, own_url
from gitlab_kas.dial import DialError
from gitlab_kas.errors import KasError, reason
from gitlab_kas.files import check_ca, pair, read

PROBE_S = 4.7  # as long as a frozen Redis was waited for
EVENTS = "kas_events"
Result = TypeVar("Result")


class StoreError(Exception):
    """Redis cannot be used, or refuses; the text is Redis's or Go's."""


class Store:
    """Redis by the `redis` part of the configuration. Raises KasError for files that cannot be used."""

    def __init__(self, cfg: dict[str, Any], certificates: str) -> None:
        self.cfg, self.certificates = cfg, certificates
        self.timeout: float = cfg["dial_timeout"]
        self.password = secret(cfg.get("password_file"))
        self.context = self.tls(cfg.get("tls", {}))
        sentinel = cfg.get("sentinel", {})
        self.sentinel_password = secret(sentinel.get("sentinel_password_file"))
        self.sentinel_context = self.tls(sentinel["tls"]) if "tls" in sentinel else self.context

    def tls(self, tls: dict[str, Any]) -> Any:
        """A TLS context, or None without TLS. On a UNIX socket nobody speaks it."""
        if not tls.get("enabled") or self.cfg["network"] == "unix":
            return None
        ca, certificate, key = (tls.get(name, "") for name in ("ca_certificate_file", "certificate_file", "key_file"))
        if ca:
            check_ca(ca)
        if bool(certificate) != bool(key):
            raise KasError(f"both certificate ({certificate}) and key ({key}) files must be specified")
        if certificate:
            pair(certificate, key)
        return dial.client_context(self.certificates, ca, (certificate, key) if certificate else None)

    async def connect(self) -> Resp:
        """A connection to Redis, or to the master that a Sentinel names; raises StoreError."""
        if "server" in self.cfg:
            address = self.cfg["server"]["address"]
            # A fault of KAS: the name that it checks ends at the first colon, also within an IPv6 address.
            return await self.open(address, self.context, address.partition(":")[0], self.password)
        errors = []
        for address in self.cfg["sentinel"]["addresses"]:
            try:
                host, port = await self.master(address)
                return await self.open(own_url.join(host, port), self.context, host, self.password)
            except StoreError as error:
                errors.append(error)
        raise errors[-1]

    async def master(self, address: str) -> tuple[str, str]:
        host = own_url.split(address)[0]
        sentinel = await self.open(address, self.sentinel_context, host, self.sentinel_password)
        with contextlib.closing(sentinel):
            found = await sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.cfg["sentinel"]["master_name"])
        if not found:
            raise StoreError("redis nil message")
        return found[0], found[1]

    async def open(self, address: str, context: Any, name: str, password: str) -> Resp:
        try:
            if self.cfg["network"] == "unix" and "server" in self.cfg:
                streams = await dial.unix(address)
            else:
                streams = await dial.tcp(*own_url.split(address))
            if context:
                streams = await dial.tls(streams, context, name)
        except DialError as error:
            raise StoreError(str(error)) from None
        except KasError as error:
            raise StoreError(f"dial tcp: {error}") from None
        connection = Resp(*streams)
        try:
            await connection.hello(self.cfg.get("username", ""), password)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Resp]:
        with contextlib.closing(await within(self.timeout, self.connect())) as connection:
            yield connection

    async def ping(self) -> None:
        async with self.connection() as redis:
            await redis.call("PING")

    async def probe(self) -> str:
        """Empty, or why Redis cannot be used."""
        try:
            await within(PROBE_S, self.ping())
        except StoreError as error:
            return str(error)
        return ""

    async def events(self) -> None:
        """Listen to what other KAS tell; ends with StoreError."""
        async with self.connection() as redis:
            await redis.call("SUBSCRIBE", EVENTS)
            while True:
                await redis.answer()


async def within(timeout: float, what: Awaitable[Result]) -> Result:
    """Raises StoreError after so many seconds."""
    try:
        async with asyncio.timeout(timeout):
            return await what
    except TimeoutError:
        raise StoreError("context deadline exceeded") from None


def secret(path: str | None) -> str:
    """A password as it stands in its file, a line end included."""
    return read(path).decode("utf-8", "surrogateescape") if path else ""


class Resp:
    """One connection that speaks Redis's protocol; everything raises StoreError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def close(self) -> None:
        self.writer.close()

    async def hello(self, username: str, password: str) -> None:
        login = ["AUTH", username or "default", password] if username or password else []
        await self.call("HELLO", "3", *login, "SETNAME", "gitlab-kas")

    async def call(self, *words: str | float) -> Any:
        encoded = [str(word).encode("utf-8", "surrogateescape") for word in words]
        self.writer.write(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in encoded))
        return await self.answer()

    async def answer(self) -> Any:
        try:
            await self.writer.drain()
            return await self.value()
        except asyncio.IncompleteReadError:
            raise StoreError("EOF") from None
        except ConnectionError as error:
            here, there = (address(self.writer.get_extra_info(end)) for end in ("sockname", "peername"))
            raise StoreError(f"read tcp {here}->{there}: read: {reason(error)}") from None
        except (ValueError, asyncio.LimitOverrunError):
            raise StoreError("redis: unknown answer") from None

    async def value(self) -> Any:
        line = (await self.reader.readuntil(b"\r\n"))[:-2]
        kind, text = line[:1], line[1:].decode("utf-8", "replace")
        if kind in b"$=":
            size = int(text)
            return None if size < 0 else (await self.reader.readexactly(size + 2))[:-2].decode("utf-8", "replace")
        if kind in b"*~>":
            return [await self.value() for _index in range(int(text))]
        if kind == b"%":
            return [await self.value() for _index in range(2 * int(text))]
        if kind in b"-!":
            raise StoreError(text.removeprefix("ERR "))
        return None if kind == b"_" else text


def address(name: Any) -> str:
    return own_url.join(*map(str, name[:2])) if isinstance(name, tuple) else str(name)
