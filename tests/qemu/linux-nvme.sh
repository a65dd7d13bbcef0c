#!/bin/busybox sh
# SPDX-License-Identifier: MIT
#
# The init of a Linux guest with two emulated NVMe disks: its root, and one to play with.
# Each step is told on the console; the first that fails ends the guest.

end() {
	sync
	mount -o remount,ro /
	poweroff -f
}

try() {
	echo "guest: $*"
	"$@" && return
	dmesg | tail -40
	grep nvme /proc/interrupts
	echo "guest: failed: $*"
	end
}

# at_last COMMAND...: it succeeds within two minutes
at_last() {
	tries=1200
	until "$@" 2>/dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

fails() { ! "$@"; }
forget_pages() { sync && echo 3 >/proc/sys/vm/drop_caches; }
is() { [ "$(cat "$1")" = "$2" ]; }
store() { echo "$2" >"$1"; }
lives() { at_last is "/sys/class/nvme/$1/state" live; }
blocks() { dd if=/dev/$1 bs=4k skip="$2" count="$3" iflag=direct 2>/dev/null; }
nonzero() { blocks "$@" | tr -d '\0' | grep -q .; }

/bin/busybox mount -t proc proc /proc
/bin/busybox mount -o remount,rw /
/bin/busybox --install -s /bin
export PATH=/bin
cd /
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

# Which is nvme0 is a matter of luck.
root=$(ls /sys/bus/pci/devices/0000:00:01.0/nvme)
second=$(ls /sys/bus/pci/devices/0000:00:02.0/nvme)
disk=${second}n1

# ---- what was there is read, new files are written, from both processors ----

write_files() {
	for cpu in 0 1; do
		taskset $((cpu + 1)) dd if=/dev/urandom of=written/random$cpu bs=512k count=12 \
			conv=fsync 2>/dev/null &
		pids="$pids $!"
	done
	for pid in $pids; do
		wait "$pid" || return
	done
	taskset 2 dd if=written/random0 of=written/direct bs=256k iflag=direct oflag=direct 2>/dev/null
	for i in $(seq 100); do
		echo "$i" >written/small$i
	done
	sha256sum written/* >sums && sync
}

same() { sha256sum -c before sums | grep -v ': OK$' && return 1 || return 0; }
write_few() { seq "$1" 20000 >written/few && sha256sum written/* >sums && sync; }

# Both queues of I/O interrupt, and the admin queue, each by a vector of its own.
interrupts() {
	for queue in 0 1 2; do
		grep "MSIX.* ${root}q$queue\$" /proc/interrupts | awk '{ exit $2 + $3 == 0 }' || return
	done
	[ "$(grep -c "MSIX.* ${root}q" /proc/interrupts)" = 3 ]
}

try sha256sum -cs before
try write_files
try forget_pages
try same
try interrupts
try rm -r old
try fstrim -v /

# ---- resets, by register and by function, while it is used ----

# Until a file says stop, or a read fails.
reader() {
	while [ ! -e /run/stop ]; do
		dd if=/dev/${root}n1p1 of=/dev/null bs=256k count=64 iflag=direct 2>/dev/null || return
	done
}

sysfs=/sys/class/nvme/$root
mount -t tmpfs run /run
reader &
reader=$!
for round in 1 2 3; do
	try store $sysfs/reset_controller 1
	try lives $root
	try write_few $round
	try store $sysfs/device/reset 1
	try lives $root
	try write_few 1$round
done
touch /run/stop
try wait $reader
try forget_pages
try same
try interrupts

# ---- the second disk: commands the file systems of the first do not give ----

noise() { dd if=/dev/urandom of=/dev/$disk bs=1M count=8 oflag=direct 2>/dev/null; }
files_on() {
	mkdir -p mnt && mount -t ext4 /dev/$disk mnt && cp written/* mnt && sync && umount mnt &&
		forget_pages && mount -t ext4 /dev/$disk mnt && cmp written/random1 mnt/random1 &&
		umount mnt
}

try lives $second
try nvme id-ctrl /dev/$second >/run/log
try nvme smart-log /dev/$second >/run/log
try nvme error-log /dev/$second >/run/log
try nvme fw-log /dev/$second >/run/log
try nvme format /dev/$disk --lbaf=1 --force
try at_last is /sys/block/$disk/queue/logical_block_size 4096
try noise
blocks $disk 0 1 >/run/block
try nvme compare /dev/$disk -s 0 -c 0 -z 4096 -d /run/block
try fails nvme compare /dev/$disk -s 1 -c 0 -z 4096 -d /run/block
try nonzero $disk 16 16
try nvme write-zeroes /dev/$disk -s 16 -c 15
try fails nonzero $disk 16 16
try nonzero $disk 32 16
try nvme dsm /dev/$disk -d -s 32 -b 16
try fails nonzero $disk 32 16
try nvme flush /dev/$disk
try blkdiscard /dev/$disk
try fails nonzero $disk 0 2048
try mke2fs -F -b 4096 /dev/$disk >/run/log
try files_on

# It goes and comes back, under a new name perhaps.
try store /sys/bus/pci/devices/0000:00:02.0/remove 1
try fails test -e /dev/$disk
try store /sys/bus/pci/rescan 1
try at_last test -e /sys/bus/pci/devices/0000:00:02.0/nvme
second=$(ls /sys/bus/pci/devices/0000:00:02.0/nvme)
disk=${second}n1
try at_last test -b /dev/$disk
try files_on

complaints() { dmesg | grep -v 'ommand line' | grep -iE 'nvme.*(timeout|abort|polled|fail|error|down|invalid)|I/O error|EXT4-fs (error|warning)|DMAR:.*fault'; }
try fails complaints

# ---- what happens to it from outside: it grows, and a block of it goes bad ----

echo "guest: waits for events"
try at_last is /sys/block/$disk/size $((48 * 2048))
try at_last fails blocks $disk 5000 1 >/run/log
try blocks $disk 4999 1 >/run/log
try dd if=/dev/zero of=/dev/$disk bs=4k seek=5000 count=1 oflag=direct
try blocks $disk 5000 1 >/run/log

try forget_pages
try same
echo "guest: sums $(sha256sum <sums)"
sync
mount -o remount,ro / && echo "guest: done"
poweroff -f
