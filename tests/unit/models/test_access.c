/* SPDX-License-Identifier: MIT */
/* Test accesses and dma-bufs: descriptors the test command makes. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "mem/mem.h"
#include "rig.h"

#define BASE MOCK_APERTURE_START
#define PG 4096UL

static u32 ioas;
static char *mem;

static int begin(void **state)
{
	if (rig_begin(state))
		return -1;
	ioas = rig_ioas();
	mem = rig_memory(16 * PG);
	memset(mem, 0x5a, 16 * PG);
	return rig_map(ioas, mem, 16 * PG, BASE);
}

/* ---- the operations ---- */

static int create(u32 id, u32 flags)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_CREATE_ACCESS, .id = id,
				      .create_access.flags = flags };
	int rc = rig_test(&cmd);

	return rc ? rc : (int)cmd.create_access.out_access_fd;
}

static int pin_at(int fd, u64 iova, u64 length, void *va, u32 flags, u32 *ret_id)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_ACCESS_PAGES, .id = fd,
				      .access_pages = { .flags = flags, .iova = iova,
							.length = length,
							.uptr = (uintptr_t)va } };
	int rc = rig_test(&cmd);

	*ret_id = cmd.access_pages.out_access_pages_id;
	return rc;
}

static int unpin(int fd, u32 id)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, .id = fd,
				      .destroy_access_pages.access_pages_id = id };

	return rig_test(&cmd);
}

static int rw(int fd, u64 iova, u64 length, void *buf, u32 flags)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_ACCESS_RW, .id = fd,
				      .access_rw = { .iova = iova, .length = length,
						     .uptr = (uintptr_t)buf, .flags = flags } };

	return rig_test(&cmd);
}

static int move(int fd, u32 id)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, .id = fd,
				      .access_replace_ioas.ioas_id = id };

	return rig_test(&cmd);
}

/* ---- accesses ---- */

static void an_access_needs_known_flags_and_an_ioas(void **state)
{
	struct mock_ids ids = rig_mock(ioas);

	assert_int_equal(create(ioas, 2), -EOPNOTSUPP);
	assert_int_equal(create(4711, 0), -ENOENT);
	assert_int_equal(create(ids.stdev, 0), -ENOENT);
	assert_true(create(ioas, 0) >= 0);
	assert_int_equal(rig_destroy(ids.stdev), 0);
	assert_int_equal(rig_destroy(ioas), -EBUSY);
}

static void an_access_is_not_made_where_it_can_not_be_told_or_attached(void **state)
{
	struct rlimit old, none;
	int rc, fd;
	u32 crooked = rig_ioas();

	assert_int_equal(rig_map(crooked, mem, 100, BASE), 0);
	assert_int_equal(create(crooked, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES), -EADDRINUSE);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ 3, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	rc = create(ioas, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(rc, -ENOMEM);
	assert_int_equal(rig_destroy(ioas), 0); /* nothing holds it */
	fd = create(crooked, 0);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void operations_on_an_access_need_its_descriptor(void **state)
{
	int closed = create(ioas, 0);
	char buf[8];
	u32 id;

	assert_int_equal(iommufd_close(rig.proc, closed), 0);
	for (u32 i = 0; i < 3; i++) {
		int fd = i == 0 ? closed : i == 1 ? rig.fd : 0;

		assert_int_equal(pin_at(fd, BASE, PG, NULL, 0, &id), -EBADFD);
		assert_int_equal(unpin(fd, 0), -EBADFD);
		assert_int_equal(rw(fd, BASE, 8, buf, 0), -EBADFD);
		assert_int_equal(move(fd, ioas), -EBADFD);
	}
}

static void pins_overlap_and_are_dropped_by_number(void **state)
{
	int fd = create(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	u32 one, two;

	assert_int_equal(pin_at(fd, BASE + PG, 2 * PG, mem + PG, MOCK_FLAGS_ACCESS_WRITE, &one), 0);
	assert_int_equal(pin_at(fd, BASE + 2 * PG, 10, mem + 2 * PG, 0, &two), 0);
	assert_int_equal(one, 0);
	assert_int_equal(two, 1);
	assert_int_equal(rig_check_refs(mem, PG, 0), 0);
	assert_int_equal(rig_check_refs(mem + PG, PG, 1), 0);
	assert_int_equal(rig_check_refs(mem + 2 * PG, PG, 1), 0); /* pinned once for both */
	assert_int_equal(unpin(fd, two), 0);
	assert_int_equal(unpin(fd, two), -ENOENT);
	assert_int_equal(rig_check_refs(mem + PG, 2 * PG, 1), 0);
	assert_int_equal(unpin(fd, one), 0);
	assert_int_equal(rig_check_refs(mem, 16 * PG, 0), 0);
}

static void a_pin_of_other_pages_than_expected_is_undone(void **state)
{
	int fd = create(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	u32 id;

	assert_int_equal(pin_at(fd, BASE, PG, mem + PG, 0, &id), -EBADE);
	assert_int_equal(rig_check_refs(mem, 2 * PG, 0), 0);
	assert_int_equal(pin_at(fd, BASE, PG, NULL, 0, &id), 0);
	assert_int_equal(id, 0);
}

static void a_pin_nobody_is_told_of_is_undone_but_spends_its_number(void **state)
{
	int fd = create(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	struct iommu_test_cmd *cmd = (void *)rig_memory(PG);
	u32 id;

	cmd->size = sizeof(*cmd);
	cmd->op = IOMMU_TEST_OP_ACCESS_PAGES;
	cmd->id = fd;
	cmd->access_pages.iova = BASE;
	cmd->access_pages.length = PG;
	assert_int_equal(mprotect(cmd, PG, PROT_READ), 0);
	assert_int_equal(rig_ioctl(IOMMU_TEST_CMD, cmd), -EFAULT);
	assert_int_equal(rig_check_refs(mem, PG, 0), 0);
	assert_int_equal(pin_at(fd, BASE, PG, NULL, 0, &id), 0);
	assert_int_equal(id, 1);
	assert_int_equal(unpin(fd, 0), -ENOENT);
}

static void pins_have_limits(void **state)
{
	int fd = create(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	int plain = create(ioas, 0);
	u32 id;

	assert_int_equal(pin_at(fd, BASE, (16 << 20) + 1, NULL, 0, &id), -ENOMEM);
	assert_int_equal(pin_at(fd, BASE, PG, NULL, 1 << 5, &id), -EOPNOTSUPP);
	assert_int_equal(pin_at(rig.fd, BASE, PG, NULL, 0, &id), -EBADFD);
	assert_int_equal(pin_at(9999, BASE, PG, NULL, 0, &id), -EBADFD);
	assert_int_equal(pin_at(0, BASE, PG, NULL, 0, &id), -EBADFD); /* open, but not ours */
	assert_int_equal(pin_at(plain, BASE, PG, NULL, 0, &id), -EOPNOTSUPP);
	assert_int_equal(pin_at(fd, BASE, 0, NULL, 0, &id), -EINVAL);
	assert_int_equal(pin_at(fd, BASE + 16 * PG, PG, NULL, 0, &id), -ENOENT);
	assert_int_equal(pin_at(fd, UINT64_MAX, PG, NULL, 0, &id), -EOVERFLOW);
	assert_int_equal(pin_at(fd, BASE + 5, 10, NULL, 0, &id), -EINVAL); /* not at a page */
}

static void unmapping_takes_the_pins_away(void **state)
{
	int fd = create(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	u32 id;

	assert_int_equal(pin_at(fd, BASE, PG, mem, 0, &id), 0);
	assert_int_equal(rig_unmap(ioas, BASE, 16 * PG), 0);
	assert_int_equal(unpin(fd, id), -ENOENT);
	assert_int_equal(rig_check_refs(mem, 16 * PG, 0), 0);
}

static void pins_outlive_a_device_that_shares_their_pages(void **state)
{
	int fd = create(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	struct mock_ids ids = rig_mock(ioas);
	u32 id;

	assert_int_equal(pin_at(fd, BASE + 3 * PG, PG, mem + 3 * PG, 0, &id), 0);
	assert_int_equal(rig_check_refs(mem + 3 * PG, PG, 1), 0); /* pinned once for both */
	assert_int_equal(rig_destroy(ids.stdev), 0);
	assert_int_equal(rig_check_refs(mem + 3 * PG, PG, 1), 0);
	assert_int_equal(unpin(fd, id), 0);
	assert_int_equal(rig_check_refs(mem, 16 * PG, 0), 0);
}

static void reading_and_writing_reach_the_mapped_memory(void **state)
{
	int fd = create(ioas, 0);
	char buf[64] = "through the ioas";

	for (u32 slow = 0; slow <= MOCK_ACCESS_RW_SLOW_PATH; slow += MOCK_ACCESS_RW_SLOW_PATH) {
		memset(mem, 0, 16 * PG);
		assert_int_equal(rw(fd, BASE + PG - 8, 64, buf, MOCK_ACCESS_RW_WRITE | slow), 0);
		assert_string_equal(mem + PG - 8, "through the ioas");
		mem[PG - 8] = 'T';
		memset(buf, 0, sizeof(buf));
		assert_int_equal(rw(fd, BASE + PG - 8, 64, buf, slow), 0);
		assert_string_equal(buf, "Through the ioas");
		buf[0] = 't';
	}
}

static void reading_and_writing_have_limits(void **state)
{
	int fd = create(ioas, 0);
	char buf[8];

	assert_int_equal(rw(fd, BASE, (16 << 20) + 1, buf, 0), -ENOMEM);
	assert_int_equal(rw(fd, BASE, 8, buf, 1 << 1), -EOPNOTSUPP);
	assert_int_equal(rw(rig.fd, BASE, 8, buf, 0), -EBADFD);
	assert_int_equal(rw(fd, BASE, 8, NULL, MOCK_ACCESS_RW_WRITE), -EFAULT);
	assert_int_equal(rw(fd, BASE, 8, NULL, 0), -EFAULT);
	assert_int_equal(rw(fd, BASE, 0, buf, 0), -EINVAL);
	assert_int_equal(rw(fd, BASE - 8, 8, buf, 0), -ENOENT);
}

static void moving_to_another_ioas_drops_the_pins(void **state)
{
	int fd = create(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	u32 other = rig_ioas(), id;

	assert_int_equal(pin_at(fd, BASE, PG, mem, 0, &id), 0);
	assert_int_equal(move(fd, 4711), -ENOENT);
	assert_int_equal(move(fd, ioas), 0);
	assert_int_equal(rig_check_refs(mem, PG, 1), 0);
	assert_int_equal(move(fd, other), 0);
	assert_int_equal(unpin(fd, id), -ENOENT);
	assert_int_equal(rig_destroy(ioas), 0);
	assert_int_equal(rig_check_refs(mem, PG, 0), 0);
}

static void closing_the_descriptor_drops_pins_and_frees_the_ioas(void **state)
{
	int fd = create(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	u32 id;

	assert_int_equal(pin_at(fd, BASE, PG, mem, 0, &id), 0);
	assert_int_equal(iommufd_close(rig.proc, fd), 0);
	assert_int_equal(rig_check_refs(mem, PG, 0), 0);
	assert_int_equal(rig_destroy(ioas), 0);
}

static void an_access_keeps_the_context_after_its_descriptor_is_closed(void **state)
{
	int fd = create(ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES), fresh;
	u32 id;

	assert_int_equal(pin_at(fd, BASE, PG, mem, 0, &id), 0);
	fresh = iommufd_open(rig.proc, "/dev/iommu", O_RDWR);
	assert_int_equal(iommufd_close(rig.proc, rig.fd), 0);
	rig.fd = fresh;
	assert_int_equal(rig_check_refs(mem, PG, 1), 0); /* another context, the same memory */
	assert_int_equal(unpin(fd, id), 0);
	assert_int_equal(iommufd_close(rig.proc, fd), 0);
	assert_int_equal(rig_check_refs(mem, PG, 0), 0);
}

/* ---- dma-bufs ---- */

static int dmabuf_get(u32 length)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_DMABUF_GET,
				      .dmabuf_get = { .length = length, .open_flags = O_CLOEXEC } };

	return rig_test(&cmd);
}

static int dmabuf_revoke(int fd, u32 revoked)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_DMABUF_REVOKE,
				      .dmabuf_revoke = { .dmabuf_fd = fd, .revoked = revoked } };

	return rig_test(&cmd);
}

static int map_file(int fd, u64 length, u64 iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas, .fd = fd, .length = length, .iova = iova,
	};

	return rig_ioctl(IOMMU_IOAS_MAP_FILE, &cmd);
}

static void a_dmabuf_has_between_one_and_512_pages(void **state)
{
	assert_int_equal(dmabuf_get(0), -EINVAL);
	assert_int_equal(dmabuf_get(512 * PG + 1), -EINVAL);
	assert_int_equal(dmabuf_get(UINT32_MAX), -EINVAL);
	assert_true(dmabuf_get(1) >= 0);
	assert_true(dmabuf_get(512 * PG) >= 0);
}

static void a_dmabuf_can_be_mapped_until_it_is_revoked(void **state)
{
	int fd = dmabuf_get(4 * PG);
	struct mock_ids ids = rig_mock(ioas);
	u64 iova = BASE + (1 << 20);

	assert_int_equal(map_file(fd, 5 * PG, iova), -EINVAL);
	assert_int_equal(map_file(fd, 4 * PG, iova), 0);
	assert_int_equal(dmabuf_revoke(fd, 1), 0);
	assert_int_equal(map_file(fd, PG, iova + (1 << 20)), -ENODEV);
	assert_int_equal(dmabuf_revoke(fd, 0), 0);
	assert_int_equal(map_file(fd, PG, iova + (1 << 20)), 0);
	assert_int_equal(rig_unmap(ioas, iova, 4 * PG), 0);
	assert_int_equal(iommufd_close(rig.proc, fd), 0);
	assert_int_equal(rig_destroy(ids.stdev), 0);
}

static void only_dmabufs_can_be_revoked(void **state)
{
	assert_int_equal(dmabuf_revoke(9999, 1), -EBADF);
	assert_int_equal(dmabuf_revoke(rig.fd, 1), -EINVAL);
	assert_int_equal(dmabuf_revoke(0, 1), -EINVAL);
}

/* ---- failures ---- */

static int access_sequence(void)
{
	char *buf = rig_memory(64 * PG);
	u32 id, pin;
	int fd, buf_fd, rc;

	id = rig_ioas();
	if (!id)
		return -ENOMEM;
	rc = rig_map(id, buf, 64 * PG, BASE);
	fd = rc ? rc : create(id, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	if (fd < 0)
		return fd;
	rc = pin_at(fd, BASE + PG, 50 * PG, buf + PG, 0, &pin);
	rc = rc ? rc : rw(fd, BASE + 5, 3 * PG, buf, MOCK_ACCESS_RW_WRITE);
	rc = rc ? rc : rw(fd, BASE + 5, 3 * PG, buf, MOCK_ACCESS_RW_SLOW_PATH);
	rc = rc ? rc : unpin(fd, pin);
	buf_fd = rc ? rc : dmabuf_get(3 * PG);
	return buf_fd < 0 ? buf_fd : 0;
}

static void any_step_of_an_access_may_fail(void **state)
{
	rig_sweep(access_sequence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, begin, rig_end)
		T(an_access_needs_known_flags_and_an_ioas),
		T(an_access_is_not_made_where_it_can_not_be_told_or_attached),
		T(operations_on_an_access_need_its_descriptor),
		T(pins_overlap_and_are_dropped_by_number),
		T(a_pin_of_other_pages_than_expected_is_undone),
		T(a_pin_nobody_is_told_of_is_undone_but_spends_its_number),
		T(pins_have_limits),
		T(unmapping_takes_the_pins_away),
		T(pins_outlive_a_device_that_shares_their_pages),
		T(reading_and_writing_reach_the_mapped_memory),
		T(reading_and_writing_have_limits),
		T(moving_to_another_ioas_drops_the_pins),
		T(closing_the_descriptor_drops_pins_and_frees_the_ioas),
		T(an_access_keeps_the_context_after_its_descriptor_is_closed),
		T(a_dmabuf_has_between_one_and_512_pages),
		T(a_dmabuf_can_be_mapped_until_it_is_revoked),
		T(only_dmabufs_can_be_revoked),
		cmocka_unit_test(any_step_of_an_access_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
