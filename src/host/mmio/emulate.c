/* SPDX-License-Identifier: MIT */
/*
 * Instructions on registers and memory; see emulate.h.  Flags that an instruction
 * leaves undefined keep their value here.
 *
 * Facts: Intel SDM volume 2 (each instruction's operation and flags), volume 1, 3.4.3.
 */
#include "host/mmio/emulate.h"

#include <string.h>

static u64 mask_of(unsigned int size)
{
	return size == 8 ? ~0ULL : (1ULL << 8 * size) - 1;
}

static u64 sign_of(unsigned int size)
{
	return 1ULL << (8 * size - 1);
}

static u64 sign_extend(u64 value, unsigned int size)
{
	return value & sign_of(size) ? value | ~mask_of(size) : value & mask_of(size);
}

/* ---- operands ---- */

static u64 reg_get(const struct emu *emu, const struct insn *in, unsigned int size)
{
	u64 value = emu->regs.gpr[in->reg];

	return (in->high_byte ? value >> 8 : value) & mask_of(size);
}

/* Half registers clear the other half, smaller ones leave it. */
static void gpr_set(struct emu *emu, unsigned int reg, u64 value, unsigned int size)
{
	u64 *gpr = &emu->regs.gpr[reg];

	if (size >= 4)
		*gpr = value & mask_of(size);
	else
		*gpr = (*gpr & ~mask_of(size)) | (value & mask_of(size));
}

static void reg_set(struct emu *emu, const struct insn *in, u64 value, unsigned int size)
{
	u64 *gpr = &emu->regs.gpr[in->reg];

	if (in->high_byte)
		*gpr = (*gpr & ~0xff00ULL) | (value & 0xff) << 8;
	else
		gpr_set(emu, in->reg, value, size);
}

static u64 source(const struct emu *emu, const struct insn *in)
{
	return in->has_imm ? in->imm & mask_of(in->size) : reg_get(emu, in, in->size);
}

static u64 in_segment(const struct emu *emu, const struct insn *in, u64 addr)
{
	if (in->addr_size == 4)
		addr = (u32)addr;
	return addr + (in->seg == SEG_FS ? emu->regs.fs_base :
		       in->seg == SEG_GS ? emu->regs.gs_base :
					   0);
}

/* The bit a register names may lie far from the operand's address. */
static s64 bit_displacement(const struct emu *emu, const struct insn *in)
{
	unsigned int bits = 8 * in->size;
	s64 bit;

	if (in->op != INSN_BT || in->has_imm)
		return 0;
	bit = (s64)sign_extend(reg_get(emu, in, in->size), in->size);
	return (bit - (s64)((u64)bit & (bits - 1))) / 8;
}

u64 emu_address(const struct emu *emu, const struct insn *in)
{
	const struct emu_regs *regs = &emu->regs;
	u64 addr;

	switch (in->op) {
	case INSN_MOVS:
	case INSN_CMPS:
	case INSN_LODS:
		return in_segment(emu, in, regs->gpr[REG_SI]);
	case INSN_STOS:
	case INSN_SCAS:
		return in->addr_size == 4 ? (u32)regs->gpr[REG_DI] : regs->gpr[REG_DI];
	default:
		break;
	}
	addr = (u64)in->disp;
	if (in->rip_relative)
		addr += regs->rip + in->length;
	if (in->base >= 0)
		addr += regs->gpr[in->base];
	/* POP counts with the stack as it leaves it. */
	if (in->op == INSN_POP && in->base == REG_SP)
		addr += in->size;
	if (in->index >= 0)
		addr += regs->gpr[in->index] << in->scale;
	return in_segment(emu, in, addr + (u64)bit_displacement(emu, in));
}

static int mem_get(struct emu *emu, u64 addr, unsigned int size, u64 *ret)
{
	*ret = 0;
	return emu->read(emu, addr, ret, size);
}

static int mem_set(struct emu *emu, u64 addr, unsigned int size, u64 value)
{
	return emu->write(emu, addr, &value, size);
}

/* ---- flags ---- */

static u64 flags_result(u64 value, unsigned int size)
{
	u64 flags = 0;

	value &= mask_of(size);
	if (!value)
		flags |= FLAG_ZF;
	if (value & sign_of(size))
		flags |= FLAG_SF;
	if (!(__builtin_popcountll(value & 0xff) & 1))
		flags |= FLAG_PF;
	return flags;
}

static void flags_set(struct emu *emu, u64 flags, u64 which)
{
	emu->regs.flags = (emu->regs.flags & ~which) | (flags & which);
}

static u64 add(struct emu *emu, u64 a, u64 b, unsigned int carry, unsigned int size)
{
	u64 sum = (a + b + carry) & mask_of(size);
	u64 carries = (a & b) | ((a | b) & ~sum);
	u64 flags = flags_result(sum, size);

	if (carries & sign_of(size))
		flags |= FLAG_CF;
	if (carries & 8)
		flags |= FLAG_AF;
	if ((a ^ sum) & (b ^ sum) & sign_of(size))
		flags |= FLAG_OF;
	flags_set(emu, flags, FLAGS_ARITH);
	return sum;
}

static u64 subtract(struct emu *emu, u64 a, u64 b, unsigned int borrow, unsigned int size)
{
	u64 rest = (a - b - borrow) & mask_of(size);
	u64 borrows = (~a & b) | ((~a | b) & rest);
	u64 flags = flags_result(rest, size);

	if (borrows & sign_of(size))
		flags |= FLAG_CF;
	if (borrows & 8)
		flags |= FLAG_AF;
	if ((a ^ b) & (a ^ rest) & sign_of(size))
		flags |= FLAG_OF;
	flags_set(emu, flags, FLAGS_ARITH);
	return rest;
}

static u64 alu(struct emu *emu, unsigned int what, u64 a, u64 b, unsigned int size)
{
	unsigned int carry = emu->regs.flags & FLAG_CF;
	u64 value;

	switch (what) {
	case ALU_ADD:
		return add(emu, a, b, 0, size);
	case ALU_ADC:
		return add(emu, a, b, carry, size);
	case ALU_SUB:
	case ALU_CMP:
		return subtract(emu, a, b, 0, size);
	case ALU_SBB:
		return subtract(emu, a, b, carry, size);
	case ALU_OR:
		value = a | b;
		break;
	case ALU_XOR:
		value = a ^ b;
		break;
	default: /* AND, TEST */
		value = a & b;
	}
	flags_set(emu, flags_result(value, size), FLAGS_ARITH & ~FLAG_AF);
	return value;
}

static bool condition(const struct emu *emu, unsigned int which)
{
	u64 flags = emu->regs.flags;
	bool sf = flags & FLAG_SF, of = flags & FLAG_OF, zf = flags & FLAG_ZF;
	bool holds;

	switch (which >> 1) {
	case 0:
		holds = of;
		break;
	case 1:
		holds = flags & FLAG_CF;
		break;
	case 2:
		holds = zf;
		break;
	case 3:
		holds = zf || (flags & FLAG_CF);
		break;
	case 4:
		holds = sf;
		break;
	case 5:
		holds = flags & FLAG_PF;
		break;
	case 6:
		holds = sf != of;
		break;
	default:
		holds = zf || sf != of;
	}
	return holds != (which & 1);
}

/* ---- loads, stores, and what reads, changes and writes ---- */

static u64 swap_bytes(u64 value, unsigned int size)
{
	return __builtin_bswap64(value) >> (64 - 8 * size);
}

static int run_load(struct emu *emu, const struct insn *in, u64 addr)
{
	u64 value, old;
	int rc = mem_get(emu, addr, in->size, &value);

	if (rc)
		return rc;
	switch (in->op) {
	case INSN_LOAD_SX:
		value = sign_extend(value, in->size);
		break;
	case INSN_LOAD_BE:
		value = swap_bytes(value, in->size);
		break;
	case INSN_ALU_R:
		old = reg_get(emu, in, in->size);
		value = alu(emu, in->alu, old, value, in->size);
		if (in->alu >= ALU_CMP)
			return 0;
		break;
	case INSN_CMOV:
		if (!condition(emu, in->alu))
			value = reg_get(emu, in, in->size);
		break;
	default:
		break;
	}
	reg_set(emu, in, value, in->reg_size);
	return 0;
}

static int run_store(struct emu *emu, const struct insn *in, u64 addr)
{
	u64 value = in->op == INSN_SETCC ? condition(emu, in->alu) : source(emu, in);

	if (in->op == INSN_STORE_BE)
		value = swap_bytes(value, in->size);
	return mem_set(emu, addr, in->size, value);
}

static u64 bit_change(struct emu *emu, const struct insn *in, u64 value)
{
	u64 bit = 1ULL << (source(emu, in) & (8 * in->size - 1));

	flags_set(emu, value & bit ? FLAG_CF : 0, FLAG_CF);
	switch (in->alu) {
	case 1:
		return value | bit;
	case 2:
		return value & ~bit;
	case 3:
		return value ^ bit;
	}
	return value;
}

/* The new value of memory from its @old one; flags and @emu's registers as well. */
static u64 change(struct emu *emu, const struct insn *in, u64 old)
{
	unsigned int size = in->size;
	u64 src = in->op == INSN_CMPXCHG || in->has_imm ? 0 : reg_get(emu, in, size);
	u64 value = old, accumulator;
	u64 carry = emu->regs.flags & FLAG_CF;

	switch (in->op) {
	case INSN_ALU_M:
		return alu(emu, in->alu, old, source(emu, in), size);
	case INSN_INC:
	case INSN_DEC:
		value = in->op == INSN_INC ? add(emu, old, 1, 0, size) :
					     subtract(emu, old, 1, 0, size);
		flags_set(emu, carry, FLAG_CF);
		return value;
	case INSN_NOT:
		return ~old & mask_of(size);
	case INSN_NEG:
		return subtract(emu, 0, old, 0, size);
	case INSN_XCHG:
		reg_set(emu, in, old, size);
		return src;
	case INSN_XADD:
		value = add(emu, old, src, 0, size);
		reg_set(emu, in, old, size);
		return value;
	case INSN_CMPXCHG:
		accumulator = emu->regs.gpr[REG_AX] & mask_of(size);
		subtract(emu, accumulator, old, 0, size);
		if (accumulator == old)
			return reg_get(emu, in, size);
		gpr_set(emu, REG_AX, old, size);
		return old;
	default: /* INSN_BT */
		return bit_change(emu, in, old);
	}
}

static bool changes_memory(const struct insn *in)
{
	return !(in->op == INSN_ALU_M && in->alu >= ALU_CMP) && !(in->op == INSN_BT && !in->alu);
}

static int run_change(struct emu *emu, const struct insn *in, u64 addr)
{
	struct emu_regs before = emu->regs;
	u64 old, value;
	int rc = mem_get(emu, addr, in->size, &old);

	if (rc)
		return rc;
	value = change(emu, in, old);
	if (!changes_memory(in))
		return 0;
	rc = mem_set(emu, addr, in->size, value);
	if (rc)
		emu->regs = before;
	return rc;
}

static int run_stack(struct emu *emu, const struct insn *in, u64 addr)
{
	u64 *sp = &emu->regs.gpr[REG_SP];
	u64 value;
	int rc = mem_get(emu, in->op == INSN_PUSH ? addr : *sp, in->size, &value);

	if (!rc)
		rc = mem_set(emu, in->op == INSN_PUSH ? *sp - in->size : addr, in->size, value);
	if (!rc)
		*sp += in->op == INSN_PUSH ? -(u64)in->size : in->size;
	return rc;
}

/* ---- strings ---- */

static void string_step(struct emu *emu, const struct insn *in, unsigned int reg)
{
	u64 *gpr = &emu->regs.gpr[reg];
	u64 next = *gpr + (emu->regs.flags & FLAG_DF ? -(u64)in->size : in->size);

	*gpr = in->addr_size == 4 ? (u32)next : next;
}

/* One element. */
static int string_one(struct emu *emu, const struct insn *in)
{
	u64 di = in->addr_size == 4 ? (u32)emu->regs.gpr[REG_DI] : emu->regs.gpr[REG_DI];
	u64 a = emu->regs.gpr[REG_AX] & mask_of(in->size), b = 0;
	bool uses_si = in->op == INSN_MOVS || in->op == INSN_CMPS || in->op == INSN_LODS;
	int rc = 0;

	if (uses_si)
		rc = mem_get(emu, emu_address(emu, in), in->size, &a);
	if (!rc && (in->op == INSN_CMPS || in->op == INSN_SCAS))
		rc = mem_get(emu, di, in->size, &b);
	else if (!rc && in->op != INSN_LODS)
		rc = mem_set(emu, di, in->size, a);
	if (rc)
		return rc;
	if (in->op == INSN_CMPS || in->op == INSN_SCAS)
		subtract(emu, a, b, 0, in->size);
	else if (in->op == INSN_LODS)
		gpr_set(emu, REG_AX, a, in->size);
	if (uses_si)
		string_step(emu, in, REG_SI);
	if (in->op != INSN_LODS)
		string_step(emu, in, REG_DI);
	return 0;
}

/* Is a repeated comparison at its end? */
static bool string_decided(const struct emu *emu, const struct insn *in)
{
	bool equal = emu->regs.flags & FLAG_ZF;

	return (in->op == INSN_CMPS || in->op == INSN_SCAS) && (in->repne ? equal : !equal);
}

/* 1: there is more to do. */
static int run_string(struct emu *emu, const struct insn *in)
{
	u64 *cx = &emu->regs.gpr[REG_CX];
	int rc;

	if (!in->rep && !in->repne)
		return string_one(emu, in);
	for (unsigned int i = 0; i < EMU_REPEAT_MAX; i++) {
		if (in->addr_size == 4 ? !(u32)*cx : !*cx)
			return 0;
		rc = string_one(emu, in);
		if (rc)
			return rc;
		*cx = in->addr_size == 4 ? (u32)(*cx - 1) : *cx - 1;
		if (string_decided(emu, in))
			return 0;
	}
	return (in->addr_size == 4 ? (u32)*cx : *cx) ? 1 : 0;
}

/* ---- vectors ---- */

static int run_vector(struct emu *emu, const struct insn *in, u64 addr)
{
	struct vector vector = { 0 }, old;
	int rc;

	if (in->op == INSN_VSTORE) {
		rc = emu->vector_get(emu, in->reg, &vector);
		return rc ?: emu->write(emu, addr, vector.bytes + in->vpart, in->size);
	}
	rc = emu->read(emu, addr, vector.bytes + in->vpart, in->size);
	if (!rc && !in->vex)
		rc = emu->vector_get(emu, in->reg, &old);
	if (rc)
		return rc;
	if (!in->vex) {
		/* Instructions older than VEX know the lowest 16 bytes only. */
		memcpy(vector.bytes + 16, old.bytes + 16, sizeof(old.bytes) - 16);
		if (in->vmerge)
			memcpy(vector.bytes + (in->vpart ^ 8), old.bytes + (in->vpart ^ 8), 8);
	}
	return emu->vector_set(emu, in->reg, &vector);
}

static int run_direct64(struct emu *emu, const struct insn *in, u64 addr)
{
	u64 to = emu->regs.gpr[in->reg];
	u8 bytes[64];
	int rc;

	rc = emu->read(emu, addr, bytes, sizeof(bytes));
	return rc ?: emu->write(emu, in->addr_size == 4 ? (u32)to : to, bytes, sizeof(bytes));
}

static int run_one(struct emu *emu, const struct insn *in)
{
	u64 addr = emu_address(emu, in);

	switch (in->op) {
	case INSN_LOAD:
	case INSN_LOAD_ZX:
	case INSN_LOAD_SX:
	case INSN_LOAD_BE:
	case INSN_ALU_R:
	case INSN_CMOV:
		return run_load(emu, in, addr);
	case INSN_STORE:
	case INSN_STORE_BE:
	case INSN_SETCC:
		return run_store(emu, in, addr);
	case INSN_PUSH:
	case INSN_POP:
		return run_stack(emu, in, addr);
	case INSN_MOVS:
	case INSN_CMPS:
	case INSN_STOS:
	case INSN_LODS:
	case INSN_SCAS:
		return run_string(emu, in);
	case INSN_VLOAD:
	case INSN_VSTORE:
		return run_vector(emu, in, addr);
	case INSN_DIRECT64:
		return run_direct64(emu, in, addr);
	case INSN_FLUSH:
		return 0;
	case INSN_NONE:
		return -ENOSYS;
	default:
		return run_change(emu, in, addr);
	}
}

int emu_run(struct emu *emu, const struct insn *in)
{
	int rc = run_one(emu, in);

	if (!rc)
		emu->regs.rip += in->length;
	return rc < 0 ? rc : 0;
}
