/* SPDX-License-Identifier: MIT */
/*
 * A test bed for address spaces: a machine with the mock IOMMU, this process
 * as its program, one open /dev/iommu with one ioas, and a few pages of memory.
 * The helpers are the commands as function calls that return what the command
 * returned; the end of the bed asserts that nothing is left behind.
 */
#ifndef TEST_IOAS_HARNESS_H
#define TEST_IOAS_HARNESS_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <iommufd/access.h>
#include <iommufd/ctx.h>
#include <iommufd/mock.h>
#include <iommufd/uapi/iommufd.h>
#include <iommufd/uapi/iommufd_test.h>
#include <iommufd/uapi/vfio.h>

#include "core/self.h"

#include "../mem/keep_signals.h"

#define BED_PAGES 64UL
#define BED_LENGTH (BED_PAGES * PAGE_SIZE)
/* Legal with and without a default mock domain. */
#define BED_IOVA ((u64)MOCK_APERTURE_START)
#define NO_ID 0x7ffffff0U
#define BAD_PTR ((void *)8)
#define NOWHERE ((void *)PAGE_SIZE) /* nothing is ever mapped this low */

#define FIXED IOMMU_IOAS_MAP_FIXED_IOVA
#define RW (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)
#define RO IOMMU_IOAS_MAP_READABLE
#define WO IOMMU_IOAS_MAP_WRITEABLE

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	defined(IOMMUFD_DEBUG) || !defined(__OPTIMIZE__)
#define BED_SLOW 1
#else
#define BED_SLOW 0
#endif

struct bed {
	struct iommufd_system *system;
	struct iommufd_process *proc;
	int fd;
	u32 ioas;
	char *mem; /* BED_LENGTH bytes, private, 2 MiB aligned */
};

static inline u64 random_next(u64 *state)
{
	u64 x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline u64 random_below(u64 *state, u64 bound)
{
	return random_next(state) % bound;
}

/* ---- commands ---- */

static inline long bed_ioctl(struct bed *bed, unsigned int cmd, void *arg)
{
	return iommufd_ioctl(bed->proc, bed->fd, cmd, arg);
}

/* The new id, or -errno. */
static inline long ioas_new(struct bed *bed)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	long rc = bed_ioctl(bed, IOMMU_IOAS_ALLOC, &cmd);

	return rc ? rc : (long)cmd.out_ioas_id;
}

static inline long object_kill(struct bed *bed, u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return bed_ioctl(bed, IOMMU_DESTROY, &cmd);
}

static inline long map_flags(struct bed *bed, u32 ioas, const void *va, u64 length, u64 *iova,
			     u32 flags)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = *iova,
	};
	long rc = bed_ioctl(bed, IOMMU_IOAS_MAP, &cmd);

	if (!rc)
		*iova = cmd.iova;
	return rc;
}

static inline long map_at(struct bed *bed, u32 ioas, const void *va, u64 length, u64 iova)
{
	return map_flags(bed, ioas, va, length, &iova, FIXED | RW);
}

static inline long map_file_flags(struct bed *bed, u32 ioas, int fd, u64 start, u64 length,
				  u64 *iova, u32 flags)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.fd = fd,
		.start = start,
		.length = length,
		.iova = *iova,
	};
	long rc = bed_ioctl(bed, IOMMU_IOAS_MAP_FILE, &cmd);

	if (!rc)
		*iova = cmd.iova;
	return rc;
}

static inline long map_file_at(struct bed *bed, u32 ioas, int fd, u64 start, u64 length, u64 iova)
{
	return map_file_flags(bed, ioas, fd, start, length, &iova, FIXED | RW);
}

static inline long copy_flags(struct bed *bed, u32 dst, u64 *dst_iova, u32 src, u64 src_iova,
			      u64 length, u32 flags)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dst_ioas_id = dst,
		.src_ioas_id = src,
		.length = length,
		.dst_iova = *dst_iova,
		.src_iova = src_iova,
	};
	long rc = bed_ioctl(bed, IOMMU_IOAS_COPY, &cmd);

	if (!rc)
		*dst_iova = cmd.dst_iova;
	return rc;
}

static inline long copy_at(struct bed *bed, u32 dst, u64 dst_iova, u32 src, u64 src_iova,
			   u64 length)
{
	return copy_flags(bed, dst, &dst_iova, src, src_iova, length, FIXED | RW);
}

/* Bytes unmapped, or -errno. */
static inline s64 unmap(struct bed *bed, u32 ioas, u64 iova, u64 length)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .iova = iova, .length = length
	};
	long rc = bed_ioctl(bed, IOMMU_IOAS_UNMAP, &cmd);

	return rc ? rc : (s64)cmd.length;
}

static inline s64 unmap_all(struct bed *bed, u32 ioas)
{
	return unmap(bed, ioas, 0, UINT64_MAX);
}

static inline long option_huge_set(struct bed *bed, u32 ioas, u64 value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_SET,
		.object_id = ioas,
		.val64 = value,
	};

	return bed_ioctl(bed, IOMMU_OPTION, &cmd);
}

static inline long allow_iovas(struct bed *bed, u32 ioas, const struct iommu_iova_range *ranges,
			       u32 n)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = n,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return bed_ioctl(bed, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

/* The alignment IOVA_RANGES reports. */
static inline u64 ioas_alignment(struct bed *bed, u32 ioas)
{
	struct iommu_ioas_iova_ranges cmd = { .size = sizeof(cmd), .ioas_id = ioas };
	long rc = bed_ioctl(bed, IOMMU_IOAS_IOVA_RANGES, &cmd);

	assert_true(!rc || rc == -EMSGSIZE);
	return cmd.out_iova_alignment;
}

static inline long compat_set(struct bed *bed, u32 ioas)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .op = IOMMU_VFIO_IOAS_SET
	};

	return bed_ioctl(bed, IOMMU_VFIO_IOAS, &cmd);
}

/* ---- operations of the test command ---- */

static inline long test_cmd(struct bed *bed, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	return bed_ioctl(bed, IOMMU_TEST_CMD, cmd);
}

static inline long add_reserved(struct bed *bed, u32 ioas, u64 start, u64 length)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ADD_RESERVED, .id = ioas, .add_reserved = { start, length }
	};

	return test_cmd(bed, &cmd);
}

/** struct device_ids - what making a mock device gave */
struct device_ids {
	u32 stdev;
	u32 hwpt;
	u32 idev;
};

static inline long device_new(struct bed *bed, u32 pt, struct device_ids *ids)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_MOCK_DOMAIN, .id = pt };
	long rc = test_cmd(bed, &cmd);

	if (!rc)
		*ids = (struct device_ids){ cmd.mock_domain.out_stdev_id,
					    cmd.mock_domain.out_hwpt_id,
					    cmd.mock_domain.out_idev_id };
	return rc;
}

static inline struct device_ids device_attached(struct bed *bed, u32 pt)
{
	struct device_ids ids = { 0 };

	assert_int_equal(device_new(bed, pt, &ids), 0);
	return ids;
}

/* A hwpt of its own for a device; the new id, or -errno. */
static inline long hwpt_new(struct bed *bed, u32 idev, u32 pt, u32 flags, u32 pagetable_type)
{
	struct iommu_hwpt_selftest data = { .pagetable_type = pagetable_type };
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = idev,
		.pt_id = pt,
		.data_type = pagetable_type ? IOMMU_HWPT_DATA_SELFTEST : IOMMU_HWPT_DATA_NONE,
		.data_len = pagetable_type ? sizeof(data) : 0,
		.data_uptr = pagetable_type ? (uintptr_t)&data : 0,
	};
	long rc = bed_ioctl(bed, IOMMU_HWPT_ALLOC, &cmd);

	return rc ? rc : (long)cmd.out_hwpt_id;
}

static inline long check_map(struct bed *bed, u32 hwpt, u64 iova, const void *va, u64 length)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MD_CHECK_MAP,
		.id = hwpt,
		.check_map = { iova, length, (uintptr_t)va },
	};

	return test_cmd(bed, &cmd);
}

static inline long check_refs(struct bed *bed, const void *va, u64 length, u32 refs)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_MD_CHECK_REFS,
		.check_refs = { length, (uintptr_t)va, refs },
	};

	return test_cmd(bed, &cmd);
}

/* The descriptor, or -errno. */
static inline long access_new(struct bed *bed, u32 ioas, u32 flags)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_CREATE_ACCESS, .id = ioas, .create_access.flags = flags
	};
	long rc = test_cmd(bed, &cmd);

	return rc ? rc : (long)cmd.create_access.out_access_fd;
}

static inline long access_new_pinning(struct bed *bed, u32 ioas)
{
	return access_new(bed, ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
}

/* Number of the pin, or -errno. @va may be NULL: then the pages are not compared. */
static inline long access_pin(struct bed *bed, int access_fd, u64 iova, u64 length, const void *va,
			      bool write)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ACCESS_PAGES,
		.id = (u32)access_fd,
		.access_pages = { .flags = write ? MOCK_FLAGS_ACCESS_WRITE : 0,
				  .iova = iova,
				  .length = length,
				  .uptr = (uintptr_t)va },
	};
	long rc = test_cmd(bed, &cmd);

	return rc ? rc : (long)cmd.access_pages.out_access_pages_id;
}

static inline long access_unpin(struct bed *bed, int access_fd, u32 pin)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DESTROY_ACCESS_PAGES,
		.id = (u32)access_fd,
		.destroy_access_pages.access_pages_id = pin,
	};

	return test_cmd(bed, &cmd);
}

static inline long access_rw(struct bed *bed, int access_fd, u64 iova, void *data, u64 length,
			     u32 flags)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ACCESS_RW,
		.id = (u32)access_fd,
		.access_rw = { iova, length, (uintptr_t)data, flags },
	};

	return test_cmd(bed, &cmd);
}

static inline long access_move(struct bed *bed, int access_fd, u32 ioas)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_ACCESS_REPLACE_IOAS,
		.id = (u32)access_fd,
		.access_replace_ioas.ioas_id = ioas,
	};

	return test_cmd(bed, &cmd);
}

/* The descriptor, or -errno. */
static inline long dmabuf_new(struct bed *bed, u32 length)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DMABUF_GET,
		.dmabuf_get = { length, O_RDWR | O_CLOEXEC },
	};

	return test_cmd(bed, &cmd);
}

static inline long dmabuf_take_back(struct bed *bed, int fd, bool revoked)
{
	struct iommu_test_cmd cmd = {
		.op = IOMMU_TEST_OP_DMABUF_REVOKE, .dmabuf_revoke = { fd, revoked }
	};

	return test_cmd(bed, &cmd);
}

/* ---- the bed ---- */

static inline int memfd_of(u64 pages, unsigned int flags)
{
	int fd = memfd_create("test", MFD_CLOEXEC | flags);

	if (fd >= 0 && ftruncate(fd, (off_t)(pages * PAGE_SIZE))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static inline void assert_sound(struct bed *bed)
{
	struct iommufd_ctx *ctx;
	char line[256] = "";
	int rc;

	assert_int_equal(iommufd_ctx_from_fd(bed->proc, bed->fd, &ctx), 0);
	rc = iommufd_ctx_check(ctx, line, sizeof(line));
	iommufd_ctx_put(ctx);
	if (rc)
		fail_msg("context unsound: %s", line);
}

static inline void bed_open(struct bed *bed)
{
	const char *path = "/dev/iommu";

	bed->fd = iommufd_open(bed->proc, path, O_RDWR | O_CLOEXEC);
	assert_true(bed->fd >= 0);
	bed->ioas = (u32)ioas_new(bed);
	assert_int_equal(bed->ioas, 1);
}

/* Close, and nothing may be pinned any more: a release is complete when close() returns. */
static inline void bed_close(struct bed *bed)
{
	const char *wrong;

	assert_int_equal(iommufd_close(bed->proc, bed->fd), 0);
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
	wrong = mem_space_check(bed->system->mem);
	if (wrong)
		fail_msg("%s", wrong);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), 0);
	assert_int_equal(mm_locked_pages(bed->proc->mm), 0);
	assert_int_equal(mem_user_locked_pages(bed->proc->user), 0);
}

static inline char *bed_memory(u64 length)
{
	char *room = mmap(NULL, length + (2UL << 20), PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *mem;

	assert_ptr_not_equal(room, MAP_FAILED);
	mem = (char *)ALIGN_UP((uintptr_t)room, 2UL << 20);
	assert_int_equal(mprotect(mem, length, PROT_READ | PROT_WRITE), 0);
	munmap(room, (size_t)(mem - room));
	munmap(mem + length, (size_t)(room + (2UL << 20) - mem));
	return mem;
}

static inline int bed_setup_opts(void **state, const struct iommufd_system_opts *opts)
{
	struct bed *bed = test_calloc(1, sizeof(*bed));

	assert_int_equal(iommufd_system_create(opts, &bed->system), 0);
	assert_int_equal(iommufd_mock_init(bed->system), 0);
	assert_int_equal(iommufd_process_create(bed->system, &bed->proc), 0);
	bed->mem = bed_memory(BED_LENGTH);
	bed_open(bed);
	*state = bed;
	return 0;
}

static inline int bed_setup(void **state)
{
	const struct iommufd_system_opts opts = { .size = sizeof(opts), .selftest = true };

	return bed_setup_opts(state, &opts);
}

static inline int bed_setup_trusted(void **state)
{
	const struct iommufd_system_opts opts = { .size = sizeof(opts),
						  .selftest = true,
						  .trusted_memory = true };

	return bed_setup_opts(state, &opts);
}

static inline int bed_setup_scattered(void **state)
{
	const struct iommufd_system_opts opts = { .size = sizeof(opts),
						  .selftest = true,
						  .frames = IOMMUFD_FRAMES_RANDOM };

	return bed_setup_opts(state, &opts);
}

static inline int bed_teardown(void **state)
{
	struct bed *bed = *state;

	assert_sound(bed);
	bed_close(bed);
	munmap(bed->mem, BED_LENGTH);
	iommufd_process_destroy(bed->proc);
	iommufd_system_destroy(bed->system);
	test_free(bed);
	return 0;
}

#define bed_test(fn) cmocka_unit_test_setup_teardown(fn, bed_setup, bed_teardown)
#define bed_test_scattered(fn) \
	cmocka_unit_test_setup_teardown(fn, bed_setup_scattered, bed_teardown)
#define bed_test_trusted(fn) cmocka_unit_test_setup_teardown(fn, bed_setup_trusted, bed_teardown)

#endif
