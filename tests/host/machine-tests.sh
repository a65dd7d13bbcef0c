#!/bin/bash
# SPDX-License-Identifier: MIT
#
# machine-tests.sh UIOMMUFD PROGRAM DIR - machines from the command line and from
# files, and the commands that look at a running one.

set -u
uiommufd=$1 dir=$3
# shellcheck source=tests/host/shell.sh
. "$(dirname "$0")/shell.sh"
export XDG_RUNTIME_DIR=$dir/runtime
mkdir -m 700 "$XDG_RUNTIME_DIR"

# refused SENTENCE PATTERN OPTION...: misuse, and the pattern is in what is said
refused() {
	local sentence=$1 pattern=$2
	shift 2
	status 2 "$sentence" "$uiommufd" run "$@" -- true
	grep -q -- "$pattern" "$dir/err" || sed 's/^/# /' "$dir/err"
	grep -q -- "$pattern" "$dir/err"
	say $? "and is named: $pattern"
}

# machine_begin OPTION...: a machine whose program waits for machine_end
machine_begin() {
	rm -f "$dir/up" "$dir/end"
	"$uiommufd" run --log-level error "$@" -- \
		sh -c "touch $dir/up; while [ ! -e $dir/end ]; do sleep 0.02; done" &
	machine=$!
	wait_for "[ -e $dir/up ]"
}

machine_end() {
	touch "$dir/end"
	wait $machine
}

# ---- what is refused before anything runs ----

refused "an unknown model is refused" '--device: floppy: no such model of device' --device floppy
refused "an unknown key" '--device: colour: unknown key of nvme' --device nvme,colour=red
refused "a bad address" '--device: 99: not an address' --device nvme,addr=99
refused "an address taken" '0000:00:04.0: the address is taken' \
	--device nvme,addr=00:04.0 --device dsa,addr=00:04.0
refused "an IOMMU that is not there" 'none: no IOMMU has this id' --device nvme,iommu=none
refused "an unknown IOMMU" '--iommu: magic: no such model of IOMMU' --iommu magic
refused "an unknown container" '--container: wooden: not a value' --container wooden
refused "a machine file that is not there" 'nowhere.yaml: No such file' --machine nowhere.yaml
refused "devices inside the program" 'has no devices' --preload --device nvme
refused "a socket of it" '--control: a machine inside the program' --preload --control "$dir/own.sock"
printf 'devices:\n  - model: nvme\n    color: red\n' >"$dir/bad.yaml"
refused "a bad machine file" 'bad.yaml:3:5: color: unknown key of nvme' --machine "$dir/bad.yaml"
status 2 "an option without its value is misuse" "$uiommufd" run --device
grep -q -- '--device: its value is missing' "$dir/err"
say $? "and says so"
status 125 "a disk image that is missing stops the run" \
	"$uiommufd" run --device "nvme,image=$dir/nothing.img" -- touch "$dir/ran"
grep -q 'nvme0: .*nothing.img' "$dir/err" && [ ! -e "$dir/ran" ]
say $? "before the program starts, and is named"
status 0 "help lists the models" "$uiommufd" run help
grep -q '^  generic ' "$dir/out" && grep -q '^  nvme ' "$dir/out" && grep -q '^  dsa ' "$dir/out"
say $? "of IOMMUs and devices"

# ---- nothing runs ----

status 1 "without a machine there is nothing to show" "$uiommufd" show
grep -q 'no machine runs' "$dir/err"
say $? "which is said"
status 1 "nor under a process id" "$uiommufd" show --pid 1
status 2 "a bad process id is misuse" "$uiommufd" show --pid x
status 2 "and an unknown thing to show" "$uiommufd" show everything
status 2 "and a graph of anything but objects" "$uiommufd" show devices --dot
status 2 "and an id where it means nothing" "$uiommufd" show devices --id 3
status 2 "and an unknown verb" "$uiommufd" device paint
status 2 "and a command that is missing" "$uiommufd" control
status 0 "the list is empty" "$uiommufd" list
[ ! -s "$dir/out" ]
say $? "and quiet"

# ---- the default machine ----

machine_begin
status 0 "the default machine is listed" "$uiommufd" list
grep -q "^$machine " "$dir/out"
say $? "under the command's process id"
[ "$(stat -c %a "$XDG_RUNTIME_DIR/uiommufd")" = 700 ]
say $? "its directory is the user's alone"
status 0 "its devices are shown" "$uiommufd" show devices
grep -q '^0000:00:01.0 *dsa0 ' "$dir/out" && grep -q '^0000:00:02.0 *nvme0 ' "$dir/out"
say $? "an engine and a disk"
status 0 "a device is added" "$uiommufd" device add nvme,id=disk1,size=16M
status 1 "not twice" "$uiommufd" device add nvme,id=disk1
grep -q 'disk1: there is one of this name already' "$dir/err"
say $? "and says why"
"$uiommufd" show --pid $machine devices | grep -q '^0000:00:03.0 *disk1 '
say $? "it has the next free slot"
status 0 "it is removed" "$uiommufd" device --pid $machine remove disk1
status 1 "and is gone" "$uiommufd" device remove disk1
grep -q 'disk1: no such device' "$dir/err"
say $? "by name"
status 0 "a device is reset" "$uiommufd" device reset 0000:00:02.0
status 1 "DMA of a device nobody drives fails" \
	"$uiommufd" control dma-read device=nvme0 iova=0x1000 length=16
status 1 "an unknown command is refused" "$uiommufd" control nonsense
status 0 "commands can be written in JSON" "$uiommufd" control query-ioas '{"limit": 5}'
status 2 "with nothing behind it" "$uiommufd" control query-ioas '{"limit": 5} {}'
status 0 "counters are shown" "$uiommufd" show counters
status 0 "the machine is shown" "$uiommufd" show machine --json
cp "$dir/out" "$dir/first.json"
machine_end
status 0 "the list is empty again" "$uiommufd" list
[ -z "$(ls "$XDG_RUNTIME_DIR/uiommufd")" ]
say $? "and no socket is left"

# What is shown of a machine makes the same machine.
machine_begin --machine "$dir/first.json"
"$uiommufd" show machine --json | cmp -s - "$dir/first.json"
say $? "a machine can be made of what is shown of another one"
"$uiommufd" show machine >"$dir/second.yaml"
machine_end
machine_begin --machine "$dir/second.yaml"
"$uiommufd" show machine --json | cmp -s - "$dir/first.json"
say $? "also of what is shown to people"
machine_end

# ---- a described one ----

truncate -s 8M "$dir/disk.img"
cat >"$dir/good.yaml" <<EOT
memory: { frames: random }
container: compat
iommus:
  - { model: generic, id: one }
bridges:
  - { addr: 0000:00:1c.0, bus: 1, acs: no }
devices:
  - model: nvme
    addr: 0000:01:00.0
    iommu: one
    image: $dir/disk.img
EOT
machine_begin --machine "$dir/good.yaml" --device dsa,addr=05:00.0 --control "$dir/own.sock"
"$uiommufd" show --socket "$dir/own.sock" machine --json >"$dir/out"
grep -q '"frames":"random"' "$dir/out" && grep -q '"container":"compat"' "$dir/out" &&
	grep -q '"addr":"0000:01:00.0"' "$dir/out" &&
	grep -q "\"image\":\"$dir/disk.img\"" "$dir/out" && grep -q '"bus":5' "$dir/out"
say $? "a file and options make one machine, with a socket where it is wanted"
machine_end
[ ! -e "$dir/own.sock" ]
say $? "which is removed"

# With --selftest nothing is there that was not asked for.
machine_begin --selftest
[ "$("$uiommufd" show devices --json | tr -d ' \n')" = "[]" ]
say $? "with --selftest there are no devices"
status 1 "and none can be added" "$uiommufd" device add nvme
machine_end

# Two at once have to be told apart.
machine_begin --control "$dir/a.sock"
first=$machine
mv "$dir/up" "$dir/up-first"
"$uiommufd" run --log-level error --control "$dir/a.sock" -- true 2>"$dir/err"
[ $? -eq 125 ] && grep -q 'a.sock: Address already in use' "$dir/err"
say $? "a socket in use stops a run that asks for it"
machine=$first
machine_end
machine_begin --control none
status 1 "a machine without a socket is not found" "$uiommufd" show
machine_end

exit $failed
