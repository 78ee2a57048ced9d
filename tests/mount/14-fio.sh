#!/bin/bash
# SPDX-License-Identifier: MIT
#
# fio, which checks what it reads: on a file that is passed through, and on the
# weights of a converted one. For these fio writes the FP16 bytes first, then the
# source gets the FP32 numbers that become exactly them.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need fio
need_torch

size=$((24 << 20))

# run_fio OPTION...: quietly, unless it fails.
run_fio()
{
	# The offsets that it writes never look like a NaN, which has several FP16 forms.
	fio --output="$work/fio.err" --name=case --size=$size --bs=4k --verify=pattern \
		--verify_pattern=%o --verify_fatal=1 --verify_state_save=0 --group_reporting "$@" ||
		fail "fio $*: $(grep -m 3 -E 'verify|error' "$work/fio.err")"
}

# read_with_fio FILE OFFSET
read_with_fio()
{
	run_fio --readonly --filename="$1" --offset="$2" --rw=read
	run_fio --readonly --filename="$1" --offset="$2" --rw=randread --numjobs=4
	# fio's mmap engine forgets the offset.
	[ "$2" != 0 ] || run_fio --readonly --filename="$1" --rw=randread --ioengine=mmap
	run_fio --readonly --filename="$1" --offset="$2" --rw=randread --direct=1
}

# make_checkpoint [FILE OFFSET]: of the numbers that FILE has in half precision there.
make_checkpoint()
{
	"$PYTHON" - "$original/model.pt" $((size / 2)) "$@" <<'END'
import sys, torch
path, count = sys.argv[1], int(sys.argv[2])
halves = torch.zeros(count, dtype=torch.float16)
if len(sys.argv) > 3:
    with open(sys.argv[3], "rb") as file:
        file.seek(int(sys.argv[4]))
        halves = torch.frombuffer(bytearray(file.read(2 * count)), dtype=torch.float16)
torch.save({"weight": halves.float()}, path)
END
}

# payload_offset FILE: where the weights lie in an archive.
payload_offset()
{
	"$PYTHON" - "$1" <<'END'
import struct, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    entry = next(e for e in archive.infolist() if e.filename.endswith("/data/0"))
with open(sys.argv[1], "rb") as file:
    file.seek(entry.header_offset + 26)
    print(entry.header_offset + 30 + sum(struct.unpack("<HH", file.read(4))))
END
}

run_fio --filename="$original/passed.bin" --rw=write --do_verify=0

# Where the weights come to lie depends on sizes alone, so ask a model of zeros.
make_checkpoint
mount_view --align 4096
offset=$(payload_offset "$view/model.pt")
unmount_view
[ $((offset % 4096)) = 0 ] || fail "the weights lie at $offset in spite of --align 4096"
run_fio --filename="$work/halves" --offset="$offset" --rw=write --do_verify=0
make_checkpoint "$work/halves" "$offset"

mount_view --align 4096
expect_state converted "$view/model.pt"
expect_state passthrough "$view/passed.bin"
expect "$offset" "$(payload_offset "$view/model.pt")" "offset of the weights"
read_with_fio "$view/passed.bin" 0
read_with_fio "$view/model.pt" "$offset"
unmount_view
