#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run-qemu-tests.sh BUILD_DIR WORK_DIR - an unmodified QEMU on the emulated NVMe disk.
#
# QEMU's own user-space NVMe driver (qemu-img, qemu-io) and its vfio-pci with a small
# guest (guest.S) that boots from the disk, in each way a program has to VFIO.  QEMU is
# Debian's, of a newer suite than the machine's, unpacked beside its libraries.
#
# Output: TAP.  Exit: 0, 1, 77 QEMU cannot be had.

set -u
. "$(dirname "$0")/lib.sh"
need qemu-system-x86 qemu-utils

# ---- the disk and the guest ----

guest_image() {
	gcc -m16 -nostdlib -no-pie -Wl,-m,elf_i386,-Ttext=0x7c00,--oformat=binary,-e,_start \
		-Wl,--build-id=none -o "$work/guest.bin" "$here/guest.S" || exit 1
}

# A disk of noise that boots the guest.
fresh_disk() {
	head -c 16M /dev/urandom >"$work/disk.img"
	dd if="$work/guest.bin" of="$work/disk.img" conv=notrunc status=none
	cp "$work/disk.img" "$work/before.img"
}

# The guest wrote the complement of sectors 8 to 71 from 1024 on, and nothing else.
disk_is_as_the_guest_left_it() {
	python3 - "$work/before.img" "$work/disk.img" <<-'PY'
		import sys
		before, after = (bytearray(open(f, 'rb').read()) for f in sys.argv[1:])
		moved = before[8 * 512:72 * 512]
		before[1024 * 512:1088 * 512] = bytes(b ^ 255 for b in moved)
		sys.exit(before != after)
	PY
}

# ---- running ----

# machine OPTION... -- PROGRAM ARG...
machine() {
	timeout 120 "$uiommufd" run --device "nvme,addr=$bdf,image=$work/disk.img${nvme_options:-}" "$@"
}

qemu_args+=(-m 64 -device isa-debug-exit,iobase=0x501)

# The debug port makes 1 of the guest's 0.
boots() {
	"$@" >"$work/serial"
	local status=$?
	cat "$work/serial"
	[ $status -eq 1 ] && grep -q 'guest: same' "$work/serial" && disk_is_as_the_guest_left_it
}

boot_by_iommufd() {
	boots machine -- bash -c 'in_root qemu-system-x86 qemu-system-x86_64 "$@"' qemu "${qemu_args[@]}" \
		-object iommufd,id=iommufd0 -device "vfio-pci,host=$bdf,iommufd=iommufd0"
}

boot_by_descriptors() {
	boots machine -- bash -c '
		exec 20<>/dev/iommu
		exec 21<>"/dev/vfio/devices/$(ls /sys/bus/pci/devices/'$bdf'/vfio-dev)"
		in_root qemu-system-x86 qemu-system-x86_64 "$@"' qemu "${qemu_args[@]}" \
		-object iommufd,id=iommufd0,fd=20 -device vfio-pci,fd=21,iommufd=iommufd0
}

boot_by_container() {
	boots machine --container "$1" -- bash -c 'in_root qemu-system-x86 qemu-system-x86_64 "$@"' qemu \
		"${qemu_args[@]}" -device "vfio-pci,host=$bdf"
}

boot_without_mmap() {
	nvme_options=,access=no-mmap
	boot_by_iommufd
}

boot_trapped() {
	nvme_options=,access=trap
	boot_by_iommufd
}

boot_split() {
	nvme_options=,access=split
	boot_by_iommufd
}

# QEMU's block driver does the work of a driver, in qemu-img and qemu-io.
# (Only through a type1 container: before a device is attached iommufd in its place has one range
# of iova, and this QEMU looks for room in all but the first.)
img_reads_the_disk() {
	machine -- bash -c 'in_root qemu-utils qemu-img convert -O raw "$@"' img \
		"nvme://$bdf/1" "$work/copy.img" && cmp "$work/disk.img" "$work/copy.img"
}

img_writes_the_disk() {
	head -c 16M /dev/urandom >"$work/new.img"
	machine -- bash -c 'in_root qemu-utils qemu-img convert -n -f raw -O raw "$@"' img \
		"$work/new.img" "nvme://$bdf/1" && cmp "$work/disk.img" "$work/new.img"
}

io_writes_and_reads_back() {
	machine -- bash -c 'in_root qemu-utils qemu-io -f raw "$@"' io "nvme://$bdf/1" \
		-c 'write -P 0xa5 1M 256k' -c 'read -P 0xa5 1M 256k' -c 'write -z 2M 64k' \
		-c 'read -P 0 2M 64k' -c 'discard 3M 64k' -c 'flush' &&
		python3 -c "
d = open('$work/disk.img', 'rb').read()
assert d[1 << 20:(1 << 20) + (256 << 10)] == b'\xa5' * (256 << 10)
assert d[2 << 20:(2 << 20) + (64 << 10)] == bytes(64 << 10)"
}

guest_image
prepare=fresh_disk
check "qemu-img reads the disk" img_reads_the_disk
check "qemu-img writes the disk" img_writes_the_disk
check "qemu-io writes, zeroes, discards, flushes and reads back" io_writes_and_reads_back
check "a guest boots from the disk by iommufd" boot_by_iommufd
check "a guest boots by descriptors passed to QEMU" boot_by_descriptors
check "a guest boots by a type1 container" boot_by_container native
check "a guest boots by iommufd in the container's place" boot_by_container compat
check "a guest boots with each register access a call" boot_without_mmap
check "a guest boots with register accesses trapped" boot_trapped
check "a guest boots with doorbells mapped and the other registers calls" boot_split
finish
