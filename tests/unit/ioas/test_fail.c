/* SPDX-License-Identifier: MIT */
/*
 * Failure sweeps: a sequence of commands that works is run again and again
 * with its first, second, third ... fallible step failing, until it works
 * again.  Each time it is run twice: once it ends at the first error, once it
 * goes on regardless, as a stubborn program does.
 */
#include "harness.h"

struct run {
	struct bed *bed;
	bool stubborn;
	u32 errors;
};

/* Counts @rc if it is an error; true if the sequence goes on. */
static bool went_on(struct run *run, long rc)
{
	if (rc >= 0)
		return true;
	run->errors++;
	return run->stubborn;
}

/* The value, or leave the sequence. */
#define TRY(run, expr)                                                                             \
	({                                                                                         \
		long rc_ = (expr);                                                                 \
		if (!went_on(run, rc_))                                                            \
			return;                                                                    \
		rc_;                                                                               \
	})

typedef void (*sequence_fn)(struct run *run);

/* ---- sequences; every command of the room is in one ---- */

static void sequence_without_domain(struct run *run)
{
	struct bed *bed = run->bed;
	struct iommu_iova_range ranges[3] = { { 0x1000, 0xfffff }, { 0x200000, 0x2fffff } };
	struct iommu_ioas_iova_ranges query = { .size = sizeof(query),
						.num_iovas = 3,
						.allowed_iovas = (uintptr_t)ranges };
	u32 a = (u32)TRY(run, ioas_new(bed)), b = (u32)TRY(run, ioas_new(bed));
	u64 iova = 0;

	TRY(run, allow_iovas(bed, a, ranges, 2));
	for (int i = 0; i < 20; i++)
		TRY(run, map_flags(bed, a, bed->mem + i * PAGE_SIZE, PAGE_SIZE, &iova, RW));
	query.ioas_id = a;
	TRY(run, bed_ioctl(bed, IOMMU_IOAS_IOVA_RANGES, &query));
	TRY(run, add_reserved(bed, a, 0x500000, 0x1000));
	TRY(run, option_huge_set(bed, a, 0));
	TRY(run, copy_at(bed, b, 0, a, 0x1000, 20 * PAGE_SIZE));
	TRY(run, unmap(bed, a, 0x1000, PAGE_SIZE));
	TRY(run, unmap_all(bed, b));
	TRY(run, object_kill(bed, b));
}

static void sequence_one_domain(struct run *run)
{
	struct bed *bed = run->bed;
	u32 ioas = (u32)TRY(run, ioas_new(bed));
	struct device_ids ids = { 0 };

	TRY(run, device_new(bed, ioas, &ids));
	TRY(run, map_at(bed, ioas, bed->mem, BED_LENGTH, BED_IOVA));
	TRY(run, map_at(bed, ioas, bed->mem + 2048, 5 * PAGE_SIZE, BED_IOVA + BED_LENGTH));
	TRY(run, object_kill(bed, ids.stdev));
	TRY(run, device_new(bed, ioas, &ids));
	TRY(run, unmap(bed, ioas, BED_IOVA, BED_LENGTH));
	TRY(run, object_kill(bed, ids.stdev));
	TRY(run, object_kill(bed, ioas));
}

/* Memory in several runs: private, a file's, private again. */
static void sequence_several_domains(struct run *run)
{
	struct bed *bed = run->bed;
	u32 a = (u32)TRY(run, ioas_new(bed)), b = (u32)TRY(run, ioas_new(bed));
	struct device_ids one = { 0 }, two = { 0 };
	u32 hwpt;

	TRY(run, device_new(bed, a, &one));
	TRY(run, device_new(bed, b, &two));
	hwpt = (u32)TRY(run, hwpt_new(bed, one.idev, a, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0));
	TRY(run, map_at(bed, a, bed->mem, BED_LENGTH, BED_IOVA));
	TRY(run, copy_at(bed, b, BED_IOVA, a, BED_IOVA + PAGE_SIZE, 40 * PAGE_SIZE));
	TRY(run, unmap_all(bed, a));
	TRY(run, copy_at(bed, a, BED_IOVA, b, BED_IOVA + 3 * PAGE_SIZE, 7 * PAGE_SIZE));
	TRY(run, object_kill(bed, hwpt));
	TRY(run, object_kill(bed, one.stdev));
	TRY(run, unmap_all(bed, b));
	TRY(run, object_kill(bed, two.stdev));
}

static void file_part(struct run *run, int fd, u32 ioas)
{
	struct iommu_ioas_change_process change = { .size = sizeof(change) };
	struct bed *bed = run->bed;
	struct device_ids ids = { 0 };

	TRY(run, map_file_at(bed, ioas, fd, 0, 4 * PAGE_SIZE, BED_IOVA));
	TRY(run, device_new(bed, ioas, &ids));
	TRY(run, map_file_at(bed, ioas, fd, 2048, 4 * PAGE_SIZE, BED_IOVA + 0x10000));
	TRY(run, bed_ioctl(bed, IOMMU_IOAS_CHANGE_PROCESS, &change));
	TRY(run, object_kill(bed, ids.stdev));
	TRY(run, unmap_all(bed, ioas));
}

static void sequence_files(struct run *run)
{
	u32 ioas = (u32)TRY(run, ioas_new(run->bed));
	int fd = memfd_of(8, 0);

	file_part(run, fd, ioas);
	close(fd);
}

static void access_part(struct run *run, u32 a, u32 b, int access)
{
	struct bed *bed = run->bed;
	struct device_ids ids = { 0 };
	char buf[3 * PAGE_SIZE];
	u32 pin;

	TRY(run, map_at(bed, a, bed->mem, BED_LENGTH, BED_IOVA));
	TRY(run, access_rw(bed, access, BED_IOVA + 100, buf, sizeof(buf), 0));
	TRY(run, access_rw(bed, access, BED_IOVA + 100, buf, sizeof(buf), MOCK_ACCESS_RW_WRITE));
	TRY(run, access_rw(bed, access, BED_IOVA, buf, 10, MOCK_ACCESS_RW_SLOW_PATH));
	TRY(run, access_rw(bed, access, BED_IOVA, buf, sizeof(buf), MOCK_ACCESS_RW_SLOW_PATH));
	pin = (u32)TRY(run, access_pin(bed, access, BED_IOVA + PAGE_SIZE, 3 * PAGE_SIZE,
				       bed->mem + PAGE_SIZE, true));
	TRY(run, access_pin(bed, access, BED_IOVA + 2 * PAGE_SIZE, 30 * PAGE_SIZE, NULL, true));
	TRY(run, device_new(bed, a, &ids));
	TRY(run, access_pin(bed, access, BED_IOVA, BED_LENGTH, NULL, false));
	TRY(run, object_kill(bed, ids.stdev));
	TRY(run, access_unpin(bed, access, pin));
	TRY(run, unmap_all(bed, a));
	TRY(run, access_move(bed, access, b));
	TRY(run, map_at(bed, b, bed->mem, PAGE_SIZE, 0));
	TRY(run, access_pin(bed, access, 0, PAGE_SIZE, bed->mem, true));
}

static void sequence_access(struct run *run)
{
	struct bed *bed = run->bed;
	u32 a = (u32)TRY(run, ioas_new(bed)), b = (u32)TRY(run, ioas_new(bed));
	long access = TRY(run, access_new_pinning(bed, a));

	access_part(run, a, b, (int)access);
	if (access >= 0)
		assert_int_equal(iommufd_close(bed->proc, (int)access), 0);
}

static void sequence_container(struct run *run)
{
	struct bed *bed = run->bed;
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map),
						.flags = 3,
						.vaddr = (uintptr_t)bed->mem,
						.iova = BED_IOVA,
						.size = BED_LENGTH };
	struct vfio_iommu_type1_dma_unmap unmap_cmd = { .argsz = sizeof(unmap_cmd),
							.iova = BED_IOVA + 5 * PAGE_SIZE,
							.size = 10 * PAGE_SIZE };
	struct {
		struct vfio_iommu_type1_info info;
		char caps[200];
	} answer = { .info.argsz = sizeof(answer) };
	u32 ioas = (u32)TRY(run, ioas_new(bed)), copies = (u32)TRY(run, ioas_new(bed));
	struct device_ids ids = { 0 };

	TRY(run, compat_set(bed, ioas));
	TRY(run, bed_ioctl(bed, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU));
	TRY(run, bed_ioctl(bed, VFIO_IOMMU_GET_INFO, &answer));
	TRY(run, device_new(bed, ioas, &ids));
	TRY(run, device_new(bed, copies, &ids));
	TRY(run, bed_ioctl(bed, VFIO_IOMMU_MAP_DMA, &map));
	TRY(run, copy_at(bed, copies, BED_IOVA, ioas, BED_IOVA, 32 * PAGE_SIZE));
	TRY(run, bed_ioctl(bed, VFIO_IOMMU_UNMAP_DMA, &unmap_cmd));
	TRY(run, unmap_all(bed, copies));
	unmap_cmd = (struct vfio_iommu_type1_dma_unmap){ .argsz = sizeof(unmap_cmd),
							 .flags = VFIO_DMA_UNMAP_FLAG_ALL };
	TRY(run, bed_ioctl(bed, VFIO_IOMMU_UNMAP_DMA, &unmap_cmd));
}

static void buffer_part(struct run *run, u32 ioas, int fd)
{
	struct bed *bed = run->bed;
	struct device_ids ids = { 0 };

	TRY(run, map_file_at(bed, ioas, fd, 0, 2 * PAGE_SIZE, BED_IOVA));
	TRY(run, device_new(bed, ioas, &ids));
	TRY(run, map_file_at(bed, ioas, fd, PAGE_SIZE, PAGE_SIZE, BED_IOVA + 0x10000));
	TRY(run, copy_at(bed, ioas, BED_IOVA + 0x20000, ioas, BED_IOVA, PAGE_SIZE));
	TRY(run, unmap(bed, ioas, BED_IOVA, 2 * PAGE_SIZE));
	TRY(run, dmabuf_take_back(bed, fd, true));
	TRY(run, object_kill(bed, ids.stdev));
}

static void sequence_device_buffer(struct run *run)
{
	u32 ioas = (u32)TRY(run, ioas_new(run->bed));
	long fd = TRY(run, dmabuf_new(run->bed, 2 * PAGE_SIZE));

	buffer_part(run, ioas, (int)fd);
	if (fd >= 0)
		assert_int_equal(iommufd_close(run->bed->proc, (int)fd), 0);
}

/* ---- the sweep ---- */

/* Run once with the nth step failing (0: none); true if one did. */
static bool sweep_once(struct bed *bed, sequence_fn fn, u32 nth, bool stubborn)
{
	struct run run = { .bed = bed, .stubborn = stubborn };
	bool fired;

	bed_open(bed);
	iommufd_fail_nth_set(nth);
	fn(&run);
	fired = nth && !iommufd_fail_nth_get();
	iommufd_fail_nth_set(0);
	assert_sound(bed);
	if (!nth)
		assert_int_equal(run.errors, 0);
	else if (fired)
		assert_true(run.errors > 0);
	bed_close(bed);
	return fired;
}

static void sweep(struct bed *bed, const char *name, sequence_fn fn)
{
	u32 nth, total = 0;

	for (int stubborn = 0; stubborn < 2; stubborn++) {
		for (nth = 1; sweep_once(bed, fn, nth, stubborn); nth++)
			assert_true(nth < 2000);
		sweep_once(bed, fn, 0, stubborn);
		total += nth - 1;
	}
	print_message("%s: %u failures\n", name, total);
	assert_true(total > 20);
}

static void every_step_may_fail(void **state)
{
	static const struct {
		const char *name;
		sequence_fn fn;
	} sequences[] = {
		{ "without a domain", sequence_without_domain },
		{ "one domain", sequence_one_domain },
		{ "several domains", sequence_several_domains },
		{ "files", sequence_files },
		{ "accesses", sequence_access },
		{ "container", sequence_container },
		{ "device buffer", sequence_device_buffer },
	};
	struct bed *bed = *state;

	bed_close(bed);
	for (size_t i = 0; i < ARRAY_SIZE(sequences); i++)
		sweep(bed, sequences[i].name, sequences[i].fn);
	bed_open(bed);
}

/* The memory's middle is a file's: pins of it come in three runs. */
static void every_step_may_fail_on_mixed_memory(void **state)
{
	struct bed *bed = *state;
	int fd = memfd_of(16, 0);

	mmap(bed->mem + 16 * PAGE_SIZE, 16 * PAGE_SIZE, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_FIXED, fd, 0);
	close(fd);
	every_step_may_fail(state);
}

/* Bits that do not reach the bitmap are lost in silence; nothing else may be. */
static void dirty_bitmaps_fail_cleanly(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = device_attached(bed, bed->ioas);
	unsigned char bits[64];
	struct iommu_hwpt_get_dirty_bitmap get = {
		.size = sizeof(get),
		.iova = BED_IOVA,
		.length = BED_LENGTH,
		.page_size = PAGE_SIZE,
		.data = (uintptr_t)bits,
	};
	struct iommu_hwpt_set_dirty_tracking set = { .size = sizeof(set), .flags = 1 };
	u32 nth = 0;

	set.hwpt_id = get.hwpt_id = (u32)hwpt_new(bed, ids.idev, bed->ioas,
						  IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, BED_LENGTH, BED_IOVA), 0);
	do {
		iommufd_fail_nth_set(++nth);
		if (!bed_ioctl(bed, IOMMU_HWPT_SET_DIRTY_TRACKING, &set))
			bed_ioctl(bed, IOMMU_HWPT_GET_DIRTY_BITMAP, &get);
		assert_true(nth < 100);
	} while (!iommufd_fail_nth_get());
	iommufd_fail_nth_set(0);
	assert_true(nth > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(every_step_may_fail),
		bed_test_scattered(every_step_may_fail),
		bed_test_trusted(every_step_may_fail),
		bed_test(every_step_may_fail_on_mixed_memory),
		bed_test(dirty_bitmaps_fail_cleanly),
	};

	return cmocka_run_group_tests_name("ioas_fail", tests, NULL, NULL);
}
