/* SPDX-License-Identifier: MIT */
/*
 * Registers of devices, driven by group and container: mapped by several descriptors of one
 * device, and mapped into the container, whether memory is behind them (01:00.0) or not (02:00.0).
 */
#include "prog.h"

#include <iommufd/uapi/vfio.h>

#define PAGE 4096
#define MEMORY_DEVICE "0000:01:00.0"
#define TRAP_DEVICE   "0000:02:00.0"

struct rig {
	int container, group, device;
	const char *name;
};

static int group_open(const char *name)
{
	char path[300], link[300];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", name);
	n = readlink(path, link, sizeof(link) - 1);
	CHECK(n > 0);
	link[n] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(link, '/') + 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	return fd;
}

static int device_open(const struct rig *rig)
{
	int fd = ioctl(rig->group, VFIO_GROUP_GET_DEVICE_FD, rig->name);

	CHECK(fd >= 0);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	return fd;
}

static struct rig rig_open(const char *name)
{
	struct rig rig = { .name = name, .group = group_open(name) };

	rig.container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	CHECK(rig.container >= 0);
	CHECK(ioctl(rig.group, VFIO_GROUP_SET_CONTAINER, &rig.container) == 0);
	CHECK(ioctl(rig.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) == 0);
	rig.device = device_open(&rig);
	return rig;
}

/* Mappings, which keep the device open as descriptors do. */
static struct {
	void *ptr;
	size_t length;
} maps[16];
static unsigned int num_maps;

/* Nothing is left behind: the container can be left, which no open device would allow. */
static void rig_close(struct rig *rig)
{
	while (num_maps) {
		num_maps--;
		CHECK(munmap(maps[num_maps].ptr, maps[num_maps].length) == 0);
	}
	close(rig->device);
	CHECK(ioctl(rig->group, VFIO_GROUP_UNSET_CONTAINER) == 0);
	close(rig->group);
	close(rig->container);
}

static volatile uint32_t *bar_map(int device, size_t length)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };
	void *ptr;

	CHECK(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) == 0);
	CHECK(info.size >= length);
	ptr = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, device, (off_t)info.offset);
	if (ptr == MAP_FAILED)
		return NULL;
	CHECK(num_maps < sizeof(maps) / sizeof(maps[0]));
	maps[num_maps].ptr = ptr;
	maps[num_maps++].length = length;
	return ptr;
}

static int dma_map(const struct rig *rig, volatile void *va, uint64_t size, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return ioctl(rig->container, VFIO_IOMMU_MAP_DMA, &map);
}

static void two_descriptors_share_registers(void)
{
	struct rig rig = rig_open(MEMORY_DEVICE);
	volatile uint32_t *first = bar_map(rig.device, PAGE), *second, *third;
	int other = device_open(&rig);

	CHECK(other != rig.device);
	second = bar_map(other, PAGE);
	CHECK(first && second && first[2] && first[2] == second[2]);
	close(rig.device);
	third = bar_map(other, PAGE);
	CHECK(third && third[2] == first[2]);
	rig.device = device_open(&rig);
	close(other);
	third = bar_map(rig.device, PAGE);
	CHECK(third && third[2] == first[2]);
	rig_close(&rig);
}

/* One who opens the device without a descriptor of it is given a file of its own, with no memory. */
static void who_has_no_descriptor_shares_none(void)
{
	struct rig rig = rig_open(MEMORY_DEVICE);
	pid_t pid = fork();

	if (!pid) {
		close(rig.device);
		rig.device = device_open(&rig);
		errno = 0;
		CHECK(!bar_map(rig.device, PAGE) && errno == EBUSY);
		_exit(0);
	}
	CHECK(child_status(pid) == 0);
	CHECK(bar_map(rig.device, PAGE));
	rig_close(&rig);
}

static void registers_are_mapped_into_the_container(const char *name)
{
	struct rig rig = rig_open(name);
	volatile uint32_t *bar = bar_map(rig.device, 2 * PAGE);
	void *hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(bar && hole != MAP_FAILED);
	CHECK(dma_map(&rig, bar, 2 * PAGE, 0x100000) == 0);
	CHECK(dma_map(&rig, (volatile char *)bar + PAGE, PAGE, 0x200000) == 0);
	CHECK_ERRNO(EEXIST, dma_map(&rig, bar, PAGE, 0x101000));
	CHECK_ERRNO(EFAULT, dma_map(&rig, hole, PAGE, 0x300000));
	/* More than is mapped of it. */
	CHECK(munmap((char *)bar + PAGE, PAGE) == 0);
	CHECK(mmap((char *)bar + PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0) != MAP_FAILED);
	CHECK_ERRNO(EFAULT, dma_map(&rig, bar, 2 * PAGE, 0x300000));
	rig_close(&rig);
}

int main(void)
{
	two_descriptors_share_registers();
	who_has_no_descriptor_shares_none();
	registers_are_mapped_into_the_container(MEMORY_DEVICE);
	registers_are_mapped_into_the_container(TRAP_DEVICE);
	return 0;
}
