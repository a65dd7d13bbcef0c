/* SPDX-License-Identifier: MIT */
/*
 * Each instruction of a table is run twice on the same registers and memory: by the
 * processor, in a page of code made for it, and by the emulator.  What
 * both leave behind must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "host/mmio/emulate.h"

#define DATA_SIZE 4096

/* What the page of code reaches relative to itself: a page further on. */
struct place {
	u64 in[16], out[16];
	u64 in_flags, out_flags;
	u64 own_sp;
	u8 vec_in[64], vec_out[64];
	u8 pad[64];
	u8 data[1024] __attribute__((aligned(64)));
	u8 stack[256] __attribute__((aligned(64)));
};

static u8 *code;
static struct place *place;
static bool wide; /* AVX-512 */

struct emitter {
	u8 *p;
};

static void emit(struct emitter *e, const void *bytes, size_t n)
{
	memcpy(e->p, bytes, n);
	e->p += n;
}

/* An instruction that ends in a ModRM for register @reg and a place relative to itself. */
static void emit_at(struct emitter *e, const void *op, size_t n, unsigned int reg, const void *at)
{
	u8 modrm = (u8)((reg & 7) << 3 | 5);
	s32 rel;

	emit(e, op, n);
	emit(e, &modrm, 1);
	rel = (s32)((const u8 *)at - (e->p + 4));
	emit(e, &rel, 4);
}

static void emit_gpr(struct emitter *e, bool store, unsigned int reg, void *at)
{
	u8 op[] = { 0x48 | (reg & 8 ? 4 : 0), store ? 0x89 : 0x8b };

	emit_at(e, op, 2, reg, at);
}

/* Vector register 1, as wide as it is here. */
static void emit_vector(struct emitter *e, bool store, void *at)
{
	u8 evex[] = { 0x62, 0xf1, 0xfe, 0x48, store ? 0x7f : 0x6f };
	u8 vex[] = { 0xc5, 0xfe, store ? 0x7f : 0x6f };

	if (wide)
		emit_at(e, evex, sizeof(evex), 1, at);
	else
		emit_at(e, vex, sizeof(vex), 1, at);
}

static void run_natively(const u8 *insn, size_t len, u64 *ret_rip)
{
	static const u8 save[] = {
		0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x9c
	};
	static const u8 restore[] = { 0x9d, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c,
				      0x5d, 0x5b, 0xc3 };
	static const u8 push_m = 0xff, pop_m = 0x8f, pushf = 0x9c, popf = 0x9d, cld = 0xfc;
	struct emitter e = { code };

	emit(&e, save, sizeof(save));
	emit_gpr(&e, true, REG_SP, &place->own_sp);
	emit_vector(&e, false, place->vec_in);
	emit_at(&e, &push_m, 1, 6, &place->in_flags);
	emit(&e, &popf, 1);
	for (unsigned int i = 0; i < 16; i++)
		emit_gpr(&e, false, i, &place->in[i]);
	*ret_rip = (uintptr_t)e.p;
	emit(&e, insn, len);
	for (unsigned int i = 0; i < 16; i++)
		emit_gpr(&e, true, i, &place->out[i]);
	emit_gpr(&e, false, REG_SP, &place->own_sp);
	emit(&e, &pushf, 1);
	emit_at(&e, &pop_m, 1, 0, &place->out_flags);
	emit(&e, &cld, 1);
	emit_vector(&e, true, place->vec_out);
	emit(&e, restore, sizeof(restore));
	((void (*)(void))(uintptr_t)code)();
}

/* ---- the emulator's side ---- */

static struct vector vectors[32];

static int memory_read(struct emu *emu, u64 addr, void *buf, unsigned int size)
{
	memcpy(buf, (void *)(uintptr_t)addr, size);
	return 0;
}

static int memory_write(struct emu *emu, u64 addr, const void *buf, unsigned int size)
{
	memcpy((void *)(uintptr_t)addr, buf, size);
	return 0;
}

static int vector_get(struct emu *emu, unsigned int reg, struct vector *vector)
{
	*vector = vectors[reg];
	return 0;
}

static int vector_set(struct emu *emu, unsigned int reg, const struct vector *vector)
{
	vectors[reg] = *vector;
	return 0;
}

static struct emu emu_make(void)
{
	return (struct emu){ .read = memory_read, .write = memory_write,
			     .vector_get = vector_get, .vector_set = vector_set };
}

/* ---- the table ---- */

#define NEEDS_WIDE 1
#define NEEDS_DIRECT 2

/*
 * In each: rbx = data + 256, rcx = 3, rdx = 5, rsi = data + 64, rdi = data + 512, r9 = data + 256,
 * r10 = -8.  @undefined: flags the instruction leaves undefined.
 */
static const struct encoding {
	const char *text;
	u8 len;
	u8 bytes[15];
	u64 undefined;
	unsigned int needs;
} encodings[] = {
#define E(text, ...) { text, sizeof((u8[]){ __VA_ARGS__ }), { __VA_ARGS__ }, 0, 0 }
#define EU(undefined, text, ...)                                                                   \
	{ text, sizeof((u8[]){ __VA_ARGS__ }), { __VA_ARGS__ }, undefined, 0 }
#define EN(needs, text, ...)                                                                       \
	{ text, sizeof((u8[]){ __VA_ARGS__ }), { __VA_ARGS__ }, 0, needs }
	E("mov %al,(%rbx)", 0x88, 0x03),
	E("mov %ah,(%rbx)", 0x88, 0x23),
	E("mov %spl,(%rbx)", 0x40, 0x88, 0x23),
	E("mov %r9b,1(%rbx)", 0x44, 0x88, 0x4b, 0x01),
	E("mov %ax,(%rbx)", 0x66, 0x89, 0x03),
	E("mov %eax,0x10(%rbx)", 0x89, 0x43, 0x10),
	E("mov %rax,-8(%rbx)", 0x48, 0x89, 0x43, 0xf8),
	E("mov %r14,0x100(%r9)", 0x4d, 0x89, 0xb1, 0x00, 0x01, 0x00, 0x00),
	E("mov (%rbx),%cl", 0x8a, 0x0b),
	E("mov (%rbx),%ch", 0x8a, 0x2b),
	E("mov (%rbx),%cx", 0x66, 0x8b, 0x0b),
	E("mov (%rbx),%ecx", 0x8b, 0x0b),
	E("mov (%rbx),%r12", 0x4c, 0x8b, 0x23),
	E("mov (%rbx,%rcx,4),%eax", 0x8b, 0x04, 0x8b),
	E("mov 8(%rbx,%r10,1),%eax", 0x42, 0x8b, 0x44, 0x13, 0x08),
	E("mov 0x20(%r9,%rdx,8),%rax", 0x49, 0x8b, 0x44, 0xd1, 0x20),
	E("mov (%r9,%r10,8),%rax", 0x4b, 0x8b, 0x04, 0xd1),
	E("mov (%rsp),%rax", 0x48, 0x8b, 0x04, 0x24),
	E("mov 4(%rsp,%rcx),%eax", 0x8b, 0x44, 0x0c, 0x04),
	E("mov 0(%rbp),%eax", 0x8b, 0x45, 0x00),
	E("mov 0(%r13),%eax", 0x41, 0x8b, 0x45, 0x00),
	E("mov (%r12),%eax", 0x41, 0x8b, 0x04, 0x24),
	E("rex twice: mov (%rbx),%eax", 0x48, 0x40, 0x8b, 0x03),
	E("rex, then a prefix: mov (%rbx),%ax", 0x4f, 0x66, 0x8b, 0x03),
	E("cs: mov (%rbx),%eax", 0x2e, 0x8b, 0x03),
	E("movb $0x80,(%rbx)", 0xc6, 0x03, 0x80),
	E("movw $0x8001,(%rbx)", 0x66, 0xc7, 0x03, 0x01, 0x80),
	E("movl $0x80000001,(%rbx)", 0xc7, 0x03, 0x01, 0x00, 0x00, 0x80),
	E("movq $-2,(%rbx)", 0x48, 0xc7, 0x03, 0xfe, 0xff, 0xff, 0xff),
	E("movzbl (%rbx),%eax", 0x0f, 0xb6, 0x03),
	E("movzbw (%rbx),%ax", 0x66, 0x0f, 0xb6, 0x03),
	E("movzwl (%rbx),%esi", 0x0f, 0xb7, 0x33),
	E("movzwq (%rbx),%rax", 0x48, 0x0f, 0xb7, 0x03),
	E("movsbl (%rbx),%eax", 0x0f, 0xbe, 0x03),
	E("movsbq (%rbx),%rdi", 0x48, 0x0f, 0xbe, 0x3b),
	E("movswl (%rbx),%eax", 0x0f, 0xbf, 0x03),
	E("movslq (%rbx),%rax", 0x48, 0x63, 0x03),
	E("movbe (%rbx),%eax", 0x0f, 0x38, 0xf0, 0x03),
	E("movbe (%rbx),%ax", 0x66, 0x0f, 0x38, 0xf0, 0x03),
	E("movbe %rax,(%rbx)", 0x48, 0x0f, 0x38, 0xf1, 0x03),
	E("movnti %eax,(%rbx)", 0x0f, 0xc3, 0x03),
	E("movnti %rax,(%rbx)", 0x48, 0x0f, 0xc3, 0x03),
	E("add %eax,(%rbx)", 0x01, 0x03),
	E("lock add %rax,(%rbx)", 0xf0, 0x48, 0x01, 0x03),
	EU(FLAG_AF, "or %ax,(%rbx)", 0x66, 0x09, 0x03),
	E("adc %al,(%rbx)", 0x10, 0x03),
	E("sbb %rax,(%rbx)", 0x48, 0x19, 0x03),
	EU(FLAG_AF, "and %eax,(%rbx)", 0x21, 0x03),
	E("sub %eax,(%rbx)", 0x29, 0x03),
	EU(FLAG_AF, "xor %rax,(%rbx)", 0x48, 0x31, 0x03),
	E("cmp %eax,(%rbx)", 0x39, 0x03),
	E("add (%rbx),%eax", 0x03, 0x03),
	E("adc (%rbx),%ah", 0x12, 0x23),
	E("sbb (%rbx),%rax", 0x48, 0x1b, 0x03),
	E("sub (%rbx),%ax", 0x66, 0x2b, 0x03),
	E("cmp (%rbx),%rax", 0x48, 0x3b, 0x03),
	EU(FLAG_AF, "xor (%rbx),%al", 0x32, 0x03),
	EU(FLAG_AF, "test %eax,(%rbx)", 0x85, 0x03),
	EU(FLAG_AF, "testb $0x81,(%rbx)", 0xf6, 0x03, 0x81),
	EU(FLAG_AF, "testl $0x80000000,(%rbx)", 0xf7, 0x03, 0x00, 0x00, 0x00, 0x80),
	E("addl $-1,(%rbx)", 0x83, 0x03, 0xff),
	EU(FLAG_AF, "orb $0x11,(%rbx)", 0x80, 0x0b, 0x11),
	EU(FLAG_AF, "andq $-16,(%rbx)", 0x48, 0x83, 0x23, 0xf0),
	E("subw $0x1234,(%rbx)", 0x66, 0x81, 0x2b, 0x34, 0x12),
	E("cmpq $0x12345678,8(%rbx)", 0x48, 0x81, 0x7b, 0x08, 0x78, 0x56, 0x34, 0x12),
	E("incl (%rbx)", 0xff, 0x03),
	E("lock decq (%rbx)", 0xf0, 0x48, 0xff, 0x0b),
	E("incb (%rbx)", 0xfe, 0x03),
	E("notl (%rbx)", 0xf7, 0x13),
	E("negw (%rbx)", 0x66, 0xf7, 0x1b),
	E("xchg %rax,(%rbx)", 0x48, 0x87, 0x03),
	E("xchg %ah,(%rbx)", 0x86, 0x23),
	E("lock xadd %eax,(%rbx)", 0xf0, 0x0f, 0xc1, 0x03),
	E("cmpxchg %ecx,(%rbx)", 0x0f, 0xb1, 0x0b),
	E("lock cmpxchg %rdx,0x40(%rbx)", 0xf0, 0x48, 0x0f, 0xb1, 0x53, 0x40),
	E("cmpxchg %cl,(%rbx)", 0x0f, 0xb0, 0x0b),
#define BT_UNDEFINED (FLAGS_ARITH & ~FLAG_CF & ~FLAG_ZF)
	EU(BT_UNDEFINED, "btl $5,(%rbx)", 0x0f, 0xba, 0x23, 0x05),
	EU(BT_UNDEFINED, "lock btsq $63,(%rbx)", 0xf0, 0x48, 0x0f, 0xba, 0x2b, 0x3f),
	EU(BT_UNDEFINED, "btr %ecx,(%rbx)", 0x0f, 0xb3, 0x0b),
	EU(BT_UNDEFINED, "btc %r10,(%rbx)", 0x4c, 0x0f, 0xbb, 0x13),
	EU(BT_UNDEFINED, "bts %r10d,8(%rbx)", 0x44, 0x0f, 0xab, 0x53, 0x08),
	EU(BT_UNDEFINED, "bt %r10w,(%rbx)", 0x66, 0x44, 0x0f, 0xa3, 0x13),
	E("sete (%rbx)", 0x0f, 0x94, 0x03),
	E("setl (%rbx)", 0x0f, 0x9c, 0x03),
	E("cmovne (%rbx),%eax", 0x0f, 0x45, 0x03),
	E("cmovb (%rbx),%rax", 0x48, 0x0f, 0x42, 0x03),
	E("cmovle (%rbx),%ax", 0x66, 0x0f, 0x4e, 0x03),
	E("push (%rbx)", 0xff, 0x33),
	E("push 8(%rsp)", 0xff, 0x74, 0x24, 0x08),
	E("pop (%rbx)", 0x8f, 0x03),
	E("pop 16(%rsp)", 0x8f, 0x44, 0x24, 0x10),
	E("pushw (%rbx)", 0x66, 0xff, 0x33),
	E("movsb", 0xa4),
	E("movsq", 0x48, 0xa5),
	E("rep movsl", 0xf3, 0xa5),
	E("stosw", 0x66, 0xab),
	E("rep stosq", 0xf3, 0x48, 0xab),
	E("lodsb", 0xac),
	E("lodsl", 0xad),
	E("rep lodsq", 0xf3, 0x48, 0xad),
	E("scasl", 0xaf),
	E("repne scasb", 0xf2, 0xae),
	E("cmpsl", 0xa7),
	E("repe cmpsb", 0xf3, 0xa6),
	E("clflush (%rbx)", 0x0f, 0xae, 0x3b),
	E("movd %xmm1,(%rbx)", 0x66, 0x0f, 0x7e, 0x0b),
	E("movd (%rbx),%xmm1", 0x66, 0x0f, 0x6e, 0x0b),
	E("movq %xmm1,(%rbx)", 0x66, 0x0f, 0xd6, 0x0b),
	E("movq (rex.w) %xmm1,(%rbx)", 0x66, 0x48, 0x0f, 0x7e, 0x0b),
	E("movq (%rbx),%xmm1", 0xf3, 0x0f, 0x7e, 0x0b),
	E("movq (rex.w) (%rbx),%xmm1", 0x66, 0x48, 0x0f, 0x6e, 0x0b),
	E("movss (%rbx),%xmm1", 0xf3, 0x0f, 0x10, 0x0b),
	E("movss %xmm1,(%rbx)", 0xf3, 0x0f, 0x11, 0x0b),
	E("movsd (%rbx),%xmm1", 0xf2, 0x0f, 0x10, 0x0b),
	E("movsd %xmm1,(%rbx)", 0xf2, 0x0f, 0x11, 0x0b),
	E("movups (%rbx),%xmm1", 0x0f, 0x10, 0x0b),
	E("movups %xmm1,4(%rbx)", 0x0f, 0x11, 0x4b, 0x04),
	E("movaps %xmm1,(%rbx)", 0x0f, 0x29, 0x0b),
	E("movaps (%rbx),%xmm1", 0x0f, 0x28, 0x0b),
	E("movapd (%rbx),%xmm1", 0x66, 0x0f, 0x28, 0x0b),
	E("movdqu (%rbx),%xmm1", 0xf3, 0x0f, 0x6f, 0x0b),
	E("movdqu %xmm1,(%rbx)", 0xf3, 0x0f, 0x7f, 0x0b),
	E("movdqa %xmm1,(%rbx)", 0x66, 0x0f, 0x7f, 0x0b),
	E("movlps (%rbx),%xmm1", 0x0f, 0x12, 0x0b),
	E("movhps (%rbx),%xmm1", 0x0f, 0x16, 0x0b),
	E("movhps %xmm1,(%rbx)", 0x0f, 0x17, 0x0b),
	E("movntps %xmm1,(%rbx)", 0x0f, 0x2b, 0x0b),
	E("movntdq %xmm1,(%rbx)", 0x66, 0x0f, 0xe7, 0x0b),
	E("movntdqa (%rbx),%xmm1", 0x66, 0x0f, 0x38, 0x2a, 0x0b),
	E("lddqu (%rbx),%xmm1", 0xf2, 0x0f, 0xf0, 0x0b),
	E("vmovd (%rbx),%xmm1", 0xc5, 0xf9, 0x6e, 0x0b),
	E("vmovq %xmm1,(%rbx)", 0xc5, 0xf9, 0xd6, 0x0b),
	E("vmovss (%rbx),%xmm1", 0xc5, 0xfa, 0x10, 0x0b),
	E("vmovdqu (%rbx),%xmm1", 0xc5, 0xfa, 0x6f, 0x0b),
	E("vmovdqu (%rbx),%ymm1", 0xc5, 0xfe, 0x6f, 0x0b),
	E("vmovdqu %ymm1,(%rbx)", 0xc5, 0xfe, 0x7f, 0x0b),
	E("vmovups %ymm1,0x20(%r9)", 0xc4, 0xc1, 0x7c, 0x11, 0x49, 0x20),
	E("vmovdqa %ymm1,(%rbx)", 0xc5, 0xfd, 0x7f, 0x0b),
	E("vmovntdq %ymm1,(%rbx)", 0xc5, 0xfd, 0xe7, 0x0b),
	E("vmovhps %xmm1,(%rbx)", 0xc5, 0xf8, 0x17, 0x0b),
	EN(NEEDS_WIDE, "vmovdqu64 (%rbx),%zmm1", 0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x0b),
	EN(NEEDS_WIDE, "vmovdqu64 %zmm1,0x40(%rbx)", 0x62, 0xf1, 0xfe, 0x48, 0x7f, 0x4b, 0x01),
	EN(NEEDS_WIDE, "vmovdqu32 (%rbx),%ymm1", 0x62, 0xf1, 0x7e, 0x28, 0x6f, 0x0b),
	EN(NEEDS_WIDE, "vmovdqu8 %ymm1,-0x20(%rbx)", 0x62, 0xf1, 0x7f, 0x28, 0x7f, 0x4b, 0xff),
	EN(NEEDS_WIDE, "vmovdqa64 %zmm1,(%rbx)", 0x62, 0xf1, 0xfd, 0x48, 0x7f, 0x0b),
	EN(NEEDS_WIDE, "vmovups (%rbx),%xmm1", 0x62, 0xf1, 0x7c, 0x08, 0x10, 0x0b),
	EN(NEEDS_DIRECT, "movdiri %eax,(%rbx)", 0x0f, 0x38, 0xf9, 0x03),
	EN(NEEDS_DIRECT, "movdiri %rax,(%rbx)", 0x48, 0x0f, 0x38, 0xf9, 0x03),
	EN(NEEDS_DIRECT, "movdir64b (%rsi),%rbx", 0x66, 0x0f, 0x38, 0xf8, 0x1e),
};

static void place_fill(unsigned int round)
{
	memset(place, 0, sizeof(*place));
	for (size_t i = 0; i < sizeof(place->data); i++)
		place->data[i] = (u8)(i * 37 + round * 101);
	for (size_t i = 0; i < sizeof(place->stack); i++)
		place->stack[i] = (u8)(i * 11 + 1);
	for (size_t i = 0; i < 64; i++)
		place->vec_in[i] = (u8)(0xc0 + i);
	for (unsigned int i = 0; i < 16; i++)
		place->in[i] = 0x1122334455667788ULL * (i + round + 1);
	if (round == 1)
		memset(place->data + 256, 0xff, 64);
	if (round == 2)
		memcpy(&place->in[REG_AX], place->data + 256, 8);
	place->in[REG_BX] = place->in[9] = place->in[REG_BP] = (uintptr_t)place->data + 256;
	place->in[12] = place->in[13] = (uintptr_t)place->data + 256;
	place->in[REG_CX] = 3;
	place->in[REG_DX] = 5;
	place->in[REG_SI] = (uintptr_t)place->data + 64;
	place->in[REG_DI] = (uintptr_t)place->data + 512;
	place->in[10] = (u64)-8;
	place->in[REG_SP] = (uintptr_t)place->stack + 128;
	place->in_flags = 0x202 | (round & 1 ? FLAG_CF | FLAG_ZF : 0) | (round == 3 ? FLAG_DF : 0);
}

static void compare_one(const struct encoding *en, unsigned int round)
{
	struct emu emu = emu_make();
	struct place before, native;
	struct insn insn;
	u64 rip;

	place_fill(round);
	before = *place;
	run_natively(en->bytes, en->len, &rip);
	native = *place;
	*place = before;

	if (!insn_decode(en->bytes, sizeof(en->bytes), &insn))
		fail_msg("%s is not known", en->text);
	assert_int_equal(insn.length, en->len);
	memcpy(emu.regs.gpr, before.in, sizeof(emu.regs.gpr));
	emu.regs.rip = rip;
	emu.regs.flags = before.in_flags;
	memcpy(vectors[1].bytes, before.vec_in, wide ? 64 : 32);
	assert_int_equal(emu_run(&emu, &insn), 0);

	if (emu.regs.rip != rip + en->len)
		fail_msg("%s: stands at %+lld", en->text, (long long)(emu.regs.rip - rip));
	for (unsigned int i = 0; i < 16; i++) {
		if (emu.regs.gpr[i] != native.out[i])
			fail_msg("%s, round %u: register %u is %llx, not %llx", en->text, round, i,
				 (unsigned long long)emu.regs.gpr[i],
				 (unsigned long long)native.out[i]);
	}
	if ((emu.regs.flags ^ native.out_flags) & FLAGS_ARITH & ~en->undefined)
		fail_msg("%s, round %u: flags are %llx, not %llx", en->text, round,
			 (unsigned long long)emu.regs.flags, (unsigned long long)native.out_flags);
	if (memcmp(place->data, native.data, sizeof(native.data)))
		fail_msg("%s, round %u: memory differs", en->text, round);
	if (memcmp(place->stack + 96, native.stack + 96, sizeof(native.stack) - 96))
		fail_msg("%s, round %u: the stack differs", en->text, round);
	if (memcmp(vectors[1].bytes, native.vec_out, wide ? 64 : 32))
		fail_msg("%s, round %u: the vector register differs", en->text, round);
}

static bool can_run(const struct encoding *en)
{
	/* CPUID 7: ECX bits 27 and 28. */
	unsigned int a = 7, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	if (en->needs == NEEDS_DIRECT)
		return (c >> 27 & 3) == 3;
	return en->needs != NEEDS_WIDE || wide;
}

static void the_emulator_does_what_the_processor_does(void **state)
{
	if (!__builtin_cpu_supports("avx2"))
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(encodings); i++) {
		for (unsigned int round = 0; round < 4; round++) {
			if (can_run(&encodings[i]))
				compare_one(&encodings[i], round);
		}
	}
}

static void addresses_relative_to_the_instruction_count_from_its_end(void **state)
{
	/* movl $0x11223344, 0x20(%rip); mov %fs:(%rax),%eax; mov %eax, absolute; addr32 */
	static const u8 rip[] = { 0xc7, 0x05, 0x20, 0, 0, 0, 0x44, 0x33, 0x22, 0x11 };
	static const u8 fs[] = { 0x64, 0x8b, 0x00 };
	static const u8 absolute[] = { 0x8b, 0x04, 0x25, 0x00, 0x10, 0x00, 0x00 };
	static const u8 moffs[] = { 0xa3, 1, 2, 3, 4, 5, 6, 7, 0 };
	static const u8 addr32[] = { 0x67, 0x8b, 0x40, 0xff };
	struct emu emu = emu_make();
	struct insn insn;

	emu.regs.rip = 0x400000;
	emu.regs.fs_base = 0x7000;
	emu.regs.gpr[REG_AX] = 0x100000000ULL;
	assert_true(insn_decode(rip, sizeof(rip), &insn));
	assert_int_equal(emu_address(&emu, &insn), 0x400000 + 10 + 0x20);
	assert_true(insn_decode(fs, sizeof(fs), &insn));
	assert_int_equal(emu_address(&emu, &insn), 0x100007000);
	assert_true(insn_decode(absolute, sizeof(absolute), &insn));
	assert_int_equal(emu_address(&emu, &insn), 0x1000);
	assert_true(insn_decode(moffs, sizeof(moffs), &insn));
	assert_int_equal(emu_address(&emu, &insn), 0x0007060504030201);
	assert_true(insn_decode(addr32, sizeof(addr32), &insn));
	assert_int_equal(emu_address(&emu, &insn), 0xffffffff);
}

static void what_is_not_known_is_said_to_be(void **state)
{
	static const struct {
		u8 len, bytes[15];
	} unknown[] = {
		{ 1, { 0x90 } },			       /* nop */
		{ 2, { 0x8b, 0xc3 } },			       /* registers only */
		{ 1, { 0x8b } },			       /* cut off */
		{ 3, { 0x8b, 0x84, 0x24 } },		       /* likewise */
		{ 3, { 0xf0, 0x89, 0x03 } },		       /* lock mov */
		{ 3, { 0xf0, 0x39, 0x03 } },		       /* lock cmp */
		{ 5, { 0xf2, 0x0f, 0x38, 0xf8, 0x03 } },       /* enqcmd */
		{ 2, { 0xff, 0x13 } },			       /* call */
		{ 2, { 0xd9, 0x03 } },			       /* x87 */
		{ 6, { 0x62, 0xf1, 0xfe, 0x49, 0x6f, 0x0b } }, /* masked */
		{ 4, { 0xc5, 0xf0, 0x16, 0x0b } },	       /* vmovhps with a second source */
	};
	struct insn insn;

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		assert_false(insn_decode(unknown[i].bytes, unknown[i].len, &insn));
		assert_int_equal(insn.op, INSN_NONE);
	}
	assert_false(insn_decode(unknown[0].bytes, 0, &insn));
}

static void a_long_repetition_is_done_in_parts(void **state)
{
	static const u8 rep_stosb[] = { 0xf3, 0xaa };
	static u8 memory[3 * EMU_REPEAT_MAX];
	struct emu emu = emu_make();
	struct insn insn;

	emu.regs.rip = 100;
	emu.regs.gpr[REG_AX] = 0x5a;
	emu.regs.gpr[REG_CX] = EMU_REPEAT_MAX + 1;
	emu.regs.gpr[REG_DI] = (uintptr_t)memory;
	assert_true(insn_decode(rep_stosb, 2, &insn));
	assert_int_equal(emu_run(&emu, &insn), 0);
	assert_int_equal(emu.regs.rip, 100);
	assert_int_equal(emu.regs.gpr[REG_CX], 1);
	assert_int_equal(emu_run(&emu, &insn), 0);
	assert_int_equal(emu.regs.rip, 102);
	assert_int_equal(memory[EMU_REPEAT_MAX], 0x5a);
	assert_int_equal(memory[EMU_REPEAT_MAX + 1], 0);
}

static int memory_faults(struct emu *emu, u64 addr, const void *buf, unsigned int size)
{
	return -EFAULT;
}

static void a_write_that_fails_changes_no_register(void **state)
{
	static const u8 xadd[] = { 0x48, 0x0f, 0xc1, 0x03 };
	struct emu emu = emu_make(), before;
	u64 word = 5;
	struct insn insn;

	emu.write = memory_faults;
	emu.regs.gpr[REG_BX] = (uintptr_t)&word;
	emu.regs.gpr[REG_AX] = 7;
	before = emu;
	assert_true(insn_decode(xadd, sizeof(xadd), &insn));
	assert_int_equal(emu_run(&emu, &insn), -EFAULT);
	assert_memory_equal(&emu.regs, &before.regs, sizeof(emu.regs));
}

static void any_bytes_are_decoded_within_their_length(void **state)
{
	u64 seed = 88172645463325252ULL;
	u8 bytes[INSN_MAX];
	struct insn insn;

	for (unsigned int i = 0; i < 2000000; i++) {
		size_t len;

		for (size_t k = 0; k < sizeof(bytes); k++) {
			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			bytes[k] = (u8)(seed >> 24);
		}
		len = seed % (INSN_MAX + 1);
		if (insn_decode(bytes, len, &insn)) {
			assert_true(insn.length && insn.length <= len);
			assert_true(insn.size >= 1 && insn.size <= 64 && insn.reg < 32);
			assert_true(insn.base < 16 && insn.index < 16);
		}
	}
}

static int setup(void **state)
{
	code = mmap(NULL, 4096 + sizeof(struct place), PROT_READ | PROT_WRITE | PROT_EXEC,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	place = (struct place *)(code + 4096);
	wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl");
	return code == MAP_FAILED;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_emulator_does_what_the_processor_does),
		cmocka_unit_test(addresses_relative_to_the_instruction_count_from_its_end),
		cmocka_unit_test(what_is_not_known_is_said_to_be),
		cmocka_unit_test(a_long_repetition_is_done_in_parts),
		cmocka_unit_test(a_write_that_fails_changes_no_register),
		cmocka_unit_test(any_bytes_are_decoded_within_their_length),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
