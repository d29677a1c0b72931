"""Bodies in chunks, however they arrive."""

import http.client

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube9.transport import FRAME_BYTES, Unframed

chunks = st.lists(st.binary(min_size=1, max_size=40), max_size=8)
sizes = st.lists(st.integers(1, 30), min_size=1, max_size=60)


def framed(data: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    return b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in data) + b"0\r\n" + trailer + b"\r\n"


@given(chunks, sizes, st.sampled_from([b"", b";name=value"]), st.sampled_from([b"", b"Name: value\r\n"]))
def test_the_data_is_the_same_however_it_is_cut(data: list[bytes], sizes: list[int], extension: bytes, trailer: bytes) -> None:
    sent, found, unframed = framed(data, extension, trailer), b"", Unframed()
    while sent and not unframed.ended:
        size = sizes.pop(0) if sizes else len(sent)
        found += unframed.feed(sent[:size])
        sent = sent[size:]
    assert found == b"".join(data)
    assert unframed.ended
    assert sent == b""


def test_what_has_arrived_of_a_chunk_is_not_held_back() -> None:
    assert Unframed().feed(b"100\r\nbegun") == b"begun"


def test_many_chunks_are_one_piece() -> None:
    assert Unframed().feed(framed([b"a\n", b"b\n", b"c\n"])) == b"a\nb\nc\n"


@pytest.mark.parametrize("frame", [b"-5\r\n", b"xyz\r\n", b"\r\n", b"1_0\r\n", b"5" * (FRAME_BYTES + 10)])
def test_no_size_is_an_error(frame: bytes) -> None:
    with pytest.raises(http.client.HTTPException):
        Unframed().feed(frame)
