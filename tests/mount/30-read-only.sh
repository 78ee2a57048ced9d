#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Read-only: every way to change something is EROFS, and changes nothing.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mkdir "$original/folder"
fixed "$original/model.pt"
echo text >"$original/file"
ln -s file "$original/link"
before=$(cd "$original" && find . -printf '%P %m %s %T@ %C@ %l\n' | sort)

mount_view
"$PYTHON" - "$view" <<'END' || fail "the view can be changed"
import errno, os, sys
os.chdir(sys.argv[1])
ways = {
    "create": lambda: os.open("new", os.O_WRONLY | os.O_CREAT, 0o644),
    "create over": lambda: os.open("file", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644),
    "write": lambda: os.open("model.pt", os.O_WRONLY),
    "read and write": lambda: os.open("file", os.O_RDWR),
    "append": lambda: os.open("file", os.O_WRONLY | os.O_APPEND),
    "create nameless": lambda: os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600),
    "truncate": lambda: os.truncate("model.pt", 0),
    "unlink": lambda: os.unlink("model.pt"),
    "rmdir": lambda: os.rmdir("folder"),
    "mkdir": lambda: os.mkdir("new"),
    "mkfifo": lambda: os.mkfifo("new"),
    "symlink": lambda: os.symlink("file", "new"),
    "link": lambda: os.link("file", "new"),
    "rename": lambda: os.rename("file", "new"),
    "rename over": lambda: os.rename("file", "model.pt"),
    "chmod": lambda: os.chmod("file", 0o600),
    "chown": lambda: os.chown("file", os.getuid(), os.getgid()),
    "utime": lambda: os.utime("file", (1, 1)),
    "setxattr": lambda: os.setxattr("file", "user.x", b"x"),
    "removexattr": lambda: os.removexattr("file", "user.cvq.info"),
}
wrong = 0
for name, way in ways.items():
    try:
        way()
        error = 0
    except OSError as failure:
        error = failure.errno
    if error != errno.EROFS:
        print(f"{name}: {os.strerror(error) if error else 'succeeded'}, not EROFS")
        wrong += 1
sys.exit(wrong)
END
[ ! -w "$view/file" ] || fail "the view calls a file writable"
expect "$before" "$(cd "$original" && find . -printf '%P %m %s %T@ %C@ %l\n' | sort)" "the source"
unmount_view
