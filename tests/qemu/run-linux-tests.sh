#!/bin/bash
# SPDX-License-Identifier: MIT
#
# run-linux-tests.sh BUILD_DIR WORK_DIR - Debian's Linux in QEMU on the emulated NVMe disk.
#
# SeaBIOS' NVMe driver loads GRUB, GRUB the kernel, and that has its root on the disk: all
# unmodified.  In the guest linux-nvme.sh is init.  What it wrote is looked at afterwards from
# outside, by e2fsck and debugfs.  Kernel, GRUB and nvme-cli are Debian's, of a newer suite than
# the machine's, unpacked beside each other and never installed.
#
# Output: TAP.  Exit: 0, 1, 77 a package cannot be had.

set -u
. "$(dirname "$0")/lib.sh"
PATH=$PATH:/usr/sbin:/sbin # e2fsprogs
need qemu-system-x86 linux-image-cloud-amd64 grub-pc-bin nvme-cli
if ! fetch busybox-static; then
	echo "SKIP: busybox-static cannot be had (see above)"
	exit 77
fi
second=0000:02:00.0
patience=${UIOMMUFD_GUEST_SECONDS:-400} # only who hangs takes that long

# ---- the disk ----

# What the guest has for a root.
make_tree() {
	local tree=$work/tree nvme=$root/nvme-cli/usr library i

	rm -rf "$tree"
	mkdir -p "$tree"/{bin,boot/grub,dev,lib,lib64,old,proc,run,sys,written} || return
	cp "$here/linux-nvme.sh" "$tree/init"
	cp "$root/busybox-static/usr/bin/busybox" "$nvme/sbin/nvme" "$tree/bin"
	cp -L "$nvme/lib64/ld-linux-x86-64.so.2" "$tree/lib64"
	"$nvme/lib64/ld-linux-x86-64.so.2" --library-path "$nvme/lib/x86_64-linux-gnu" \
		--list "$nvme/sbin/nvme" | awk '$3 ~ /^\// { print $3 }' >"$work/libraries" || return
	while read -r library; do
		cp -L "$library" "$tree/lib" || return
	done <"$work/libraries"
	cp "$root"/linux-image-cloud-amd64/boot/vmlinuz-* "$tree/boot/vmlinuz" || return
	cat >"$tree/boot/grub/grub.cfg" <<-CFG
		serial
		terminal_output serial
		linux /boot/vmlinuz root=PARTUUID=6f6e6d75-01 rootwait rootfstype=ext4 \
			init=/init console=ttyS0 loglevel=4 panic=-1 no_timer_check intel_iommu=on iommu.strict=1 \
			nvme_core.io_timeout=150 nvme_core.admin_timeout=150
		boot
	CFG
	for i in $(seq 64); do
		head -c $((i * 1731)) /dev/urandom >"$tree/old/$i" || return
	done
	head -c 4M /dev/urandom >"$tree/random"
	(cd "$tree" && sha256sum random bin/* lib/* boot/vmlinuz >before)
}

# One partition from 1 MiB on, after a boot loader that finds the rest in its root.
make_disk() {
	local grub=$root/grub-pc-bin/usr/lib/grub/i386-pc

	make_tree || return
	in_root grub-pc-bin grub-mkimage -d "$grub" -O i386-pc -p '(hd0,msdos1)/boot/grub' \
		-o "$work/core.img" biosdisk part_msdos ext2 linux normal serial terminal || return
	rm -f "$work/fresh.img"
	truncate -s 96M "$work/fresh.img"
	cat "$grub/boot.img" "$work/core.img" | dd of="$work/fresh.img" conv=notrunc status=none
	# a signature; active, type 83, from sector 2048, 95 MiB
	printf 'umno\0\0\x80\0\0\0\x83\0\0\0\0\x08\0\0\0\xf8\x02\0%48s\x55\xaa' '' | tr ' ' '\0' |
		dd of="$work/fresh.img" bs=1 seek=440 conv=notrunc status=none
	mke2fs -q -t ext4 -d "$work/tree" -E offset=1048576 "$work/fresh.img" 95M
}

fresh_disk() { cp --sparse=always "$work/fresh.img" "$work/disk.img"; }

# The file system is whole, and has what the guest says it wrote.
disk_is_as_the_guest_left_it() {
	local partition="$work/disk.img?offset=1048576" sums

	e2fsck -fn "$partition" || return
	sums=$(debugfs -R 'cat sums' "$partition" 2>/dev/null | sha256sum)
	grep -q "guest: sums $sums" "$work/serial" || return
	rm -rf "$work/out"
	mkdir "$work/out"
	debugfs -R "rdump written $work/out" "$partition" 2>/dev/null
	debugfs -R 'cat sums' "$partition" 2>/dev/null | (cd "$work/out" && sha256sum -c --quiet) &&
		[ "$(ls "$work/out/written" | wc -l)" -ge 104 ]
}

# ---- running ----

# When the guest waits for it, its second disk changes.  $1: pid of `uiommufd run`
events() {
	until grep -q 'guest: waits for events' "$work/serial"; do
		kill -0 "$1" 2>/dev/null || return
		sleep 0.2
	done
	"$uiommufd" device --pid "$1" inject second namespace-change 48M &&
		"$uiommufd" device --pid "$1" inject second error 5000
}

# boots OPTION... -- QEMU_OPTION...
boots() {
	local options=() pid status

	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	: >"$work/serial"
	"$uiommufd" run "${options[@]}" \
		--device "nvme,addr=$bdf,image=$work/disk.img${nvme_options:-}" \
		--device "nvme,id=second,addr=$second,size=32M${nvme_options:-}" -- \
		timeout "$patience" bash -c 'in_root qemu-system-x86 qemu-system-x86_64 "$@"' qemu \
		"${qemu_args[@]}" -m 256 -smp 2 -debugcon "file:$work/bios" \
		-global isa-debugcon.iobase=0x402 "$@" >"$work/serial" 2>&1 </dev/null &
	pid=$!
	events $pid
	wait $pid
	status=$?
	tail -5 "$work/bios"
	tr -d '\r' <"$work/serial" | grep -v 'PCI BAR?'
	[ $status -eq 0 ] && grep -q 'guest: done' "$work/serial" && disk_is_as_the_guest_left_it
}

by_iommufd=(-object iommufd,id=iommufd0 -device "vfio-pci,host=$bdf,iommufd=iommufd0,bootindex=0"
	-device "vfio-pci,host=$second,iommufd=iommufd0")
by_container=(-device "vfio-pci,host=$bdf,bootindex=0" -device "vfio-pci,host=$second")

boot_by_iommufd() { boots -- "${by_iommufd[@]}"; }
boot_by_container() { boots -- "${by_container[@]}"; }
# Each buffer is mapped for its time in flight, and unmapped.
boot_with_an_iommu() { boots -- -device intel-iommu,caching-mode=on,intremap=off "${by_iommufd[@]}"; }

if ! make_disk >"$work/log" 2>&1; then
	sed 's/^/# /' "$work/log"
	echo "not ok 1 - a disk with Linux is made"
	exit 1
fi
prepare=fresh_disk log_lines=80
check "Linux boots from the disk and uses it, by iommufd" boot_by_iommufd
check "Linux uses the disk by a type1 container" boot_by_container
check "Linux uses the disk behind an IOMMU of QEMU's" boot_with_an_iommu
finish
