/* SPDX-License-Identifier: MIT */
/*
 * Registers of devices, driven by group and container: mapped by several descriptors of one
 * device, and mapped into the container, whether memory is behind them (01:00.0), or not
 * (02:00.0), or behind some of them (03:00.0).
 */
#include "prog.h"

#include <linux/pci_regs.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <iommufd/uapi/vfio.h>

#define PAGE 4096
#define MEMORY_DEVICE "0000:01:00.0"
#define TRAP_DEVICE   "0000:02:00.0"
#define SPLIT_DEVICE  "0000:03:00.0"

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

/*
 * One who opens the device without a descriptor of it is given a file of its own, with no memory.
 */
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

/* ---- without memory decode ---- */

static uint64_t config_offset(int device)
{
	struct vfio_region_info info = { .argsz = sizeof(info),
					 .index = VFIO_PCI_CONFIG_REGION_INDEX };

	CHECK(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) == 0);
	return info.offset;
}

static uint32_t config_read(int device, unsigned int at, unsigned int size)
{
	uint32_t value = 0;

	CHECK(pread(device, &value, size, (off_t)(config_offset(device) + at)) == size);
	return value;
}

static void config_write(int device, unsigned int at, uint32_t value, unsigned int size)
{
	CHECK(pwrite(device, &value, size, (off_t)(config_offset(device) + at)) == size);
}

static void decode_set(int device, bool on)
{
	config_write(device, PCI_COMMAND, on ? PCI_COMMAND_MEMORY : 0, 2);
}

static unsigned int power_of(int device)
{
	unsigned int at = config_read(device, PCI_CAPABILITY_LIST, 1);

	while (at && config_read(device, at, 1) != PCI_CAP_ID_PM)
		at = config_read(device, at + 1, 1);
	return at ? at + PCI_PM_CTRL : 0;
}

static __thread sigjmp_buf back;

static void on_bus_error(int sig)
{
	siglongjmp(back, 1);
}

/* As a program touches registers; false: it got the signal. */
static bool touch(volatile uint32_t *reg, uint32_t *ret)
{
	if (sigsetjmp(back, 1))
		return false;
	*ret = *reg;
	return true;
}

static bool store(volatile uint32_t *reg, uint32_t value)
{
	if (sigsetjmp(back, 1))
		return false;
	*reg = value;
	return true;
}

/* A version of the NVMe, of the DSA: it is there after a reset, too. */
static uint32_t version_at(const struct rig *rig)
{
	return strcmp(rig->name, MEMORY_DEVICE) ? 0 : 2;
}

static int child_touch(volatile uint32_t *reg)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		_exit(*reg ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

static void touches_are_bus_errors_while_off(const struct rig *rig, volatile uint32_t *bar)
{
	uint32_t value, at = version_at(rig);
	struct vfio_region_info info = { .argsz = sizeof(info) };
	volatile uint32_t *late;

	CHECK(!touch(bar + at, &value));
	CHECK(!touch(bar + PAGE / 4, &value));
	CHECK(!store(bar + PAGE / 4, 1));
	CHECK(child_touch(bar + at) == SIGBUS);
	CHECK(ioctl(rig->device, VFIO_DEVICE_GET_REGION_INFO, &info) == 0);
	CHECK_ERRNO(EIO, pread(rig->device, &value, 4, (off_t)info.offset));
	/* It can be mapped, as it can be touched later. */
	late = bar_map(rig->device, PAGE);
	CHECK(late && !touch(late + at, &value));
}

static void without_decode_a_touch_is_a_bus_error(const char *name)
{
	struct rig rig = rig_open(name);
	volatile uint32_t *bar = bar_map(rig.device, 2 * PAGE), *other = bar_map(rig.device, PAGE);
	uint32_t version, value, at = version_at(&rig);
	unsigned int power = power_of(rig.device);

	CHECK(bar && other && touch(bar + at, &version) && version);
	for (int round = 0; round < 3; round++) {
		decode_set(rig.device, false);
		touches_are_bus_errors_while_off(&rig, bar);
		decode_set(rig.device, true);
		CHECK(touch(bar + at, &value) && value == version);
		CHECK(touch(other + at, &value) && value == version);
		CHECK(touch(bar + PAGE / 4, &value));
		CHECK(child_touch(bar + at) == 0);
	}
	/* Asleep, and awake again. */
	if (power) {
		config_write(rig.device, power, 3, 2);
		touches_are_bus_errors_while_off(&rig, bar);
		config_write(rig.device, power, 0, 2);
		CHECK(touch(bar + at, &value) && value == version);
	}
	/* A reset spares the command register. */
	CHECK(ioctl(rig.device, VFIO_DEVICE_RESET) == 0);
	CHECK(touch(bar + at, &value) && value == version);
	decode_set(rig.device, false);
	CHECK(ioctl(rig.device, VFIO_DEVICE_RESET) == 0);
	CHECK(!touch(bar + at, &value));
	rig_close(&rig);
	/* Opened anew it decodes. */
	rig = rig_open(name);
	bar = bar_map(rig.device, PAGE);
	CHECK(bar && touch(bar + at, &value) && value == version);
	rig_close(&rig);
}

/* ---- registers of which only some are mapped ---- */

struct split_info {
	struct vfio_region_info info;
	struct vfio_region_info_cap_sparse_mmap sparse;
	struct vfio_region_sparse_mmap_area area;
	struct vfio_info_cap_header msix;
};

static void split_describe(int device, struct split_info *ret)
{
	*ret = (struct split_info){ .info = { .argsz = sizeof(*ret) } };
	CHECK(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, ret) == 0);
	CHECK(ret->info.flags == (VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
				  VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS));
	CHECK(ret->info.cap_offset == sizeof(ret->info));
	CHECK(ret->sparse.header.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	CHECK(ret->sparse.nr_areas == 1);
	CHECK(ret->sparse.header.next == offsetof(struct split_info, msix));
	CHECK(ret->msix.id == VFIO_REGION_INFO_CAP_MSIX_MAPPABLE && !ret->msix.next);
	/* The disk's registers are calls, its doorbells and what follows them memory. */
	CHECK(ret->area.offset == PAGE && ret->area.size == ret->info.size - PAGE);
}

static void only_what_is_an_area_is_mapped(void)
{
	struct rig rig = rig_open(SPLIT_DEVICE);
	volatile uint32_t *doorbells;
	struct split_info split;
	uint32_t value;
	char *va;

	split_describe(rig.device, &split);
	CHECK_ERRNO(EINVAL, (long)mmap(NULL, PAGE, PROT_READ, MAP_SHARED, rig.device,
				       (off_t)split.info.offset));
	CHECK_ERRNO(EINVAL, (long)mmap(NULL, split.info.size, PROT_READ, MAP_SHARED, rig.device,
				       (off_t)split.info.offset));
	va = mmap(NULL, split.area.size, PROT_READ | PROT_WRITE, MAP_SHARED, rig.device,
		  (off_t)(split.info.offset + split.area.offset));
	CHECK(va != MAP_FAILED);
	maps[num_maps].ptr = va;
	maps[num_maps++].length = split.area.size;
	doorbells = (volatile uint32_t *)va;
	CHECK(store(doorbells + 512, 1) && touch(doorbells + 512, &value) && value == 1);
	CHECK(pread(rig.device, &value, 4, (off_t)split.info.offset + 8) == 4 && value == 0x10400);
	CHECK(dma_map(&rig, doorbells, split.area.size, 0x100000) == 0);
	decode_set(rig.device, false);
	CHECK(!touch(doorbells, &value));
	CHECK_ERRNO(EIO, pread(rig.device, &value, 4, (off_t)split.info.offset + 8));
	decode_set(rig.device, true);
	CHECK(touch(doorbells, &value));
	rig_close(&rig);
}

/* ---- from many threads, and with the file as a weapon ---- */

static struct {
	struct rig rig;
	volatile uint32_t *bar;
	_Atomic bool end;
} crowd;

static void *crowd_decode(void *data)
{
	for (unsigned int i = 0; !crowd.end; i++)
		decode_set(crowd.rig.device, i & 1);
	return NULL;
}

static void *crowd_touch(void *data)
{
	uint32_t value;

	for (unsigned int i = 0; !crowd.end; i++) {
		touch(crowd.bar + i % 2048, &value);
		store(crowd.bar + PAGE / 4 + 512, value);
	}
	return NULL;
}

static void *crowd_call(void *data)
{
	struct vfio_region_info info = { .argsz = sizeof(info) };
	uint32_t value;

	CHECK(ioctl(crowd.rig.device, VFIO_DEVICE_GET_REGION_INFO, &info) == 0);
	for (unsigned int i = 0; !crowd.end; i++) {
		if (pread(crowd.rig.device, &value, 4, (off_t)info.offset) < 0)
			CHECK(errno == EIO);
		if (i % 16 == 0)
			CHECK(ioctl(crowd.rig.device, VFIO_DEVICE_RESET) == 0);
	}
	return NULL;
}

static void many_at_once_harm_nobody(const char *name)
{
	void *(*const roles[])(void *) = { crowd_decode, crowd_decode, crowd_touch, crowd_touch,
					   crowd_call };
	pthread_t threads[sizeof(roles) / sizeof(roles[0])];
	uint32_t version, value, at;

	crowd.rig = rig_open(name);
	crowd.bar = bar_map(crowd.rig.device, 2 * PAGE);
	crowd.end = false;
	at = version_at(&crowd.rig);
	CHECK(crowd.bar && touch(crowd.bar + at, &version));
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		CHECK(pthread_create(&threads[i], NULL, roles[i], NULL) == 0);
	usleep(300000);
	crowd.end = true;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		pthread_join(threads[i], NULL);
	decode_set(crowd.rig.device, true);
	CHECK(ioctl(crowd.rig.device, VFIO_DEVICE_RESET) == 0);
	CHECK(touch(crowd.bar + at, &value) && value == version);
	rig_close(&crowd.rig);
}

/* What is behind the descriptor is a file, which the program may find out. */
static void who_cuts_the_file_off_harms_itself(void)
{
	struct rig rig = rig_open(MEMORY_DEVICE);
	volatile uint32_t *bar = bar_map(rig.device, PAGE);
	uint32_t value, version;

	CHECK(bar && touch(bar + 2, &version));
	CHECK_ERRNO(EPERM, fcntl(rig.device, F_ADD_SEALS, F_SEAL_GROW));
	CHECK_ERRNO(EPERM, fcntl(rig.device, F_ADD_SEALS, F_SEAL_SHRINK));
	if (ftruncate(rig.device, 0) == 0) {
		/* The signal, or all ones of a device that does not find its registers. */
		CHECK(!touch(bar + 2, &value) || value == UINT32_MAX);
		usleep(10000);
		decode_set(rig.device, false);
		decode_set(rig.device, true);
		CHECK(touch(bar + 2, &value));
		CHECK(ftruncate(rig.device, 0) == 0);
		ioctl(rig.device, VFIO_DEVICE_RESET);
	}
	rig_close(&rig);
	rig = rig_open(MEMORY_DEVICE);
	bar = bar_map(rig.device, PAGE);
	CHECK(bar && touch(bar + 2, &value) && value == version);
	rig_close(&rig);
}

/* ---- migration ---- */

#define MIGRATION_NAME "anon_inode:[vfio-migration]"

static void a_stream_is_closed_by_exec(const char *name)
{
	struct rig rig = rig_open(name);
	struct {
		struct vfio_device_feature head;
		struct vfio_device_feature_mig_state state;
	} feature = {
		.head = { .argsz = sizeof(feature),
			  .flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE },
		.state = { .device_state = VFIO_DEVICE_STATE_STOP_COPY },
	};
	char path[32], link[64];

	CHECK(ioctl(rig.device, VFIO_DEVICE_FEATURE, &feature) == 0);
	CHECK(fcntl(feature.state.data_fd, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(feature.state.data_fd, F_GETFL) == O_RDONLY);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", feature.state.data_fd);
	CHECK(readlink(path, link, sizeof(link)) == (ssize_t)strlen(MIGRATION_NAME));
	CHECK(!memcmp(link, MIGRATION_NAME, strlen(MIGRATION_NAME)));
	close(feature.state.data_fd);
	rig_close(&rig);
}

int main(void)
{
	struct sigaction action = { .sa_handler = on_bus_error };

	CHECK(sigaction(SIGBUS, &action, NULL) == 0);
	two_descriptors_share_registers();
	who_has_no_descriptor_shares_none();
	a_stream_is_closed_by_exec(MEMORY_DEVICE);
	registers_are_mapped_into_the_container(MEMORY_DEVICE);
	/* Before this process is traced, and while it is. */
	for (int traced = 0; traced < 2; traced++) {
		only_what_is_an_area_is_mapped();
		without_decode_a_touch_is_a_bus_error(MEMORY_DEVICE);
		many_at_once_harm_nobody(MEMORY_DEVICE);
		who_cuts_the_file_off_harms_itself();
		registers_are_mapped_into_the_container(TRAP_DEVICE);
	}
	without_decode_a_touch_is_a_bus_error(TRAP_DEVICE);
	many_at_once_harm_nobody(TRAP_DEVICE);
	return 0;
}
