/* SPDX-License-Identifier: MIT */
/*
 * Who pays for pinned pages: the three modes, their limits, when a charge is
 * made, and CHANGE_PROCESS, which moves it.  The soft limit and the effective
 * capability of this thread are lowered for a test and raised again.
 */
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "harness.h"

#include "core/ctx.h"

static void ipc_lock(bool on)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	assert_int_equal(syscall(SYS_capget, &head, data), 0);
	if (!(data[0].permitted & 1U << CAP_IPC_LOCK)) {
		if (on)
			skip(); /* cannot be had here */
		return;
	}
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	data[0].effective |= (u32)on << CAP_IPC_LOCK;
	assert_int_equal(syscall(SYS_capset, &head, data), 0);
}

static void limit_pages(u64 pages)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &limit), 0);
	limit.rlim_cur = pages == UINT64_MAX ? limit.rlim_max : pages * PAGE_SIZE;
	assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

/* Without the capability; the end of the test gives it back. */
static int poor_setup(void **state)
{
	int rc = bed_setup(state);

	ipc_lock(false);
	return rc;
}

static void capability_back(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &head, data);
	data[0].effective |= data[0].permitted & 1U << CAP_IPC_LOCK;
	syscall(SYS_capset, &head, data);
}

static int charge_teardown(void **state)
{
	capability_back();
	limit_pages(UINT64_MAX);
	return bed_teardown(state);
}

#define poor_test(fn) cmocka_unit_test_setup_teardown(fn, poor_setup, charge_teardown)
#define rich_test(fn) cmocka_unit_test_setup_teardown(fn, bed_setup, charge_teardown)


static void expect_paid(struct iommufd_process *proc, u64 pinned, u64 locked, u64 user)
{
	assert_int_equal(mm_pinned_pages(proc->mm), pinned);
	assert_int_equal(mm_locked_pages(proc->mm), locked);
	assert_int_equal(mem_user_locked_pages(proc->user), user);
}

/* A fresh context in the mode that charges address spaces: what a container starts in. */
static void bed_open_mm_mode(struct bed *bed)
{
	struct iommu_option cmd = { .size = sizeof(cmd),
				    .option_id = IOMMU_OPTION_RLIMIT_MODE,
				    .op = IOMMU_OPTION_OP_GET };

	assert_int_equal(iommufd_close(bed->proc, bed->fd), 0);
	bed->fd = iommufd_open(bed->proc, "/dev/vfio/vfio", O_RDWR);
	assert_int_equal(bed_ioctl(bed, IOMMU_OPTION, &cmd), 0);
	assert_int_equal(cmd.val64, 1);
	bed->ioas = (u32)ioas_new(bed);
}

/* ---- the modes ---- */

static void with_the_capability_only_pins_are_counted(void **state)
{
	struct bed *bed = *state;

	ipc_lock(true);
	limit_pages(0);
	device_attached(bed, bed->ioas);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 10 * PAGE_SIZE, BED_IOVA), 0);
	expect_paid(bed->proc, 10, 0, 0);
	assert_int_equal(unmap_all(bed, bed->ioas), 10 * PAGE_SIZE);
	expect_paid(bed->proc, 0, 0, 0);
}

static void without_it_the_user_pays_up_to_the_limit(void **state)
{
	struct bed *bed = *state;

	limit_pages(10);
	device_attached(bed, bed->ioas);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 11 * PAGE_SIZE, BED_IOVA), -ENOMEM);
	expect_paid(bed->proc, 0, 0, 0);
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
	/* nine pages touched by half ends are ten */
	assert_int_equal(map_at(bed, bed->ioas, bed->mem + 2048, 9 * PAGE_SIZE, BED_IOVA), 0);
	expect_paid(bed->proc, 10, 0, 10);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 2048, BED_IOVA + 0x10000), -ENOMEM);
	assert_sound(bed);
	expect_paid(bed->proc, 10, 0, 10);
	limit_pages(11);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 2048, BED_IOVA + 0x10000), 0);
	/* a limit lowered later takes nothing away */
	limit_pages(0);
	expect_paid(bed->proc, 11, 0, 11);
}

static void processes_of_a_user_share_its_limit(void **state)
{
	struct bed *bed = *state;
	struct bed second = *bed;

	limit_pages(10);
	assert_int_equal(iommufd_process_create(bed->system, &second.proc), 0);
	second.fd = iommufd_open(second.proc, "/dev/iommu", O_RDWR);
	second.ioas = (u32)ioas_new(&second);
	device_attached(bed, bed->ioas);
	device_attached(&second, second.ioas);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 6 * PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(map_at(&second, second.ioas, bed->mem, 5 * PAGE_SIZE, BED_IOVA), -ENOMEM);
	assert_int_equal(map_at(&second, second.ioas, bed->mem, 4 * PAGE_SIZE, BED_IOVA), 0);
	expect_paid(bed->proc, 6, 0, 10);
	expect_paid(second.proc, 4, 0, 10);
	iommufd_process_destroy(second.proc);
	expect_paid(bed->proc, 6, 0, 6);
}

static void in_mm_mode_the_address_space_pays(void **state)
{
	struct bed *bed = *state;

	bed_open_mm_mode(bed);
	limit_pages(4);
	device_attached(bed, bed->ioas);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 5 * PAGE_SIZE, BED_IOVA), -ENOMEM);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 4 * PAGE_SIZE, BED_IOVA), 0);
	expect_paid(bed->proc, 4, 4, 0);
}

/* ---- when ---- */

static void the_charge_is_made_when_pages_are_pinned(void **state)
{
	struct bed *bed = *state;
	int access = (int)access_new_pinning(bed, bed->ioas);
	char buf[3 * PAGE_SIZE];
	struct device_ids ids = { 0 };

	limit_pages(0);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 3 * PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(device_new(bed, bed->ioas, &ids), -ENOMEM);
	assert_int_equal(access_pin(bed, access, BED_IOVA, PAGE_SIZE, NULL, true), -ENOMEM);
	/* what is pinned for the length of a copy costs nothing */
	assert_int_equal(
		access_rw(bed, access, BED_IOVA, buf, sizeof(buf), MOCK_ACCESS_RW_SLOW_PATH), 0);
	limit_pages(3);
	assert_int_equal(access_pin(bed, access, BED_IOVA + PAGE_SIZE, PAGE_SIZE, NULL, true), 0);
	expect_paid(bed->proc, 1, 0, 1);
	ids = device_attached(bed, bed->ioas); /* only what is not pinned yet */
	expect_paid(bed->proc, 3, 0, 3);
	assert_int_equal(object_kill(bed, ids.stdev), 0);
	expect_paid(bed->proc, 1, 0, 1);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
	expect_paid(bed->proc, 0, 0, 0);
}

static void a_failed_attach_credits_the_areas_before(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = { 0 };

	limit_pages(9);
	for (u32 i = 0; i < 5; i++)
		assert_int_equal(
			map_at(bed, bed->ioas, bed->mem, 2 * PAGE_SIZE, BED_IOVA + i * 0x10000), 0);
	assert_int_equal(device_new(bed, bed->ioas, &ids), -ENOMEM);
	expect_paid(bed->proc, 0, 0, 0);
	limit_pages(10);
	assert_int_equal(device_new(bed, bed->ioas, &ids), 0);
	expect_paid(bed->proc, 10, 0, 10);
}

static void the_mode_is_that_of_the_time_of_the_map(void **state)
{
	struct bed *bed = *state;

	limit_pages(1);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA), 0);
	ipc_lock(true);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 5 * PAGE_SIZE, BED_IOVA + 0x10000), 0);
	ipc_lock(false);
	device_attached(bed, bed->ioas);
	expect_paid(bed->proc, 6, 0, 1);
}

static void copies_and_cuts_are_paid_once(void **state)
{
	struct bed *bed = *state;
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd), .iova = BED_IOVA + PAGE_SIZE, .size = PAGE_SIZE
	};

	limit_pages(4);
	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	device_attached(bed, bed->ioas);
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, 4 * PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(
		copy_at(bed, bed->ioas, BED_IOVA + 0x10000, bed->ioas, BED_IOVA, 4 * PAGE_SIZE), 0);
	expect_paid(bed->proc, 4, 0, 4);
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_UNMAP_DMA, &cmd), 0);
	expect_paid(bed->proc, 4, 0, 4);
	assert_int_equal(unmap(bed, bed->ioas, BED_IOVA + 0x10000, 4 * PAGE_SIZE), 4 * PAGE_SIZE);
	expect_paid(bed->proc, 3, 0, 3);
}

static void device_buffers_are_free(void **state)
{
	struct bed *bed = *state;
	int fd = (int)dmabuf_new(bed, 4 * PAGE_SIZE);

	limit_pages(0);
	device_attached(bed, bed->ioas);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, 4 * PAGE_SIZE, BED_IOVA), 0);
	expect_paid(bed->proc, 0, 0, 0);
	assert_int_equal(iommufd_close(bed->proc, fd), 0);
}

/* ---- CHANGE_PROCESS ---- */

/* A command of @proc on a descriptor it was handed by the bed's process. */
static long change_process_as(struct bed *bed, struct iommufd_process *proc)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };
	struct iommufd_ctx *ctx;
	struct self_task self;
	long rc;

	assert_int_equal(iommufd_ctx_from_fd(bed->proc, bed->fd, &ctx), 0);
	self_enter(&self, proc);
	rc = ctx->file.ops->ioctl(&ctx->file, IOMMU_IOAS_CHANGE_PROCESS, (uintptr_t)&cmd);
	iommufd_ctx_put(ctx);
	self_leave(&self);
	return rc;
}

static void change_process_meets_its_rows_in_order(void **state)
{
	struct bed *bed = *state;
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd), .__reserved = 1 };
	u32 other = (u32)ioas_new(bed);
	int fd = memfd_of(2, 0), buffer = (int)dmabuf_new(bed, PAGE_SIZE);

	assert_int_equal(map_at(bed, other, bed->mem, PAGE_SIZE, 0), 0);
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_CHANGE_PROCESS, &cmd), -EOPNOTSUPP);
	cmd.__reserved = 0;
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_CHANGE_PROCESS, &cmd), -EINVAL);
	assert_int_equal(unmap_all(bed, other), PAGE_SIZE);
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_CHANGE_PROCESS, &cmd), 0);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, PAGE_SIZE, 0), 0);
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_CHANGE_PROCESS, &cmd), 0);
	assert_int_equal(map_file_at(bed, other, buffer, 0, PAGE_SIZE, 0), 0);
	assert_int_equal(bed_ioctl(bed, IOMMU_IOAS_CHANGE_PROCESS, &cmd), -EINVAL);
	assert_int_equal(iommufd_close(bed->proc, buffer), 0);
	close(fd);
}

/* Two objects: one of three pages that two areas share, one of two. */
static void map_shared_objects(struct bed *bed, int fd)
{
	u32 other = (u32)ioas_new(bed);

	device_attached(bed, bed->ioas);
	device_attached(bed, other);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, 3 * PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(copy_at(bed, other, BED_IOVA, bed->ioas, BED_IOVA, 2 * PAGE_SIZE), 0);
	assert_int_equal(map_file_at(bed, other, fd, PAGE_SIZE, 2 * PAGE_SIZE, BED_IOVA + 0x10000),
			 0);
}

static void change_process_moves_what_is_pinned_once(void **state)
{
	struct bed *bed = *state;
	struct iommufd_process *next;
	int fd = memfd_of(4, 0);

	assert_int_equal(iommufd_process_create(bed->system, &next), 0);
	bed_open_mm_mode(bed);
	limit_pages(5);
	map_shared_objects(bed, fd);
	expect_paid(bed->proc, 5, 5, 0);
	limit_pages(4);
	assert_int_equal(change_process_as(bed, next), -ENOMEM);
	expect_paid(bed->proc, 5, 5, 0);
	expect_paid(next, 0, 0, 0);
	limit_pages(5);
	assert_int_equal(change_process_as(bed, next), 0);
	expect_paid(bed->proc, 0, 0, 0);
	expect_paid(next, 5, 5, 0);
	assert_int_equal(change_process_as(bed, next), 0); /* it owns them already */
	expect_paid(next, 5, 5, 0);
	/* from now on unpinning credits the new owner */
	assert_int_equal(unmap_all(bed, bed->ioas), 3 * PAGE_SIZE);
	expect_paid(next, 4, 4, 0);
	assert_int_equal(change_process_as(bed, bed->proc), 0);
	expect_paid(next, 0, 0, 0);
	expect_paid(bed->proc, 4, 4, 0);
	close(fd);
	iommufd_close(bed->proc, bed->fd);
	iommufd_process_destroy(next);
	bed_open(bed);
}

/* The same user pays before and after, and for a moment twice. */
static void in_user_mode_both_are_charged_for_a_moment(void **state)
{
	struct bed *bed = *state;
	struct iommufd_process *next;
	int fd = memfd_of(4, 0);

	assert_int_equal(iommufd_process_create(bed->system, &next), 0);
	limit_pages(9);
	map_shared_objects(bed, fd);
	expect_paid(bed->proc, 5, 0, 5);
	assert_int_equal(change_process_as(bed, next), -ENOMEM);
	expect_paid(bed->proc, 5, 0, 5);
	limit_pages(10);
	assert_int_equal(change_process_as(bed, next), 0);
	expect_paid(bed->proc, 0, 0, 5);
	expect_paid(next, 5, 0, 5);
	close(fd);
	iommufd_close(bed->proc, bed->fd);
	iommufd_process_destroy(next);
	bed_open(bed);
}

static void in_mode_none_nothing_moves(void **state)
{
	struct bed *bed = *state;
	struct iommufd_process *next;
	int fd = memfd_of(4, 0);

	ipc_lock(true);
	assert_int_equal(iommufd_process_create(bed->system, &next), 0);
	map_shared_objects(bed, fd);
	assert_int_equal(change_process_as(bed, next), 0);
	expect_paid(bed->proc, 5, 0, 0);
	expect_paid(next, 0, 0, 0);
	close(fd);
	iommufd_close(bed->proc, bed->fd);
	expect_paid(bed->proc, 0, 0, 0);
	iommufd_process_destroy(next);
	bed_open(bed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rich_test(with_the_capability_only_pins_are_counted),
		poor_test(without_it_the_user_pays_up_to_the_limit),
		poor_test(processes_of_a_user_share_its_limit),
		poor_test(in_mm_mode_the_address_space_pays),
		poor_test(the_charge_is_made_when_pages_are_pinned),
		poor_test(a_failed_attach_credits_the_areas_before),
		poor_test(the_mode_is_that_of_the_time_of_the_map),
		poor_test(copies_and_cuts_are_paid_once),
		poor_test(device_buffers_are_free),
		poor_test(change_process_meets_its_rows_in_order),
		poor_test(change_process_moves_what_is_pinned_once),
		poor_test(in_user_mode_both_are_charged_for_a_moment),
		rich_test(in_mode_none_nothing_moves),
	};

	return cmocka_run_group_tests_name("ioas_charge", tests, NULL, NULL);
}
