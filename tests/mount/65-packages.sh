#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The Debian packages: unpacked they mount, name what they need, and build the
# program that README.md shows.
# Label: slow
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

is_root || skip "an ordinary user does not see packaging/"
need cmake cpack file dpkg-deb dpkg-shlibdeps pkg-config
project=$tests/..
build=$work/packages
root=$work/root

{
	cmake -S "$project" --preset debian -B "$build"
	cmake --build "$build" --target package --parallel "$(nproc)"
} >"$work/build.log" 2>&1 || fail "the packages cannot be built: $(tail -n 20 "$work/build.log")"
for package in cvq libcvq0 libcvq-dev; do
	dpkg-deb -x "$build/${package}"_*.deb "$root"
done

# --- What they say of themselves ------------------------------------------------

depends_on()
{
	dpkg-deb -f "$build/$1"_*.deb Depends | matches -wE "$2" || fail "$1 does not depend on $2"
}

depends_on cvq fuse3
depends_on cvq "libzip[45]"
depends_on libcvq0 "libzip[45]"
depends_on libcvq-dev libcvq0
for package in cvq libcvq0 libcvq-dev; do
	[ -s "$root/usr/share/doc/$package/copyright" ] || fail "$package has no licence"
done
dpkg-deb -f "$build"/cvq_*.deb Depends | matches libcvq &&
	fail "the programs are said to need the library"
# A program that was built with one release runs with the next.
dpkg-deb -e "$build"/libcvq0_*.deb "$work/control"
grep -q '^libcvq 0 libcvq0 (>= [0-9.]*)$' "$work/control/shlibs" ||
	fail "programs will depend on $(cat "$work/control/shlibs")"

# --- The programs ---------------------------------------------------------------

CVQ_MOUNT=$root/usr/bin/cvq-mount
fixed "$original/fixed.pt"
mount_view
expect_state converted "$view/fixed.pt"
"$root/usr/bin/cvq" verify --quiet "$original" "$view" >"$work/verified" ||
	fail "cvq verify: $(cat "$work/verified")"

# --- The library, by the program in README.md, from where it happens to lie -----

# shellcheck disable=SC2016 # these are not commands
sed -n '/^## Library/,/^## How/ { /^```c$/,/^```$/ { /^```/d; p } }' "$project/README.md" \
	>"$work/example.c"
export PKG_CONFIG_LIBDIR
PKG_CONFIG_LIBDIR=$(dirname "$(find "$root/usr/lib" -name libcvq.pc)")
# shellcheck disable=SC2046 # several words
gcc -Wall -Wextra -Werror -o "$work/example" "$work/example.c" $(pkg-config --cflags --libs libcvq) ||
	fail "the example in README.md does not build"
export LD_LIBRARY_PATH=${PKG_CONFIG_LIBDIR%/pkgconfig}
"$work/example" "$original/fixed.pt" >"$work/image" || fail "the example ended with $?"
same "$work/image" "$view/fixed.pt"
! "$work/example" "$original/fixed.pt" >/dev/full ||
	fail "the example does not notice what it cannot write"
unset LD_LIBRARY_PATH

# --- The service ----------------------------------------------------------------

for manager in system user; do
	unit=$root/usr/lib/systemd/$manager/cvq@.service
	[ -s "$unit" ] || fail "there is no unit for the $manager manager"
done
if command -v systemd-analyze >/dev/null; then
	sed "s,=/usr/bin/,=$root/usr/bin/," "$unit" >"$work/cvq@.service"
	systemd-analyze verify --man=no "$work/cvq@.service" 2>"$work/analyze.err" ||
		fail "the unit is not well-formed: $(cat "$work/analyze.err")"
	! matches . "$work/analyze.err" || fail "the unit: $(cat "$work/analyze.err")"
else
	echo "systemd is not installed: its unit is not checked"
fi
unmount_view
