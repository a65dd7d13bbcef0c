/* SPDX-License-Identifier: MIT */
/*
 * A traced thread has touched a mapping without memory, or met an instruction its
 * processor lacks.  Here the instruction is read, decoded and run on the thread's
 * registers, with the file in the place of memory.  What is not understood is said,
 * and the thread gets its signal.
 */
#include "host/mmio/tracee.h"

#include <elf.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "base/fault.h"
#include "host/host_priv.h"
#include "host/mmio/emulate.h"

#if defined(__x86_64__)
#include <cpuid.h>

#define XSTATE_MAX 16384
#define XSTATE_BV 512 /* which parts are not in their initial state */

/** struct fault - one, being worked on; the emulator's thread; @renewed: maps, since it happened */
struct fault {
	struct emu emu;
	struct host *host;
	struct tracee_maps *maps;
	bool renewed;
	pid_t tid;
	const struct insn *insn;
	struct user_regs_struct regs;
};

/* ---- mappings ---- */

void tracee_maps_fini(struct tracee_maps *maps)
{
	free(maps->maps);
	*maps = (struct tracee_maps){ 0 };
}

static void maps_line(struct tracee_maps *maps, const char *line)
{
	unsigned int dev_major, dev_minor;
	struct tracee_map map;
	char perms[5];

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64, &map.start,
		   &map.end, perms, &map.offset, &dev_major, &dev_minor, &map.ino) != 7 ||
	    !map.ino || perms[3] != 's')
		return;
	map.dev = makedev(dev_major, dev_minor);
	map.prot = (perms[0] == 'r' ? PROT_READ : 0) | (perms[1] == 'w' ? PROT_WRITE : 0);
	if (maps->n == maps->max) {
		size_t max = maps->max ? 2 * maps->max : 16;
		void *bigger = fault_point("alloc") ?
				       NULL :
				       realloc(maps->maps, max * sizeof(*maps->maps));

		if (!bigger)
			return; /* the thread gets its signal */
		maps->maps = bigger;
		maps->max = max;
	}
	maps->maps[maps->n++] = map;
}

/* By the thread's number: a process whose first thread has ended shows nothing under its own. */
static void maps_load(struct tracee_maps *maps, pid_t tid)
{
	char path[32], *line = NULL;
	size_t size = 0;
	FILE *f;

	maps->n = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", tid);
	f = fopen(path, "re");
	if (!f)
		return;
	while (getline(&line, &size, f) > 0)
		maps_line(maps, line);
	free(line);
	fclose(f);
}

static const struct tracee_map *maps_find(const struct tracee_maps *maps, u64 addr)
{
	for (size_t i = 0; i < maps->n; i++) {
		if (addr >= maps->maps[i].start && addr < maps->maps[i].end)
			return &maps->maps[i];
	}
	return NULL;
}

/*
 * What is known may be too old: of a mapping we are told before it is there, of mprotect() and
 * mremap() never.  True: read anew, look again.
 */
static bool maps_renew(struct fault *fault)
{
	if (fault->renewed)
		return false;
	maps_load(fault->maps, fault->tid);
	fault->renewed = true;
	return true;
}

/* Our file behind @addr, counted, and where in it; NULL for any other memory. */
static struct host_file *fault_file(const struct fault *fault, u64 addr, u64 *ret_pos,
				    u64 *ret_room, int *ret_prot)
{
	const struct tracee_map *map = maps_find(fault->maps, addr);
	struct host_file *hf = map ? fdtable_find(fault->host, map->dev, map->ino) : NULL;

	if (!hf)
		return NULL;
	if (!hf->file->ops->access) {
		host_file_put(hf);
		return NULL;
	}
	*ret_pos = map->offset + (addr - map->start);
	*ret_room = map->end - addr;
	*ret_prot = map->prot;
	return hf;
}

/* ---- memory, ordinary and not ---- */

static int ordinary(struct fault *fault, u64 addr, void *buf, unsigned int size, bool write)
{
	struct iovec local = { buf, size };
	struct iovec remote = { (void *)(uintptr_t)addr, size };
	ssize_t n = write ? process_vm_writev(fault->tid, &local, 1, &remote, 1, 0) :
			    process_vm_readv(fault->tid, &local, 1, &remote, 1, 0);

	return n == (ssize_t)size ? 0 : -EFAULT;
}

/* The largest access at @pos that is aligned and no longer than @size. */
static unsigned int piece_of(const struct fault *fault, u64 pos, unsigned int size)
{
	unsigned int piece = 8;

	if (size == 64 && !(pos & 63) && fault->insn->op == INSN_DIRECT64)
		return 64;
	while (piece > size || (pos & (piece - 1)))
		piece /= 2;
	return piece;
}

static int device(struct fault *fault, struct host_file *hf, u64 pos, u8 *buf, unsigned int size,
		  bool write)
{
	unsigned int piece;
	int rc = 0;

	for (; size && !rc; pos += piece, buf += piece, size -= piece) {
		piece = write ? piece_of(fault, pos, size) : piece_of(fault, pos, MIN(size, 8u));
		rc = hf->file->ops->access(hf->file, pos, buf, piece, write);
	}
	return rc;
}

static int fault_access(struct fault *fault, u64 addr, u8 *buf, unsigned int size, bool write)
{
	bool allowed = false;
	u64 pos, room;
	int prot, rc = 0;

	while (size && !rc) {
		struct host_file *hf = fault_file(fault, addr, &pos, &room, &prot);
		unsigned int n = size;

		if (!hf) {
			/* What crosses into a device's page is cut there. */
			n = (unsigned int)MIN((u64)size, PAGE_SIZE - (addr & ~PAGE_MASK));
			rc = ordinary(fault, addr, buf, n, write);
		} else {
			n = (unsigned int)MIN((u64)size, room);
			allowed = prot & (write ? PROT_WRITE : PROT_READ | PROT_WRITE);
			rc = allowed ? device(fault, hf, pos, buf, n, write) : -EFAULT;
			host_file_put(hf);
		}
		if (rc && (!hf || !allowed) && maps_renew(fault)) {
			rc = 0;
			continue;
		}
		addr += n;
		buf += n;
		size -= n;
	}
	return rc;
}

static int fault_read(struct emu *emu, u64 addr, void *buf, unsigned int size)
{
	return fault_access(container_of(emu, struct fault, emu), addr, buf, size, false);
}

static int fault_write(struct emu *emu, u64 addr, const void *buf, unsigned int size)
{
	u8 copy[64];

	memcpy(copy, buf, size);
	return fault_access(container_of(emu, struct fault, emu), addr, copy, size, true);
}

/* ---- registers ---- */

static unsigned long long *gpr_of(struct user_regs_struct *regs, unsigned int i)
{
	unsigned long long *const map[] = {
		&regs->rax, &regs->rcx, &regs->rdx, &regs->rbx, &regs->rsp, &regs->rbp,
		&regs->rsi, &regs->rdi, &regs->r8,  &regs->r9,	&regs->r10, &regs->r11,
		&regs->r12, &regs->r13, &regs->r14, &regs->r15,
	};

	return map[i];
}

static int regs_get(struct fault *fault)
{
	struct user_regs_struct *regs = &fault->regs;

	if (ptrace(PTRACE_GETREGS, fault->tid, NULL, regs))
		return -errno;
	for (unsigned int i = 0; i < 16; i++)
		fault->emu.regs.gpr[i] = *gpr_of(regs, i);
	fault->emu.regs.rip = regs->rip;
	fault->emu.regs.flags = regs->eflags;
	fault->emu.regs.fs_base = regs->fs_base;
	fault->emu.regs.gs_base = regs->gs_base;
	return 0;
}

static int regs_set(struct fault *fault)
{
	struct user_regs_struct *regs = &fault->regs;

	for (unsigned int i = 0; i < 16; i++)
		*gpr_of(regs, i) = fault->emu.regs.gpr[i];
	regs->rip = fault->emu.regs.rip;
	regs->eflags = fault->emu.regs.flags;
	return ptrace(PTRACE_SETREGS, fault->tid, NULL, regs) ? -errno : 0;
}

/*
 * Where the parts of vector register @reg lie in the XSAVE area (Intel SDM volume 1, 13.4
 * and 13.5): the lowest 16 bytes, up to 32, up to 64.  16 to 31 lie in one piece.
 */
struct vector_part {
	unsigned int component, offset, at, size;
};

static unsigned int xsave_offset(unsigned int component)
{
	unsigned int a, b, c, d;

	__cpuid_count(0xd, component, a, b, c, d);
	return a ? b : 0;
}

static unsigned int vector_parts(unsigned int reg, struct vector_part parts[3])
{
	if (reg >= 16) {
		parts[0] = (struct vector_part){ 7, xsave_offset(7) + (reg - 16) * 64, 0, 64 };
		return 1;
	}
	parts[0] = (struct vector_part){ 1, 160 + reg * 16, 0, 16 };
	parts[1] = (struct vector_part){ 2, xsave_offset(2) + reg * 16, 16, 16 };
	parts[2] = (struct vector_part){ 6, xsave_offset(6) + reg * 32, 32, 32 };
	return 3;
}

static int xstate_get(struct fault *fault, u8 *area, size_t *ret_len)
{
	struct iovec iov = { area, XSTATE_MAX };

	if (ptrace(PTRACE_GETREGSET, fault->tid, NT_X86_XSTATE, &iov))
		return -errno;
	*ret_len = iov.iov_len;
	return 0;
}

static int fault_vector(struct emu *emu, unsigned int reg, struct vector *vector, bool write)
{
	struct fault *fault = container_of(emu, struct fault, emu);
	u8 area[XSTATE_MAX] __attribute__((aligned(64)));
	struct vector_part parts[3];
	struct iovec iov = { area, 0 };
	unsigned int n = vector_parts(reg, parts);
	u64 present;
	int rc;

	rc = xstate_get(fault, area, &iov.iov_len);
	if (rc)
		return rc;
	memcpy(&present, area + XSTATE_BV, sizeof(present));
	for (unsigned int i = 0; i < n; i++) {
		const struct vector_part *part = &parts[i];

		/* A processor without it has nothing there. */
		if (part->offset < 160 || part->offset + part->size > iov.iov_len)
			continue;
		if (write)
			memcpy(area + part->offset, vector->bytes + part->at, part->size);
		else if (present & BIT_ULL(part->component))
			memcpy(vector->bytes + part->at, area + part->offset, part->size);
		if (write)
			present |= BIT_ULL(part->component);
	}
	if (!write)
		return 0;
	memcpy(area + XSTATE_BV, &present, sizeof(present));
	return ptrace(PTRACE_SETREGSET, fault->tid, NT_X86_XSTATE, &iov) ? -errno : 0;
}

static int fault_vector_get(struct emu *emu, unsigned int reg, struct vector *vector)
{
	memset(vector, 0, sizeof(*vector));
	return fault_vector(emu, reg, vector, false);
}

static int fault_vector_set(struct emu *emu, unsigned int reg, const struct vector *vector)
{
	struct vector copy = *vector;

	return fault_vector(emu, reg, &copy, true);
}

/* ---- the fault ---- */

static size_t read_code(const struct fault *fault, u8 bytes[INSN_MAX])
{
	u64 rip = fault->emu.regs.rip;
	size_t room = PAGE_SIZE - (rip & ~PAGE_MASK);
	struct iovec local = { bytes, INSN_MAX };
	struct iovec remote[2] = {
		{ (void *)(uintptr_t)rip, MIN(room, (size_t)INSN_MAX) },
		{ (void *)(uintptr_t)(rip + room), INSN_MAX - MIN(room, (size_t)INSN_MAX) },
	};
	ssize_t n = process_vm_readv(fault->tid, &local, 1, remote, 2, 0);

	return n > 0 ? (size_t)n : 0;
}

static void say_unknown(const struct fault *fault, const u8 *bytes, size_t len, u64 addr)
{
	char text[3 * INSN_MAX + 1] = "";

	for (size_t i = 0; i < len; i++)
		snprintf(text + 3 * i, 4, " %02x", bytes[i]);
	host_log(fault->host, IOMMUFD_LOG_WARN,
		 "thread %d: an instruction on device memory at %#llx that is not known here:%s",
		 fault->tid, (unsigned long long)addr, text);
}

/* The instruction that faulted at @addr is to be run. */
static bool fault_run(struct fault *fault, u64 addr, bool known_device)
{
	u8 bytes[INSN_MAX];
	size_t len = read_code(fault, bytes);
	struct insn insn;

	if (!insn_decode(bytes, len, &insn)) {
		if (known_device)
			say_unknown(fault, bytes, len, addr);
		return false;
	}
	/* Without a device behind it: only what the processor may lack. */
	if (!known_device && !insn.direct)
		return false;
	fault->insn = &insn;
	return !emu_run(&fault->emu, &insn) && !regs_set(fault);
}

bool tracee_fault(struct host *host, struct tracee_maps *maps, pid_t tid, pid_t tgid,
		  u64 generation, int sig)
{
	struct fault fault = {
		.emu = { .read = fault_read, .write = fault_write,
			 .vector_get = fault_vector_get, .vector_set = fault_vector_set },
		.host = host,
		.maps = maps,
		.tid = tid,
	};
	struct host_file *hf;
	u64 pos, room, addr;
	siginfo_t info;
	int prot;

	if (ptrace(PTRACE_GETSIGINFO, tid, NULL, &info) || info.si_code <= 0)
		return false;
	if (maps->tgid != tgid || maps->generation != generation) {
		maps->tgid = tgid;
		maps->generation = generation;
		maps_renew(&fault);
	}
	addr = (uintptr_t)info.si_addr;
	if (sig == SIGILL)
		return !regs_get(&fault) && fault_run(&fault, addr, false);
	hf = fault_file(&fault, addr, &pos, &room, &prot);
	if (!hf && maps_renew(&fault))
		hf = fault_file(&fault, addr, &pos, &room, &prot);
	if (!hf)
		return false;
	host_file_put(hf);
	return !regs_get(&fault) && fault_run(&fault, addr, true);
}

#else

void tracee_maps_fini(struct tracee_maps *maps)
{
}

bool tracee_fault(struct host *host, struct tracee_maps *maps, pid_t tid, pid_t tgid,
		  u64 generation, int sig)
{
	return false;
}

#endif
