"""Archives that somebody may put in place of a run's weights, made byte by byte."""

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHAPES = {"layers.0.weight": (4, 3), "layers.0.bias": (3,)}
WEIGHTS = {name: np.full(shape, 0.5) for name, shape in SHAPES.items()}
WEIGHT, BIAS = (f"{name}.npy" for name in SHAPES)

Members = list[tuple[str, bytes]]


def saved(arrays: Mapping[str, NDArray[Any]] = WEIGHTS) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def zipped(members: Members, method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", method) as archive:
        warnings.simplefilter("ignore")  # of a name that is there already
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


def npy(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def headed(header: str, n_bytes: int = 96) -> bytes:
    """Make an array with a header of one's own words."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(n_bytes)


def with_weight(content: bytes) -> bytes:
    """Make an archive whose first array is this."""
    return zipped([(WEIGHT, content), (BIAS, npy(WEIGHTS["layers.0.bias"]))])


def claiming(descr: str, shape: str, fortran: str = "False", n_bytes: int = 96) -> bytes:
    words = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}}}"
    return with_weight(headed(words, n_bytes))


def _members() -> Members:
    return [(f"{name}.npy", npy(array)) for name, array in WEIGHTS.items()]


def _changed(change: Callable[[bytearray], None]) -> bytes:
    content = bytearray(saved())
    change(content)
    return bytes(content)


def _wrong_crc(content: bytearray) -> None:
    content[content.index(np.float64(0.5).tobytes())] ^= 1


def _encrypted(content: bytearray) -> None:
    content[content.index(b"PK\x01\x02") + 8] |= 1


def _other_local_name(content: bytearray) -> None:
    at = content.index(WEIGHT.encode())
    content[at : at + 3] = b"../"


def _larger_than_it_is(content: bytearray) -> None:
    """Claim four gigabytes in the list of contents."""
    at = content.index(b"PK\x01\x02") + 20
    content[at : at + 8] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)


def _shared_bytes(content: bytearray) -> None:
    """Let the second member be where the first is."""
    second = content.index(b"PK\x01\x02", content.index(b"PK\x01\x02") + 4)
    content[second + 42 : second + 46] = bytes(4)


def _bomb() -> bytes:
    return zipped([(WEIGHT, bytes(1 << 24)), (BIAS, b"")], zipfile.ZIP_DEFLATED)


def _deflated() -> bytes:
    """Compress a sound array: even that is not inflated."""
    return zipped(_members(), zipfile.ZIP_DEFLATED)


def _pickled() -> bytes:
    return with_weight(npy(np.array([print, {}, None] * 4, dtype=object)))


_F8 = "'<f8'"

# What it is, the archive, and a word of the refusal.
FAULTS: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "damaged"),
    ("text", b"weights", "damaged"),
    ("pickle", b"\x80\x04N.", "damaged"),
    ("array", npy(np.zeros(3)), "damaged"),
    ("half", saved()[: len(saved()) // 2], "damaged"),
    ("last byte missing", saved()[:-1], "damaged"),
    ("zip without members", zipped([]), "must hold"),
    ("member missing", zipped(_members()[:1]), "must hold"),
    ("member more", zipped([*_members(), ("x.npy", npy(np.zeros(1)))]), "must hold"),
    ("member twice", zipped([*_members(), _members()[0]]), "must hold"),
    ("one for the other", zipped([_members()[0]] * 2), "must hold"),
    ("path upwards", zipped([*_members(), ("../canary", b"x")]), "../canary'"),
    ("absolute path", zipped([*_members(), ("/canary", b"x")]), " /canary"),
    ("upwards in place", zipped([(f"../{n}", c) for n, c in _members()]), "must hold"),
    ("escape in a name", zipped([("\x1b[2J.npy", b""), *_members()]), "\\x1b[2J"),
    ("100 names", zipped([(f"{n}.npy", b"") for n in range(100)]), "must hold"),
    ("bomb", _bomb(), "compressed"),
    ("deflated", _deflated(), "compressed"),
    ("bzip2", zipped(_members(), zipfile.ZIP_BZIP2), "compressed"),
    ("lzma", zipped(_members(), zipfile.ZIP_LZMA), "compressed"),
    ("encrypted", _changed(_encrypted), "encrypted"),
    ("checksum", _changed(_wrong_crc), "Bad CRC"),
    ("other local name", _changed(_other_local_name), "damaged"),
    ("four gigabytes", _changed(_larger_than_it_is), "4,294,967,280"),
    ("same bytes twice", _changed(_shared_bytes), "damaged"),
    ("long array", with_weight(npy(np.zeros((4, 300)))), "9,728"),
    ("empty member", with_weight(b""), "got 0"),
    ("no array", with_weight(b"x" * 200), "must begin with the header"),
    ("objects", _pickled(), "pickle, never loaded"),
    ("claims objects", claiming("'|O'", "(4, 3)"), "pickle, never loaded"),
    ("claims 8 TB", claiming(_F8, "(1000000000000,)"), "8,000,000,000,000 bytes"),
    ("claims no bytes", claiming(_F8, "(0, 3)"), "must have 0 bytes"),
    ("claims below nothing", claiming(_F8, "(-4, -3)"), "must have 96 bytes"),
    ("claims 800 digits", claiming(_F8, f"({'9' * 400}, {'9' * 400})"), "more than any"),
    ("long header", claiming(_F8, f"({'9' * 4000}, {'9' * 4000})"), "and a header, got"),
    ("5,000 digits", claiming(_F8, f"({'9' * 5000},)"), "header"),
    ("shape of truths", claiming(_F8, "(True, 12)"), "of shape"),
    ("Fortran order", claiming(_F8, "(4, 3)", fortran="True"), "of shape (4, 3)"),
    ("big-endian", claiming("'>f8'", "(4, 3)"), "got >f8"),
    ("float32", with_weight(npy(np.zeros((4, 6), np.float32))), "got float32"),
    ("float16", with_weight(npy(np.zeros((4, 12), np.float16))), "got float16"),
    ("whole numbers", with_weight(npy(np.zeros((4, 3), np.int64))), "must hold numbers"),
    ("complex", with_weight(npy(np.zeros((4, 3), complex))), "dtype complex128"),
    ("text array", with_weight(npy(np.full((4, 3), "ab"))), "must hold numbers"),
    ("records", claiming("[('a', '<f8')]", "(4, 3)"), "must hold numbers"),
    ("arrays of arrays", claiming("('<f8', (3,))", "(4,)"), "must"),
    ("other shape", with_weight(npy(np.zeros((3, 4)))), "got float64 of (3, 4)"),
    ("flat", with_weight(npy(np.zeros(12))), "of (12,)"),
    ("a call", claiming("__import__('os').system('touch canary')", "(4, 3)"), "header"),
    ("odd words", claiming("'\\\\d'", "(4, 3)"), "header"),
    ("old type name", claiming("'a8'", "(4, 3)"), "must hold numbers"),
    ("deep header", with_weight(headed("[" * 900)), "header"),
    ("version 3", with_weight(npy(WEIGHTS["layers.0.weight"]).replace(b"Y\1", b"Y\3")), "header"),
]


def recomputed(content: bytes) -> bytes:
    """Correct the checksums of stored members, so that what is inside them is looked at."""
    fixed = bytearray(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            start = member.header_offset + 30 + len(member.filename)
            start += struct.unpack_from("<H", content, member.header_offset + 28)[0]
            crc = struct.pack("<I", zlib.crc32(fixed[start : start + member.file_size]))
            old = struct.pack("<I", member.CRC)
            fixed[:] = fixed.replace(old, crc)
    return bytes(fixed)
