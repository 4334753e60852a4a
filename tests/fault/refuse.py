"""The rules of the interposed library (refuse.c): which calls fail, while processes run.

Owns the page that every process of a universe maps; its layout is refuse.c's. Knows nothing of
pleach.
"""
import errno
import mmap
import struct

RULES = 8
LAYOUT = struct.Struct("<48s128s32siIIII28x")
ERROR_AT = 48 + 128 + 32


class Refuse:
    def __init__(self, path):
        self.path = path
        with open(path, "wb") as file:
            file.write(bytes(RULES * LAYOUT.size))
        self.file = open(path, "r+b")
        self.page = mmap.mmap(self.file.fileno(), RULES * LAYOUT.size)

    def set(self, calls, error, path="", program="", first=1, count=0, rule=0):
        """Of the matching calls `count` fail from the `first` on (0: all from there)."""
        at = rule * LAYOUT.size
        self.clear(rule)
        record = LAYOUT.pack(f",{calls},".encode(), path.encode(), program.encode(),
                             0, first, count, 0, 0)
        self.page[at:at + LAYOUT.size] = record
        struct.pack_into("<i", self.page, at + ERROR_AT, getattr(errno, error))

    def watch(self, calls, path="", program="", rule=0):
        """Only counts."""
        self.set(calls, "EIO", path, program, first=0xFFFFFFFF, rule=rule)

    def clear(self, rule=0):
        struct.pack_into("<i", self.page, rule * LAYOUT.size + ERROR_AT, 0)

    def seen(self, rule=0):
        return LAYOUT.unpack_from(self.page, rule * LAYOUT.size)[6]

    def refused(self, rule=0):
        return LAYOUT.unpack_from(self.page, rule * LAYOUT.size)[7]

    def end(self):
        self.page.close()
        self.file.close()
