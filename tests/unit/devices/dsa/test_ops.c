/* SPDX-License-Identifier: MIT */
/*
 * DSA: what operations do, against the same done by hand; and every way for a
 * descriptor or a batch to be wrong.
 */
#include "rig.h"

#define ROUNDS 60
#define SPAN   (700U << 10) /* more than two chunks */

static u8 before[LENGTH];

static u8 *data(u64 offset)
{
	return rig.memory + DATA + offset;
}

static u64 iova(u64 offset)
{
	return BASE + DATA + offset;
}

static u32 length(void)
{
	return chance() % 3 ? 1 + chance() % 9000 : 1 + chance() % SPAN;
}

static void keep(void)
{
	memcpy(before, rig.memory, LENGTH);
}

/* ---- operations ---- */

static void a_move_copies_and_touches_nothing_else(void **state)
{
	fill_random(data(0), 2 * SPAN);
	for (int i = 0; i < ROUNDS; i++) {
		u32 len = length(), src = chance() % 5000, dst = SPAN + 8192 + chance() % 5000;
		struct dsa_desc desc = descriptor(DSA_OP_MOVE, WANT, NULL);
		struct dsa_record record;

		fill_random(data(src), MIN(len, 5000U));
		desc.src = iova(src);
		desc.dst = iova(dst);
		desc.size = len;
		keep();
		record = run_status(&desc, DSA_OK);
		assert_int_equal(record.completed, len);
		assert_int_equal(record.result, 0);
		assert_memory_equal(data(dst), data(src), len);
		memcpy(before + DATA + dst, data(src), len);
		assert_memory_equal(data(0), before + DATA, LENGTH - DATA);
	}
}

static void a_move_of_what_overlaps_is_a_memmove(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		u32 len = length(), src = 20000 + chance() % 5000;
		u32 by = i % 3 ? chance() % MIN(len + 1, 20000U) : 1 + chance() % 9;
		u32 dst = i % 2 ? src + by : src - by;
		struct dsa_desc desc = descriptor(DSA_OP_MOVE, WANT, NULL);
		struct dsa_record record;

		fill_random(data(0), 60000);
		desc.src = iova(src);
		desc.dst = iova(dst);
		desc.size = len;
		keep();
		record = run_status(&desc, DSA_OK);
		memmove(before + DATA + dst, before + DATA + src, len);
		assert_memory_equal(data(0), before + DATA, LENGTH - DATA);
		if (by && by < len)
			assert_int_equal(record.result, dst > src);
	}
}

static void a_fill_repeats_its_pattern(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		u32 len = length(), dst = chance() % 5000;
		struct dsa_desc desc = descriptor(DSA_OP_FILL, WANT, NULL);
		u8 pattern[8];

		desc.src = chance();
		memcpy(pattern, &desc.src, 8);
		desc.dst = iova(dst);
		desc.size = len;
		keep();
		run_status(&desc, DSA_OK);
		for (u32 b = 0; b < len; b++)
			before[DATA + dst + b] = pattern[b % 8];
		assert_memory_equal(data(0), before + DATA, LENGTH - DATA);
	}
}

static void a_comparison_finds_the_first_difference(void **state)
{
	fill_random(data(0), SPAN + 5000);
	for (int i = 0; i < ROUNDS; i++) {
		u32 len = length(), src = chance() % 5000, dst = SPAN + 8192 + chance() % 5000;
		struct dsa_desc desc = descriptor(DSA_OP_COMPARE, WANT, NULL);
		u32 at = chance() % len;
		struct dsa_record record;

		memcpy(data(dst), data(src), len);
		desc.src = iova(src);
		desc.dst = iova(dst);
		desc.size = len;
		record = run_status(&desc, DSA_OK);
		assert_int_equal(record.result, 0);
		*data(dst + at) ^= 0x10;
		record = run_status(&desc, DSA_OK);
		assert_int_equal(record.result, 1);
		assert_int_equal(record.completed, at);
		/* Was that expected? */
		desc.opflags |= DSA_FLAG_CHECK;
		run_status(&desc, DSA_OK_FALSE);
		desc.op.expected = 1;
		run_status(&desc, DSA_OK);
	}
}

static void a_comparison_with_a_pattern_finds_the_first_difference(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		u32 len = length(), src = chance() % 5000, at = chance() % len;
		struct dsa_desc desc = descriptor(DSA_OP_COMPARE_PATTERN, WANT, NULL);
		struct dsa_record record;
		u8 pattern[8];

		desc.src = iova(src);
		desc.dst = chance();
		memcpy(pattern, &desc.dst, 8);
		for (u32 b = 0; b < len; b++)
			*data(src + b) = pattern[b % 8];
		desc.size = len;
		record = run_status(&desc, DSA_OK);
		assert_int_equal(record.result, 0);
		*data(src + at) ^= 1;
		record = run_status(&desc, DSA_OK);
		assert_int_equal(record.result, 1);
		assert_int_equal(record.completed, at);
	}
}

static void a_dualcast_copies_twice(void **state)
{
	for (int i = 0; i < ROUNDS; i++) {
		u32 len = length(), src = chance() % 5000, low = chance() % 4096;
		u32 a = ALIGN_UP(SPAN + 8192, 4096) + low,
		    b = ALIGN_UP(2 * SPAN + 32768, 4096) + low;
		struct dsa_desc desc = descriptor(DSA_OP_DUALCAST, WANT, NULL);

		fill_random(data(src), MIN(len, 9000U));
		desc.src = iova(src);
		desc.dst = iova(a);
		desc.op.dst2 = iova(b);
		desc.size = len;
		keep();
		run_status(&desc, DSA_OK);
		memcpy(before + DATA + a, data(src), len);
		memcpy(before + DATA + b, data(src), len);
		assert_memory_equal(data(0), before + DATA, LENGTH - DATA);
	}
}

/* Bit by bit, most significant first; both reflections are done by hand. */
static u32 reflect(u32 value, int bits)
{
	u32 out = 0;

	for (int i = 0; i < bits; i++)
		out |= (value >> i & 1) << (bits - 1 - i);
	return out;
}

static u32 reference_crc(u32 seed, const u8 *bytes, size_t len, bool crc_raw, bool data_raw)
{
	u32 crc = crc_raw ? seed : reflect(~seed, 32);

	for (size_t i = 0; i < len; i++) {
		crc ^= (data_raw ? bytes[i] : reflect(bytes[i], 8)) << 24;
		for (int bit = 0; bit < 8; bit++)
			crc = crc << 1 ^ (crc >> 31 ? 0x1edc6f41 : 0);
	}
	return crc_raw ? crc : ~reflect(crc, 32);
}

static void checksums_are_crc32c(void **state)
{
	struct dsa_desc known = descriptor(DSA_OP_CRC, WANT, NULL);

	memcpy(data(3), "123456789", 9);
	known.src = iova(3);
	known.size = 9;
	assert_int_equal(run_status(&known, DSA_OK).op.crc, 0xe3069283);
	for (int i = 0; i < ROUNDS; i++) {
		u32 flags = (i & 1 ? DSA_FLAG_CRC_RAW : 0) | (i & 2 ? DSA_FLAG_CRC_DATARAW : 0) |
			    (i & 4 ? DSA_FLAG_CRC_SEED : 0);
		u32 len = length(), src = chance() % 5000, dst = SPAN + 8192 + chance() % 5000;
		u32 seed = (u32)chance(), expected;
		struct dsa_desc desc;

		fill_random(data(src), MIN(len, 9000U));
		expected = reference_crc(seed, data(src), len, i & 1, i & 2);
		desc = descriptor(i & 8 ? DSA_OP_COPY_CRC : DSA_OP_CRC, WANT | flags, NULL);
		desc.src = iova(src);
		desc.dst = i & 8 ? iova(dst) : 0;
		desc.size = len;
		if (i & 4) {
			desc.op.crc.addr = BASE + LIST;
			memcpy(rig.memory + LIST, &seed, 4);
		} else {
			desc.op.crc.seed = seed;
		}
		assert_int_equal(run_status(&desc, DSA_OK).op.crc, expected);
		if (i & 8)
			assert_memory_equal(data(dst), data(src), len);
	}
}

static void a_delta_record_carries_the_second_to_who_has_the_first(void **state)
{
	const u32 second = 0x200000, record_at = 0x400000;

	for (int i = 0; i < ROUNDS; i++) {
		u32 len = ALIGN_UP(1 + chance() % (512 << 10), 8), differ = chance() % 200;
		struct dsa_desc make = descriptor(DSA_OP_DELTA_CREATE, WANT, NULL);
		struct dsa_desc apply = descriptor(DSA_OP_DELTA_APPLY, WANT, NULL);
		struct dsa_record record;

		fill_random(data(0), MIN(len, 9000U));
		memcpy(data(second), data(0), len);
		for (u32 d = 0; d < differ; d++)
			*data(second + chance() % len) ^= 1 + chance() % 255;
		make.src = iova(0);
		make.dst = iova(second);
		make.size = len;
		make.op.delta.addr = iova(record_at);
		make.op.delta.max = 10 * 256;
		record = run_status(&make, DSA_OK);
		assert_int_equal(record.result, !!memcmp(data(0), data(second), len));
		assert_int_equal(record.op.delta_size % 10, 0);
		if (!record.op.delta_size)
			continue;
		apply.src = iova(record_at);
		apply.dst = iova(0);
		apply.size = len;
		apply.op.delta_size = record.op.delta_size;
		run_status(&apply, DSA_OK);
		assert_memory_equal(data(0), data(second), len);
	}
}

static void delta_records_have_limits(void **state)
{
	struct dsa_desc make = descriptor(DSA_OP_DELTA_CREATE, WANT | DSA_FLAG_CHECK, NULL);
	struct dsa_desc apply = descriptor(DSA_OP_DELTA_APPLY, WANT, NULL);
	struct dsa_record record;
	u8 *entry = data(0x4000);

	memset(data(0), 1, 0x1000);
	memset(data(0x1000), 2, 0x1000);
	make.src = iova(0);
	make.dst = iova(0x1000);
	make.size = 0x1000;
	make.op.delta.addr = iova(0x4000);
	make.op.delta.max = 80;
	make.op.delta.expected = 2;
	record = run_status(&make, DSA_OK);
	assert_int_equal(record.result, 2);
	assert_int_equal(record.completed, 64);
	assert_int_equal(record.op.delta_size, 80);
	make.op.delta.expected = 0;
	run_status(&make, DSA_OK_FALSE);

	apply.src = iova(0x4000);
	apply.dst = iova(0);
	apply.size = 0x1000;
	apply.op.delta_size = 20;
	entry[10] = entry[0];
	entry[11] = entry[1];
	run_status(&apply, DSA_DELTA_ORDER);
	entry[11] = 2; /* 0x200 times 8 is the size */
	entry[10] = 0;
	run_status(&apply, DSA_DELTA_RANGE);
	entry[11] = 1;
	run_status(&apply, DSA_OK);
}

static void flushes_and_drains_end_well(void **state)
{
	struct dsa_desc flush = descriptor(DSA_OP_CACHE_FLUSH, WANT, NULL);
	struct dsa_desc drain = descriptor(DSA_OP_DRAIN, WANT, NULL);

	flush.dst = iova(0);
	flush.size = 1 << 20;
	run_status(&flush, DSA_OK);
	run_status(&drain, DSA_OK);
	drain.opflags |= DSA_FLAG_DRAIN1 | DSA_FLAG_DRAIN2;
	drain.src = iova(0);
	drain.dst = iova(8);
	run_status(&drain, DSA_OK);
	drain.dst = HOLE;
	assert_int_equal(run_status(&drain, DSA_READBACK_FAULT).fault, HOLE);
}

static void a_record_is_written_when_it_is_wanted_or_something_is_wrong(void **state)
{
	struct dsa_record *quiet, *after;
	struct dsa_desc desc = descriptor(DSA_OP_NOOP, DSA_FLAG_RECORD_OK, &quiet);
	struct dsa_desc next = descriptor(DSA_OP_NOOP, WANT, &after);

	submit(0, &desc);
	submit(0, &next);
	assert_int_equal(wait_for(after), DSA_OK);
	assert_int_equal(quiet->status, 0);
	desc.opflags |= 0x7f << 24;
	submit(0, &desc);
	assert_int_equal(wait_for(quiet), DSA_BAD_OPCODE);
	assert_int_equal(rd64(DSA_REG_SWERR), 0);
}

/* ---- what is wrong ---- */

static void flags_that_mean_nothing_are_refused(void **state)
{
	static const struct {
		u8 op;
		u32 bad;
	} cases[] = {
		{DSA_OP_NOOP, DSA_FLAG_FENCE},
		{DSA_OP_NOOP, DSA_FLAG_BLOCK},
		{DSA_OP_MOVE, DSA_FLAG_FENCE},
		{DSA_OP_MOVE, DSA_FLAG_CHECK},
		{DSA_OP_MOVE, 0x20},
		{DSA_OP_MOVE, 0x40},
		{DSA_OP_MOVE, 0x8000},
		{DSA_OP_MOVE, 0x10000},
		{DSA_OP_FILL, DSA_FLAG_TC1},
		{DSA_OP_COMPARE, DSA_FLAG_CACHE},
		{DSA_OP_CRC, DSA_FLAG_STRICT},
		{DSA_OP_BATCH, DSA_FLAG_CACHE},
		{DSA_OP_DRAIN, DSA_FLAG_BLOCK},
		{DSA_OP_DUALCAST, 0x800000},
		{DSA_OP_CACHE_FLUSH, DSA_FLAG_READBACK},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dsa_desc desc = descriptor(cases[i].op, WANT | cases[i].bad, NULL);
		struct dsa_record record = run_status(&desc, DSA_BAD_FLAGS);

		assert_int_equal(record.op.invalid_flags, cases[i].bad);
	}
}

static void opcodes_it_has_not_are_refused(void **state)
{
	for (u32 op = 0; op < 256; op++) {
		struct dsa_desc desc = descriptor(op, WANT | 0x40, NULL);
		bool known = op < 64 && DSA_OPCAP & BIT_ULL(op);

		run_status(&desc, known ? DSA_BAD_FLAGS : DSA_BAD_OPCODE);
	}
}

static void bytes_that_mean_nothing_must_be_zero(void **state)
{
	static const struct {
		u8 op, at;
	} cases[] = {
		{DSA_OP_NOOP, 16},    {DSA_OP_NOOP, 32},     {DSA_OP_MOVE, 38},
		{DSA_OP_MOVE, 40},    {DSA_OP_MOVE, 63},     {DSA_OP_FILL, 40},
		{DSA_OP_CRC, 24},     {DSA_OP_CRC, 44},	     {DSA_OP_BATCH, 24},
		{DSA_OP_COMPARE, 41}, {DSA_OP_DUALCAST, 48}, {DSA_OP_CACHE_FLUSH, 16},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dsa_desc desc = descriptor(cases[i].op, WANT, NULL);

		((u8 *)&desc)[cases[i].at] = 1;
		run_status(&desc, DSA_NOT_ZERO);
	}
	struct dsa_desc trusted = descriptor(DSA_OP_NOOP, WANT, NULL);

	trusted.trusted |= 1 << 20;
	run_status(&trusted, DSA_NOT_ZERO);
}

static void operands_must_fit_the_operation(void **state)
{
	struct dsa_desc move = descriptor(DSA_OP_MOVE, WANT, NULL);
	struct dsa_desc dual = descriptor(DSA_OP_DUALCAST, WANT, NULL);
	struct dsa_desc crc = descriptor(DSA_OP_COPY_CRC, WANT, NULL);
	struct dsa_desc delta = descriptor(DSA_OP_DELTA_CREATE, WANT, NULL);
	struct dsa_desc apply = descriptor(DSA_OP_DELTA_APPLY, WANT, NULL);

	run_status(&move, DSA_BAD_SIZE);
	move.size = (1 << 21) + 1;
	run_status(&move, DSA_BAD_SIZE);

	dual.src = iova(0);
	dual.dst = iova(0x10000);
	dual.op.dst2 = iova(0x20001);
	dual.size = 0x1000;
	run_status(&dual, DSA_BAD_DUALCAST);
	dual.op.dst2 = iova(0x10000);
	run_status(&dual, DSA_OVERLAPS);
	dual.op.dst2 = iova(0);
	run_status(&dual, DSA_OVERLAPS);

	crc.src = iova(0);
	crc.dst = iova(0xfff);
	crc.size = 0x1000;
	run_status(&crc, DSA_OVERLAPS);
	crc.dst = iova(0x1000);
	crc.opflags |= DSA_FLAG_CRC_SEED;
	crc.op.crc.addr = iova(0x4001);
	run_status(&crc, DSA_BAD_ALIGN);

	delta.src = iova(0);
	delta.dst = iova(0x10000);
	delta.op.delta.addr = iova(0x20000);
	delta.op.delta.max = 80;
	delta.size = 12;
	run_status(&delta, DSA_BAD_SIZE);
	delta.size = DSA_DELTA_XFER + 8;
	run_status(&delta, DSA_BAD_SIZE);
	delta.size = 16;
	delta.op.delta.addr = iova(0x20001);
	run_status(&delta, DSA_BAD_ALIGN);
	delta.op.delta.addr = iova(8);
	run_status(&delta, DSA_OVERLAPS);
	delta.op.delta.max = 85;
	run_status(&delta, DSA_BAD_DELTA);
	delta.op.delta.max = 70;
	run_status(&delta, DSA_BAD_DELTA);

	apply.src = iova(0x10000);
	apply.dst = iova(0);
	apply.size = 16;
	run_status(&apply, DSA_BAD_DELTA);
	apply.op.delta_size = 15;
	run_status(&apply, DSA_BAD_DELTA);
	apply.op.delta_size = 10;
	apply.dst = iova(0x10008);
	run_status(&apply, DSA_OVERLAPS);
}

static void a_record_address_must_be_aligned_and_there(void **state)
{
	struct dsa_desc desc = descriptor(DSA_OP_NOOP, WANT, NULL);

	desc.record += 16;
	submit(0, &desc);
	assert_int_equal(dsa_command(DSA_CMD_DRAIN_ALL, 0), 0);
	assert_int_equal(rd64(DSA_REG_SWERR) >> 8 & 0xff, DSA_RECORD_ALIGN);
	wr32(DSA_REG_SWERR, 3);
	desc.record = HOLE;
	submit(0, &desc);
	assert_int_equal(dsa_command(DSA_CMD_DRAIN_ALL, 0), 0);
	assert_int_equal(rd64(DSA_REG_SWERR) >> 8 & 0xff, DSA_RECORD_FAULT);
	assert_true(rd64(DSA_REG_SWERR) & DSA_SWERR_WRITE);
	assert_int_equal(rd64(DSA_REG_SWERR + 16), HOLE + 4);
}

static void interrupts_come_with_completions(void **state)
{
	struct dsa_desc desc = descriptor(DSA_OP_NOOP, WANT | DSA_FLAG_IRQ, NULL);

	desc.handle = 3;
	run_status(&desc, DSA_OK);
	assert_int_equal(irqs_until(3, 1), 1);
	desc.opflags = DSA_OP_NOOP << 24 | DSA_FLAG_IRQ; /* without a record, too */
	submit(0, &desc);
	assert_int_equal(irqs_until(3, 2), 2);
	desc.opflags |= WANT;
	desc.handle = 0;
	run_status(&desc, DSA_BAD_HANDLE);
	desc.handle = 9;
	run_status(&desc, DSA_BAD_HANDLE);
	/* A vector that is for a PASID only */
	wr32(DSA_MSIXPERM + 8 * 3, DSA_PERM_PASID_EN | 5 << 12);
	desc.handle = 3;
	run_status(&desc, DSA_BAD_HANDLE);
	wr32(DSA_MSIXPERM + 8 * 3, DSA_PERM_IGNORE);
	run_status(&desc, DSA_OK);
	assert_int_equal(irqs_until(3, 3), 3);
	assert_int_equal(atomic_load(&rig.irqs[0]), 0);
}

static void a_queue_takes_only_operations_it_is_configured_for(void **state)
{
	struct dsa_desc noop = descriptor(DSA_OP_NOOP, WANT, NULL);
	struct dsa_desc fill = descriptor(DSA_OP_FILL, WANT, NULL);

	assert_int_equal(dsa_command(DSA_CMD_DISABLE_WQ, 1), 0);
	wr64(DSA_WQCFG + 32, BIT_ULL(DSA_OP_FILL));
	wr32(DSA_WQCFG + 12, 12);
	assert_int_equal(dsa_command(DSA_CMD_ENABLE_WQ, 0), 0);
	run_status(&noop, DSA_BAD_OPCODE);
	fill.dst = iova(0);
	fill.size = 4096;
	run_status(&fill, DSA_OK);
	fill.size = 4097; /* the queue's limit */
	run_status(&fill, DSA_BAD_SIZE);
}

/* ---- batches ---- */

static struct dsa_desc *list(void)
{
	return (struct dsa_desc *)(rig.memory + LIST);
}

static struct dsa_desc batch_of(u32 count)
{
	struct dsa_desc desc = descriptor(DSA_OP_BATCH, WANT, NULL);

	desc.src = BASE + LIST;
	desc.size = count;
	return desc;
}

static void a_batch_does_all_of_its_list(void **state)
{
	struct dsa_record *records[1024];
	struct dsa_desc batch = batch_of(1024);
	struct dsa_record record;

	fill_random(data(0), 1024 * 64);
	for (u32 i = 0; i < 1024; i++) {
		list()[i] = descriptor(DSA_OP_MOVE, WANT, &records[i]);
		list()[i].src = iova(i * 64);
		list()[i].dst = iova(0x100000 + i * 64);
		list()[i].size = 64;
		list()[i].trusted = 0x1234; /* not theirs to say */
	}
	record = run_status(&batch, DSA_OK);
	assert_int_equal(record.completed, 1024);
	for (u32 i = 0; i < 1024; i++)
		assert_int_equal(records[i]->status, DSA_OK);
	assert_memory_equal(data(0), data(0x100000), 1024 * 64);
}

static void a_batch_with_a_failure_goes_on_and_says_so(void **state)
{
	struct dsa_record *records[4], record;
	struct dsa_desc batch = batch_of(4);

	for (u32 i = 0; i < 4; i++)
		list()[i] = descriptor(DSA_OP_NOOP, WANT, &records[i]);
	list()[1].opflags |= DSA_FLAG_CHECK;
	record = run_status(&batch, DSA_BATCH_FAILED);
	assert_int_equal(record.completed, 4);
	assert_int_equal(records[1]->status, DSA_BAD_FLAGS);
	assert_int_equal(records[3]->status, DSA_OK);
}

static void a_fence_stops_a_batch_that_failed(void **state)
{
	struct dsa_record *records[4], record;
	struct dsa_desc batch = batch_of(4);

	for (u32 i = 0; i < 4; i++)
		list()[i] = descriptor(DSA_OP_NOOP, WANT, &records[i]);
	list()[2].opflags |= DSA_FLAG_FENCE;
	assert_int_equal(run_status(&batch, DSA_OK).completed, 4);
	for (u32 i = 0; i < 4; i++)
		records[i]->status = 0;
	/* A result that was not expected counts as well. */
	list()[1].opflags = DSA_OP_COMPARE_PATTERN << 24 | WANT | DSA_FLAG_CHECK;
	list()[1].src = iova(0);
	list()[1].size = 8;
	list()[1].op.expected = 1;
	memset(data(0), 0, 8);
	record = run_status(&batch, DSA_BATCH_FAILED);
	assert_int_equal(record.completed, 2);
	assert_int_equal(records[1]->status, DSA_OK_FALSE);
	assert_int_equal(records[2]->status, 0);
	assert_int_equal(records[3]->status, 0);
}

static void batches_must_be_sound(void **state)
{
	struct dsa_record *records[2];
	struct dsa_desc batch = batch_of(1);

	run_status(&batch, DSA_BAD_COUNT);
	batch.size = 0;
	run_status(&batch, DSA_BAD_COUNT);
	batch.size = 1025;
	run_status(&batch, DSA_BAD_COUNT);
	batch.size = 2;
	batch.src += 32;
	run_status(&batch, DSA_BAD_LIST);
	batch.src = HOLE;
	assert_int_equal(run_status(&batch, DSA_BATCH_FAULT).fault, HOLE);
	/* The last page of the memory has two. */
	batch.src = BASE + LENGTH - 128;
	batch.size = 3;
	memset(rig.memory + LENGTH - 128, 0, 128);
	assert_int_equal(run(&batch).completed, 2);
	assert_int_equal(run(&batch).status, DSA_BATCH_FAULT);
	/* No batch and no drain inside */
	batch = batch_of(2);
	list()[0] = batch_of(2);
	list()[0].record = BASE + LIST + 0x1000;
	list()[1] = descriptor(DSA_OP_DRAIN, WANT, &records[1]);
	((struct dsa_record *)(rig.memory + LIST + 0x1000))->status = 0;
	run_status(&batch, DSA_BATCH_FAILED);
	assert_int_equal(rig.memory[LIST + 0x1000], DSA_BAD_OPCODE);
	assert_int_equal(records[1]->status, DSA_BAD_OPCODE);
}

static void errors_in_a_batch_without_records_are_software_errors(void **state)
{
	struct dsa_desc batch = batch_of(3);

	for (u32 i = 0; i < 3; i++)
		list()[i] = descriptor(DSA_OP_NOOP, 0, NULL);
	list()[2].opflags |= DSA_FLAG_BLOCK;
	run_status(&batch, DSA_BATCH_FAILED);
	assert_true(rd64(DSA_REG_SWERR) & DSA_SWERR_BATCH);
	assert_int_equal(rd64(DSA_REG_SWERR) >> 8 & 0xff, DSA_BAD_FLAGS);
	assert_int_equal(rd64(DSA_REG_SWERR + 8) & 0xffff, 2);
}

/* As the kernel's test does: 32 batches of 1024 copies, and a record of the last. */
static void a_storm_of_batches_ends(void **state)
{
	struct dsa_desc batch = batch_of(1024);
	struct dsa_record *record;

	fill_random(data(0), 4096);
	for (u32 i = 0; i < 1024; i++) {
		list()[i] = descriptor(DSA_OP_MOVE, DSA_FLAG_RECORD_OK, NULL);
		list()[i].src = iova(0);
		list()[i].dst = iova(0x100000);
		list()[i].size = 1024;
	}
	batch.opflags &= ~DSA_FLAG_RECORD;
	for (int i = 0; i < 31; i++)
		submit(0, &batch);
	batch = descriptor(DSA_OP_BATCH, WANT, &record);
	batch.src = BASE + LIST;
	batch.size = 1024;
	submit(0, &batch);
	assert_int_equal(wait_for(record), DSA_OK);
	assert_memory_equal(data(0), data(0x100000), 1024);
	assert_int_equal(rd64(DSA_REG_SWERR), 0);
}

int main(void)
{
#define ON(test) cmocka_unit_test_setup_teardown(test, rig_begin_enabled, rig_end)
	const struct CMUnitTest tests[] = {
		ON(a_move_copies_and_touches_nothing_else),
		ON(a_move_of_what_overlaps_is_a_memmove),
		ON(a_fill_repeats_its_pattern),
		ON(a_comparison_finds_the_first_difference),
		ON(a_comparison_with_a_pattern_finds_the_first_difference),
		ON(a_dualcast_copies_twice),
		ON(checksums_are_crc32c),
		ON(a_delta_record_carries_the_second_to_who_has_the_first),
		ON(delta_records_have_limits),
		ON(flushes_and_drains_end_well),
		ON(a_record_is_written_when_it_is_wanted_or_something_is_wrong),
		ON(flags_that_mean_nothing_are_refused),
		ON(opcodes_it_has_not_are_refused),
		ON(bytes_that_mean_nothing_must_be_zero),
		ON(operands_must_fit_the_operation),
		ON(a_record_address_must_be_aligned_and_there),
		ON(interrupts_come_with_completions),
		ON(a_queue_takes_only_operations_it_is_configured_for),
		ON(a_batch_does_all_of_its_list),
		ON(a_batch_with_a_failure_goes_on_and_says_so),
		ON(a_fence_stops_a_batch_that_failed),
		ON(batches_must_be_sound),
		ON(errors_in_a_batch_without_records_are_software_errors),
		ON(a_storm_of_batches_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
