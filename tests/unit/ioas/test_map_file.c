/* SPDX-License-Identifier: MIT */
/*
 * MAP_FILE: of memory files, of files that are no memory, of device buffers
 * and their revocation.
 */
#include <stdlib.h>

#include "harness.h"

#include "hwpt/hwpt.h"

#define DEVICE_PAGES 4UL

static long map_file_cmd(struct bed *bed, struct iommu_ioas_map_file *cmd)
{
	return bed_ioctl(bed, IOMMU_IOAS_MAP_FILE, cmd);
}

static void map_file_meets_its_rows_in_order(void **state)
{
	struct bed *bed = *state;
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = 1 << 3,
		.ioas_id = NO_ID,
		.fd = 100000,
		.start = UINT64_MAX,
		.length = UINT64_MAX,
		.iova = 7,
	};
	int fd = memfd_of(4, 0);

	assert_int_equal(map_file_cmd(bed, &cmd), -EOPNOTSUPP);
	cmd.flags = 0;
	assert_int_equal(map_file_cmd(bed, &cmd), -EOVERFLOW);
	cmd.length = 0;
	assert_int_equal(map_file_cmd(bed, &cmd), -EINVAL);
	cmd.flags = FIXED | RW;
	assert_int_equal(map_file_cmd(bed, &cmd), -ENOENT);
	cmd.ioas_id = bed->ioas;
	assert_int_equal(map_file_cmd(bed, &cmd), -EINVAL);
	cmd.length = 2;
	assert_int_equal(map_file_cmd(bed, &cmd), -EOVERFLOW);
	cmd.start = 0;
	cmd.length = UINT64_MAX - PAGE_SIZE + 1;
	assert_int_equal(map_file_cmd(bed, &cmd), -EBADF);
	cmd.fd = -1;
	assert_int_equal(map_file_cmd(bed, &cmd), -EBADF);
	cmd.fd = fd;
	assert_int_equal(map_file_cmd(bed, &cmd), -EINVAL);
	cmd.length--;
	assert_int_equal(map_file_cmd(bed, &cmd), 0);
	assert_sound(bed);
	close(fd);
}

static void a_file_maps_page_by_page_of_its_cache(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = device_attached(bed, bed->ioas);
	int fd = memfd_of(8, 0);
	char *mem = mmap(NULL, 8 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_int_equal(map_file_at(bed, bed->ioas, fd, 2048, 4 * PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA, mem + 2048, 4 * PAGE_SIZE), 0);
	assert_int_equal(check_refs(bed, mem, 5 * PAGE_SIZE, 1), 0);
	assert_int_equal(check_refs(bed, mem + 5 * PAGE_SIZE, PAGE_SIZE, 0), 0);
	/* a file may go away while its pages are in use */
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	assert_int_equal(unmap_all(bed, bed->ioas), 4 * PAGE_SIZE);
	munmap(mem, 8 * PAGE_SIZE);
}

static void the_offset_in_the_page_must_fit_the_alignment(void **state)
{
	struct bed *bed = *state;
	int fd = memfd_of(8, 0);

	device_attached(bed, bed->ioas);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 1024, PAGE_SIZE, BED_IOVA), -EINVAL);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 2048, PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, 1024, BED_IOVA + 0x10000), -EINVAL);
	close(fd);
}

static void only_whole_pages_of_the_file_can_be_pinned(void **state)
{
	struct bed *bed = *state;
	int fd = memfd_of(2, 0);

	device_attached(bed, bed->ioas);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, 3 * PAGE_SIZE, BED_IOVA), -EINVAL);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 2 * PAGE_SIZE, PAGE_SIZE, BED_IOVA),
			 -EINVAL);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 1UL << 63, PAGE_SIZE, BED_IOVA), -EINVAL);
	assert_int_equal(ftruncate(fd, 2 * PAGE_SIZE + 2048), 0);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 2 * PAGE_SIZE, 2048, BED_IOVA), -EINVAL);
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, 2 * PAGE_SIZE, BED_IOVA), 0);
	close(fd);
}

/* What kind of file it is shows only when pages are wanted. */
static void a_file_that_is_no_memory_is_refused_at_the_pin(void **state)
{
	struct bed *bed = *state;
	char path[] = "/var/tmp/ioas_test_XXXXXX";
	int fds[2], file = mkstemp(path), access = (int)access_new(bed, bed->ioas, 0);
	struct device_ids ids = { 0 };
	char byte;

	unlink(path);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(map_file_at(bed, bed->ioas, fds[0], 0, PAGE_SIZE, BED_IOVA), 0);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(access_rw(bed, access, BED_IOVA, &byte, 1, 0), -EINVAL);
	assert_int_equal(device_new(bed, bed->ioas, &ids), -EINVAL);
	assert_int_equal(unmap_all(bed, bed->ioas), PAGE_SIZE);
	ids = device_attached(bed, bed->ioas);
	assert_int_equal(map_file_at(bed, bed->ioas, 0, 0, PAGE_SIZE, BED_IOVA), -EINVAL);
	assert_int_equal(ftruncate(file, 2 * PAGE_SIZE), 0);
	/* unless the temporary directory itself is in memory */
	if (map_file_at(bed, bed->ioas, file, 0, PAGE_SIZE, BED_IOVA))
		assert_int_equal(mem_space_pins(bed->system->mem), 0);
	close(file);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
}

/* Our own descriptors hold no memory, and taking one would hold the context for ever. */
static void our_own_descriptors_are_no_memory(void **state)
{
	struct bed *bed = *state;
	int access = (int)access_new(bed, bed->ioas, 0);

	assert_int_equal(map_file_at(bed, bed->ioas, bed->fd, 0, PAGE_SIZE, BED_IOVA), -EINVAL);
	assert_int_equal(map_file_at(bed, bed->ioas, access, 0, PAGE_SIZE, BED_IOVA), -EINVAL);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
}

static void permissions_and_seals_of_the_file_do_not_matter(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = device_attached(bed, bed->ioas);
	int fd = memfd_of(2, MFD_ALLOW_SEALING), ro;
	char path[64];
	char *mem;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ro = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(ro >= 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(map_file_at(bed, bed->ioas, ro, 0, 2 * PAGE_SIZE, BED_IOVA), 0);
	mem = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, ro, 0);
	assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA, mem, PAGE_SIZE), 0);
	munmap(mem, PAGE_SIZE);
	close(ro);
	close(fd);
}

static void huge_page_files_map_any_part(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = device_attached(bed, bed->ioas);
	int fd = memfd_of(512, MFD_HUGETLB);
	char *mem = fd < 0 ? MAP_FAILED :
			     mmap(NULL, 512 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (mem == MAP_FAILED) {
		if (fd >= 0)
			close(fd);
		skip();
	}
	mem[0] = 1;
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, 512 * PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA, mem, 512 * PAGE_SIZE), 0);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), 512);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 3 * PAGE_SIZE + 2048, 2048,
				     BED_IOVA + (4UL << 20)), 0);
	assert_int_equal(
		check_map(bed, ids.hwpt, BED_IOVA + (4UL << 20), mem + 3 * PAGE_SIZE + 2048, 2048),
		0);
	munmap(mem, 512 * PAGE_SIZE);
	close(fd);
}

/* rw goes to the file's pages, whatever the program has mapped. */
static void access_to_a_file_reads_and_writes_its_pages(void **state)
{
	struct bed *bed = *state;
	int fd = memfd_of(4, 0), access = (int)access_new(bed, bed->ioas, 0);
	char in[PAGE_SIZE + 100], out[PAGE_SIZE + 100];

	memset(in, 0x5a, sizeof(in));
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 100, 3 * PAGE_SIZE, 1000), 0);
	assert_int_equal(access_rw(bed, access, 1050, in, sizeof(in), MOCK_ACCESS_RW_WRITE), 0);
	assert_int_equal(pread(fd, out, sizeof(out), 150), sizeof(out));
	assert_memory_equal(in, out, sizeof(in));
	memset(out, 0, sizeof(out));
	assert_int_equal(access_rw(bed, access, 1050, out, sizeof(out), 0), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
	assert_int_equal(ftruncate(fd, PAGE_SIZE), 0);
	assert_int_equal(access_rw(bed, access, 1000, out, PAGE_SIZE - 100, 0), 0);
	assert_int_equal(access_rw(bed, access, 1000, out, PAGE_SIZE - 99, 0), -EINVAL);
	/* nor is the part before the end written */
	memset(out, 0x77, sizeof(out));
	assert_int_equal(access_rw(bed, access, 1000, out, PAGE_SIZE, MOCK_ACCESS_RW_WRITE),
			 -EINVAL);
	assert_int_equal(pread(fd, out, 1, 150), 1);
	assert_int_equal(out[0], 0x5a);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
	close(fd);
}

/* ---- device buffers ---- */

static void a_device_buffer_is_checked_when_it_is_mapped(void **state)
{
	struct bed *bed = *state;
	int fd = (int)dmabuf_new(bed, DEVICE_PAGES * PAGE_SIZE);
	u64 size = DEVICE_PAGES * PAGE_SIZE;

	assert_true(fd >= 0);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, 0, 0), -EINVAL);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, size, 1, 0), -EINVAL);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 1, size, 0), -EINVAL);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, size, 0), 0);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, size - 1, 1, size), 0);
	/* row 1 is met before row 3 */
	assert_int_equal(dmabuf_take_back(bed, fd, true), 0);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, size, 1, 0), -EINVAL);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, 1, 0), -ENODEV);
	assert_int_equal(iommufd_close(bed->proc, fd), 0);
}

static void accesses_cannot_touch_device_memory(void **state)
{
	struct bed *bed = *state;
	int fd = (int)dmabuf_new(bed, PAGE_SIZE), access = (int)access_new_pinning(bed, bed->ioas);
	char byte = 0;

	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, PAGE_SIZE, 0), 0);
	assert_int_equal(access_pin(bed, access, 0, PAGE_SIZE, NULL, false), -EINVAL);
	assert_int_equal(access_rw(bed, access, 0, &byte, 1, 0), -EINVAL);
	assert_int_equal(access_rw(bed, access, 0, &byte, 1, MOCK_ACCESS_RW_WRITE), -EINVAL);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
	assert_int_equal(iommufd_close(bed->proc, fd), 0);
}

/* A buffer has no address here, so the domain itself is asked. */
static u64 translation(struct bed *bed, u32 hwpt_id, u64 iova)
{
	struct iommufd_hwpt_paging *hwpt;
	struct iommufd_ctx *ctx;
	u64 pa;

	assert_int_equal(iommufd_ctx_from_fd(bed->proc, bed->fd, &ctx), 0);
	assert_int_equal(hwpt_paging_get(ctx, hwpt_id, &hwpt), 0);
	pa = iommu_iova_to_phys(hwpt->common.domain, iova);
	hwpt_put(ctx, &hwpt->common);
	iommufd_ctx_put(ctx);
	return pa;
}

static void a_revoked_buffer_leaves_every_domain_and_never_comes_back(void **state)
{
	struct bed *bed = *state;
	struct device_ids one = device_attached(bed, bed->ioas), other;
	u32 ioas = (u32)ioas_new(bed);
	int fd = (int)dmabuf_new(bed, 2 * PAGE_SIZE);
	u64 pa;

	other = device_attached(bed, ioas);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, 2 * PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(copy_at(bed, ioas, BED_IOVA + PAGE_SIZE, bed->ioas, BED_IOVA + PAGE_SIZE,
				 PAGE_SIZE), 0);
	pa = translation(bed, one.hwpt, BED_IOVA);
	assert_int_not_equal(pa, 0);
	assert_int_equal(translation(bed, other.hwpt, BED_IOVA + PAGE_SIZE), pa + PAGE_SIZE);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), 0); /* never charged */

	assert_int_equal(dmabuf_take_back(bed, fd, true), 0);
	assert_int_equal(translation(bed, one.hwpt, BED_IOVA), 0);
	assert_int_equal(translation(bed, other.hwpt, BED_IOVA + PAGE_SIZE), 0);
	assert_sound(bed);

	/* the areas are still there: they can be copied, and new domains get nothing of them */
	assert_int_equal(map_at(bed, bed->ioas, bed->mem, PAGE_SIZE, BED_IOVA), -EEXIST);
	assert_int_equal(copy_at(bed, ioas, BED_IOVA + 0x10000, bed->ioas, BED_IOVA, 2 * PAGE_SIZE),
			 0);
	assert_int_equal(translation(bed, other.hwpt, BED_IOVA + 0x10000), 0);
	assert_int_equal(dmabuf_take_back(bed, fd, false), 0);
	assert_int_equal(translation(bed, one.hwpt, BED_IOVA), 0);

	/* a new mapping works again, until either direction of the flag ends it */
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, PAGE_SIZE, BED_IOVA + 0x20000), 0);
	assert_int_equal(translation(bed, one.hwpt, BED_IOVA + 0x20000), pa);
	assert_int_equal(dmabuf_take_back(bed, fd, false), 0);
	assert_int_equal(translation(bed, one.hwpt, BED_IOVA + 0x20000), 0);
	assert_int_equal(unmap_all(bed, bed->ioas), 3 * PAGE_SIZE);
	assert_int_equal(unmap_all(bed, ioas), 3 * PAGE_SIZE);
	assert_int_equal(iommufd_close(bed->proc, fd), 0);
}

static void a_buffer_outlives_its_descriptor_and_its_domains(void **state)
{
	struct bed *bed = *state;
	int fd = (int)dmabuf_new(bed, 2 * PAGE_SIZE);
	struct device_ids ids;

	assert_int_equal(map_file_at(bed, bed->ioas, fd, 2048, PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(iommufd_close(bed->proc, fd), 0);
	ids = device_attached(bed, bed->ioas);
	assert_int_not_equal(translation(bed, ids.hwpt, BED_IOVA), 0);
	assert_int_equal(translation(bed, ids.hwpt, BED_IOVA + PAGE_SIZE - 2048),
			 translation(bed, ids.hwpt, BED_IOVA) + 2048);
	assert_int_equal(object_kill(bed, ids.stdev), 0);
	ids = device_attached(bed, bed->ioas);
	assert_int_not_equal(translation(bed, ids.hwpt, BED_IOVA), 0);
	assert_int_equal(unmap_all(bed, bed->ioas), PAGE_SIZE);
	assert_int_equal(translation(bed, ids.hwpt, BED_IOVA), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(map_file_meets_its_rows_in_order),
		bed_test(a_file_maps_page_by_page_of_its_cache),
		bed_test_scattered(a_file_maps_page_by_page_of_its_cache),
		bed_test(the_offset_in_the_page_must_fit_the_alignment),
		bed_test(only_whole_pages_of_the_file_can_be_pinned),
		bed_test(a_file_that_is_no_memory_is_refused_at_the_pin),
		bed_test(our_own_descriptors_are_no_memory),
		bed_test(permissions_and_seals_of_the_file_do_not_matter),
		bed_test(huge_page_files_map_any_part),
		bed_test(access_to_a_file_reads_and_writes_its_pages),
		bed_test(a_device_buffer_is_checked_when_it_is_mapped),
		bed_test(accesses_cannot_touch_device_memory),
		bed_test(a_revoked_buffer_leaves_every_domain_and_never_comes_back),
		bed_test(a_buffer_outlives_its_descriptor_and_its_domains),
	};

	return cmocka_run_group_tests_name("ioas_map_file", tests, NULL, NULL);
}
