/* SPDX-License-Identifier: MIT */
/*
 * The NVM command set: data of any size and layout, and what is wrong with commands.
 */
#include "rig.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCKS 2048U /* of the disk that the random test uses */
#define BLOCK  512U
#define MOST   (NVME_TRANSFER_MAX / BLOCK)
#define AREA   0x200000U /* where its data lie, with room for scattering */

static char path[] = "/tmp/nvme-test-XXXXXX";

static int begin(void **state)
{
	rig_begin_on(PCI_ACCESS_POLL, NULL, 0);
	return 0;
}

static int begin_image(void **state)
{
	static struct device_option options[] = {{"image", path}};
	int fd;

	strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 4 << 20), 0);
	close(fd);
	rig_begin_on(PCI_ACCESS_NO_MMAP, options, 1);
	return 0;
}

static int end(void **state)
{
	rig_end();
	return 0;
}

static int end_image(void **state)
{
	rig_end();
	unlink(path);
	return 0;
}

static u32 seed;

static u32 rnd(u32 below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* ---- data pointers ---- */

/** struct piece - of the host's memory, in order */
struct piece {
	u64 at;
	u32 len;
};

/* PRPs for pages anywhere, the list at an odd place and continued in another page. */
static u32 scatter_prps(struct nvme_cmd *cmd, u32 len, struct piece *pieces)
{
	u64 list = AT_LISTS + PAGE - 8 * (1 + rnd(20)), *prp = at(list);
	u32 offset = rnd(2) ? 4 * rnd(PAGE / 4) : 0, n = 0, left = len, page = rnd(64);

	pieces[n] = (struct piece){AT_DATA + page * 2 * PAGE + offset, MIN(len, PAGE - offset)};
	cmd->prp1 = BASE + pieces[n].at;
	left -= pieces[n++].len;
	for (u32 i = 0; left; i++) {
		page = (page + 1 + rnd(3)) % 64;
		pieces[n] = (struct piece){AT_DATA + (page * 2 + 1) * PAGE + 0x100000 * (n % 3),
					   MIN(left, PAGE)};
		left -= pieces[n].len;
		if (!i && !left) {
			cmd->prp2 = BASE + pieces[n++].at;
			break;
		}
		if (!i)
			cmd->prp2 = BASE + list;
		if (((uintptr_t)(prp + 1) & (PAGE - 1)) == 0 && left) {
			*prp = BASE + AT_LISTS + 0x4000;
			prp = at(AT_LISTS + 0x4000);
		}
		*prp++ = BASE + pieces[n++].at;
	}
	return n;
}

static void sgl_put(struct nvme_sgl *sgl, u64 addr, u32 len, u8 kind)
{
	*sgl = (struct nvme_sgl){.addr = addr, .len = len, .type = (u8)(kind << 4)};
}

/* Descriptors of odd sizes, in up to three segments; with holes in what is read. */
static u32 scatter_sgls(struct nvme_cmd *cmd, u32 len, struct piece *pieces)
{
	struct nvme_sgl *segment = at(AT_LISTS + 0x8000), *next;
	u32 n = 0, left = len, in_segment = 0, segments = 1, piece;
	struct nvme_sgl first;
	u64 where = AT_DATA;

	sgl_put(&first, BASE + AT_LISTS + 0x8000, 0, NVME_SGL_LAST_SEGMENT);
	next = segment;
	while (left) {
		piece = MIN(left, 1 + rnd(n < 30 ? 3000 : 400000));
		where += rnd(100);
		pieces[n++] = (struct piece){where, piece};
		sgl_put(next++, BASE + where, piece, NVME_SGL_DATA);
		where += piece;
		left -= piece;
		in_segment++;
		if (left && segments < 3 && in_segment > 5 && rnd(4) == 0) {
			struct nvme_sgl *link = next;

			/* What leads here is a segment that has a next one. */
			if (segments == 1)
				sgl_put(&first, BASE + AT_LISTS + 0x8000, (in_segment + 1) * 16,
					NVME_SGL_SEGMENT);
			else
				sgl_put(segment - 1, BASE + ((u8 *)segment - rig.memory),
					(in_segment + 1) * 16, NVME_SGL_SEGMENT);
			segment = next = link + 1;
			in_segment = 0;
			segments++;
		}
	}
	if (segments == 1)
		sgl_put(&first, BASE + AT_LISTS + 0x8000, in_segment * 16, NVME_SGL_LAST_SEGMENT);
	else
		sgl_put(segment - 1, BASE + ((u8 *)segment - rig.memory), in_segment * 16,
			NVME_SGL_LAST_SEGMENT);
	memcpy(&cmd->prp1, &first, sizeof(first));
	cmd->flags = 1 << 6;
	return n;
}

static void gather(const struct piece *pieces, u32 n, u8 *to)
{
	for (u32 i = 0; i < n; to += pieces[i++].len)
		memcpy(to, at(pieces[i].at), pieces[i].len);
}

static void random_io(u32 turns, u32 blocks)
{
	static struct piece pieces[1024];
	static u8 buf[NVME_TRANSFER_MAX];
	u8 *model = calloc(blocks, BLOCK);

	assert_non_null(model);
	for (u32 turn = 0; turn < turns; turn++) {
		u32 count = 1 + rnd(rnd(4) ? 16 : MOST), n;
		u64 lba = rnd(blocks - count);
		bool write = rnd(2);
		struct nvme_cmd cmd = {.opcode = write ? NVME_IO_WRITE : NVME_IO_READ,
				       .nsid = 1,
				       .cdw10 = (u32)lba,
				       .cdw12 = count - 1};

		/* Memory may overlap itself when it is only read; not when it is written. */
		n = rnd(2) ? scatter_sgls(&cmd, count * BLOCK, pieces)
			   : scatter_prps(&cmd, MIN(count, 128U) * BLOCK, pieces);
		if (!cmd.flags) {
			count = MIN(count, 128U);
			cmd.cdw12 = count - 1;
		}
		for (u32 i = 0; i < n; i++)
			for (u32 k = 0; k < pieces[i].len; k++)
				((u8 *)at(pieces[i].at))[k] = (u8)rnd(256);
		if (write)
			gather(pieces, n, model + lba * BLOCK);
		assert_int_equal(run(&rig.pairs[1], &cmd, NULL), 0);
		if (write)
			continue;
		gather(pieces, n, buf);
		assert_memory_equal(buf, model + lba * BLOCK, count * BLOCK);
	}
	free(model);
}

static void test_random_transfers_keep_the_data(void **state)
{
	seed = 1;
	random_io(400, BLOCKS);
}

static void test_random_transfers_of_an_image_keep_the_data(void **state)
{
	seed = 2;
	random_io(200, BLOCKS);
}

static void test_whole_transfers_go_directly(void **state)
{
	u32 len = NVME_TRANSFER_MAX;
	u8 *from = at(AT_DATA), *to = at(AT_DATA + AREA);

	for (u32 i = 0; i < len; i++)
		from[i] = (u8)(i * 7 + i / 256);
	assert_int_equal(rw(NVME_IO_WRITE, 100, MOST, AT_DATA), 0);
	assert_int_equal(rw(NVME_IO_READ, 100, MOST, AT_DATA + AREA), 0);
	assert_memory_equal(from, to, len);
	assert_int_equal(rw(NVME_IO_COMPARE, 100, MOST, AT_DATA), 0);
	from[len - 1]++;
	assert_int_equal(rw(NVME_IO_COMPARE, 100, MOST, AT_DATA), NVME_SC_COMPARE);
}

/* ---- errors ---- */

static void test_commands_are_checked(void **state)
{
	struct nvme_cmd cmd = rw_cmd(NVME_IO_READ, 0, 8, AT_DATA);
	u64 blocks = (64 << 20) / 512;

	assert_int_equal(rw(NVME_IO_READ, blocks, 1, AT_DATA), NVME_SC_LBA_RANGE);
	assert_int_equal(rw(NVME_IO_READ, blocks - 1, 2, AT_DATA), NVME_SC_LBA_RANGE);
	assert_int_equal(rw(NVME_IO_WRITE, UINT64_MAX, 1, AT_DATA), NVME_SC_LBA_RANGE);
	assert_int_equal(rw(NVME_IO_READ, blocks - 1, 1, AT_DATA), 0);
	assert_int_equal(rw(NVME_IO_READ, 0, MOST + 1, AT_DATA), NVME_SC_INVALID_FIELD);
	assert_int_equal(rw(NVME_IO_READ, 0, 65536, AT_DATA), NVME_SC_INVALID_FIELD);
	cmd.nsid = 2;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_INVALID_NS);
	cmd.nsid = NVME_NSID_ALL;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_INVALID_NS);
	cmd.nsid = 1;
	cmd.flags = 2;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_INVALID_FIELD);
	cmd.flags = 3 << 6;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_INVALID_FIELD);
	cmd.flags = 0;
	cmd.cdw12 |= 1 << 26;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_INVALID_FIELD);
	cmd.opcode = 0x0d;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_INVALID_OPCODE);
}

static void test_bad_prps_are_refused(void **state)
{
	struct nvme_cmd cmd = rw_cmd(NVME_IO_READ, 0, 64, AT_DATA);
	u64 *list = at(AT_LISTS);

	cmd.prp1 = BASE + AT_DATA + 2;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_PRP_OFFSET);
	cmd.prp1 = BASE + AT_DATA;
	cmd.prp2 = BASE + AT_LISTS + 4;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_PRP_OFFSET);
	for (u32 i = 0; i < 8; i++)
		list[i] = BASE + AT_DATA + PAGE + 8;
	cmd.prp2 = BASE + AT_LISTS;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_PRP_OFFSET);
	cmd.prp2 = HOLE;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_DATA_TRANSFER);
	for (u32 i = 0; i < 8; i++)
		list[i] = HOLE;
	cmd.prp2 = BASE + AT_LISTS;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_DATA_TRANSFER);
	/* A list that only leads to itself. */
	list[511] = BASE + AT_LISTS + PAGE - 8;
	cmd.prp2 = BASE + AT_LISTS + PAGE - 8;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_PRP_OFFSET);
	cmd = rw_cmd(NVME_IO_READ, 0, 16, AT_DATA);
	cmd.prp2 |= 8;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_PRP_OFFSET);
	/* Memory that is for reading. */
	cmd = rw_cmd(NVME_IO_READ, 0, 8, AT_DATA);
	cmd.prp1 = RO;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_DATA_TRANSFER);
	cmd.opcode = NVME_IO_WRITE;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), 0);
}

static int sgl_run(const struct nvme_sgl *sgl, u32 blocks)
{
	struct nvme_cmd cmd = {
		.opcode = NVME_IO_READ, .nsid = 1, .flags = 1 << 6, .cdw12 = blocks - 1};

	memcpy(&cmd.prp1, sgl, sizeof(*sgl));
	return run(&rig.pairs[1], &cmd, NULL);
}

static void test_bad_sgls_are_refused(void **state)
{
	struct nvme_sgl *list = at(AT_LISTS), sgl;
	u64 where = BASE + AT_LISTS;

	sgl_put(&sgl, BASE + AT_DATA, 1023, NVME_SGL_DATA);
	assert_int_equal(sgl_run(&sgl, 2), NVME_SC_SGL_LENGTH);
	sgl_put(&sgl, BASE + AT_DATA, 1 << 20, NVME_SGL_DATA);
	assert_int_equal(sgl_run(&sgl, 2), 0);
	sgl_put(&sgl, BASE + AT_DATA, 1024, 7);
	assert_int_equal(sgl_run(&sgl, 2), NVME_SC_SGL_TYPE);
	sgl_put(&sgl, where, 0, NVME_SGL_LAST_SEGMENT);
	assert_int_equal(sgl_run(&sgl, 2), NVME_SC_SGL_SEGMENT);
	sgl_put(&sgl, where, 17, NVME_SGL_LAST_SEGMENT);
	assert_int_equal(sgl_run(&sgl, 2), NVME_SC_SGL_SEGMENT);
	sgl_put(&sgl, where, 16 * 300, NVME_SGL_LAST_SEGMENT);
	assert_int_equal(sgl_run(&sgl, 2), NVME_SC_SGL_COUNT);
	sgl_put(&sgl, where, UINT32_MAX & ~15U, NVME_SGL_SEGMENT);
	assert_int_equal(sgl_run(&sgl, 2), NVME_SC_SGL_COUNT);
	sgl_put(&sgl, HOLE, 16, NVME_SGL_LAST_SEGMENT);
	assert_int_equal(sgl_run(&sgl, 2), NVME_SC_DATA_TRANSFER);
	/* Leads to itself, without end. */
	sgl_put(list, where, 16, NVME_SGL_SEGMENT);
	sgl_put(&sgl, where, 16, NVME_SGL_SEGMENT);
	assert_int_equal(sgl_run(&sgl, 2), NVME_SC_SGL_COUNT);
	/* A segment in the middle; a last one that goes on. */
	sgl_put(list + 1, BASE + AT_DATA, 1024, NVME_SGL_DATA);
	sgl_put(&sgl, where, 32, NVME_SGL_LAST_SEGMENT);
	assert_int_equal(sgl_run(&sgl, 2), NVME_SC_SGL_SEGMENT);
	sgl_put(&sgl, where, 16, NVME_SGL_LAST_SEGMENT);
	assert_int_equal(sgl_run(&sgl, 2), NVME_SC_SGL_SEGMENT);
	sgl_put(&sgl, where + 16, 16, NVME_SGL_SEGMENT);
	assert_int_equal(sgl_run(&sgl, 2), NVME_SC_SGL_SEGMENT);
}

static void test_bit_buckets_swallow_what_is_read(void **state)
{
	struct nvme_sgl *list = at(AT_LISTS), sgl;
	u8 *data = at(AT_DATA);

	for (u32 i = 0; i < 2048; i++)
		data[i] = (u8)(i / 512 + 1);
	assert_int_equal(rw(NVME_IO_WRITE, 0, 4, AT_DATA), 0);
	memset(data, 0, 2048);
	sgl_put(list, BASE + AT_DATA, 512, NVME_SGL_DATA);
	sgl_put(list + 1, 0, 1024, NVME_SGL_BIT_BUCKET);
	sgl_put(list + 2, BASE + AT_DATA + 512, 512, NVME_SGL_DATA);
	sgl_put(&sgl, BASE + AT_LISTS, 48, NVME_SGL_LAST_SEGMENT);
	assert_int_equal(sgl_run(&sgl, 4), 0);
	assert_int_equal(data[0], 1);
	assert_int_equal(data[511], 1);
	assert_int_equal(data[512], 4);
	assert_int_equal(data[1023], 4);
	assert_int_equal(data[1024], 0);
}

/* ---- the other commands ---- */

static void check_bytes(u64 lba, u32 blocks, u8 value)
{
	memset(at(AT_DATA + AREA), ~value, blocks * BLOCK);
	assert_int_equal(rw(NVME_IO_READ, lba, blocks, AT_DATA + AREA), 0);
	for (u32 i = 0; i < blocks * BLOCK; i++)
		assert_int_equal(*(u8 *)at(AT_DATA + AREA + i), value);
}

static int zeroes(u64 lba, u32 blocks, u32 flags)
{
	return run(&rig.pairs[1],
		   &(struct nvme_cmd){.opcode = NVME_IO_WRITE_ZEROES,
				      .nsid = 1,
				      .cdw10 = (u32)lba,
				      .cdw12 = (blocks - 1) | flags},
		   NULL);
}

static void put_range(u32 i, u64 lba, u32 blocks)
{
	u8 *range = at(AT_LISTS + 16 * i);

	memset(range, 0, 16);
	memcpy(range + 4, &blocks, 4);
	memcpy(range + 8, &lba, 8);
}

static int dsm(u32 n, u32 attributes)
{
	return run(&rig.pairs[1],
		   &(struct nvme_cmd){.opcode = NVME_IO_DSM,
				      .nsid = 1,
				      .prp1 = BASE + AT_LISTS,
				      .cdw10 = n - 1,
				      .cdw11 = attributes},
		   NULL);
}

static void zero_and_deallocate(void)
{
	memset(at(AT_DATA), 0x77, 256 * BLOCK);
	assert_int_equal(rw(NVME_IO_WRITE, 0, 256, AT_DATA), 0);
	assert_int_equal(zeroes(3, 2, 0), 0);
	check_bytes(0, 3, 0x77);
	check_bytes(3, 2, 0);
	check_bytes(5, 3, 0x77);
	assert_int_equal(zeroes(16, 33, 1 << 25), 0);
	check_bytes(15, 1, 0x77);
	check_bytes(16, 33, 0);
	check_bytes(49, 1, 0x77);
	assert_int_equal(zeroes(8191, 65536, 0), NVME_SC_LBA_RANGE);
	put_range(0, 60, 4);
	put_range(1, 0, 0);
	put_range(2, 100, 50);
	assert_int_equal(dsm(3, 4), 0);
	check_bytes(60, 4, 0);
	check_bytes(64, 1, 0x77);
	check_bytes(100, 50, 0);
	check_bytes(99, 1, 0x77);
	assert_int_equal(dsm(3, 1), 0); /* a hint */
	put_range(1, BIT_ULL(60), 1);
	assert_int_equal(dsm(3, 4), NVME_SC_LBA_RANGE);
	put_range(1, 0, UINT32_MAX);
	assert_int_equal(dsm(3, 4), NVME_SC_LBA_RANGE);
	check_bytes(0, 3, 0x77);
}

static void test_zeroes_and_deallocation_in_memory(void **state)
{
	memset(at(AT_DATA), 0x77, 256 * BLOCK);
	assert_int_equal(rw(NVME_IO_WRITE, 0, 256, AT_DATA), 0);
	assert_int_equal(zeroes(1, 65536, 0), 0);
	check_bytes(0, 1, 0x77);
	check_bytes(1, 255, 0);
	put_range(0, 0, 131072);
	assert_int_equal(dsm(1, 4), 0);
	check_bytes(0, 1, 0);
}

static void test_zeroes_and_deallocation_of_an_image(void **state)
{
	struct stat before, after;

	zero_and_deallocate();
	memset(at(AT_DATA), 0x77, NVME_TRANSFER_MAX);
	assert_int_equal(rw(NVME_IO_WRITE, 0, MOST, AT_DATA), 0);
	assert_int_equal(stat(path, &before), 0);
	put_range(0, 0, MOST);
	assert_int_equal(dsm(1, 4), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_size, 4 << 20);
	assert_true(after.st_blocks < before.st_blocks);
}

static int flush(u32 nsid)
{
	return run(&rig.pairs[1], &(struct nvme_cmd){.opcode = NVME_IO_FLUSH, .nsid = nsid}, NULL);
}

static void test_what_was_written_is_in_the_file(void **state)
{
	struct nvme_cmd cmd = rw_cmd(NVME_IO_WRITE, 20, 8, AT_DATA);
	char buf[8 * BLOCK];
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	memset(at(AT_DATA), 'a', sizeof(buf));
	assert_int_equal(rw(NVME_IO_WRITE, 10, 8, AT_DATA), 0);
	/* At once, for every other process: it outlives this one. */
	assert_int_equal(pread(fd, buf, sizeof(buf), 10 * BLOCK), sizeof(buf));
	assert_memory_equal(buf, at(AT_DATA), sizeof(buf));
	assert_int_equal(flush(1), 0);
	assert_int_equal(flush(NVME_NSID_ALL), 0);
	assert_int_equal(flush(2), NVME_SC_INVALID_NS);
	cmd.cdw12 |= 1 << 30; /* FUA */
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), 0);
	assert_int_equal(pread(fd, buf, sizeof(buf), 20 * BLOCK), sizeof(buf));
	assert_memory_equal(buf, at(AT_DATA), sizeof(buf));
	/* Without a cache all writes are like that. */
	assert_int_equal(set_feature(NVME_FEAT_WRITE_CACHE, 0, NULL), 0);
	memset(at(AT_DATA), 'b', sizeof(buf));
	assert_int_equal(rw(NVME_IO_WRITE, 30, 8, AT_DATA), 0);
	assert_int_equal(pread(fd, buf, sizeof(buf), 30 * BLOCK), sizeof(buf));
	assert_memory_equal(buf, at(AT_DATA), sizeof(buf));
	/* A disk that has just been read from the medium. */
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	memset(at(AT_DATA + AREA), 0, sizeof(buf));
	assert_int_equal(rw(NVME_IO_READ, 30, 8, AT_DATA + AREA), 0);
	assert_memory_equal(buf, at(AT_DATA + AREA), sizeof(buf));
	close(fd);
}

static void test_an_image_that_is_cut_gives_errors(void **state)
{
	assert_int_equal(truncate(path, 1 << 20), 0);
	assert_int_equal(rw(NVME_IO_READ, 4096, 8, AT_DATA), NVME_SC_READ_ERROR);
	assert_int_equal(rw(NVME_IO_READ, 0, 8, AT_DATA), 0);
	assert_int_equal(nvme_inject(rig.pdev, "namespace-change", ""), 0);
	assert_int_equal(rw(NVME_IO_READ, 4096, 8, AT_DATA), NVME_SC_LBA_RANGE);
}

static void test_bad_blocks_can_be_written_again(void **state)
{
	assert_int_equal(nvme_inject(rig.pdev, "error", "5"), 0);
	assert_int_equal(rw(NVME_IO_READ, 0, 8, AT_DATA), NVME_SC_READ_ERROR);
	assert_int_equal(rw(NVME_IO_COMPARE, 5, 1, AT_DATA), NVME_SC_READ_ERROR);
	assert_int_equal(rw(NVME_IO_READ, 6, 8, AT_DATA), 0);
	assert_int_equal(rw(NVME_IO_WRITE, 5, 1, AT_DATA), 0);
	assert_int_equal(rw(NVME_IO_READ, 0, 8, AT_DATA), 0);
}

static void test_blocks_of_4096_bytes(void **state)
{
	const struct device_option options[] = {{"lba", "4096"}, {"size", "1M"}};
	struct nvme_cmd cmd;

	rig_end();
	rig_begin_on(PCI_ACCESS_TRAP, options, 2);
	assert_int_equal(identify(0, 1), 0);
	assert_int_equal(*(u64 *)at(AT_PAGE), 256);
	assert_int_equal(*(u32 *)at(AT_PAGE + 128), 12 << 16);
	memset(at(AT_DATA), 0x42, 4 * PAGE);
	cmd = rw_cmd(NVME_IO_WRITE, 252, 32, AT_DATA);
	cmd.cdw12 = 3;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), 0);
	cmd = rw_cmd(NVME_IO_READ, 252, 32, AT_DATA + AREA);
	cmd.cdw12 = 3;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), 0);
	assert_memory_equal(at(AT_DATA), at(AT_DATA + AREA), 4 * PAGE);
	cmd.cdw10 = 253;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), NVME_SC_LBA_RANGE);
}

static void test_larger_pages_are_served(void **state)
{
	struct nvme_cmd cmd = rw_cmd(NVME_IO_WRITE, 0, 64, AT_DATA);
	struct nvme_cmd back = cmd;

	disable();
	rig.pairs[0] = (struct pair){.id = 0, .size = 64, .phase = true};
	memset(at(pair_cq(0)), 0, 64 * 16);
	wr32(NVME_REG_CC, 0x00460101); /* 16 KiB */
	wait_reg(NVME_REG_CSTS, NVME_CSTS_RDY, 1);
	make_pair(1, 64);
	for (u32 i = 0; i < 64 * BLOCK; i++)
		*(u8 *)at(AT_DATA + i) = (u8)(i / 100);
	cmd.prp2 = BASE + AT_DATA + 0x4000;
	assert_int_equal(run(&rig.pairs[1], &cmd, NULL), 0);
	back.opcode = NVME_IO_READ;
	back.prp1 = BASE + AT_DATA + AREA + 0x2000;
	back.prp2 = BASE + AT_LISTS;
	((u64 *)at(AT_LISTS))[0] = BASE + AT_DATA + AREA + 0x4000;
	((u64 *)at(AT_LISTS))[1] = BASE + AT_DATA + AREA + 0x8000;
	assert_int_equal(run(&rig.pairs[1], &back, NULL), 0);
	assert_memory_equal(at(AT_DATA), at(AT_DATA + AREA + 0x2000), 64 * BLOCK);
}

/* ---- options ---- */

static void refuse(const char *key, const char *value, int rc, const char *word)
{
	const struct device_option option = {key, value};
	char error[200] = "";
	struct pci_dev *pdev;

	assert_int_equal(nvme_model.create(NULL, &option, 1, &pdev, error, sizeof(error)), rc);
	if (!strstr(error, word))
		fail_msg("%s", error);
}

static void test_bad_options_are_named(void **state)
{
	struct device_option image[] = {{"image", path}, {"readonly", "on"}};
	char error[200];
	struct pci_dev *pdev;
	int fd;

	refuse("image", "/nonexistent/disk", -ENOENT, "/nonexistent/disk");
	refuse("image", "/tmp", -EISDIR, "directory");
	refuse("image", "/dev/null", -EINVAL, "/dev/null");
	refuse("lba", "520", -EINVAL, "520");
	refuse("size", "0", -EINVAL, "size");
	refuse("size", "1000", -EINVAL, "512");
	refuse("size", "lots", -EINVAL, "lots");
	refuse("queues", "0", -EINVAL, "queues=0");
	refuse("queues", "256", -EINVAL, "255");
	refuse("readonly", "maybe", -EINVAL, "maybe");
	refuse("vfs", "x", -EINVAL, "vfs");
	refuse("serial", "a very long serial number", -EINVAL, "serial");
	strcpy(path + sizeof(path) - 7, "XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	refuse("image", path, -EINVAL, "multiple");
	assert_int_equal(ftruncate(fd, 700), 0);
	refuse("image", path, -EINVAL, "700");
	assert_int_equal(ftruncate(fd, 4096), 0);
	/* One writer at a time, or readers. */
	assert_int_equal(nvme_model.create(NULL, image, 1, &pdev, error, sizeof(error)), 0);
	refuse("image", path, -EBUSY, "in use");
	pdev->ops->destroy(pdev);
	assert_int_equal(nvme_model.create(NULL, image, 2, &pdev, error, sizeof(error)), 0);
	pdev->ops->destroy(pdev);
	close(fd);
	unlink(path);
}

int main(void)
{
#define T(f)	   cmocka_unit_test_setup_teardown(f, begin, end)
#define T_IMAGE(f) cmocka_unit_test_setup_teardown(f, begin_image, end_image)
	const struct CMUnitTest tests[] = {
		T(test_random_transfers_keep_the_data),
		T_IMAGE(test_random_transfers_of_an_image_keep_the_data),
		T(test_whole_transfers_go_directly),
		T(test_commands_are_checked),
		T(test_bad_prps_are_refused),
		T(test_bad_sgls_are_refused),
		T(test_bit_buckets_swallow_what_is_read),
		T(test_zeroes_and_deallocation_in_memory),
		T_IMAGE(test_zeroes_and_deallocation_of_an_image),
		T_IMAGE(test_what_was_written_is_in_the_file),
		T_IMAGE(test_an_image_that_is_cut_gives_errors),
		T(test_bad_blocks_can_be_written_again),
		T(test_blocks_of_4096_bytes),
		T(test_larger_pages_are_served),
		cmocka_unit_test(test_bad_options_are_named),
	};

	return cmocka_run_group_tests_name("nvme io", tests, NULL, NULL);
}
