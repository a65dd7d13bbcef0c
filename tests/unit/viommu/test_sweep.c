/* SPDX-License-Identifier: MIT */
/* Every step of the vIOMMU family fails once, and nothing is left of any of it. */
#include <sys/mman.h>

#include "guest.h"

static int viommu_with_page(u32 idev, u32 parent, u32 *ret_viommu, u64 *ret_offset)
{
	struct iommu_viommu_selftest data = { .in_data = 1 };
	struct iommu_viommu_alloc cmd = { .type = IOMMU_VIOMMU_TYPE_SELFTEST, .dev_id = idev,
					  .hwpt_id = parent, .data_len = sizeof(data),
					  .data_uptr = (uintptr_t)&data };
	int rc = viommu_alloc(&cmd);

	*ret_viommu = cmd.out_viommu_id;
	*ret_offset = data.out_mmap_offset;
	return rc;
}

static int invalidate_all(u32 viommu, u32 nested)
{
	struct iommu_viommu_invalidate_selftest dev = { .vdev_id = 7 };
	struct iommu_hwpt_invalidate_selftest entry = { 0 };
	u32 n = 1;
	int rc;

	rc = invalidate(viommu, &dev, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST, sizeof(dev), &n);
	if (rc)
		return rc;
	n = 1;
	return invalidate(nested, &entry, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, sizeof(entry), &n);
}

static int one_event(u32 idev, int fd)
{
	char buf[12];
	int rc = trigger_vevent(idev);
	ssize_t got;

	if (rc)
		return rc;
	got = iommufd_read(rig.proc, fd, buf, sizeof(buf));
	return got < 0 ? (int)got : got != sizeof(buf);
}

static int map_and_destroy(u32 viommu, u64 offset)
{
	void *ptr;
	int rc;

	rc = iommufd_mmap(rig.proc, NULL, 2 * PG, PROT_READ, MAP_SHARED, rig.fd, offset, &ptr);
	if (rc)
		return rc;
	rc = rig_destroy(viommu);
	assert_int_not_equal(rc, 0);
	return iommufd_munmap(rig.proc, ptr, 2 * PG) ?: rc == -EBUSY ? 0 : rc;
}

static int nested_with_faults(u32 idev, u32 viommu, u32 *ret_hwpt)
{
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	const struct iommu_hwpt_selftest data = { .iotlb = 5 };
	struct iommu_hwpt_alloc cmd = { .flags = IOMMU_HWPT_FAULT_ID_VALID |
						 IOMMU_HWPT_ALLOC_PASID,
					.dev_id = idev, .pt_id = viommu,
					.data_type = IOMMU_HWPT_DATA_SELFTEST,
					.data_len = sizeof(data), .data_uptr = (uintptr_t)&data };
	int rc = rig_ioctl(IOMMU_FAULT_QUEUE_ALLOC, &fault);

	cmd.fault_id = fault.out_fault_id;
	rc = rc ?: rig_hwpt_alloc(&cmd);
	*ret_hwpt = cmd.out_hwpt_id;
	return rc;
}

/* From a device to a guest that uses everything, and half way back. */
static int sequence(void)
{
	u32 ioas, parent, viommu, vdevice, nested, veventq, queue[2], pt;
	struct mock_ids ids;
	u64 offset;
	int fd, rc;

	ioas = rig_ioas();
	if (!ioas)
		return -ENOMEM;
	rc = rig_mock_domain(ioas, MOCK_FLAGS_DEVICE_PASID, &ids);
	rc = rc ?: rig_map(ioas, rig_memory(PG), PG, BASE);
	rc = rc ?: rig_hwpt(ids.idev, ioas, IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID,
			    &parent);
	rc = rc ?: viommu_with_page(ids.idev, parent, &viommu, &offset);
	rc = rc ?: vdevice_alloc(viommu, ids.idev, 7, &vdevice);
	rc = rc ?: hw_queue_alloc(viommu, IOMMU_HW_QUEUE_TYPE_SELFTEST, 0, BASE, PG, &queue[0]);
	rc = rc ?: hw_queue_alloc(viommu, IOMMU_HW_QUEUE_TYPE_SELFTEST, 1, BASE, PG, &queue[1]);
	rc = rc ?: nested_with_faults(ids.idev, viommu, &nested);
	rc = rc ?: veventq_alloc(viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 2, &veventq, &fd);
	pt = nested;
	rc = rc ?: rig_replace(ids.stdev, &pt);
	pt = nested;
	rc = rc ?: rig_pasid_attach(ids.stdev, 200, &pt);
	rc = rc ?: rig_pasid_detach(ids.stdev, 200);
	rc = rc ?: one_event(ids.idev, fd);
	rc = rc ?: invalidate_all(viommu, nested);
	rc = rc ?: map_and_destroy(viommu, offset);
	pt = parent;
	rc = rc ?: rig_replace(ids.stdev, &pt);
	rc = rc ?: nested_alloc(ids.idev, parent, 0, 5, &nested);
	rc = rc ?: rig_destroy(nested);
	rc = rc ?: rig_destroy(queue[1]);
	rc = rc ?: rig_destroy(ids.stdev);
	return rc;
}

static void every_step_can_fail_and_nothing_is_left(void **state)
{
	rig_sweep(sequence);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_step_can_fail_and_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
