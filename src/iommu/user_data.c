/* SPDX-License-Identifier: MIT */
/*
 * Driver-defined structs in the caller's memory.  The rule for a single blob is
 * stricter than the one for commands: between the first published version and
 * the one we know, never longer, so a driver learns of every byte it is given.
 */
#include <string.h>

#include <iommufd/driver.h>

#include "mem/task.h"

int __iommu_copy_struct_from_user(void *dst, const struct iommu_user_data *src, unsigned int type,
				  size_t size, size_t min_len)
{
	if (!src || src->type != type)
		return -EINVAL;
	if (src->len < min_len || src->len > size)
		return -EINVAL;
	memset((char *)dst + src->len, 0, size - src->len);
	return copy_from_user(dst, src->uptr, src->len);
}

int __iommu_copy_struct_from_user_array(void *dst, const struct iommu_user_data_array *src,
					unsigned int type, unsigned int index, size_t size,
					size_t min_len)
{
	struct iommu_user_data one;
	u64 offset;

	if (!src || index >= src->entry_num)
		return -EINVAL;
	if (__builtin_mul_overflow((u64)src->entry_len, (u64)index, &offset))
		return -EINVAL;
	one.type = src->type;
	one.len = src->entry_len;
	if (__builtin_add_overflow(src->uptr, offset, &one.uptr))
		return -EFAULT;
	return __iommu_copy_struct_from_user(dst, &one, type, size, min_len);
}

int __iommu_copy_struct_to_user(const struct iommu_user_data *dst, const void *src,
				unsigned int type, size_t size, size_t min_len)
{
	if (!dst || dst->type != type)
		return -EINVAL;
	if (dst->len < min_len || dst->len > size)
		return -EINVAL;
	return copy_to_user(dst->uptr, src, dst->len);
}

int iommu_copy_struct_from_full_user_array(void *kdst, size_t kdst_size,
					   const struct iommu_user_data_array *array,
					   unsigned int type)
{
	u64 uptr = array->uptr;
	char *to = kdst;
	u32 i;
	int rc;

	if (array->type != type || !array->entry_num)
		return -EINVAL;
	if (array->entry_len == kdst_size)
		return copy_from_user(kdst, uptr, kdst_size * array->entry_num);
	for (i = 0; i < array->entry_num; i++) {
		rc = copy_struct_from_user(to, kdst_size, uptr, array->entry_len);
		if (rc)
			return rc;
		to += kdst_size;
		uptr += array->entry_len;
	}
	return 0;
}
