/* SPDX-License-Identifier: MIT */
/* Bytes to struct insn; see decode.h. */
#include "host/mmio/decode.h"

#include <string.h>

/* The bytes still to be read, and what the prefixes said. */
struct dec {
	const u8 *p, *end;
	bool short_of;  /* asked for more than there is */
	bool opsize, rep, repne;
	u8 rex;         /* 0: none */
	bool has_rex;
	u8 mod, reg, rm; /* with the REX bits */
};

#define REX_W 8
#define REX_R 4
#define REX_X 2
#define REX_B 1

static u8 next8(struct dec *d)
{
	if (d->p == d->end) {
		d->short_of = true;
		return 0;
	}
	return *d->p++;
}

/* @n bytes, little endian, sign-extended. */
static s64 next_signed(struct dec *d, unsigned int n)
{
	u64 value = 0;

	for (unsigned int i = 0; i < n; i++)
		value |= (u64)next8(d) << 8 * i;
	return n == 8 ? (s64)value : (s64)(value << (64 - 8 * n)) >> (64 - 8 * n);
}

/* One legacy prefix; false if @b is none. */
static bool legacy_prefix(struct dec *d, struct insn *in, u8 b)
{
	switch (b) {
	case 0x66:
		d->opsize = true;
		return true;
	case 0x67:
		in->addr_size = 4;
		return true;
	case 0xf0:
		in->lock = true;
		return true;
	case 0xf2:
	case 0xf3:
		d->repne = b == 0xf2;
		d->rep = b == 0xf3;
		return true;
	case 0x64:
		in->seg = SEG_FS;
		return true;
	case 0x65:
		in->seg = SEG_GS;
		return true;
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
		return true;
	}
	return false;
}

/* All of them, up to the opcode, which is returned.  REX counts only right before it. */
static u8 prefixes(struct dec *d, struct insn *in)
{
	u8 b;

	in->addr_size = 8;
	do {
		b = next8(d);
		d->has_rex = (b & 0xf0) == 0x40;
		d->rex = d->has_rex ? b & 0xf : 0;
		if (d->has_rex)
			b = next8(d);
	} while (!d->short_of && (legacy_prefix(d, in, b) || (b & 0xf0) == 0x40));
	return b;
}

/*
 * ModRM and what follows it; false if it names a register.
 * @disp8_shift: EVEX counts short displacements in operands.
 */
static bool modrm(struct dec *d, struct insn *in, unsigned int disp8_shift)
{
	u8 b = next8(d), sib;

	d->mod = b >> 6;
	d->reg = (b >> 3 & 7) | (d->rex & REX_R ? 8 : 0);
	d->rm = b & 7;
	in->reg = d->reg;
	in->base = in->index = -1;
	if (d->mod == 3)
		return false;
	if (d->rm == 4) {
		sib = next8(d);
		in->scale = sib >> 6;
		in->index = (int8_t)((sib >> 3 & 7) | (d->rex & REX_X ? 8 : 0));
		if (in->index == 4)
			in->index = -1;
		d->rm = sib & 7;
		if (d->rm != 5 || d->mod)
			in->base = (int8_t)(d->rm | (d->rex & REX_B ? 8 : 0));
	} else if (d->rm == 5 && !d->mod) {
		in->rip_relative = true;
		in->disp = next_signed(d, 4);
		return true;
	} else {
		in->base = (int8_t)(d->rm | (d->rex & REX_B ? 8 : 0));
	}
	if (d->mod == 1)
		in->disp = next_signed(d, 1) * (1 << disp8_shift);
	else if (d->mod == 2 || in->base < 0)
		in->disp = next_signed(d, 4);
	return true;
}

/* Operand size of an opcode whose low bit says: not a byte. */
static u8 size_of(const struct dec *d, u8 opcode)
{
	if (!(opcode & 1))
		return 1;
	return d->rex & REX_W ? 8 : d->opsize ? 2 : 4;
}

/* A byte register without REX is AL to BL, AH to BH. */
static void byte_reg(const struct dec *d, struct insn *in)
{
	if (in->reg_size == 1 && !d->has_rex && in->reg >= 4) {
		in->reg -= 4;
		in->high_byte = true;
	}
}

static bool set(struct insn *in, enum insn_op op, u8 size)
{
	in->op = op;
	in->size = in->reg_size = size;
	return true;
}

/* ModRM with a register operand. */
static bool with_reg(struct dec *d, struct insn *in, enum insn_op op, u8 size)
{
	if (!modrm(d, in, 0))
		return false;
	set(in, op, size);
	byte_reg(d, in);
	return true;
}

static bool with_imm(struct dec *d, struct insn *in, enum insn_op op, u8 size, unsigned int bytes)
{
	in->has_imm = true;
	in->imm = (u64)next_signed(d, bytes);
	return set(in, op, size);
}

/* ---- one-byte opcodes ---- */

/* Opcodes that ModRM's reg field tells apart. */
static bool group(struct dec *d, struct insn *in, u8 opcode)
{
	static const enum insn_op unary[] = { INSN_NOT, INSN_NEG };
	u8 size = size_of(d, opcode);
	u8 which;

	if (!modrm(d, in, 0))
		return false;
	which = d->reg & 7;
	switch (opcode) {
	case 0x80:
	case 0x81:
	case 0x83:
		in->alu = which;
		return with_imm(d, in, INSN_ALU_M, size, opcode == 0x81 ? MIN(size, 4) : 1);
	case 0xc6:
	case 0xc7:
		return !which && with_imm(d, in, INSN_STORE, size, MIN(size, 4));
	case 0xf6:
	case 0xf7:
		in->alu = ALU_TEST;
		if (which < 2)
			return with_imm(d, in, INSN_ALU_M, size, MIN(size, 4));
		return which < 4 && set(in, unary[which - 2], size);
	case 0x8f:
		return !which && set(in, INSN_POP, d->opsize ? 2 : 8);
	default: /* 0xfe, 0xff */
		if (which < 2)
			return set(in, which ? INSN_DEC : INSN_INC, size);
		return opcode == 0xff && which == 6 && set(in, INSN_PUSH, d->opsize ? 2 : 8);
	}
}

static bool moffs(struct dec *d, struct insn *in, u8 opcode)
{
	in->base = in->index = -1;
	in->disp = next_signed(d, in->addr_size);
	if (in->addr_size == 4)
		in->disp = (u32)in->disp;
	return set(in, opcode < 0xa2 ? INSN_LOAD : INSN_STORE, size_of(d, opcode));
}

static bool one_byte(struct dec *d, struct insn *in, u8 opcode)
{
	static const enum insn_op strings[] = {
		[2] = INSN_MOVS, [3] = INSN_CMPS, [5] = INSN_STOS, [6] = INSN_LODS, [7] = INSN_SCAS,
	};
	u8 size = size_of(d, opcode);

	if (opcode < 0x40 && (opcode & 7) < 4) {
		in->alu = opcode >> 3;
		return with_reg(d, in, opcode & 2 ? INSN_ALU_R : INSN_ALU_M, size);
	}
	switch (opcode) {
	case 0x63: /* MOVSXD */
		if (!with_reg(d, in, INSN_LOAD_SX, d->opsize && !(d->rex & REX_W) ? 2 : 4))
			return false;
		in->reg_size = d->rex & REX_W ? 8 : in->size;
		return true;
	case 0x84:
	case 0x85:
		in->alu = ALU_TEST;
		return with_reg(d, in, INSN_ALU_M, size);
	case 0x86:
	case 0x87:
		return with_reg(d, in, INSN_XCHG, size);
	case 0x88:
	case 0x89:
		return with_reg(d, in, INSN_STORE, size);
	case 0x8a:
	case 0x8b:
		return with_reg(d, in, INSN_LOAD, size);
	case 0xa0:
	case 0xa1:
	case 0xa2:
	case 0xa3:
		return moffs(d, in, opcode);
	case 0xa4:
	case 0xa5:
	case 0xa6:
	case 0xa7:
	case 0xaa:
	case 0xab:
	case 0xac:
	case 0xad:
	case 0xae:
	case 0xaf:
		in->rep = d->rep;
		in->repne = d->repne;
		return set(in, strings[(opcode - 0xa0) >> 1], size);
	case 0x80:
	case 0x81:
	case 0x83:
	case 0x8f:
	case 0xc6:
	case 0xc7:
	case 0xf6:
	case 0xf7:
	case 0xfe:
	case 0xff:
		return group(d, in, opcode);
	}
	return false;
}

/* ---- two- and three-byte opcodes ---- */

/* Prefix of a vector opcode: none, 66, F3, F2, as VEX numbers them. */
static unsigned int vector_prefix(const struct dec *d)
{
	return d->rep ? 2 : d->repne ? 3 : d->opsize ? 1 : 0;
}

enum vector_width { VEC_FULL = 1, VEC_GPR, VEC_8, VEC_4, VEC_LOW, VEC_HIGH };

/* Vector moves of map 0F: by prefix; what is missing here is no plain move. */
static const struct vector_move {
	u8 opcode;
	bool store;
	u8 width[4];
} vector_moves[] = {
	{ 0x10, false, { VEC_FULL, VEC_FULL, VEC_4, VEC_8 } },	/* MOVUPS, MOVUPD, MOVSS, MOVSD */
	{ 0x11, true, { VEC_FULL, VEC_FULL, VEC_4, VEC_8 } },
	{ 0x12, false, { VEC_LOW, VEC_LOW, 0, 0 } },		/* MOVLPS, MOVLPD */
	{ 0x13, true, { VEC_LOW, VEC_LOW, 0, 0 } },
	{ 0x16, false, { VEC_HIGH, VEC_HIGH, 0, 0 } },		/* MOVHPS, MOVHPD */
	{ 0x17, true, { VEC_HIGH, VEC_HIGH, 0, 0 } },
	{ 0x28, false, { VEC_FULL, VEC_FULL, 0, 0 } },		/* MOVAPS, MOVAPD */
	{ 0x29, true, { VEC_FULL, VEC_FULL, 0, 0 } },
	{ 0x2b, true, { VEC_FULL, VEC_FULL, 0, 0 } },		/* MOVNTPS, MOVNTPD */
	{ 0x6e, false, { 0, VEC_GPR, 0, 0 } },			/* MOVD, MOVQ */
	{ 0x6f, false, { 0, VEC_FULL, VEC_FULL, VEC_FULL } },	/* MOVDQA, MOVDQU; F2: EVEX only */
	{ 0x7e, true, { 0, VEC_GPR, 0, 0 } },
	{ 0x7e, false, { 0, 0, VEC_8, 0 } },			/* MOVQ */
	{ 0x7f, true, { 0, VEC_FULL, VEC_FULL, VEC_FULL } },
	{ 0xd6, true, { 0, VEC_8, 0, 0 } },			/* MOVQ */
	{ 0xe7, true, { 0, VEC_FULL, 0, 0 } },			/* MOVNTDQ */
	{ 0xf0, false, { 0, 0, 0, VEC_FULL } },			/* LDDQU */
};

static const struct vector_move *vector_find(u8 opcode, unsigned int prefix)
{
	for (size_t i = 0; i < ARRAY_SIZE(vector_moves); i++) {
		if (vector_moves[i].opcode == opcode && vector_moves[i].width[prefix])
			return &vector_moves[i];
	}
	return NULL;
}

static bool vector_set(struct dec *d, struct insn *in, const struct vector_move *move,
		       unsigned int prefix, u8 full)
{
	u8 size = full;

	switch (move->width[prefix]) {
	case VEC_GPR:
		size = d->rex & REX_W ? 8 : 4;
		break;
	case VEC_4:
		size = 4;
		break;
	case VEC_HIGH:
		in->vpart = 8;
		__attribute__((fallthrough));
	case VEC_LOW:
		in->vmerge = true;
		/* The three-operand form takes the rest from another register: not a plain move. */
		if (in->vex && !move->store)
			return false;
		__attribute__((fallthrough));
	case VEC_8:
		size = 8;
		break;
	}
	return set(in, move->store ? INSN_VSTORE : INSN_VLOAD, size);
}

static bool two_byte_vector(struct dec *d, struct insn *in, u8 opcode)
{
	unsigned int prefix = vector_prefix(d);
	const struct vector_move *move = vector_find(opcode, prefix);

	/* F2 0F 6F and 7F are EVEX's; MMX (no prefix) is not known. */
	if (!move || (prefix == 3 && (opcode == 0x6f || opcode == 0x7f)))
		return false;
	return modrm(d, in, 0) && vector_set(d, in, move, prefix, 16);
}

static bool bit_test(struct dec *d, struct insn *in, u8 opcode)
{
	u8 size = size_of(d, 1);

	if (!modrm(d, in, 0))
		return false;
	if (opcode == 0xba) {
		if ((d->reg & 7) < 4)
			return false;
		in->alu = d->reg & 3;
		return with_imm(d, in, INSN_BT, size, 1);
	}
	in->alu = opcode >> 3 & 3;
	return set(in, INSN_BT, size);
}

static bool extend(struct dec *d, struct insn *in, u8 opcode)
{
	if (!with_reg(d, in, opcode & 8 ? INSN_LOAD_SX : INSN_LOAD_ZX, opcode & 1 ? 2 : 1))
		return false;
	/* The register is no byte register, whatever its operand is. */
	in->high_byte = false;
	in->reg = d->reg;
	in->reg_size = size_of(d, 1);
	return true;
}

static bool three_byte(struct dec *d, struct insn *in)
{
	u8 opcode = next8(d);
	u8 size = size_of(d, 1);

	switch (opcode) {
	case 0x2a: /* MOVNTDQA */
		return d->opsize && modrm(d, in, 0) && set(in, INSN_VLOAD, 16);
	case 0xf0:
	case 0xf1:
		return !d->rep && !d->repne &&
		       with_reg(d, in, opcode & 1 ? INSN_STORE_BE : INSN_LOAD_BE, size);
	case 0xf8: /* MOVDIR64B; with F2 and F3 ENQCMD and ENQCMDS, whose answer we do not have */
		in->direct = true;
		return d->opsize && !d->rep && !d->repne && with_reg(d, in, INSN_DIRECT64, 64);
	case 0xf9: /* MOVDIRI */
		in->direct = true;
		return !d->opsize && !d->rep && !d->repne &&
		       with_reg(d, in, INSN_STORE, d->rex & REX_W ? 8 : 4);
	}
	return false;
}

static bool two_byte(struct dec *d, struct insn *in)
{
	u8 opcode = next8(d);
	u8 size = size_of(d, opcode);

	if (opcode == 0x38)
		return three_byte(d, in);
	if ((opcode & 0xf0) == 0x40 || (opcode & 0xf0) == 0x90) {
		in->alu = opcode & 0xf;
		if ((opcode & 0xf0) == 0x40)
			return with_reg(d, in, INSN_CMOV, size_of(d, 1));
		return modrm(d, in, 0) && set(in, INSN_SETCC, 1);
	}
	switch (opcode) {
	case 0xa3:
	case 0xab:
	case 0xb3:
	case 0xbb:
	case 0xba:
		return bit_test(d, in, opcode);
	case 0xae: /* CLFLUSH, CLFLUSHOPT, CLWB */
		return modrm(d, in, 0) && !d->rep && !d->repne &&
		       ((d->reg & 7) == 7 || ((d->reg & 7) == 6 && d->opsize)) &&
		       set(in, INSN_FLUSH, 1);
	case 0xb0:
	case 0xb1:
		return with_reg(d, in, INSN_CMPXCHG, size);
	case 0xb6:
	case 0xb7:
	case 0xbe:
	case 0xbf:
		return extend(d, in, opcode);
	case 0xc0:
	case 0xc1:
		return with_reg(d, in, INSN_XADD, size);
	case 0xc3: /* MOVNTI */
		return !d->opsize && with_reg(d, in, INSN_STORE, size_of(d, 1));
	}
	return two_byte_vector(d, in, opcode);
}

/* ---- VEX and EVEX ---- */

static void vector_pp(struct dec *d, u8 pp)
{
	d->opsize = pp == 1;
	d->rep = pp == 2;
	d->repne = pp == 3;
}

static bool vex(struct dec *d, struct insn *in, u8 first)
{
	u8 map = 1, b = next8(d), opcode;
	const struct vector_move *move;

	d->rex = b & 0x80 ? 0 : REX_R;
	if (first == 0xc4) {
		map = b & 0x1f;
		d->rex |= (b & 0x40 ? 0 : REX_X) | (b & 0x20 ? 0 : REX_B);
		b = next8(d);
		d->rex |= b & 0x80 ? REX_W : 0;
	}
	vector_pp(d, b & 3);
	opcode = next8(d);
	in->vex = true;
	/* A plain move has no second source: its field is all ones. */
	if ((b & 0x78) != 0x78)
		return false;
	if (map == 2)
		return opcode == 0x2a && d->opsize && modrm(d, in, 0) &&
		       set(in, INSN_VLOAD, b & 4 ? 32 : 16);
	move = map == 1 ? vector_find(opcode, b & 3) : NULL;
	if (!move || ((b & 3) == 3 && (opcode == 0x6f || opcode == 0x7f)))
		return false;
	return modrm(d, in, 0) && vector_set(d, in, move, b & 3, b & 4 ? 32 : 16);
}

/* Whole registers only, unmasked: what memcpy() of a C library does. */
static bool evex(struct dec *d, struct insn *in)
{
	u8 p0 = next8(d), p1 = next8(d), p2 = next8(d), opcode = next8(d);
	const struct vector_move *move = vector_find(opcode, p1 & 3);
	unsigned int length = p2 >> 5 & 3;

	d->rex = (p0 & 0x80 ? 0 : REX_R) | (p0 & 0x40 ? 0 : REX_X) | (p0 & 0x20 ? 0 : REX_B);
	vector_pp(d, p1 & 3);
	in->vex = true;
	if ((p0 & 7) != 1 || (p1 & 0x7c) != 0x7c || (p2 & 0x9f) != 8 || length == 3 || !move ||
	    move->width[p1 & 3] != VEC_FULL || opcode == 0xf0)
		return false;
	if (!modrm(d, in, 4 + length))
		return false;
	if (!(p0 & 0x10))
		in->reg |= 16;
	return set(in, move->store ? INSN_VSTORE : INSN_VLOAD, 16 << length);
}

static bool lockable(const struct insn *in)
{
	switch (in->op) {
	case INSN_ALU_M:
		return in->alu < ALU_CMP;
	case INSN_INC:
	case INSN_DEC:
	case INSN_NOT:
	case INSN_NEG:
	case INSN_XCHG:
	case INSN_XADD:
	case INSN_CMPXCHG:
		return true;
	case INSN_BT:
		return in->alu != 0;
	default:
		return false;
	}
}

bool insn_decode(const u8 *bytes, size_t len, struct insn *ret)
{
	struct dec d = { .p = bytes, .end = bytes + MIN(len, (size_t)INSN_MAX) };
	bool known;
	u8 opcode;

	memset(ret, 0, sizeof(*ret));
	ret->base = ret->index = -1;
	opcode = prefixes(&d, ret);
	if (opcode == 0x0f)
		known = two_byte(&d, ret);
	else if (opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62)
		/* With these before it the opcode does not exist. */
		known = !d.has_rex && !d.opsize && !d.rep && !d.repne && !ret->lock &&
			(opcode == 0x62 ? evex(&d, ret) : vex(&d, ret, opcode));
	else
		known = one_byte(&d, ret, opcode);
	ret->length = (u8)(d.p - bytes);
	if (!known || d.short_of || (ret->lock && !lockable(ret))) {
		ret->op = INSN_NONE;
		return false;
	}
	return true;
}
