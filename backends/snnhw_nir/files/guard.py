"""HDF5 files from anywhere, as nested mappings of arrays and texts.

HDF5 can do far more than NIR needs: link to other files, take raw bytes from any path, name one object
twice, promise terabytes in a kilobyte, load filters from shared libraries. All of that is refused before
anything is read. The file is read into memory first, so that nothing can change it underneath.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Final

from snnhw.errors import LoadError
from snnhw.ir.files import read_bytes
from snnhw.words import brief
from snnhw_nir.files.heaps import check_heaps
from snnhw_nir.files.limits import LIMITS, Limits

__all__ = ["read_tree"]

REFERENCE: Final = 16
"""Bytes of a reference to a text: its length, and where it stands."""

FILTERS: Final = {1: "deflate", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}
"""Filters by HDF5's numbers: those that come with it and with h5py. Others would be searched on disk."""


def read_tree(path: Path, limits: Limits = LIMITS) -> dict[str, Any]:
    """What the file holds: groups as mappings, datasets as arrays or texts.

    Raises:
        LoadError: naming the object and what is wrong with it.
    """
    import h5py

    data = read_bytes(path, limits.bytes, "max_bytes")
    check_heaps(data, limits.heap)
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return _Walk(h5py, data, limits).group(file, "", 0)
    except LoadError:
        raise
    except Exception as error:  # broken files raise a dozen types, from KeyError to SystemError
        said = " ".join(str(error).split())
        raise LoadError(f"it is no HDF5 file, or a broken one: {brief(said)}") from error


@dataclass
class _Walk:
    """One walk through a file, with what is spent so far."""

    h5py: Any
    data: bytes
    limits: Limits
    spent: int = 0
    objects: int = 0
    seen: set[int] = field(default_factory=set)

    def group(self, group: Any, at: str, depth: int) -> dict[str, Any]:
        most = self.limits
        if depth > most.depth:
            raise LoadError(f"{brief(at)}: groups are nested deeper than {most.depth}")
        self.enter(group, at)
        if len(group) > most.objects:
            raise LoadError(f"'{at}' holds {len(group)} objects; at most {most.objects} are read")
        found: dict[str, Any] = {}
        for name in group:
            inner = f"{at}/{name}"
            if len(name) > most.name:
                raise LoadError(f"{brief(inner)} has a name of {len(name)} characters; at most {most.name}")
            link = group.get(name, getlink=True)
            if type(link) is not self.h5py.HardLink:
                kind = type(link).__name__
                raise LoadError(
                    f"'{inner}' is a {kind} to elsewhere; only what the file itself holds is read"
                )
            item = group[name]
            if isinstance(item, self.h5py.Group):
                found[name] = self.group(item, inner, depth + 1)
            elif isinstance(item, self.h5py.Dataset):
                self.enter(item, inner)
                found[name] = self.dataset(item, inner)
            else:
                raise LoadError(f"'{inner}' is a {type(item).__name__}, neither group nor dataset")
        return found

    def enter(self, item: Any, at: str) -> None:
        """Every object once: a second name for one would make cycles, or trees without end."""
        self.objects += 1
        address = self.h5py.h5o.get_info(item.id).addr
        if address in self.seen:
            raise LoadError(f"'{at}' is another name of an object that stands elsewhere in the file")
        if self.objects > self.limits.objects:
            raise LoadError(f"it holds more than {self.limits.objects} objects")
        self.seen.add(address)

    def dataset(self, item: Any, at: str) -> Any:
        plist, layouts = item.id.get_create_plist(), self.h5py.h5d
        if plist.get_external_count():
            raise LoadError(
                f"'{at}' takes its bytes from another file; only what the file itself holds is read"
            )
        if plist.get_layout() not in (layouts.COMPACT, layouts.CONTIGUOUS, layouts.CHUNKED):
            raise LoadError(f"'{at}' is put together from other datasets, which are not read")
        for number in range(plist.get_nfilters()):
            code = plist.get_filter(number)[0]
            if code not in FILTERS:
                raise LoadError(f"'{at}' needs filter {code}; accepted: {', '.join(FILTERS.values())}")
        if item.shape is None:
            raise LoadError(f"'{at}' holds nothing")
        count, kind = prod(item.shape), item.dtype
        if text := self.h5py.check_string_dtype(kind):
            return self.text(item, at, count, text)
        if kind.kind not in "fiu" or kind.itemsize > 8:
            raise LoadError(
                f"'{at}' is of dtype {kind}; accepted: floats and integers of up to 8 bytes, and texts"
            )
        self.claim(item, at, count * kind.itemsize)
        return item[()].astype(kind.newbyteorder("="))

    def claim(self, item: Any, at: str, size: int) -> None:
        """Before it is unpacked: chunk by chunk, each whole, however little of it the dataset takes."""
        size, stored = max(size, prod(item.chunks or (0,)) * item.dtype.itemsize), item.id.get_storage_size()
        self.spend(size, at)
        if size > max(self.limits.small, self.limits.ratio * stored):
            raise LoadError(f"'{at}' claims {size} bytes, but the file stores {stored} for it")

    def spend(self, size: int, at: str) -> None:
        self.spent += size
        if self.spent > self.limits.bytes:
            raise LoadError(f"'{at}': unpacked, the file takes more bytes than are accepted (max_bytes=)")

    def text(self, item: Any, at: str, count: int, text: Any) -> Any:
        if count > self.limits.texts:
            raise LoadError(f"'{at}' holds {count} texts; at most {self.limits.texts} are read")
        self.claim(item, at, count * (text.length or REFERENCE))
        if text.length is None:
            self.check_lengths(item, at, count)
        try:
            found = item.asstr("utf-8")[()]
        except UnicodeDecodeError as error:
            raise LoadError(f"'{at}' is not text in UTF-8") from error
        return found

    def check_lengths(self, item: Any, at: str, count: int) -> None:
        """Texts stand in a heap, and HDF5 makes room for the length that is claimed, up to 4 GiB."""
        start = item.id.get_offset()
        if start is None or start + REFERENCE * count > len(self.data):
            raise LoadError(f"'{at}' holds texts that are not stored one after the other")
        for place in range(start, start + REFERENCE * count, REFERENCE):
            length = int.from_bytes(self.data[place : place + 4], "little")
            if length > len(self.data):
                raise LoadError(f"'{at}' claims a text of {length} bytes, in a file of {len(self.data)}")
            self.spend(length, at)
