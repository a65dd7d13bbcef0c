/* SPDX-License-Identifier: MIT */
#include "guest.h"

#include <sys/mman.h>

struct guest guest;

int viommu_alloc(struct iommu_viommu_alloc *cmd)
{
	cmd->size = sizeof(*cmd);
	return rig_ioctl(IOMMU_VIOMMU_ALLOC, cmd);
}

int vdevice_alloc(u32 viommu, u32 idev, u64 virt_id, u32 *ret_vdevice)
{
	struct iommu_vdevice_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu,
					   .dev_id = idev, .virt_id = virt_id };
	int rc = rig_ioctl(IOMMU_VDEVICE_ALLOC, &cmd);

	if (!rc)
		*ret_vdevice = cmd.out_vdevice_id;
	return rc;
}

int veventq_alloc(u32 viommu, u32 type, u32 depth, u32 *ret_veventq, int *ret_fd)
{
	struct iommu_veventq_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu,
					   .type = type, .veventq_depth = depth };
	int rc = rig_ioctl(IOMMU_VEVENTQ_ALLOC, &cmd);

	if (!rc) {
		*ret_veventq = cmd.out_veventq_id;
		*ret_fd = (int)cmd.out_veventq_fd;
	}
	return rc;
}

int hw_queue_alloc(u32 viommu, u32 type, u32 index, u64 iova, u64 length, u32 *ret_queue)
{
	struct iommu_hw_queue_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu,
					    .type = type, .index = index,
					    .nesting_parent_iova = iova, .length = length };
	int rc = rig_ioctl(IOMMU_HW_QUEUE_ALLOC, &cmd);

	if (!rc)
		*ret_queue = cmd.out_hw_queue_id;
	return rc;
}

int nested_alloc(u32 idev, u32 pt, u32 flags, u32 iotlb, u32 *ret_hwpt)
{
	const struct iommu_hwpt_selftest data = { .iotlb = iotlb };
	struct iommu_hwpt_alloc cmd = { .flags = flags, .dev_id = idev, .pt_id = pt,
					.data_type = IOMMU_HWPT_DATA_SELFTEST,
					.data_len = sizeof(data), .data_uptr = (uintptr_t)&data };
	int rc = rig_hwpt_alloc(&cmd);

	if (!rc)
		*ret_hwpt = cmd.out_hwpt_id;
	return rc;
}

int invalidate(u32 hwpt, void *data, u32 type, u32 entry_len, u32 *entry_num)
{
	struct iommu_hwpt_invalidate cmd = { .size = sizeof(cmd), .hwpt_id = hwpt,
					     .data_uptr = (uintptr_t)data, .data_type = type,
					     .entry_len = entry_len, .entry_num = *entry_num };
	int rc = rig_ioctl(IOMMU_HWPT_INVALIDATE, &cmd);

	*entry_num = cmd.entry_num;
	return rc;
}

u32 must_parent(u32 idev, u32 ioas)
{
	u32 hwpt = 0;

	assert_int_equal(rig_hwpt(idev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt), 0);
	return hwpt;
}

u32 must_viommu(u32 idev, u32 parent)
{
	struct iommu_viommu_alloc cmd = { .type = IOMMU_VIOMMU_TYPE_SELFTEST, .dev_id = idev,
					  .hwpt_id = parent };

	assert_int_equal(viommu_alloc(&cmd), 0);
	return cmd.out_viommu_id;
}

u32 must_vdevice(u32 viommu, u32 idev, u64 virt_id)
{
	u32 vdevice = 0;

	assert_int_equal(vdevice_alloc(viommu, idev, virt_id, &vdevice), 0);
	return vdevice;
}

u32 must_nested(u32 idev, u32 pt)
{
	u32 hwpt = 0;

	assert_int_equal(nested_alloc(idev, pt, 0, IOMMU_TEST_IOTLB_DEFAULT, &hwpt), 0);
	return hwpt;
}

int check_iotlb(u32 hwpt, u32 id, u32 word)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_MD_CHECK_IOTLB, .id = hwpt,
				      .check_iotlb = { .id = id, .iotlb = word } };

	return rig_test(&cmd);
}

int check_cache(u32 idev, u32 id, u32 word)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_DEV_CHECK_CACHE, .id = idev,
				      .check_dev_cache = { .id = id, .cache = word } };

	return rig_test(&cmd);
}

int trigger_vevent(u32 idev)
{
	struct iommu_test_cmd cmd = { .op = IOMMU_TEST_OP_TRIGGER_VEVENT,
				      .trigger_vevent.dev_id = idev };

	return rig_test(&cmd);
}

void read_only(void *page, u64 length)
{
	assert_int_equal(mprotect(page, length, PROT_READ), 0);
}

int guest_begin(void **state)
{
	if (rig_begin(state))
		return -1;
	guest.ioas = rig_ioas();
	if (rig_mock_domain(guest.ioas, 0, &guest.dev))
		return -1;
	guest.parent = must_parent(guest.dev.idev, guest.ioas);
	guest.viommu = must_viommu(guest.dev.idev, guest.parent);
	return 0;
}
