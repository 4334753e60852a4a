"""The disk of a universe that can lose power: what the interposed library (shadow.c) saw synced.

Owns switching it off, and making the tree that a machine would find when it starts again. Knows
nothing of pleach: what the tree must hold is for the tests to say.
"""
import ctypes
import fcntl
import os
import shutil
import stat
import subprocess
import tempfile

LEAST = "least"  # nothing but what was synced
NAMES = "names"  # every name was written, of the contents only what was synced
MIXED = "mixed"  # all names or none; each content that was not synced: old, new, or cut short
MODES = (LEAST, NAMES, MIXED)


def identity(path):
    """As shadow.c names an inode; its birth tells it from a later one of the same number."""
    found = os.lstat(path)
    birth = birth_of(path)
    return f"{found.st_ino}-{birth}" if birth else None


def birth_of(path):

    libc = ctypes.CDLL(None, use_errno=True)
    buf = (ctypes.c_uint8 * 256)()
    # statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BTIME, buf)
    if libc.statx(-100, os.fsencode(path), 0x100, 0x800, buf) != 0:
        return None
    raw = bytes(buf)
    seconds = int.from_bytes(raw[0x50:0x58], "little", signed=True)
    nanoseconds = int.from_bytes(raw[0x58:0x5C], "little")
    return f"{seconds}.{nanoseconds:09}"


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        os.unlink(path)


class Disk:
    def __init__(self, root, library):
        self.root = root
        self.library = library
        self.shadow = None
        self.begin()

    def env(self):
        """What a process needs to be on this disk."""
        return {"LD_PRELOAD": self.library, "PLEACH_SHADOW": self.shadow,
                "PLEACH_SHADOW_ROOT": self.root}

    def begin(self):
        """From here on all that is there counts as written long ago."""
        self.shadow = tempfile.mkdtemp(prefix="pl-shadow-")
        os.mkdir(self.shadow + "/i")
        os.mkdir(self.shadow + "/d")

        subprocess.run(("sync",), env={**os.environ, **self.env()}, check=True)

    def cut(self):
        """The moment: no sync that has not returned by now ever will."""
        with open(self.shadow + "/lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with open(self.shadow + "/cut", "w"):
                pass

    def restore(self, mode, rng):
        """With every process dead: the root becomes what the machine finds, in place, for what
        was there keeps its inode."""
        self.rng = rng
        self.mode = mode
        self.names = mode == NAMES or (mode == MIXED and rng.random() < 0.5)
        self.made = {}
        self.folder(identity(self.root), self.root)
        shutil.rmtree(self.shadow)
        self.begin()

    def entries(self, ident, real):
        """(type, identity, mode, name, link target) of each name that is durable."""
        if self.names:
            for entry in os.scandir(real):
                mode = entry.stat(follow_symlinks=False).st_mode
                kind = "d" if stat.S_ISDIR(mode) else "f" if stat.S_ISREG(mode) else "l"
                if kind == "l" and not stat.S_ISLNK(mode):
                    continue
                target = os.readlink(entry.path) if kind == "l" else ""
                yield kind, identity(entry.path), stat.S_IMODE(mode), entry.name, target
            return
        try:
            with open(f"{self.shadow}/d/{ident}", "rb") as file:
                parts = file.read().split(b"\0")
        except FileNotFoundError:
            return
        for head, target in zip(parts[::2], parts[1::2]):
            kind, found, mode, name = os.fsdecode(head).split(" ", 3)
            yield kind, found, int(mode, 8), name, os.fsdecode(target)

    def folder(self, ident, path):
        entries = list(self.entries(ident, path))
        names = {entry[3] for entry in entries}
        for name in os.listdir(path):
            if name not in names:
                remove(f"{path}/{name}")
        for kind, found, mode, name, target in entries:
            to = f"{path}/{name}"
            if os.path.lexists(to) and (kind == "l" or identity(to) != found):
                remove(to)
            if kind == "l":
                os.symlink(target, to)
                continue
            if kind == "d":
                if not os.path.exists(to):
                    os.mkdir(to)
                self.folder(found, to)
            elif found in self.made and not os.path.exists(to):
                os.link(self.made[found], to)
            elif found not in self.made:
                self.content(found, to)
                self.made[found] = to
            os.chmod(to, mode)

    def content(self, ident, to):
        synced = f"{self.shadow}/i/{ident}"
        data, stamp = b"", None
        if os.path.exists(synced):
            with open(synced, "rb") as source:
                data = source.read()
            stamp = os.stat(synced).st_mtime_ns
        if os.path.exists(to):
            with open(to, "rb") as source:
                current = source.read()
            if current == data:
                return
            if self.mode == MIXED:
                data = self.torn(data, current)
        with open(to, "wb") as file:
            file.write(data)
        if stamp is not None:
            os.utime(to, ns=(stamp, stamp))

    def torn(self, synced, current):
        """Of what was not synced anything may be there, in whole blocks."""
        luck = self.rng.random()
        if luck < 0.4:
            return synced
        if luck < 0.7:
            return current
        # each block as it was or as it is; the length of either
        length = self.rng.choice((len(synced), len(current)))
        blocks = bytearray(length)
        for at in range(0, length, 4096):
            source = self.rng.choice((synced, current))
            part = source[at:at + 4096][:length - at]
            blocks[at:at + len(part)] = part
        return bytes(blocks)

    def end(self):
        shutil.rmtree(self.shadow, ignore_errors=True)
