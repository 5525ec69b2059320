"""HPACK as Go writes it: text in Huffman code only where that is shorter, so the digits of grpc-status stay plain."""

from __future__ import annotations

import hpack
from hpack.hpack import encode_integer


class Encoder(hpack.Encoder):
    """The library's encoder, whose texts are all in Huffman code, with Go's choice."""

    def _encode_literal(self, name: bytes, value: bytes, indexbit: bytes, huffman: bool = False) -> bytes:
        return indexbit + self.text(name) + self.text(value)

    def _encode_indexed_literal(self, index: int, value: bytes, indexbit: bytes, huffman: bool = False) -> bytes:
        prefix = encode_integer(index, 6 if indexbit == b"\x40" else 4)
        prefix[0] |= ord(indexbit)
        return bytes(prefix) + self.text(value)

    def text(self, plain: bytes) -> bytes:
        coded = self.huffman_coder.encode(plain)
        is_shorter = len(coded) < len(plain)
        text = coded if is_shorter else plain
        length = encode_integer(len(text), 7)
        length[0] |= 0x80 if is_shorter else 0
        return bytes(length) + text
