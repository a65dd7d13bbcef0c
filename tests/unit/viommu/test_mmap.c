/* SPDX-License-Identifier: MIT */
/* mmap() of /dev/iommu: a vIOMMU's page in the program. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"

#define LENGTH (2 * PG)

static u32 viommu;
static u64 offset;

static int alloc(struct iommu_viommu_selftest *data, u32 len, u32 *ret_viommu)
{
	struct iommu_viommu_alloc cmd = { .type = IOMMU_VIOMMU_TYPE_SELFTEST,
					  .dev_id = guest.dev.idev, .hwpt_id = guest.parent,
					  .data_len = len, .data_uptr = (uintptr_t)data };
	int rc = viommu_alloc(&cmd);

	if (!rc)
		*ret_viommu = cmd.out_viommu_id;
	return rc;
}

static int begin(void **state)
{
	struct iommu_viommu_selftest data = { .in_data = 0xbeef };

	if (guest_begin(state) || alloc(&data, sizeof(data), &viommu))
		return -1;
	offset = data.out_mmap_offset;
	return data.out_data != 0xbeef || data.out_mmap_length != LENGTH;
}

static int map(u64 length, int prot, int flags, u64 at, void *ret)
{
	return iommufd_mmap(rig.proc, NULL, length, prot, flags, rig.fd, at, (void **)ret);
}

static u32 *must_map(void)
{
	void *ptr = NULL;

	assert_int_equal(map(LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, offset, &ptr), 0);
	return ptr;
}

static void a_viommus_data_is_checked_and_answered(void **state)
{
	struct iommu_viommu_selftest data = { .in_data = 1 };
	u32 id;

	for (u32 len = 1; len < 8; len++)
		assert_int_equal(alloc(&data, len, &id), -EINVAL);
	assert_int_equal(alloc(&data, sizeof(data) + 1, &id), -EINVAL);
	assert_int_equal(alloc(NULL, sizeof(data), &id), -EFAULT);
	assert_int_equal(alloc(&data, 8, &id), 0);
	assert_int_equal(data.out_data, 1);
	assert_int_equal(data.out_mmap_offset, 0); /* not asked for */
}

static void data_that_can_not_be_answered_undoes_the_viommu(void **state)
{
	struct iommu_viommu_selftest *data = rig_memory(PG);
	u32 id;

	read_only(data, PG);
	assert_int_equal(alloc(data, sizeof(*data), &id), -EFAULT);
}

static void offsets_are_the_lowest_free_and_never_zero(void **state)
{
	struct iommu_viommu_selftest data = { 0 };
	u32 second, third;

	assert_int_equal(offset, PG);
	assert_int_equal(alloc(&data, sizeof(data), &second), 0);
	assert_int_equal(data.out_mmap_offset, offset + LENGTH);
	assert_int_equal(rig_destroy(viommu), 0);
	assert_int_equal(alloc(&data, sizeof(data), &third), 0);
	assert_int_equal(data.out_mmap_offset, offset);
}

static void only_the_whole_region_can_be_mapped_and_only_shared(void **state)
{
	void *ptr;

	assert_int_equal(map(LENGTH, PROT_READ, MAP_PRIVATE, offset, &ptr), -EINVAL);
	assert_int_equal(map(LENGTH, PROT_READ | PROT_EXEC, MAP_SHARED, 0, &ptr), -EPERM);
	assert_int_equal(map(LENGTH, PROT_READ, MAP_SHARED, 0, &ptr), -ENXIO);
	assert_int_equal(map(LENGTH, PROT_READ, MAP_SHARED, offset + PG, &ptr), -ENXIO);
	assert_int_equal(map(LENGTH, PROT_READ, MAP_SHARED, offset + LENGTH, &ptr), -ENXIO);
	assert_int_equal(map(LENGTH / 2, PROT_READ, MAP_SHARED, offset, &ptr), -ENXIO);
	assert_int_equal(map(LENGTH * 2, PROT_READ, MAP_SHARED, offset, &ptr), -ENXIO);
	assert_int_equal(map(LENGTH, PROT_READ, MAP_SHARED, offset + 1, &ptr), -EINVAL);
	/* a length is rounded up to pages */
	assert_int_equal(map(LENGTH - 1, PROT_READ, MAP_SHARED, offset, &ptr), 0);
	assert_int_equal(iommufd_munmap(rig.proc, ptr, LENGTH), 0);
	assert_int_equal(map(LENGTH, PROT_READ, MAP_SHARED_VALIDATE, offset, &ptr), 0);
}

static void the_program_and_the_driver_see_the_same_bytes(void **state)
{
	u32 *a = must_map(), *b = must_map();
	struct iommu_viommu_selftest data = { .in_data = 0xcafe };
	u32 second;

	assert_int_equal(*a, 0xbeef); /* written by the driver */
	a[LENGTH / 4 - 1] = 0x1234;
	assert_int_equal(b[LENGTH / 4 - 1], 0x1234);
	/* another one's page is another page, and fresh */
	assert_int_equal(iommufd_munmap(rig.proc, a, LENGTH), 0);
	assert_int_equal(iommufd_munmap(rig.proc, b, LENGTH), 0);
	assert_int_equal(rig_destroy(viommu), 0);
	assert_int_equal(alloc(&data, sizeof(data), &second), 0);
	assert_int_equal(data.out_mmap_offset, offset);
	a = must_map();
	assert_int_equal(*a, 0xcafe);
	assert_int_equal(a[LENGTH / 4 - 1], 0);
}

static void each_piece_of_a_mapping_keeps_the_owner(void **state)
{
	char *a = (char *)must_map(), *b = (char *)must_map();

	assert_int_equal(rig_destroy(viommu), -EBUSY);
	assert_int_equal(iommufd_munmap(rig.proc, a, LENGTH), 0);
	assert_int_equal(rig_destroy(viommu), -EBUSY);
	assert_int_equal(iommufd_munmap(rig.proc, b, PG), 0);
	assert_int_equal(rig_destroy(viommu), -EBUSY);
	assert_int_equal(iommufd_munmap(rig.proc, b + PG, PG), 0);
	assert_int_equal(rig_destroy(viommu), 0);
	assert_int_equal(map(LENGTH, PROT_READ, MAP_SHARED, offset, &a), -ENXIO);
}

static void a_mapping_keeps_the_context_open(void **state)
{
	u32 *ptr = must_map();

	assert_int_equal(iommufd_close(rig.proc, rig.fd), 0);
	assert_false(cds_list_empty(&rig.system->contexts));
	assert_int_equal(*ptr, 0xbeef);
	assert_int_equal(iommufd_munmap(rig.proc, ptr, LENGTH), 0);
	assert_true(cds_list_empty(&rig.system->contexts));
	rig.fd = iommufd_open(rig.proc, "/dev/iommu", O_RDWR);
}

static void a_context_opened_for_reading_maps_no_writable_page(void **state)
{
	int fd = iommufd_open(rig.proc, "/dev/iommu", O_RDONLY);
	void *ptr;

	assert_int_equal(iommufd_mmap(rig.proc, NULL, LENGTH, PROT_WRITE, MAP_SHARED, fd, offset,
				      &ptr), -EACCES);
}

static void a_mapped_page_is_no_memory_for_a_device(void **state)
{
	u32 *ptr = must_map();

	assert_int_equal(rig_map(guest.ioas, ptr, PG, BASE), -EFAULT);
}

/* ---- a way in that lends a file and does not see munmap() ---- */

static int lent_fd = -1;
static void *unseen[4]; /* cookies of mappings that have ended */
static u32 unseen_count, settled;

static int lend(struct file *file, bool shrinks, int *ret_fd)
{
	*ret_fd = lent_fd;
	return lent_fd < 0 ? -ENOMEM : 0;
}

static void settle(struct file *file)
{
	settled++;
	while (unseen_count)
		file->ops->unmap(file, unseen[--unseen_count]);
}

static void a_way_in_may_lend_the_file_and_be_asked_for_mappings(void **state)
{
	struct iommu_viommu_selftest data = { .in_data = 0xabcd };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	int fd = iommufd_open(rig.proc, "/dev/iommu", O_RDWR), old_fd = rig.fd;
	struct iommufd_ctx *ctx;
	struct file_map file_map;
	struct guest old = guest;
	u32 word = 0;

	assert_int_equal(iommufd_ctx_from_fd(rig.proc, fd, &ctx), 0);
	ctx->file.host_memory = lend;
	ctx->file.host_settle = settle;
	rig.fd = fd;
	assert_int_equal(rig_ioctl(IOMMU_IOAS_ALLOC, &ioas), 0);
	guest.dev = rig_mock(ioas.out_ioas_id);
	guest.parent = must_parent(guest.dev.idev, ioas.out_ioas_id);
	assert_int_equal(alloc(&data, sizeof(data), &viommu), -ENOMEM);
	lent_fd = memfd_create("lent", 0);
	assert_int_equal(alloc(&data, sizeof(data), &viommu), 0);

	/* the page is in that file, where mmap() looks for it */
	assert_int_equal(pread(lent_fd, &word, 4, (off_t)data.out_mmap_offset), 4);
	assert_int_equal(word, 0xabcd);
	assert_int_equal(ctx->file.ops->mmap(&ctx->file, LENGTH, PROT_READ, MAP_SHARED,
					     data.out_mmap_offset, &file_map), 0);
	assert_int_equal(file_map.host_offset, data.out_mmap_offset);
	assert_int_equal(rig_destroy(viommu), -EBUSY);
	assert_int_equal(settled, 1);
	unseen[unseen_count++] = file_map.cookie;
	assert_int_equal(rig_destroy(viommu), 0);

	/* and at the end nobody needs to have asked */
	assert_int_equal(alloc(&data, sizeof(data), &viommu), 0);
	assert_int_equal(ctx->file.ops->mmap(&ctx->file, LENGTH, PROT_READ, MAP_SHARED,
					     data.out_mmap_offset, &file_map), 0);
	unseen[unseen_count++] = file_map.cookie;
	iommufd_ctx_put(ctx);
	rig.fd = old_fd;
	guest = old;
	assert_int_equal(iommufd_close(rig.proc, fd), 0);
	assert_int_equal(close(lent_fd), 0);
	lent_fd = -1;
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, begin, rig_end)
	const struct CMUnitTest tests[] = {
		T(a_viommus_data_is_checked_and_answered),
		T(data_that_can_not_be_answered_undoes_the_viommu),
		T(offsets_are_the_lowest_free_and_never_zero),
		T(only_the_whole_region_can_be_mapped_and_only_shared),
		T(the_program_and_the_driver_see_the_same_bytes),
		T(each_piece_of_a_mapping_keeps_the_owner),
		T(a_mapping_keeps_the_context_open),
		T(a_context_opened_for_reading_maps_no_writable_page),
		T(a_mapped_page_is_no_memory_for_a_device),
		T(a_way_in_may_lend_the_file_and_be_asked_for_mappings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
