"""The disk after a power cut, worked out from the tree as it was before and from what a program did to it
(tests/support/fault_disk/journal.h).

What is assumed, and it is stricter than ext4, XFS and Btrfs are:

- The tree as it stood before the program began is on the disk.
- What is in a file is on the disk after fsync or fdatasync of that file (or syncfs). Of later writes and changes of its
  size anything may have arrived: nothing; all; the new size with zeros; the first few; any of their 4 KiB blocks, with
  zeros in place of the others. sync_file_range, close, rename and the end of the program make nothing durable.
- A change of a name (create, mkdir, link, symlink, unlink, rmdir, rename) is on the disk after fsync of the folder it is
  in (or syncfs). Of the later ones in that folder the first few may have arrived, in their order; each folder has its own
  "first few". So two changes in two folders may arrive in either order.
- A rename between two folders is one change: it arrives in both or in neither. With it arrives what was done before in
  both folders.
- fsync of a file or folder says nothing about its own name in the folder above (ext4 would keep it).
- A link's target text arrives with the link. Modes and times are those at the moment of the cut.

Not modelled: sectors that are torn or turn bad, disks that lie about fsync, SQLite's database (it stands outside the tree).
"""

import os
import random
import shutil
import stat
from pathlib import Path

BLOCK = 4096


class File:
    def __init__(self, content=b""):
        self.old = content        # on the disk
        self.now = content
        self.late = []            # changes since the last sync: (offset, bytes) or (size, None)
        self.mode = self.times = None

    def change(self, at, data):
        self.late.append((at, data))
        self.now = apply(self.now, at, data)

    def sync(self):
        self.old, self.late = self.now, []

    def after_cut(self, chance):
        if not self.late:
            return self.now
        way = chance.choice(["nothing", "all", "zeros", "first", "blocks"])
        if way == "all":
            return self.now
        if way == "nothing":
            return self.old
        content = self.old
        for at, data in self.late[:chance.randrange(len(self.late))] if way == "first" else self.late:
            if way == "zeros" and data is not None:
                data = bytes(len(data))
            if way == "blocks" and data is not None:
                data = b"".join(data[i:i + BLOCK] if chance.random() < 0.5 else bytes(len(data[i:i + BLOCK]))
                                for i in range(0, len(data), BLOCK))
            content = apply(content, at, data)
        return content


def apply(content, at, data):
    if data is None:
        return content[:at].ljust(at, b"\0")
    return content[:at].ljust(at, b"\0") + data + content[at + len(data):]


class Link:
    def __init__(self, target):
        self.target = target

    def sync(self):
        pass


class Folder:
    def __init__(self):
        self.old = {}             # on the disk
        self.now = {}
        self.late = []            # changes since the last sync, oldest first
        self.mode = self.times = None

    def sync(self):
        self.old, self.late = dict(self.now), []


class Change:
    """One change of names: [(folder, name, what stands there afterwards or None)]."""

    def __init__(self, *entries):
        self.entries = entries
        for folder, name, node in entries:
            set_name(folder.now, name, node)
        for folder in {id(entry[0]): entry[0] for entry in entries}.values():
            folder.late.append(self)


def set_name(names, name, node):
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


class Disk:
    """Made before the program starts, from the folders that it will work on; replay() after it died."""

    def __init__(self, *roots):
        self.roots = {os.fsencode(root): None for root in map(str, roots)}
        self.nodes = {}           # DEVICE:INODE -> what has it now
        self.folders = []         # all that ever were
        for root in self.roots:
            self.roots[root] = self._read(root)

    def _read(self, path):
        found = os.lstat(path)
        key = f"{found.st_dev}:{found.st_ino}".encode()
        if key in self.nodes and not stat.S_ISDIR(found.st_mode):
            return self.nodes[key]
        if stat.S_ISLNK(found.st_mode):
            node = Link(os.readlink(path))
        elif stat.S_ISREG(found.st_mode):
            node = File(Path(os.fsdecode(path)).read_bytes())
        else:
            assert stat.S_ISDIR(found.st_mode), path
            node = self._folder()
            node.now = {name: self._read(os.path.join(path, name)) for name in os.listdir(path)}
            node.sync()
        self.nodes[key] = node
        return node

    def _folder(self):
        self.folders.append(Folder())
        return self.folders[-1]

    def replay(self, journal):
        """What the program did. Fails when that does not lead to the tree that is there: then a change went unseen."""
        content = Path(journal).read_bytes() if Path(journal).exists() else b""
        at = 0
        while at < len(content):
            end = content.index(b"\n", at)
            word, *words = content[at:end].split(b" ")
            at = end + 1
            data = None
            if word == b"write":
                data = content[at:at + int(words[2])]
                at += len(data)
            self._do(word.decode(), words, data)
        for root, folder in self.roots.items():
            self._compare(root, folder)

    def _do(self, word, words, data):
        if word in ("write", "truncate"):
            return self.nodes[words[0]].change(int(words[1]), data)
        if word == "sync":
            return self.nodes[words[0]].sync()
        if word == "syncfs":
            device = words[0].split(b":")[0]
            for key, node in self.nodes.items():
                if key.split(b":")[0] == device:
                    node.sync()
            return None
        folder, name = self.nodes[words[0]], bytes.fromhex(words[1].decode())
        if word in ("unlink", "rmdir"):
            return Change((folder, name, None))
        if word in ("rename", "exchange"):
            other, new_name = self.nodes[words[2]], bytes.fromhex(words[3].decode())
            node, back = folder.now[name], other.now.get(new_name) if word == "exchange" else None
            if node is other.now.get(new_name):
                return None       # two names of one file: rename does nothing
            return Change((folder, name, back), (other, new_name, node))
        if word != "link":        # the number may have belonged to a file that is gone
            self.nodes[words[2]] = {"create": File, "mkdir": self._folder}[word]() if word != "symlink" else Link(
                bytes.fromhex(words[3].decode()))
        return Change((folder, name, self.nodes[words[2]]))

    def _compare(self, path, node):
        found = os.lstat(path)
        if isinstance(node, Link):
            assert os.readlink(path) == node.target, path
            return
        node.mode, node.times = stat.S_IMODE(found.st_mode), (found.st_atime_ns, found.st_mtime_ns)
        if isinstance(node, File):
            assert Path(os.fsdecode(path)).read_bytes() == node.now, f"{path}: written to unseen"
            return
        assert sorted(os.listdir(path)) == sorted(node.now), f"{path}: changed unseen"
        for name, below in node.now.items():
            self._compare(os.path.join(path, name), below)

    def cut(self, chance: random.Random):
        """Puts what survives in place of the trees."""
        self._choose_names(chance)
        for root, folder in self.roots.items():
            for entry in os.scandir(root):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)
            self._write(root, folder, chance, {})

    def _choose_names(self, chance):
        """`names` of each folder becomes what survives there."""
        folders = {id(folder): folder for folder in self.folders}
        kept = {}
        for key, folder in folders.items():
            most = len(folder.late)
            kept[key] = chance.choice([0, 0, most, chance.randint(0, most)])
        self._close(folders, kept)
        for key, folder in folders.items():
            folder.names = dict(folder.old)
            for change in folder.late[:kept[key]]:
                for where, name, node in change.entries:
                    if where is folder:
                        set_name(folder.names, name, node)

    @staticmethod
    def _close(folders, kept):
        """A rename that arrived in one folder arrived in the other (which may have been synced: then it has)."""
        again = True
        while again:
            again = False
            for key, folder in folders.items():
                for change in folder.late[:kept[key]]:
                    for other, _, _ in change.entries:
                        if change in other.late and (needed := other.late.index(change) + 1) > kept[id(other)]:
                            kept[id(other)], again = needed, True
            for key, folder in folders.items():
                for at, change in enumerate(folder.late, 1):
                    synced = any(other is not folder and change not in other.late for other, _, _ in change.entries)
                    if synced and at > kept[key]:
                        kept[key], again = at, True

    def _write(self, path, node, chance, written):
        if id(node) in written and not isinstance(node, Folder):
            os.link(written[id(node)], path, follow_symlinks=False)
            return
        written[id(node)] = path
        if isinstance(node, Link):
            os.symlink(node.target, path)
            return
        if isinstance(node, File):
            Path(os.fsdecode(path)).write_bytes(node.after_cut(chance))
        else:
            os.makedirs(path, exist_ok=True)
            for name, below in node.names.items():
                self._write(os.path.join(path, name), below, chance, written)
        if node.mode is not None:
            os.chmod(path, node.mode)
            os.utime(path, ns=node.times)
