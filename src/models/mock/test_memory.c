/* SPDX-License-Identifier: MIT */
/*
 * Test operations on memory: what a domain translates, how often pages are
 * pinned, which entries are dirty.
 */
#include <limits.h>

#include "base/alloc.h"
#include "core/ucmd.h"
#include "hwpt/hwpt.h"
#include "models/mock/mock.h"

#define TEMP_MEMORY_LIMIT_MIN 12 /* one item of a batch: a frame number and a count */

int mock_op_add_reserved(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	struct iommufd_ioas *ioas;
	u64 last;
	int rc;

	rc = range_last(cmd->add_reserved.start, cmd->add_reserved.length, &last);
	if (rc)
		return rc;
	rc = ioas_get(ucmd->ctx, cmd->id, &ioas);
	if (rc)
		return rc;
	rc = iopt_reserve_iova(&ioas->iopt, cmd->add_reserved.start, last, NULL);
	ioas_put(ucmd->ctx, ioas);
	return rc;
}

int mock_op_memory_limit(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	if (cmd->memory_limit.limit < TEMP_MEMORY_LIMIT_MIN)
		return -EINVAL;
	atomic_store(&ucmd->ctx->system->temp_memory_limit, cmd->memory_limit.limit);
	return 0;
}

/* A paging hwpt whose domain is ours; hwpt_put() it. */
static int mock_hwpt_get(struct iommufd_ctx *ctx, u32 id, struct iommufd_hwpt_paging **ret_hwpt)
{
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	rc = hwpt_paging_get(ctx, id, &hwpt);
	if (rc)
		return rc;
	if (hwpt->common.domain->ops != &mock_domain_ops) {
		hwpt_put(ctx, &hwpt->common);
		return -EINVAL;
	}
	*ret_hwpt = hwpt;
	return 0;
}

/* ---- MD_CHECK_MAP ---- */

static int check_map_range(struct iommu_domain *domain, u64 iova, u64 length, u64 uptr, u64 granule)
{
	u64 page = 0, pa = MEM_NO_PHYS, pins, i;
	bool huge;
	int rc;

	for (i = 0; i < length; i += granule) {
		u64 va = uptr + i;

		/* A page holds several granules: look at it once. */
		if (!i || ALIGN_DOWN(va, PAGE_SIZE) != page) {
			page = ALIGN_DOWN(va, PAGE_SIZE);
			rc = mem_va_page(task_current->mm, page, &pa, &pins, &huge);
			if (rc)
				return rc;
		}
		if (pa == MEM_NO_PHYS ||
		    iommu_iova_to_phys(domain, iova + i) != pa + (va & ~PAGE_MASK))
			return -EINVAL;
	}
	return 0;
}

int mock_op_check_map(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	u64 iova = cmd->check_map.iova, length = cmd->check_map.length;
	u64 uptr = cmd->check_map.uptr, granule, end;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	rc = mock_hwpt_get(ucmd->ctx, cmd->id, &hwpt);
	if (rc)
		return rc;
	granule = hwpt->common.domain->pgsize_bitmap & -hwpt->common.domain->pgsize_bitmap;
	if ((iova | length | uptr) & (granule - 1) || __builtin_add_overflow(uptr, length, &end))
		rc = -EINVAL;
	else
		rc = check_map_range(hwpt->common.domain, iova, length, uptr, granule);
	hwpt_put(ucmd->ctx, &hwpt->common);
	return rc;
}

/* ---- MD_CHECK_REFS ---- */

int mock_op_check_refs(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	u64 length = cmd->check_refs.length, uptr = cmd->check_refs.uptr, pa, pins, end, i;
	bool huge;
	int rc;

	if ((length | uptr) & ~PAGE_MASK || __builtin_add_overflow(uptr, length, &end))
		return -EINVAL;
	for (i = 0; i < length; i += PAGE_SIZE) {
		rc = mem_va_page(task_current->mm, uptr + i, &pa, &pins, &huge);
		if (rc)
			return rc;
		/* The kernel counts the pins of a huge page as a whole: not asked. */
		if (!huge && pins != cmd->check_refs.refs)
			return -EIO;
	}
	return 0;
}

/* ---- DIRTY ---- */

#define DIRTY_BITS_MAX BIT_ULL(27)

static u64 dirty_mark(struct mock_domain *mock, const unsigned char *bits, u64 nbits, u64 iova,
		      u64 page_size)
{
	u64 count = 0, i;

	for (i = 0; i < nbits; i++) {
		if (!(bits[i / CHAR_BIT] >> (i % CHAR_BIT) & 1))
			continue;
		/* Where nothing is mapped a device could not write: nothing to mark. */
		mock_domain_set_dirty(mock, iova + i * page_size);
		count++;
	}
	return count;
}

static int dirty_from_user(struct mock_domain *mock, struct iommu_test_cmd *cmd)
{
	u64 nbits = cmd->dirty.length / cmd->dirty.page_size;
	u64 nbytes = (nbits + CHAR_BIT - 1) / CHAR_BIT;
	unsigned char *bits;
	int rc;

	if (!atomic_load(&mock->tracking))
		return -EINVAL;
	bits = alloc_uninit(nbytes);
	if (!bits)
		return -ENOMEM;
	rc = copy_from_user(bits, cmd->dirty.uptr, nbytes);
	if (!rc)
		cmd->dirty.out_nr_dirty = dirty_mark(mock, bits, nbits, cmd->dirty.iova,
						     cmd->dirty.page_size);
	free(bits);
	return rc;
}

int mock_op_dirty(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	u64 page_size = cmd->dirty.page_size;
	struct iommufd_hwpt_paging *hwpt;
	int rc;

	if (!page_size || !cmd->dirty.length || !cmd->dirty.uptr ||
	    cmd->dirty.iova % page_size || cmd->dirty.length % page_size)
		return -EINVAL;
	if (cmd->dirty.length / page_size > DIRTY_BITS_MAX)
		return -EOVERFLOW;
	rc = mock_hwpt_get(ucmd->ctx, cmd->id, &hwpt);
	if (rc)
		return rc;
	rc = dirty_from_user(to_mock_domain(hwpt->common.domain), cmd);
	hwpt_put(ucmd->ctx, &hwpt->common);
	return rc ? rc : ucmd_respond(ucmd, sizeof(*cmd));
}
