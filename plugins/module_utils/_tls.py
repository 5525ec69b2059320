# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS as the clients of KAS speak it, and what is wrong with it."""

from __future__ import annotations

import contextlib
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from socket import socket
from typing import NamedTuple

from ansible_collections.kasops.gitlab_kas.plugins.module_utils._kas import CA_DIR
from ansible_collections.kasops.gitlab_kas.plugins.module_utils._network import LOOK_WHAT, Unreachable

CERTIFICATE = "certificate"  # the part that is at fault

_CAUSES = {  # OpenSSL's X509_V_ERR_ codes
    9: "certificate is not valid yet",
    10: "certificate has expired",
    18: "certificate signed by an unknown authority",
    19: "certificate signed by an unknown authority",
    20: "certificate signed by an unknown authority",
    21: "certificate signed by an unknown authority",
}
_DATES = {9, 10}
_NAME_MISMATCHES = {62, 64}  # host name, IP address
_RECORDS = (b"\x15", b"\x16")  # an alert, a handshake
_X509_V_FLAG_PARTIAL_CHAIN = 0x80000  # Python 3.9 has no name for it


class Advice(NamedTuple):
    """What to do about a server that a client does not believe, as the rest of a sentence; {} is the name asked for."""

    name: str
    dates: str
    authority: str
    plain: str  # it does not speak TLS
    protocol: str  # it does not offer the one that is to be spoken


# To a node about the KAS of another.
OF_KAS = Advice(
    name="have one made out to {}, or let OWN_PRIVATE_API_HOST or the URL name one that it holds",
    dates="renew it, or set this node's clock right",
    authority="put the certificate of its CA into /etc/gitlab/trusted-certs here, and reconfigure",
    plain="give that listener its certificate, or let its URL start with grpc://",
    protocol=LOOK_WHAT,
)


class Tls:
    """A server whose certificate must be made out to name, and lead to what the context trusts.

    connect opens another connection to it: what is wrong may only show when it is asked once more. protocol is the one
    that is to be spoken, by its name in ALPN; one other than h2 need not be agreed on.
    """

    def __init__(
        self,
        name: str,
        context: ssl.SSLContext,
        connect: Callable[[], socket],
        *,
        protocol: str = "h2",
        advice: Advice = OF_KAS,
    ) -> None:
        self._name = name
        self._connect = connect
        self._protocol = protocol
        self._advice = advice
        self._context = context
        self._context.set_alpn_protocols([protocol])

    def secure(self, connection: socket) -> ssl.SSLSocket:
        """Make it a connection with TLS; raise Unreachable, and OSError of the connection."""
        try:
            secured = self._context.wrap_socket(connection, server_hostname=self._name)
        except ssl.SSLCertVerificationError as error:
            raise self._refused(error) from error
        except ssl.SSLError as error:
            self._see_tls()
            if "no application protocol" in tls_reason(error):
                raise self._no_protocol() from error
            raise Unreachable(f"TLS fails: {tls_reason(error)}") from error
        if self._protocol == "h2" and secured.selected_alpn_protocol() != "h2":  # what Go's gRPC client insists on
            secured.close()
            raise self._no_protocol()
        return secured

    def _no_protocol(self) -> Unreachable:
        name = "HTTP/2" if self._protocol == "h2" else "HTTP/1.1"
        return Unreachable(
            f"answers with TLS, but does not offer {name} (ALPN {self._protocol})", self._advice.protocol
        )

    def _refused(self, error: ssl.SSLCertVerificationError) -> Unreachable:
        if error.verify_code in _NAME_MISMATCHES:
            return Unreachable(
                f"certificate is for {self._certificate_names()}, not {self._name}",
                self._advice.name.format(self._name),
                CERTIFICATE,
            )
        text = _CAUSES.get(error.verify_code, f"certificate is refused: {error.verify_message}")
        advice = self._advice.dates if error.verify_code in _DATES else self._advice.authority
        return Unreachable(text, advice, CERTIFICATE)

    def _certificate_names(self) -> str:
        """The names in the certificate, whose chain has been verified."""
        self._context.check_hostname = False
        with self._context.wrap_socket(self._connect(), server_hostname=self._name) as secured:
            certificate: Mapping = secured.getpeercert() or {}
        return ", ".join(value for _kind, value in certificate.get("subjectAltName", ())) or "no name at all"

    def _see_tls(self) -> None:
        """See that the answer is TLS: for one that is not, the words differ by OpenSSL and Python."""
        hello = ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            self._context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname=self._name).do_handshake()
        with self._connect() as connection:
            connection.sendall(hello.read())
            first = connection.recv(1)
        if not first:
            raise Unreachable("closes the connection instead of speaking TLS")
        if first not in _RECORDS:
            raise Unreachable("answers, but not TLS", self._advice.plain)


def tls_reason(error: ssl.SSLError) -> str:
    """OpenSSL's word for it, or the rest of the text: Python 3.9 does not know all the words of OpenSSL 3."""
    return (error.reason or re.sub(r" \(_ssl\.c:\d+\)$", "", str(error.args[-1]))).replace("_", " ").lower()


def trust_of_kas(ca_dir: Path | None) -> ssl.SSLContext:
    """Trust what KAS trusts: Go reads the system's bundle and every file in SSL_CERT_DIR, whatever its name.

    ca_dir holds the only CAs trusted, if it is given. Raises Unreachable if there is no such directory.
    """
    context = _context()
    directory = ca_dir or CA_DIR
    if not directory.is_dir():
        raise Unreachable(
            f"there is no directory {directory} with the certificates of CAs", "repair the GitLab Linux package here"
        )
    if ca_dir is None:
        context.load_default_certs()
    for file in sorted(directory.glob("*")):
        with contextlib.suppress(OSError):  # a README, a directory, a link to nothing; SSLError is an OSError
            context.load_verify_locations(cafile=str(file))
    return context


def trust_of_system(further: Sequence[str]) -> ssl.SSLContext:
    """Trust what this host trusts, and further certificates in PEM; raise ssl.SSLError if one is none."""
    context = _context()
    context.load_default_certs()
    for text in further:
        context.load_verify_locations(cadata=text)
    return context


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # nor does Go
    context.verify_flags |= ssl.VerifyFlags(_X509_V_FLAG_PARTIAL_CHAIN)  # any certificate may be the anchor, as in Go
    return context
