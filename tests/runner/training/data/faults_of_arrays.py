"""Bad NPZ and NPY files, many of them written by hand: headers that lie, members that are torn."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.runner.training.data.faults import Fault

Array = NDArray[Any]
X = np.arange(8.0).reshape(4, 2)
Y = np.array([0, 1, 0, 1])
TABLE = np.column_stack([X, Y])


def npz(**arrays: Array) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def npy(array: Array) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def header(shape: tuple[int, ...], descr: str = "<f8", version: bytes = b"\x01\x00") -> bytes:
    """Write the first bytes of an array that claims a shape."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return raw_header(text, version)


def raw_header(text: bytes, version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text


def zipped(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def claiming(shape: tuple[int, ...]) -> bytes:
    """Make an archive whose directory repeats the lie of the header in it."""
    member = header(shape)
    claimed = len(member) + int(np.prod(shape)) * 8
    content = zipped(X=member, y=npy(Y))
    return content.replace(struct.pack("<I", len(member)), struct.pack("<I", claimed))


def flipped() -> bytes:
    content = bytearray(npz(X=X, y=Y))
    content[content.index(X[1].tobytes())] ^= 1
    return bytes(content)


def encrypted() -> bytes:
    # The first bit of a member's flags, in the local header and in the directory.
    content = bytearray(npz(X=X, y=Y))
    content[content.index(b"PK\x03\x04") + 6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def in_npz(
    name: str, content: bytes | Callable[[], bytes], *says: str, **settings: object
) -> Fault:
    return Fault(name, "t.npz", content, says, settings)


def in_npy(name: str, content: bytes, *says: str, target: object = -1) -> Fault:
    return Fault(name, "t.npy", content, says, {"target": target})


NANS = np.where(np.arange(8).reshape(4, 2) == 5, np.nan, X)
WIDE = X.astype(np.longdouble) * np.longdouble("1e4000")

NPZ = [
    in_npz("X without y", npz(X=X), "t.npz: must hold an array 'y'", "got 'X'"),
    in_npz("other names", npz(a=X, b=Y), "array 'X'", "got 'a', 'b'", "data.target=NAME names"),
    in_npz("nearly", npz(x=X, y=Y, z=Y), "must hold an array 'X'", "Did you mean 'x'?"),
    in_npz("no such labels", npz(X=X, y=Y), "an array 'z'", "got 'X', 'y'", target="z"),
    in_npz("no arrays", zipped(), "t.npz: must hold an array 'X'", "no arrays"),
    in_npz("different lengths", npz(X=X, y=Y[:3]), "array 'y'", "shape (4,)", "got (3,)"),
    in_npz("X of 1 dimension", npz(X=Y, y=Y), "array 'X'", "(n_samples, n_features)", "got (4,)"),
    in_npz("X of 3 dimensions", npz(X=X[None], y=Y), "array 'y'", "(1,)", "got (4,)"),
    in_npz("y of 2 columns", npz(X=X, y=X), "array 'y'", "(4,)", "got (4, 2)", "argmax"),
    in_npz("no columns", npz(X=X[:, :0], y=Y), "array 'X'", "n_features", "got (4, 0)"),
    in_npz("no rows", npz(X=X[:0], y=Y[:0]), "t.npz: must have at least 2 rows", "got 0"),
    in_npz("one class", npz(X=X, y=Y * 0), "labels 'y'", "2 classes", "got only '0'"),
    in_npz("object X", npz(X=X.astype(object), y=Y), "array 'X'", "numbers", "Python objects"),
    in_npz("object y", npz(X=X, y=Y.astype(object)), "array 'y'", "text", "Python objects"),
    in_npz("complex X", npz(X=X * 1j, y=Y), "array 'X'", "numbers or booleans", "complex128"),
    in_npz("text X", npz(X=X.astype(str), y=Y), "array 'X'", "numbers or booleans", "<U32"),
    in_npz("dates", npz(X=X.astype("M8[s]"), y=Y), "array 'X'", "numbers", "datetime64[s]"),
    in_npz("records", npz(X=np.zeros(3, [("a", "f8")]), y=Y), "array 'X'", "numbers", "('a', "),
    in_npz("bytes", npz(X=X, y=Y.astype("S")), "array 'y'", "text", "S21"),
    in_npz(
        "NaN",
        npz(X=NANS, y=Y),
        "row 2 (the first is 0), column 'feature_2'",
        "a number",
        "data.missing=fill",
        missing="refuse",
    ),
    in_npz("wider than float64", npz(X=WIDE, y=Y), "row 1", "feature_1", "finite", "inf"),
    in_npz("pickle", pickle.dumps(X), "t.npz: must be an NPZ archive", "a pickle"),
    in_npz("old pickle", pickle.dumps([1], 0), "t.npz: must be an NPZ archive", "text"),
    in_npz("empty", b"", "t.npz: must hold an NPZ archive", "an empty file"),
    in_npz("truncated", npz(X=X, y=Y)[:-40], "t.npz: must be a whole NPZ", "damaged"),
    in_npz("CRC error", flipped, "t.npz: must be a whole NPZ", "Bad CRC-32", "X.npy"),
    in_npz("encrypted", encrypted, "t.npz: must be a whole NPZ", "encrypted"),
    in_npz("8 TB", zipped(X=header((10**6, 10**6)), y=npy(Y)), "array 'X'", "8,000,000,000,000"),
    in_npz("3 GB, also in the directory", lambda: claiming((4, 10**8)), "whole NPZ", "X.npy"),
    in_npz("4 GB of text", zipped(X=npy(X), y=header((4,), "<U250000000")), "array 'y'", "4,000,0"),
    in_npz("member of text", zipped(X=b"1,2\n", y=npy(Y)), "array 'X'", "header of an NPY"),
    in_npz("no Unicode", zipped(X=npy(X), y=header((4,), "<U1") + b"\xff" * 16), "row 0", "text"),
]

NPY = [
    in_npy("8 TB of NPY", header((10**6, 10**6)), "t.npy", "8,000,000,000,000", "got 0"),
    in_npy("negative shape", header((-1, -8)), "t.npy", "(-1, -8)"),
    in_npy("more than claimed", npy(TABLE) + b"0", "t.npy: must have 96 bytes", "got 97"),
    in_npy("torn", npy(TABLE)[:-3], "t.npy: must have 96 bytes", "got 93"),
    in_npy("torn header", npy(TABLE)[:20], "t.npy", "header of an NPY"),
    in_npy("unknown version", header((4, 3), version=b"\x09\x00"), "t.npy", "header of an NPY"),
    in_npy("header of nonsense", raw_header(b"((((\n"), "t.npy", "header of an NPY"),
    in_npy("open quotes", raw_header(b"'''a\n"), "t.npy", "header of an NPY"),
    in_npy("deep header", raw_header(b"-" * 9_000 + b"\n"), "t.npy", "header of an NPY"),
    in_npy("no such dtype", header((4, 3), "<z9"), "t.npy", "header of an NPY"),
    in_npy("renamed pickle", pickle.dumps(TABLE), "t.npy: must be an NPY array", "a pickle"),
    in_npy("renamed NPZ", npz(X=X, y=Y), "t.npy: must be an NPY array", "a zip archive"),
    in_npy("objects", npy(TABLE.astype(object)), "t.npy: must hold numbers", "Python objects"),
    in_npy("1 dimension", npy(Y), "t.npy", "(n_samples, n_features)", "got (4,)"),
    in_npy("only labels", npy(Y[:, None]), "t.npy", "one feature column", "'feature_1'", target=0),
    in_npy("label by name", npy(TABLE), "data.target", "'label'", "'feature_3'", target="label"),
    in_npy("label beyond", npy(TABLE), "data.target", "got '3'", "'feature_3'", target=3),
    in_npy("no label", npy(TABLE), "data.target", "must be given", "'feature_3'", target=None),
]

FAULTS = [*NPZ, *NPY]
