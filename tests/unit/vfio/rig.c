/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include "../mem/keep_signals.h"

#include <stdio.h>
#include <iommufd/generic.h>

#include "core/ctx.h"
#include "core/tree.h"
#include "mem/mem.h"
#include "pci/topology.h"

struct rig rig;
enum pci_access rig_access = PCI_ACCESS_POLL;
enum vfio_container_kind rig_kind = VFIO_CONTAINER_NATIVE;
unsigned int rig_toy_flags;

static void rig_log(void *data, enum iommufd_log_level level, const char *line)
{
	print_message("%s\n", line);
}

static int rig_buses(void)
{
	for (u8 bus = 1; bus <= 3; bus++) {
		const struct pci_bridge_desc desc = {
			.addr = PCI_ADDR(0, bus, 0), .secondary = bus, .acs = true};

		if (pci_bridge_add(rig.topology, &desc))
			return -1;
	}
	return 0;
}

int rig_begin(void **state)
{
	const struct iommufd_system_opts opts = {
		.size = sizeof(opts), .log = rig_log, .log_level = IOMMUFD_LOG_WARN};

	if (iommufd_system_create(&opts, &rig.system) || iommufd_generic_init(rig.system) ||
	    pci_topology_create(rig.system, &rig.topology) || rig_buses())
		return -1;
	rig.toys[0] = toy_add(rig.topology, PCI_ADDR(1, 0, 0), rig_access, rig_toy_flags);
	if (vfio_create(rig.system, rig.topology, rig_kind, &rig.vfio))
		return -1;
	/* Some were there before, some come later. */
	rig.toys[1] = toy_add(rig.topology, PCI_ADDR(2, 0, 0), rig_access, rig_toy_flags);
	rig.toys[2] = toy_add(rig.topology, PCI_ADDR(2, 0, 1), rig_access, rig_toy_flags);
	if (iommufd_process_create(rig.system, &rig.proc))
		return -1;
	rig.iommu = iommufd_open(rig.proc, "/dev/iommu", O_RDWR | O_CLOEXEC);
	return rig.iommu < 0;
}

static int remove_one(struct pci_dev *pdev, void *data)
{
	if (pdev->physfn)
		return 0;
	*(struct pci_dev **)data = pdev;
	return 1;
}

int rig_end(void **state)
{
	struct pci_dev *pdev;
	u64 pins;
	int bad;

	iommufd_process_destroy(rig.proc);
	vfio_destroy(rig.vfio);
	for (;;) {
		pdev = NULL;
		pci_for_each(rig.topology, remove_one, &pdev);
		if (!pdev)
			break;
		pci_dev_remove(pdev);
	}
	pci_topology_destroy(rig.topology);
	pins = mem_space_pins(rig.system->mem);
	bad = pins || !cds_list_empty(&rig.system->contexts);
	if (bad)
		print_error("left behind: %llu pins\n", (unsigned long long)pins);
	iommufd_system_destroy(rig.system);
	rig_access = PCI_ACCESS_POLL;
	rig_kind = VFIO_CONTAINER_NATIVE;
	rig_toy_flags = 0;
	return bad;
}

int rig_open(const char *path)
{
	return iommufd_open(rig.proc, path, O_RDWR | O_CLOEXEC);
}

long rig_ioctl(int fd, unsigned int cmd, void *arg)
{
	return iommufd_ioctl(rig.proc, fd, cmd, arg);
}

void rig_close(int fd)
{
	assert_int_equal(iommufd_close(rig.proc, fd), 0);
}

int rig_cdev(unsigned int toy)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", toy);
	fd = rig_open(path);
	assert_true(fd >= 0);
	return fd;
}

int rig_bind(int fd, int iommufd, u32 *ret_id)
{
	struct vfio_device_bind_iommufd bind = {.argsz = sizeof(bind), .iommufd = iommufd};
	int rc = (int)rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	if (!rc && ret_id)
		*ret_id = bind.out_devid;
	return rc;
}

int rig_attach(int fd, u32 pt, u32 *ret_pt)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = sizeof(attach), .pt_id = pt};
	int rc = (int)rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);

	if (!rc && ret_pt)
		*ret_pt = attach.pt_id;
	return rc;
}

int rig_device(unsigned int toy, u32 ioas)
{
	int fd = rig_cdev(toy);

	assert_int_equal(rig_bind(fd, rig.iommu, NULL), 0);
	if (ioas)
		assert_int_equal(rig_attach(fd, ioas, NULL), 0);
	return fd;
}

u32 rig_ioas(void)
{
	struct iommu_ioas_alloc cmd = {.size = sizeof(cmd)};

	assert_int_equal(rig_ioctl(rig.iommu, IOMMU_IOAS_ALLOC, &cmd), 0);
	return cmd.out_ioas_id;
}

int rig_map(u32 ioas, void *va, u64 length, u64 iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};

	return (int)rig_ioctl(rig.iommu, IOMMU_IOAS_MAP, &cmd);
}

s64 rig_read(int fd, u64 offset, unsigned int size)
{
	u64 value = 0;
	ssize_t n = iommufd_pread(rig.proc, fd, &value, size, PCI_REGION_OFFSET(0) + offset);

	return n < 0 ? n : (s64)value;
}

ssize_t rig_write(int fd, u64 offset, u64 value, unsigned int size)
{
	return iommufd_pwrite(rig.proc, fd, &value, size, PCI_REGION_OFFSET(0) + offset);
}

u32 rig_config_read(int fd, u32 offset, unsigned int size)
{
	u32 value = 0;

	assert_int_equal(iommufd_pread(rig.proc, fd, &value, size,
				       PCI_REGION_OFFSET(VFIO_PCI_CONFIG_REGION_INDEX) + offset),
			 size);
	return value;
}

void rig_config_write(int fd, u32 offset, u32 value, unsigned int size)
{
	assert_int_equal(iommufd_pwrite(rig.proc, fd, &value, size,
					PCI_REGION_OFFSET(VFIO_PCI_CONFIG_REGION_INDEX) + offset),
			 size);
}

long rig_irqs(int fd, u32 flags, u32 index, u32 start, u32 count, const void *data)
{
	struct {
		struct vfio_irq_set set;
		u8 data[4096];
	} cmd = {.set = {.flags = flags, .index = index, .start = start, .count = count}};
	size_t len = flags & VFIO_IRQ_SET_DATA_EVENTFD ? count * sizeof(s32)
		     : flags & VFIO_IRQ_SET_DATA_BOOL  ? count
						       : 0;

	assert_true(len <= sizeof(cmd.data));
	if (data)
		memcpy(cmd.set.data, data, len);
	cmd.set.argsz = (u32)(offsetof(struct vfio_irq_set, data) + len);
	return rig_ioctl(fd, VFIO_DEVICE_SET_IRQS, &cmd);
}

int rig_eventfd(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_true(fd >= 0);
	return fd;
}

u64 rig_count(int fd)
{
	eventfd_t count = 0;

	return eventfd_read(fd, &count) ? 0 : count;
}
