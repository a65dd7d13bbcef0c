/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as an instruction on registers, run on any registers.  The first 15 bytes are
 * the instruction, the rest fills the registers and says which access of memory fails.
 *
 * What is decoded depends on its own bytes alone, and asks of memory and of vector registers no
 * more than there can be.  One that fails leaves the registers as they were, one that is done
 * steps over itself.
 */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/mmio/emulate.h"

/** struct run - one run of an instruction; @left: accesses until one fails */
struct run {
	struct emu emu;
	u32 left;
	u64 seed;
};

void target_fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	abort();
}

/* ---- what is decoded ---- */

/* In memory of its own, so that a look behind its end is seen. */
static bool decode(const u8 *bytes, size_t len, struct insn *ret)
{
	u8 *copy = malloc(len ? len : 1);
	bool known;

	if (!copy)
		abort();
	memcpy(copy, bytes, len);
	memset(ret, 0, sizeof(*ret));
	known = insn_decode(copy, len, ret);
	free(copy);
	return known;
}

static void check_fields(const struct insn *in)
{
	if (in->op == INSN_NONE || in->op > INSN_FLUSH)
		target_fail("an instruction that does nothing known");
	if (in->op != INSN_FLUSH &&
	    (!in->size || in->size > 64 || (in->size & (in->size - 1))))
		target_fail("a size that no access has");
	if (in->addr_size != 4 && in->addr_size != 8)
		target_fail("an address of no size");
	if (in->base < -1 || in->base > 15 || in->index < -1 || in->index > 15 || in->scale > 3)
		target_fail("an address of no registers");
	if (in->op == INSN_VLOAD || in->op == INSN_VSTORE) {
		if (in->reg > 31 || in->vpart + in->size > 64)
			target_fail("a part of no vector register");
	} else if (in->reg > 15 || (in->high_byte && in->reg > 3)) {
		target_fail("no register");
	}
}

static void check_length(const u8 *bytes, size_t len, const struct insn *in)
{
	struct insn again;

	if (!in->length || in->length > len || in->length > INSN_MAX)
		target_fail("longer than its bytes");
	if (!decode(bytes, in->length, &again) || memcmp(&again, in, sizeof(again)))
		target_fail("what follows an instruction changed it");
	if (decode(bytes, in->length - 1u, &again))
		target_fail("known without its last byte");
}

/* ---- what it does ---- */

static int take(struct run *run, unsigned int size)
{
	if (size > 64)
		target_fail("an access of more than 64 bytes");
	if (!run->left)
		return -EFAULT;
	run->left--;
	return 0;
}

static int run_read(struct emu *emu, u64 addr, void *buf, unsigned int size)
{
	struct run *run = container_of(emu, struct run, emu);
	int rc = take(run, size);

	for (unsigned int i = 0; i < size && !rc; i++)
		((u8 *)buf)[i] = (u8)((addr + i) * 0x9e3779b97f4a7c15ULL >> 56 ^ run->seed);
	return rc;
}

static volatile u8 all;

static int run_write(struct emu *emu, u64 addr, const void *buf, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		all ^= ((const u8 *)buf)[i];
	return take(container_of(emu, struct run, emu), size);
}

static int run_vector_get(struct emu *emu, unsigned int reg, struct vector *vector)
{
	memset(vector, (int)reg, sizeof(*vector));
	return reg > 31 ? -EINVAL : 0;
}

static int run_vector_set(struct emu *emu, unsigned int reg, const struct vector *vector)
{
	if (reg > 31)
		target_fail("a vector register that is none");
	return 0;
}

static bool is_string(const struct insn *in)
{
	return in->op >= INSN_MOVS && in->op <= INSN_SCAS;
}

static void run(const struct insn *in, const u8 *more, size_t len)
{
	struct run run = { .emu = { .read = run_read, .write = run_write,
				    .vector_get = run_vector_get, .vector_set = run_vector_set } };
	struct emu_regs before;
	int rc;

	run.left = len ? more[0] : 2;
	run.seed = len > 1 ? more[1] : 0;
	memcpy(&run.emu.regs, more, MIN(len, sizeof(run.emu.regs)));
	before = run.emu.regs;
	rc = emu_run(&run.emu, in);
	if (rc && !is_string(in) && memcmp(&before, &run.emu.regs, sizeof(before)))
		target_fail("it failed, and did something");
	if (rc ? run.emu.regs.rip != before.rip :
		 run.emu.regs.rip != before.rip + in->length &&
			    !(is_string(in) && (in->rep || in->repne) &&
			      run.emu.regs.rip == before.rip))
		target_fail("a step to nowhere");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t len = MIN(size, (size_t)INSN_MAX);
	struct insn in;

	if (!decode(data, len, &in))
		return 0;
	check_fields(&in);
	check_length(data, len, &in);
	run(&in, data + len, size - len);
	return 0;
}
