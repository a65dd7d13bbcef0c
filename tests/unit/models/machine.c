/* SPDX-License-Identifier: MIT */
#include "machine.h"

#include "../mem/keep_signals.h"

#include <fcntl.h>
#include <sys/mman.h>

struct machine m;
static void *mapping;

static void log_line_of(void *data, enum iommufd_log_level level, const char *line)
{
	print_error("%s\n", line);
}

static int begin(bool precise)
{
	const struct iommufd_system_opts opts = { .size = sizeof(opts), .log = log_line_of,
						  .log_level = IOMMUFD_LOG_WARN,
						  .precise_dirty = precise };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };

	if (iommufd_system_create(&opts, &m.system) || iommufd_generic_init(m.system) ||
	    iommufd_process_create(m.system, &m.proc))
		return -1;
	m.fd = iommufd_open(m.proc, "/dev/iommu", O_RDWR);
	if (m.fd < 0 || iommufd_ctx_from_fd(m.proc, m.fd, &m.ctx) ||
	    iommufd_ioctl(m.proc, m.fd, IOMMU_IOAS_ALLOC, &ioas))
		return -1;
	m.ioas = ioas.out_ioas_id;
	if (iommufd_generic_device_create(m.system, "engine0", &m.dev))
		return -1;
	m.idev = iommufd_device_bind(m.ctx, m.dev, &m.dev_id);
	mapping = mmap(NULL, LENGTH + SZ_2M, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	m.memory = (char *)ALIGN_UP((uintptr_t)mapping, SZ_2M);
	return IS_ERR(m.idev) || mapping == MAP_FAILED;
}

int machine_begin(void **state)
{
	return begin(false);
}

int machine_begin_precise(void **state)
{
	return begin(true);
}

int machine_end(void **state)
{
	char why[200] = "";
	int bad;

	iommufd_device_detach(m.idev, IOMMU_NO_PASID);
	iommufd_device_unbind(m.idev);
	iommufd_generic_device_destroy(m.dev);
	bad = iommufd_ctx_check(m.ctx, why, sizeof(why));
	if (bad)
		print_error("%s\n", why);
	iommufd_ctx_put(m.ctx);
	iommufd_process_destroy(m.proc);
	if (mem_space_pins(m.system->mem)) {
		print_error("%llu pins left\n",
			    (unsigned long long)mem_space_pins(m.system->mem));
		bad = 1;
	}
	iommufd_system_destroy(m.system);
	munmap(mapping, LENGTH + SZ_2M);
	return bad;
}

int command(unsigned int cmd, void *arg)
{
	return iommufd_ioctl(m.proc, m.fd, cmd, arg);
}

int map(u64 iova, char *va, u64 length, u32 rights)
{
	struct iommu_ioas_map cmd = { .size = sizeof(cmd), .ioas_id = m.ioas, .iova = iova,
				      .flags = IOMMU_IOAS_MAP_FIXED_IOVA | rights,
				      .user_va = (uintptr_t)va, .length = length };

	return command(IOMMU_IOAS_MAP, &cmd);
}

int unmap(u64 iova, u64 length)
{
	struct iommu_ioas_unmap cmd = { .size = sizeof(cmd), .ioas_id = m.ioas, .iova = iova,
					.length = length };

	return command(IOMMU_IOAS_UNMAP, &cmd);
}

int hwpt_alloc(u32 flags, u32 *ret_id)
{
	struct iommu_hwpt_alloc cmd = { .size = sizeof(cmd), .flags = flags, .dev_id = m.dev_id,
					.pt_id = m.ioas };
	int rc = command(IOMMU_HWPT_ALLOC, &cmd);

	*ret_id = cmd.out_hwpt_id;
	return rc;
}

void attach(u32 pasid, u32 pt)
{
	assert_int_equal(iommufd_device_attach(m.idev, pasid, &pt), 0);
}

int read_bitmap(u32 hwpt, u64 iova, u64 length, u64 page, u64 *bits)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = { .size = sizeof(cmd), .hwpt_id = hwpt,
						   .iova = iova, .length = length,
						   .page_size = page,
						   .data = (uintptr_t)bits };

	return command(IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

int track(u32 hwpt, bool on)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd), .hwpt_id = hwpt,
		.flags = on ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
	};

	return command(IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}
