/* SPDX-License-Identifier: MIT */
/*
 * The commands of VFIO's containers: who may select what, the information byte
 * by byte, and which unmaps cut areas.
 */
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "harness.h"

#include "core/ctx.h"

static long map_dma(struct bed *bed, u32 flags, const void *va, u64 iova, u64 size)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd), .flags = flags, .vaddr = (uintptr_t)va, .iova = iova,
		.size = size,
	};

	return bed_ioctl(bed, VFIO_IOMMU_MAP_DMA, &cmd);
}

/* Bytes unmapped, or -errno; *@ret_size is what was written back. */
static s64 unmap_dma_size(struct bed *bed, u32 flags, u64 iova, u64 size, u64 *ret_size)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd), .flags = flags, .iova = iova, .size = size
	};
	long rc = bed_ioctl(bed, VFIO_IOMMU_UNMAP_DMA, &cmd);

	*ret_size = cmd.size;
	return rc ? rc : (s64)cmd.size;
}

static s64 unmap_dma(struct bed *bed, u64 iova, u64 size)
{
	u64 unmapped;

	return unmap_dma_size(bed, 0, iova, size, &unmapped);
}

#define DMA_RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

static void *number(unsigned long value)
{
	return (void *)value;
}

/* ---- selecting ---- */

static void extensions_are_told_by_number(void **state)
{
	struct bed *bed = *state;
	const unsigned long one[] = { VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_UNMAP_ALL };

	assert_int_equal(bed_ioctl(bed, VFIO_GET_API_VERSION, BAD_PTR), 0);
	for (size_t i = 0; i < ARRAY_SIZE(one); i++)
		assert_int_equal(bed_ioctl(bed, VFIO_CHECK_EXTENSION, number(one[i])), 1);
	for (unsigned long ext = 0; ext < 20; ext++)
		if (ext != 1 && ext != 3 && ext != 9 && ext != VFIO_DMA_CC_IOMMU &&
		    ext != VFIO_NOIOMMU_IOMMU)
			assert_int_equal(bed_ioctl(bed, VFIO_CHECK_EXTENSION, number(ext)), 0);
	assert_int_equal(bed_ioctl(bed, VFIO_CHECK_EXTENSION, number((1UL << 32) + 1)), 0);
	assert_int_equal(bed_ioctl(bed, VFIO_CHECK_EXTENSION, number(VFIO_DMA_CC_IOMMU)), -ENODEV);
	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(bed_ioctl(bed, VFIO_CHECK_EXTENSION, number(VFIO_DMA_CC_IOMMU)), 1);
}

static void unknown_numbers_below_the_base_are_enotty(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(bed_ioctl(bed, _IO(';', 100 + 17), BAD_PTR), -ENOTTY); /* DIRTY_PAGES */
	assert_int_equal(bed_ioctl(bed, _IO(';', 0x7f), BAD_PTR), -ENOTTY);
	assert_int_equal(bed_ioctl(bed, _IO(';', 100) | 1 << 16, BAD_PTR), -ENOTTY);
	assert_int_equal(bed_ioctl(bed, _IO(':', 100), BAD_PTR), -ENOTTY);
}

static void selecting_checks_the_type_then_the_ioas(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(2)), -EINVAL);
	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(VFIO_NOIOMMU_IOMMU)), -EINVAL);
	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(VFIO_TYPE1_IOMMU)), -ENODEV);
	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU)), -ENODEV);
	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU)), 0);
	assert_int_equal(ioas_alignment(bed, bed->ioas), 1);
	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(VFIO_TYPE1_IOMMU)), 0);
	assert_int_equal(ioas_alignment(bed, bed->ioas), PAGE_SIZE);
	/* v2 does not switch large pages on again */
	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU)), 0);
	assert_int_equal(ioas_alignment(bed, bed->ioas), PAGE_SIZE);
}

static void selecting_type1_may_come_too_late(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids;

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(map_dma(bed, DMA_RW, bed->mem, BED_IOVA, 2048), 0);
	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(VFIO_TYPE1_IOMMU)), -EADDRINUSE);
	ids = device_attached(bed, bed->ioas);
	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(VFIO_TYPE1_IOMMU)), -EINVAL);
	assert_int_equal(object_kill(bed, ids.stdev), 0);
}

static void the_mock_promises_no_coherency(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	device_attached(bed, bed->ioas);
	assert_int_equal(bed_ioctl(bed, VFIO_CHECK_EXTENSION, number(VFIO_DMA_CC_IOMMU)), 0);
}

static void raw_io(bool on)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	assert_int_equal(syscall(SYS_capget, &head, data), 0);
	data[0].effective &= ~(1U << CAP_SYS_RAWIO);
	if (on)
		data[0].effective |= data[0].permitted & 1U << CAP_SYS_RAWIO;
	assert_int_equal(syscall(SYS_capset, &head, data), 0);
}

/* Only a VFIO group without an IOMMU brings a context here, and there are none: the test does. */
static void without_an_iommu_only_that_type_is_offered(void **state)
{
	struct bed *bed = *state;
	struct vfio_iommu_type1_info info = { .argsz = 16 };
	struct iommufd_ctx *ctx;

	assert_int_equal(iommufd_ctx_from_fd(bed->proc, bed->fd, &ctx), 0);
	mutex_lock(&ctx->objects_lock);
	ctx->no_iommu_mode = true;
	mutex_unlock(&ctx->objects_lock);
	assert_int_equal(bed_ioctl(bed, VFIO_CHECK_EXTENSION, number(VFIO_TYPE1_IOMMU)), 0);
	assert_int_equal(bed_ioctl(bed, VFIO_CHECK_EXTENSION, number(VFIO_TYPE1v2_IOMMU)), 0);
	assert_int_equal(bed_ioctl(bed, VFIO_CHECK_EXTENSION, number(VFIO_UNMAP_ALL)), 0);
	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(VFIO_TYPE1_IOMMU)), -EINVAL);
	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(VFIO_TYPE1v2_IOMMU)), -EINVAL);
	raw_io(false);
	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(VFIO_NOIOMMU_IOMMU)), -EPERM);
	raw_io(true);
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_GET_INFO, &info), -ENODEV);
	assert_int_equal(compat_set(bed, bed->ioas), 0);
	mutex_lock(&ctx->objects_lock);
	ctx->no_iommu_mode = false;
	mutex_unlock(&ctx->objects_lock);
	iommufd_ctx_put(ctx);
}

/* ---- MAP_DMA ---- */

static void map_dma_meets_its_rows_in_order(void **state)
{
	struct bed *bed = *state;
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = 31, .flags = 4, .vaddr = -1UL, .iova = UINT64_MAX, .size = 2
	};

	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_MAP_DMA, BAD_PTR), -EFAULT);
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_MAP_DMA, &cmd), -EINVAL);
	cmd.argsz = 32;
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_MAP_DMA, &cmd), -EINVAL);
	cmd.flags = DMA_RW;
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_MAP_DMA, &cmd), -ENODEV);
	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_MAP_DMA, &cmd), -EOVERFLOW); /* the address */
	cmd.vaddr = 0;
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_MAP_DMA, &cmd), -EOVERFLOW); /* the iova */
	cmd.size = 0;
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_MAP_DMA, &cmd), -EINVAL);
	cmd.size = 1;
	cmd.argsz = 1000; /* a minimum only, and the tail is not looked at */
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_MAP_DMA, &cmd), 0); /* the last byte of all */
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_MAP_DMA, &cmd), -EEXIST);
	assert_sound(bed);
	assert_int_equal(unmap_dma(bed, UINT64_MAX, 1), 1);
}

static void a_map_without_permissions_wants_no_domain(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids = { 0 };

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(map_dma(bed, 0, bed->mem, BED_IOVA, PAGE_SIZE), 0);
	assert_int_equal(device_new(bed, bed->ioas, &ids), -EINVAL);
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
	assert_int_equal(unmap_dma(bed, BED_IOVA, PAGE_SIZE), PAGE_SIZE);
	ids = device_attached(bed, bed->ioas);
	assert_int_equal(map_dma(bed, 0, bed->mem, BED_IOVA, PAGE_SIZE), -EINVAL);
	assert_int_equal(map_dma(bed, VFIO_DMA_MAP_FLAG_WRITE, bed->mem, BED_IOVA, PAGE_SIZE), 0);
	assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA, bed->mem, PAGE_SIZE), 0);
}

/* ---- UNMAP_DMA ---- */

static void unmap_dma_meets_its_rows_in_order(void **state)
{
	struct bed *bed = *state;
	struct vfio_iommu_type1_dma_unmap cmd = { .argsz = 23, .flags = 1, .iova = 1, .size = 5 };
	u64 size;

	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_UNMAP_DMA, BAD_PTR), -EFAULT);
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_UNMAP_DMA, &cmd), -EINVAL);
	cmd.argsz = 24;
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_UNMAP_DMA, &cmd), -EINVAL);
	cmd.flags = 4;
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_UNMAP_DMA, &cmd), -EINVAL);
	cmd.flags = VFIO_DMA_UNMAP_FLAG_ALL;
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_UNMAP_DMA, &cmd), -ENODEV);
	assert_int_equal(cmd.size, 5);
	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(unmap_dma_size(bed, VFIO_DMA_UNMAP_FLAG_ALL, 1, 0, &size), -EINVAL);
	assert_int_equal(unmap_dma_size(bed, VFIO_DMA_UNMAP_FLAG_ALL, 0, 5, &size), -EINVAL);
	assert_int_equal(size, 5); /* not written back */
	assert_int_equal(unmap_dma_size(bed, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0, &size), 0);
	/* an empty range is no error here, and errors say how far it got */
	assert_int_equal(unmap_dma_size(bed, 0, 0x1000, 0x1000, &size), 0);
	assert_int_equal(size, 0);
	assert_int_equal(unmap_dma_size(bed, 0, 0x1000, 0, &size), -EINVAL);
	assert_int_equal(size, 0);
	assert_int_equal(unmap_dma_size(bed, 0, UINT64_MAX, 7, &size), -EOVERFLOW);
	assert_int_equal(size, 0);
	assert_int_equal(map_dma(bed, DMA_RW, bed->mem, 0x1000, 0x1000), 0);
	assert_int_equal(map_dma(bed, DMA_RW, bed->mem, 0x2000, 0x1000), 0);
	assert_int_equal(unmap_dma_size(bed, 0, 0x1000, 0x1800, &size), -ENOENT);
	assert_int_equal(size, 0x1000);
	assert_int_equal(unmap_dma_size(bed, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0, &size), 0x1000);
}

static void the_answer_that_faults_comes_after_the_work(void **state)
{
	struct bed *bed = *state;
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd), .iova = 0, .size = PAGE_SIZE,
	};

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(map_dma(bed, DMA_RW, bed->mem, 0, PAGE_SIZE), 0);
	memcpy(bed->mem, &cmd, sizeof(cmd));
	assert_int_equal(mprotect(bed->mem, PAGE_SIZE, PROT_READ), 0);
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_UNMAP_DMA, bed->mem), -EFAULT);
	assert_int_equal(mprotect(bed->mem, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(unmap_dma(bed, 0, PAGE_SIZE), 0);
}

static void with_large_pages_on_a_part_cannot_be_unmapped(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(map_dma(bed, DMA_RW, bed->mem, BED_IOVA, 4 * PAGE_SIZE), 0);
	assert_int_equal(unmap_dma(bed, BED_IOVA, PAGE_SIZE), -ENOENT);
	assert_int_equal(unmap_dma(bed, BED_IOVA + PAGE_SIZE, 3 * PAGE_SIZE), -ENOENT);
	assert_int_equal(unmap_dma(bed, BED_IOVA, 4 * PAGE_SIZE), 4 * PAGE_SIZE);
}

static void with_large_pages_off_an_unmap_cuts(void **state)
{
	struct bed *bed = *state;
	struct device_ids ids;

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(bed_ioctl(bed, VFIO_SET_IOMMU, number(VFIO_TYPE1_IOMMU)), 0);
	ids = device_attached(bed, bed->ioas);
	assert_int_equal(map_dma(bed, DMA_RW, bed->mem, BED_IOVA, 8 * PAGE_SIZE), 0);
	assert_int_equal(unmap_dma(bed, BED_IOVA + 2 * PAGE_SIZE, 3 * PAGE_SIZE), 3 * PAGE_SIZE);
	assert_sound(bed);
	assert_int_equal(check_refs(bed, bed->mem, 2 * PAGE_SIZE, 1), 0);
	assert_int_equal(check_refs(bed, bed->mem + 2 * PAGE_SIZE, 3 * PAGE_SIZE, 0), 0);
	assert_int_equal(check_refs(bed, bed->mem + 5 * PAGE_SIZE, 3 * PAGE_SIZE, 1), 0);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), 5);
	assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA + 5 * PAGE_SIZE,
				   bed->mem + 5 * PAGE_SIZE, 3 * PAGE_SIZE),
			 0);
	assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA + 2 * PAGE_SIZE, bed->mem, 2048),
			 -EINVAL);
	/* the halves are ordinary areas; IOMMU_IOAS_UNMAP does not cut them */
	assert_int_equal(unmap(bed, bed->ioas, BED_IOVA, PAGE_SIZE), -ENOENT);
	assert_int_equal(unmap(bed, bed->ioas, BED_IOVA, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
	assert_int_equal(unmap_dma(bed, BED_IOVA + 6 * PAGE_SIZE, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(unmap_dma(bed, BED_IOVA, 8 * PAGE_SIZE), 2 * PAGE_SIZE);
}

/* Pages that several areas hold are cut too, and each area still lets go of its own. */
static void cutting_one_of_two_copies_leaves_the_other_whole(void **state)
{
	struct bed *bed = *state;
	u32 other = (u32)ioas_new(bed);
	struct device_ids ids;

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	device_attached(bed, bed->ioas);
	ids = device_attached(bed, other);
	assert_int_equal(map_dma(bed, DMA_RW, bed->mem, BED_IOVA, 8 * PAGE_SIZE), 0);
	assert_int_equal(copy_at(bed, other, BED_IOVA, bed->ioas, BED_IOVA, 8 * PAGE_SIZE), 0);
	assert_int_equal(unmap_dma(bed, BED_IOVA + 3 * PAGE_SIZE, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(check_refs(bed, bed->mem, 8 * PAGE_SIZE, 1), 0);
	assert_int_equal(unmap_all(bed, other), 8 * PAGE_SIZE);
	assert_int_equal(check_refs(bed, bed->mem + 3 * PAGE_SIZE, PAGE_SIZE, 0), 0);
	assert_int_equal(mm_pinned_pages(bed->proc->mm), 7);
	assert_int_equal(check_map(bed, ids.hwpt, BED_IOVA, bed->mem, 2048), -EINVAL);
	assert_int_equal(unmap_all(bed, bed->ioas), 7 * PAGE_SIZE);
	assert_int_equal(mem_space_pins(bed->system->mem), 0);
}

static void a_cut_meets_its_rows_in_order(void **state)
{
	struct bed *bed = *state;
	int access, fd = (int)dmabuf_new(bed, 2 * PAGE_SIZE);
	long pin;
	u64 size;

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	assert_int_equal(map_file_at(bed, bed->ioas, fd, 0, 2 * PAGE_SIZE, BED_IOVA), 0);
	assert_int_equal(unmap_dma_size(bed, 0, BED_IOVA + 5, PAGE_SIZE, &size), -EOPNOTSUPP);
	assert_int_equal(size, PAGE_SIZE); /* no answer after a failed cut */
	assert_int_equal(unmap_dma(bed, BED_IOVA, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
	assert_int_equal(iommufd_close(bed->proc, fd), 0);

	access = (int)access_new_pinning(bed, bed->ioas);
	assert_int_equal(map_dma(bed, DMA_RW, bed->mem, BED_IOVA, 4 * PAGE_SIZE), 0);
	pin = access_pin(bed, access, BED_IOVA, PAGE_SIZE, NULL, false);
	assert_int_equal(pin, 0);
	assert_int_equal(unmap_dma(bed, BED_IOVA + 5, PAGE_SIZE), -EINVAL);
	assert_int_equal(unmap_dma(bed, BED_IOVA + PAGE_SIZE, PAGE_SIZE), -EINVAL);
	assert_int_equal(access_unpin(bed, access, 0), 0);
	/* one byte after the start there is no cut, and so nothing that lies wholly inside */
	assert_int_equal(unmap_dma(bed, BED_IOVA, 1), -ENOENT);
	assert_int_equal(unmap_dma(bed, BED_IOVA, 2), -EINVAL);
	/* the first cut stays when the second fails */
	assert_int_equal(unmap_dma(bed, BED_IOVA + 100, 2 * PAGE_SIZE - 100), -EINVAL);
	assert_int_equal(unmap(bed, bed->ioas, BED_IOVA + 2 * PAGE_SIZE, 2 * PAGE_SIZE),
			 2 * PAGE_SIZE);
	assert_int_equal(unmap(bed, bed->ioas, BED_IOVA, 2 * PAGE_SIZE), 2 * PAGE_SIZE);
	assert_int_equal(iommufd_close(bed->proc, access), 0);
}

static void cuts_at_the_ends_of_the_space_are_none(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	assert_int_equal(map_dma(bed, DMA_RW, bed->mem, 0, 4 * PAGE_SIZE), 0);
	assert_int_equal(map_dma(bed, DMA_RW, bed->mem, -2 * PAGE_SIZE, 2 * PAGE_SIZE), 0);
	assert_int_equal(unmap_dma(bed, -PAGE_SIZE, PAGE_SIZE), PAGE_SIZE);
	assert_sound(bed);
	assert_int_equal(unmap_dma(bed, 0, PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(unmap_dma(bed, 0, -PAGE_SIZE), 4 * PAGE_SIZE);
}

/* ---- GET_INFO ---- */

/* What the table of the container interface says a caller with @argsz finds in its buffer. */
static void expect_info(unsigned char *out, u32 argsz, u64 pgsizes,
			const struct iommu_iova_range *ranges, u32 n)
{
	u32 total = 56 + 16 * n;
	u32 fixed[6] = { total, 3, (u32)pgsizes, (u32)(pgsizes >> 32), argsz >= total ? 24 : 0, 0 };
	u16 avail_head[2] = { 3, 1 }, cap_head[2] = { 1, 1 };
	u32 next = argsz >= 40 ? 40 : 0, avail = UINT32_MAX, cap[3] = { 0, n, 0 };

	memcpy(out, fixed, argsz < 24 ? argsz : 24);
	if (argsz >= 36) {
		memcpy(out + 24, avail_head, 4);
		memcpy(out + 28, &next, 4);
		memcpy(out + 32, &avail, 4);
	}
	if (argsz >= total) {
		memcpy(out + 40, cap_head, 4);
		memcpy(out + 44, cap, 12);
	}
	for (u32 i = 0; i < n; i++)
		if (argsz >= 56 + 16 * (i + 1))
			memcpy(out + 56 + 16 * i, &ranges[i], 16);
}

/* Each size gets exactly as many bytes of room: what is behind cannot be written. */
static void check_info(struct bed *bed, u64 pgsizes, const struct iommu_iova_range *ranges, u32 n)
{
	unsigned char want[256], *edge = (unsigned char *)bed->mem + PAGE_SIZE;

	assert_int_equal(mprotect(edge, PAGE_SIZE, PROT_NONE), 0);
	for (u32 argsz = 16; argsz < 56 + 16 * n + 40; argsz++) {
		unsigned char *out = edge - argsz;

		memset(want, 0xa5, sizeof(want));
		memset(out, 0xa5, argsz);
		memcpy(out, &argsz, 4);
		expect_info(want, argsz, pgsizes, ranges, n);
		assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_GET_INFO, out), 0);
		/* bytes 36..39 are padding: either value is right */
		if (argsz > 36)
			memcpy(want + 36, out + 36, (argsz < 40 ? argsz : 40) - 36);
		assert_memory_equal(out, want, argsz);
	}
	assert_int_equal(mprotect(edge, PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
}

static void the_information_fits_every_size_of_buffer(void **state)
{
	struct bed *bed = *state;
	const struct iommu_iova_range all[] = { { 0, UINT64_MAX } };
	const struct iommu_iova_range two[] = { { 0, 0xfff }, { 0x3000, UINT64_MAX } };
	const struct iommu_iova_range mock[] = { { MOCK_APERTURE_START, MOCK_APERTURE_LAST } };

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	check_info(bed, PAGE_MASK, all, 1);
	assert_int_equal(add_reserved(bed, bed->ioas, 0x1000, 0x2000), 0);
	check_info(bed, PAGE_MASK, two, 2);
	device_attached(bed, bed->ioas);
	check_info(bed, 0x1ffffff000, mock, 1);
	assert_int_equal(option_huge_set(bed, bed->ioas, 0), 0);
	check_info(bed, 0x1ffffff000, mock, 1);
}

static void information_meets_its_rows_in_order(void **state)
{
	struct bed *bed = *state;
	struct vfio_iommu_type1_info info = { .argsz = 15 };

	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_GET_INFO, BAD_PTR), -EFAULT);
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_GET_INFO, &info), -EINVAL);
	info.argsz = 16;
	assert_int_equal(bed_ioctl(bed, VFIO_IOMMU_GET_INFO, &info), -ENODEV);
}

static void with_nothing_usable_the_range_capability_is_empty(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(compat_set(bed, bed->ioas), 0);
	assert_int_equal(add_reserved(bed, bed->ioas, 0, 1UL << 63), 0);
	assert_int_equal(add_reserved(bed, bed->ioas, 1UL << 63, 1UL << 63), 0);
	check_info(bed, PAGE_MASK, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(extensions_are_told_by_number),
		bed_test(unknown_numbers_below_the_base_are_enotty),
		bed_test(selecting_checks_the_type_then_the_ioas),
		bed_test(selecting_type1_may_come_too_late),
		bed_test(the_mock_promises_no_coherency),
		bed_test(without_an_iommu_only_that_type_is_offered),
		bed_test(map_dma_meets_its_rows_in_order),
		bed_test(a_map_without_permissions_wants_no_domain),
		bed_test(unmap_dma_meets_its_rows_in_order),
		bed_test(the_answer_that_faults_comes_after_the_work),
		bed_test(with_large_pages_on_a_part_cannot_be_unmapped),
		bed_test(with_large_pages_off_an_unmap_cuts),
		bed_test_scattered(with_large_pages_off_an_unmap_cuts),
		bed_test(cutting_one_of_two_copies_leaves_the_other_whole),
		bed_test(a_cut_meets_its_rows_in_order),
		bed_test(cuts_at_the_ends_of_the_space_are_none),
		bed_test(the_information_fits_every_size_of_buffer),
		bed_test(information_meets_its_rows_in_order),
		bed_test(with_nothing_usable_the_range_capability_is_empty),
	};

	return cmocka_run_group_tests_name("ioas_vfio", tests, NULL, NULL);
}
