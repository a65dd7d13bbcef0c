/* SPDX-License-Identifier: MIT */
/*
 * Does what an instruction does: on a thread's registers, and on memory by way of two
 * functions.  Knows no process and no device.
 */
#ifndef HOST_MMIO_EMULATE_H
#define HOST_MMIO_EMULATE_H

#include "host/mmio/decode.h"

/* Numbers of general registers as instructions encode them. */
enum { REG_AX, REG_CX, REG_DX, REG_BX, REG_SP, REG_BP, REG_SI, REG_DI };

#define FLAG_CF (1u << 0)
#define FLAG_PF (1u << 2)
#define FLAG_AF (1u << 4)
#define FLAG_ZF (1u << 6)
#define FLAG_SF (1u << 7)
#define FLAG_DF (1u << 10)
#define FLAG_OF (1u << 11)
#define FLAGS_ARITH (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

/** struct vector - a vector register to its full width */
struct vector {
	u8 bytes[64];
};

/** struct emu_regs - a thread's registers; @gpr in the order of their encoding */
struct emu_regs {
	u64 gpr[16];
	u64 rip;
	u64 flags;
	u64 fs_base, gs_base;
};

/**
 * struct emu - a thread to emulate for
 * @read, @write: @size bytes of memory, at most 64; 0, or -errno, which ends it
 * @vector_get, @vector_set: register @reg, 0 to 31; 0 or -errno
 */
struct emu {
	struct emu_regs regs;
	int (*read)(struct emu *emu, u64 addr, void *buf, unsigned int size);
	int (*write)(struct emu *emu, u64 addr, const void *buf, unsigned int size);
	int (*vector_get)(struct emu *emu, unsigned int reg, struct vector *vector);
	int (*vector_set)(struct emu *emu, unsigned int reg, const struct vector *vector);
};

/* Elements of a repeated string instruction done at once; the rest when it is met again. */
#define EMU_REPEAT_MAX 1024

/** emu_address() - where @insn's memory operand is (of strings the source, else the destination) */
u64 emu_address(const struct emu *emu, const struct insn *insn);

/**
 * emu_run() - run @insn and step over it (not over a repeated one that has more to do)
 * Return: 0, or what read() or write() said: then no register has changed (but those that count a
 * repeated instruction's elements done).
 */
int emu_run(struct emu *emu, const struct insn *insn);

#endif
