/* SPDX-License-Identifier: MIT */
#include "dma_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static void rig_log(void *data, enum iommufd_log_level level, const char *line)
{
	struct rig *rig = data;

	if (!rig->lines++)
		rig->last_line[0] = 0;
	snprintf(rig->last_line, sizeof(rig->last_line), "%s", line);
}

void rig_begin(struct rig *rig, enum iommufd_frame_policy frames, bool check)
{
	struct iommufd_system_opts opts = { .size = sizeof(opts), .frames = frames,
					    .log = rig_log, .log_data = rig,
					    .log_level = IOMMUFD_LOG_WARN };

	memset(rig, 0, sizeof(*rig));
	assert_int_equal(iommufd_system_create(&opts, &rig->system), 0);
	if (check)
		assert_int_equal(iommufd_dma_check_enable(rig->system), 0);
	assert_int_equal(iommufd_generic_init(rig->system), 0);
	assert_int_equal(iommufd_generic_device_create(rig->system, "dev0", &rig->dev), 0);
	assert_int_equal(iommufd_process_create(rig->system, &rig->proc), 0);
	rig->fd = iommufd_open(rig->proc, "/dev/iommu", O_RDWR | O_CLOEXEC);
	assert_true(rig->fd >= 0);
	assert_int_equal(iommufd_ctx_from_fd(rig->proc, rig->fd, &rig->ctx), 0);
	rig->idev = iommufd_device_bind(rig->ctx, rig->dev, &rig->dev_id);
	assert_false(IS_ERR(rig->idev));
	rig->ioas = rig_ioas(rig);
}

void rig_end(struct rig *rig)
{
	iommufd_device_detach(rig->idev, IOMMU_NO_PASID);
	iommufd_device_unbind(rig->idev);
	iommufd_ctx_put(rig->ctx);
	iommufd_close(rig->proc, rig->fd);
	iommufd_process_destroy(rig->proc);
	iommufd_generic_device_destroy(rig->dev);
	iommufd_system_destroy(rig->system);
}

int rig_ioctl(struct rig *rig, unsigned int cmd, void *arg)
{
	return (int)iommufd_ioctl(rig->proc, rig->fd, cmd, arg);
}

u32 rig_ioas(struct rig *rig)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	assert_int_equal(rig_ioctl(rig, IOMMU_IOAS_ALLOC, &cmd), 0);
	return cmd.out_ioas_id;
}

u32 rig_hwpt(struct rig *rig, u32 ioas, u32 flags)
{
	struct iommu_hwpt_alloc cmd = { .size = sizeof(cmd), .flags = flags,
					.dev_id = rig->dev_id, .pt_id = ioas };

	assert_int_equal(rig_ioctl(rig, IOMMU_HWPT_ALLOC, &cmd), 0);
	return cmd.out_hwpt_id;
}

void rig_attach(struct rig *rig, ioasid_t pasid)
{
	u32 pt;

	if (!rig->hwpt)
		rig->hwpt = rig_hwpt(rig, rig->ioas,
				     IOMMU_HWPT_ALLOC_DIRTY_TRACKING | IOMMU_HWPT_ALLOC_PASID);
	pt = rig->hwpt;
	assert_int_equal(iommufd_device_attach(rig->idev, pasid, &pt), 0);
}

void rig_map(struct rig *rig, u64 iova, void *va, u64 length, unsigned int prot)
{
	struct iommu_ioas_map cmd = { .size = sizeof(cmd), .flags = IOMMU_IOAS_MAP_FIXED_IOVA,
				      .ioas_id = rig->ioas, .user_va = (uintptr_t)va,
				      .length = length, .iova = iova };

	if (prot & IOMMU_READ)
		cmd.flags |= IOMMU_IOAS_MAP_READABLE;
	if (prot & IOMMU_WRITE)
		cmd.flags |= IOMMU_IOAS_MAP_WRITEABLE;
	assert_int_equal(rig_ioctl(rig, IOMMU_IOAS_MAP, &cmd), 0);
}

int rig_unmap(struct rig *rig, u64 iova, u64 length)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = rig->ioas, .iova = iova,
					.length = length };

	return rig_ioctl(rig, IOMMU_IOAS_UNMAP, &cmd);
}

void rig_track(struct rig *rig, bool on)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd), .hwpt_id = rig->hwpt,
		.flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0
	};

	assert_int_equal(rig_ioctl(rig, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd), 0);
}

void rig_dirty(struct rig *rig, u64 iova, u64 length, u64 *bitmap)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = { .size = sizeof(cmd), .hwpt_id = rig->hwpt,
						   .iova = iova, .length = length,
						   .page_size = PAGE,
						   .data = (uintptr_t)bitmap };

	assert_int_equal(rig_ioctl(rig, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd), 0);
}

void *pages_alloc(u64 length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}
