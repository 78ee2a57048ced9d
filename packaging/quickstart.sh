#!/bin/bash
# SPDX-License-Identifier: MIT
#
# From a fresh checkout to a mounted FP16 view of a model, in one command.
set -euo pipefail

usage()
{
	cat <<'END'
Usage: packaging/quickstart.sh [MODEL_DIR [MOUNTPOINT]]

Installs what the build needs (Debian 12, 13, Ubuntu 24.04), builds cvq in build/,
shows MODEL_DIR at MOUNTPOINT with its checkpoints in FP16, and lists both sides.
Nothing is copied, and MODEL_DIR is not changed.

  MODEL_DIR   a directory with .pt files; without it, a small sample is made
  MOUNTPOINT  where to mount; without it, build/quantized/ and MODEL_DIR's name

It can be run again at any time; an earlier view at MOUNTPOINT is then replaced.
END
}

die()
{
	echo "quickstart.sh: $*" >&2
	exit 1
}

# --- What was asked -------------------------------------------------------------

case ${1-} in
-h | --help)
	usage
	exit 0
	;;
-*) die "$1: no such option (see --help)" ;;
esac
[ $# -le 2 ] || die "too many arguments (see --help)"

if [ $# -gt 0 ]; then
	message=$(stat -- "$1" 2>&1) ||
		die "$1: ${message##*: } (give the directory that holds the .pt files)"
	[ -d "$1" ] || die "$1: not a directory (give the directory that holds the .pt files)"
	if [ ! -r "$1" ] || [ ! -x "$1" ]; then
		die "$1: no permission to read it"
	fi
	model=$(realpath -- "$1")
	[ "$model" != / ] || die "/: too much to show (give the directory that holds the .pt files)"
else
	model=
fi
[ -z "${2-}" ] || mountpoint=$(realpath -m -- "$2")

cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=$PWD/build
if [ -z "$model" ]; then
	model=$build/sample-model
	sample=true
else
	sample=false
fi
: "${mountpoint=$build/quantized/$(basename -- "$model")}"

# --- What this machine allows ---------------------------------------------------

[ -e /dev/fuse ] || modprobe fuse 2>/dev/null || sudo -n modprobe fuse 2>/dev/null || true
[ -e /dev/fuse ] ||
	die "no /dev/fuse, so nothing can be mounted here (a container? start it with --device /dev/fuse --cap-add SYS_ADMIN)"
if [ "$(id -u)" = 0 ]; then
	(exec 3<>/dev/fuse) 2>/dev/null ||
		die "/dev/fuse cannot be opened (a container? start it with --device /dev/fuse --cap-add SYS_ADMIN)"
	unshare --mount --propagation unchanged true 2>/dev/null ||
		die "this root may not mount (a container? start it with --device /dev/fuse --cap-add SYS_ADMIN)"
fi
mkdir -p "$build" 2>/dev/null || true
[ -w "$build" ] || die "$build: cannot be written (made by another user? remove it as that user)"

# --- Build ----------------------------------------------------------------------

packaging/install-dependencies.sh build

# A compiler's output interests nobody unless it failed.
quietly()
{
	if ! "$@" >"$build/quickstart.log" 2>&1; then
		tail -n 30 "$build/quickstart.log" >&2
		die "building failed (all of the output: $build/quickstart.log)"
	fi
}

echo "Building cvq-mount and cvq in $build"
quietly cmake --preset release
quietly cmake --build "$build" --parallel "$(nproc)" --target cvq-mount cvq-program cvq

# The yaml is the last file that it makes.
if $sample && [ ! -e "$model/cosyvoice2.yaml" ]; then
	quietly cc -O2 -o "$build/make-sample" packaging/make-sample.c -lz
	echo "Making a sample model in $model"
	"$build/make-sample" "$model"
fi

# --- Mount ----------------------------------------------------------------------

(exec 3<>/dev/fuse) 2>/dev/null ||
	die "/dev/fuse: no permission to open it (as root: chmod 666 /dev/fuse)"

mounted_type()
{
	findmnt -rn -o FSTYPE --mountpoint "$mountpoint" | tail -n 1
}

if [ "$(mounted_type)" = fuse.cvq-mount ]; then
	echo "Replacing the earlier view at $mountpoint"
	message=$(fusermount3 -u "$mountpoint" 2>&1) ||
		die "${message#fusermount3: } (end the programs that use the earlier view, or give another MOUNTPOINT)"
fi
mkdir -p "$mountpoint" || die "$mountpoint: cannot be made (give another MOUNTPOINT)"

# It says itself what it did, or why it failed.
"$build/cvq-mount" "$model" "$mountpoint" || exit $?

# --- Show -----------------------------------------------------------------------

printf '\nThe original, %s:\n' "$model"
ls -lhL "$model"
printf '\nThe FP16 view, %s:\n' "$mountpoint"
ls -lh "$mountpoint"

quoted=$(printf %q "$mountpoint")
if $sample; then
	cat <<END

Nothing was converted yet; the bytes are computed when they are read. Try:
  cmp $(printf %q "$model")/hift.pt $quoted/hift.pt    # the vocoder stays as it is
  python3 -c 'import torch; print(torch.load("$mountpoint/llm.pt"))'    # if torch is there
With a model of your own:
  packaging/quickstart.sh pretrained_models/CosyVoice2-0.5B
END
else
	cat <<END

Nothing was converted yet; the bytes are computed when they are read. Use it as you
would use the original:
  CosyVoice:  AutoModel(model_dir="$mountpoint")
  PyTorch:    torch.load("$mountpoint/....pt")
END
fi
cat <<END
To end it:
  fusermount3 -u $quoted
Other options (what stays FP32, bf16, ...), and what else there is (convert, verify, run):
  build/cvq-mount --help
  build/cvq --help
To have both as commands, with their manuals (as root):
  cmake --install build
END
