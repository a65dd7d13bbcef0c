/* SPDX-License-Identifier: MIT */
/*
 * x86-64 instructions with a memory operand, as far as programs use them on device
 * registers.  A pure function of bytes; it needs nothing and touches nothing.
 *
 * Facts: Intel SDM volume 2, chapter 2 (instruction format, VEX, EVEX), appendix A
 * (opcode maps).
 */
#ifndef HOST_MMIO_DECODE_H
#define HOST_MMIO_DECODE_H

#include "base/types.h"

#define INSN_MAX 15 /* bytes; longer ones do not exist */

/**
 * enum insn_op - what is done; "m" is the memory operand, "r" the register, "src" r or the
 * immediate
 */
enum insn_op {
	INSN_NONE,
	INSN_LOAD,     /* r = m */
	INSN_LOAD_ZX,  /* r = m, zero-extended to reg_size */
	INSN_LOAD_SX,
	INSN_LOAD_BE,  /* MOVBE */
	INSN_STORE,    /* m = src */
	INSN_STORE_BE,
	INSN_ALU_R,    /* r = r alu m; CMP and TEST: flags only */
	INSN_ALU_M,    /* m = m alu src; likewise */
	INSN_INC,
	INSN_DEC,
	INSN_NOT,
	INSN_NEG,
	INSN_XCHG,
	INSN_XADD,
	INSN_CMPXCHG,
	INSN_BT,       /* alu: 0 test, 1 set, 2 reset, 3 complement; the bit is src */
	INSN_SETCC,    /* m = condition alu */
	INSN_CMOV,     /* if condition alu: r = m */
	INSN_PUSH,     /* the stack = m */
	INSN_POP,
	INSN_MOVS,     /* string instructions: m by rsi and rdi */
	INSN_CMPS,
	INSN_STOS,
	INSN_LODS,
	INSN_SCAS,
	INSN_VLOAD,    /* vector register = m */
	INSN_VSTORE,
	INSN_DIRECT64, /* MOVDIR64B: 64 bytes at the address in r = m */
	INSN_FLUSH,    /* CLFLUSH and its kin: nothing to do */
};

/* In the order of the opcodes. */
enum insn_alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST };

enum insn_seg { SEG_NONE, SEG_FS, SEG_GS };

/**
 * struct insn - one instruction
 * @length: bytes
 * @size: bytes of the memory operand (of one element, for strings)
 * @reg_size: bytes of the register, where they differ (extensions); else @size
 * @reg: number as encoded; @high_byte: AH, CH, DH, BH (then reg is 0 to 3)
 * @has_imm, @imm: sign-extended to 64 bits
 * @direct: a direct store, which older processors do not have (SIGILL)
 * @addr_size: bytes of an address, 8 or 4
 * @base, @index: registers, or -1; @scale: a shift
 * @rip_relative: @disp is from the end of the instruction
 * @vex: bytes of the vector register above what is loaded become zero, to its end; else to byte 16
 * @vpart: byte of the vector register where the operand lies (MOVHPS: 8)
 * @vmerge: a load leaves the register's other bytes alone
 */
struct insn {
	enum insn_op op;
	u8 length;
	u8 alu;
	u8 size;
	u8 reg_size;
	u8 reg;
	bool high_byte;
	bool has_imm;
	bool rep, repne, lock;
	bool direct;
	u8 addr_size;
	int8_t base, index;
	u8 scale;
	bool rip_relative;
	u8 seg;
	bool vex;
	u8 vpart;
	bool vmerge;
	s64 disp;
	u64 imm;
};

/**
 * insn_decode() - the instruction @bytes begin with
 * @len: how many bytes there are, at most INSN_MAX are looked at
 * Return: true; false: not known (also: without a memory operand, or cut off).
 */
bool insn_decode(const u8 *bytes, size_t len, struct insn *ret);

#endif
