/* SPDX-License-Identifier: MIT */
/*
 * Random VFIO calls.  Most are such as make sense: a program of nothing but mistakes never gets
 * past the first check.
 */
#include "vfio_world.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

#include "base/types.h"
#include "pci/pci.h"

#define PG   4096UL
#define NONE 9999 /* a descriptor nobody has */

u64 now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (u64)now.tv_sec * 1000 + (u64)now.tv_nsec / 1000000;
}

/* ---- the table ---- */

static u32 below(struct caller *c, u32 limit)
{
	return choice_below(&c->choice, limit);
}

static int fd_any(struct caller *c, enum fd_kind kind)
{
	int fd = atomic_load(&c->world->fds[kind][below(c, FDS_OF_KIND)]);

	return fd < 0 ? NONE : fd;
}

/* @fd takes a slot; what was there is closed.  -1 only closes. */
static void fd_store(struct caller *c, enum fd_kind kind, int fd)
{
	int old = atomic_exchange(&c->world->fds[kind][below(c, FDS_OF_KIND)], fd);

	if (old >= 0)
		iommufd_close(c->world->proc, old);
}

void fds_close(struct vfio_world *world)
{
	for (int kind = 0; kind < FD_KINDS; kind++) {
		for (int i = 0; i < FDS_OF_KIND; i++) {
			int fd = atomic_exchange(&world->fds[kind][i], -1);

			if (fd >= 0)
				iommufd_close(world->proc, fd);
		}
	}
}

static int iommu_any(struct caller *c)
{
	return c->world->iommus[below(c, IOMMUS)];
}

static long call(struct caller *c, int fd, unsigned int cmd, void *arg)
{
	return iommufd_ioctl(c->world->proc, fd, cmd, arg);
}

static int open_path(struct caller *c, const char *path)
{
	return iommufd_open(c->world->proc, path, O_RDWR | O_CLOEXEC);
}

static long open_into(struct caller *c, enum fd_kind kind, const char *path)
{
	int fd = open_path(c, path);

	if (fd >= 0)
		fd_store(c, kind, fd);
	return fd;
}

/* ---- containers and groups ---- */

static long container_open(struct caller *c)
{
	return open_into(c, FD_CONTAINER, "/dev/vfio/vfio");
}

static long container_close(struct caller *c)
{
	fd_store(c, FD_CONTAINER, -1);
	return 0;
}

static long group_open(struct caller *c)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/vfio/%u",
		 choice_rarely(&c->choice, 6) ? 4096 : below(c, 6));
	return open_into(c, FD_GROUP, path);
}

static long group_close(struct caller *c)
{
	fd_store(c, FD_GROUP, -1);
	return 0;
}

static long group_set(struct caller *c)
{
	int fd = choice_rarely(&c->choice, 4) ? iommu_any(c) : fd_any(c, FD_CONTAINER);

	return call(c, fd_any(c, FD_GROUP), VFIO_GROUP_SET_CONTAINER, &fd);
}

static long group_unset(struct caller *c)
{
	return call(c, fd_any(c, FD_GROUP), VFIO_GROUP_UNSET_CONTAINER, NULL);
}

static long group_status(struct caller *c)
{
	struct vfio_group_status status = {.argsz = sizeof(status)};

	return call(c, fd_any(c, FD_GROUP), VFIO_GROUP_GET_STATUS, &status);
}

static long set_iommu(struct caller *c)
{
	return call(c, fd_any(c, FD_CONTAINER), VFIO_SET_IOMMU,
		    (void *)(uintptr_t)(below(c, 3) ? VFIO_TYPE1v2_IOMMU : VFIO_TYPE1_IOMMU));
}

static long get_device(struct caller *c)
{
	static const char *const names[] = {"0000:01:00.0", "0000:01:10.0", "0000:01:10.1",
					    "0000:02:00.0", "0000:02:01.0", "0000:00:05.0",
					    "0000:09:00.0"};
	long fd = call(c, fd_any(c, FD_GROUP), VFIO_GROUP_GET_DEVICE_FD,
		       (void *)names[below(c, ARRAY_SIZE(names))]);

	if (fd >= 0)
		fd_store(c, FD_DEVICE, (int)fd);
	return fd;
}

/* ---- mappings ---- */

static u64 iova_any(struct caller *c)
{
	return (u64)below(c, 24) * PG + 0x10000;
}

static long map_at(struct caller *c, void *va, u64 size)
{
	struct vfio_iommu_type1_dma_map map = {.argsz = sizeof(map),
					       .flags = 1 + below(c, 3),
					       .vaddr = (uintptr_t)va,
					       .iova = iova_any(c),
					       .size = size};

	return call(c, fd_any(c, FD_CONTAINER), VFIO_IOMMU_MAP_DMA, &map);
}

static long map_dma(struct caller *c)
{
	return map_at(c, c->world->memory + below(c, 200) * PG, (1 + below(c, 8)) * PG);
}

static long unmap_dma(struct caller *c)
{
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} cmd = {
		.unmap = {.argsz = sizeof(cmd),
			  .iova = iova_any(c),
			  .size = (1 + below(c, 16)) * PG},
		.bitmap = {.pgsize = PG, .size = 8, .data = (__u64 *)c->scratch},
	};
	long rc;

	if (choice_rarely(&c->choice, 4)) {
		cmd.unmap.flags = VFIO_DMA_UNMAP_FLAG_ALL;
		cmd.unmap.iova = cmd.unmap.size = 0;
	} else if (choice_rarely(&c->choice, 4)) {
		cmd.unmap.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
	}
	rc = call(c, fd_any(c, FD_CONTAINER), VFIO_IOMMU_UNMAP_DMA, &cmd);
	return rc ? rc : (long)cmd.unmap.size;
}

static long dirty_pages(struct caller *c)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} cmd = {
		.head = {.argsz = sizeof(cmd), .flags = 1U << below(c, 3)},
		.get = {.iova = 0x10000,
			.size = 64 * PG,
			.bitmap = {.pgsize = PG, .size = 8, .data = (__u64 *)c->scratch}},
	};

	return call(c, fd_any(c, FD_CONTAINER), VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

static long container_info(struct caller *c)
{
	struct vfio_iommu_type1_info *info = (void *)c->scratch;

	info->argsz = below(c, 2) ? sizeof(c->scratch) : sizeof(*info);
	return call(c, fd_any(c, FD_CONTAINER), VFIO_IOMMU_GET_INFO, info);
}

/* ---- devices by their own nodes ---- */

static const u8 token[16] = {1, 2, 3};

static long cdev_open(struct caller *c)
{
	char path[40];

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", below(c, 8));
	return open_into(c, FD_DEVICE, path);
}

static long device_close(struct caller *c)
{
	fd_store(c, FD_DEVICE, -1);
	return 0;
}

static long bind(struct caller *c)
{
	struct vfio_device_bind_iommufd cmd = {.argsz = sizeof(cmd), .iommufd = iommu_any(c)};

	if (below(c, 2)) {
		cmd.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
		cmd.token_uuid_ptr = (uintptr_t)token;
	}
	return call(c, fd_any(c, FD_DEVICE), VFIO_DEVICE_BIND_IOMMUFD, &cmd);
}

static long attach(struct caller *c)
{
	struct vfio_device_attach_iommufd_pt cmd = {.argsz = sizeof(cmd), .pt_id = 1 + below(c, 6)};

	if (choice_rarely(&c->choice, 4)) {
		cmd.flags = VFIO_DEVICE_ATTACH_PASID;
		cmd.pasid = below(c, 3);
	}
	return call(c, fd_any(c, FD_DEVICE), VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);
}

static long detach(struct caller *c)
{
	struct vfio_device_detach_iommufd_pt cmd = {
		.argsz = sizeof(cmd), .flags = below(c, 2), .pasid = below(c, 3)};

	return call(c, fd_any(c, FD_DEVICE), VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static long ioas_map(struct caller *c)
{
	struct iommu_ioas_map cmd = {.size = sizeof(cmd),
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
					      IOMMU_IOAS_MAP_READABLE,
				     .ioas_id = 1,
				     .user_va = (uintptr_t)c->world->memory,
				     .length = (1 + below(c, 8)) * PG,
				     .iova = iova_any(c)};

	return call(c, iommu_any(c), IOMMU_IOAS_MAP, &cmd);
}

static long ioas_map_buffer(struct caller *c)
{
	struct iommu_ioas_map_file cmd = {.size = sizeof(cmd),
					  .flags = IOMMU_IOAS_MAP_FIXED_IOVA |
						   IOMMU_IOAS_MAP_WRITEABLE |
						   IOMMU_IOAS_MAP_READABLE,
					  .ioas_id = 1,
					  .fd = fd_any(c, FD_BUFFER),
					  .length = PG,
					  .iova = iova_any(c)};

	return call(c, iommu_any(c), IOMMU_IOAS_MAP_FILE, &cmd);
}

static long ioas_unmap(struct caller *c)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd), .ioas_id = 1, .iova = 0, .length = UINT64_MAX};

	return call(c, iommu_any(c), IOMMU_IOAS_UNMAP, &cmd);
}

/* ---- the way most programs go, as far as it leads ---- */

static long use_group(struct caller *c)
{
	static const struct {
		u32 group;
		const char *name;
	} rows[] = {{0, "0000:01:00.0"},
		    {1, "0000:02:00.0"},
		    {1, "0000:02:01.0"},
		    {2, "0000:01:10.0"},
		    {4096, "0000:00:05.0"}};
	u32 row = below(c, ARRAY_SIZE(rows));
	int container = fd_any(c, FD_CONTAINER), group, fd;
	char path[32];

	snprintf(path, sizeof(path), "/dev/vfio/%u", rows[row].group);
	group = open_path(c, path);
	if (group < 0)
		return group;
	call(c, group, VFIO_GROUP_SET_CONTAINER, &container);
	call(c, container, VFIO_SET_IOMMU, (void *)(uintptr_t)VFIO_TYPE1v2_IOMMU);
	fd = (int)call(c, group, VFIO_GROUP_GET_DEVICE_FD, (void *)rows[row].name);
	if (fd >= 0)
		fd_store(c, FD_DEVICE, fd);
	fd_store(c, FD_GROUP, group);
	return fd;
}

static long use_cdev(struct caller *c)
{
	struct vfio_device_bind_iommufd cmd = {.argsz = sizeof(cmd), .iommufd = iommu_any(c)};
	struct vfio_device_attach_iommufd_pt at = {.argsz = sizeof(at), .pt_id = 1};
	char path[40];
	long rc;
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", below(c, 6));
	fd = open_path(c, path);
	if (fd < 0)
		return fd;
	rc = call(c, fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
	if (!rc)
		rc = call(c, fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at);
	fd_store(c, FD_DEVICE, fd);
	return rc;
}

/* ---- what a device is asked and told ---- */

static long device_info(struct caller *c)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	struct vfio_region_info region = {.argsz = sizeof(region), .index = below(c, 9)};
	struct vfio_irq_info irq = {.argsz = sizeof(irq), .index = below(c, 6)};
	int fd = fd_any(c, FD_DEVICE);

	call(c, fd, VFIO_DEVICE_GET_REGION_INFO, &region);
	call(c, fd, VFIO_DEVICE_GET_IRQ_INFO, &irq);
	return call(c, fd, VFIO_DEVICE_GET_INFO, &info);
}

static long set_irqs(struct caller *c)
{
	static const u32 rows[][2] = {
		{VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 1},
		{VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 1},
		{VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 1},
		{VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0},
		{VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 1},
		{VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, 1},
	};
	const u32 *row = rows[below(c, ARRAY_SIZE(rows))];
	struct vfio_irq_set *set = (void *)c->scratch;
	s32 fd = c->world->eventfds[below(c, EVENTFDS)];

	*set = (struct vfio_irq_set){.argsz = sizeof(*set) + sizeof(fd),
				     .flags = row[0],
				     .index = below(c, 5),
				     .count = row[1]};
	memcpy(set->data, &fd, sizeof(fd));
	return call(c, fd_any(c, FD_DEVICE), VFIO_DEVICE_SET_IRQS, set);
}

static long signal_eventfd(struct caller *c)
{
	return eventfd_write(c->world->eventfds[below(c, EVENTFDS)], 1);
}

static long ioeventfd(struct caller *c)
{
	struct vfio_device_ioeventfd cmd = {.argsz = sizeof(cmd),
					    .flags = VFIO_DEVICE_IOEVENTFD_32,
					    .offset = PCI_REGION_OFFSET(0) + 4UL * below(c, 8),
					    .data = below(c, 2),
					    .fd = -1};

	if (below(c, 3))
		cmd.fd = c->world->eventfds[below(c, EVENTFDS)];
	return call(c, fd_any(c, FD_DEVICE), VFIO_DEVICE_IOEVENTFD, &cmd);
}

static long region_read(struct caller *c)
{
	return iommufd_pread(c->world->proc, fd_any(c, FD_DEVICE), c->scratch, 8,
			     PCI_REGION_OFFSET(below(c, 3)) + 8UL * below(c, 8));
}

/* Registers of the mover, among others: addresses are where mappings are. */
static long region_write(struct caller *c)
{
	c->scratch[0] = below(c, 2) ? iova_any(c) : below(c, 3);
	return iommufd_pwrite(c->world->proc, fd_any(c, FD_DEVICE), c->scratch, 8,
			      PCI_REGION_OFFSET(0) + 8UL * below(c, 6));
}

/* The command register, mostly with DMA on; or power, or FLR somewhere among the capabilities. */
static long config_write(struct caller *c)
{
	u16 value = choice_rarely(&c->choice, 4) ? (u16)choice_raw(&c->choice, 2) : 6;
	u64 offset = choice_rarely(&c->choice, 4) ? 0x40 + 2UL * below(c, 64) : 4;

	memcpy(c->scratch, &value, sizeof(value));
	return iommufd_pwrite(c->world->proc, fd_any(c, FD_DEVICE), c->scratch, sizeof(value),
			      PCI_REGION_OFFSET(VFIO_PCI_CONFIG_REGION_INDEX) + offset);
}

/* Registers in our own memory, and in a container's. */
static long bar_map(struct caller *c)
{
	struct iommufd_process *proc = c->world->proc;
	void *va;
	int rc = iommufd_mmap(proc, NULL, PG, PROT_READ | PROT_WRITE, MAP_SHARED,
			      fd_any(c, FD_DEVICE), PCI_REGION_OFFSET(0), &va);

	if (rc)
		return rc;
	map_at(c, va, PG);
	iommufd_munmap(proc, va, PG);
	return 0;
}

/* ---- resets ---- */

static long reset(struct caller *c)
{
	return call(c, fd_any(c, FD_DEVICE), VFIO_DEVICE_RESET, NULL);
}

static long hot_reset_info(struct caller *c)
{
	struct vfio_pci_hot_reset_info *info = (void *)c->scratch;

	info->argsz = below(c, 2) ? sizeof(c->scratch) : sizeof(*info);
	return call(c, fd_any(c, FD_DEVICE), VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
}

static long hot_reset(struct caller *c)
{
	struct vfio_pci_hot_reset *cmd = (void *)c->scratch;
	u32 count = below(c, 3);

	*cmd = (struct vfio_pci_hot_reset){.argsz = sizeof(*cmd) + 8, .count = count};
	for (u32 i = 0; i < count; i++)
		cmd->group_fds[i] = fd_any(c, FD_GROUP);
	return call(c, fd_any(c, FD_DEVICE), VFIO_DEVICE_PCI_HOT_RESET, cmd);
}

/* ---- features ---- */

/* @data follows the head in the caller's scratch, and is there again afterwards. */
static long feature(struct caller *c, u32 flags, void *data, size_t len)
{
	struct vfio_device_feature *head = (void *)c->scratch;
	long rc;

	*head = (struct vfio_device_feature){.argsz = (u32)(sizeof(*head) + len), .flags = flags};
	if (len)
		memcpy(head->data, data, len);
	rc = call(c, fd_any(c, FD_DEVICE), VFIO_DEVICE_FEATURE, head);
	if (len)
		memcpy(data, head->data, len);
	return rc;
}

static long migrate(struct caller *c)
{
	static const u32 states[] = {VFIO_DEVICE_STATE_RUNNING,	 VFIO_DEVICE_STATE_RUNNING,
				     VFIO_DEVICE_STATE_STOP,	 VFIO_DEVICE_STATE_STOP_COPY,
				     VFIO_DEVICE_STATE_RESUMING, VFIO_DEVICE_STATE_RUNNING_P2P,
				     VFIO_DEVICE_STATE_PRE_COPY, VFIO_DEVICE_STATE_PRE_COPY_P2P};
	struct vfio_device_feature_mig_state state = {.device_state =
							      states[below(c, ARRAY_SIZE(states))]};
	long rc = feature(c, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &state,
			  sizeof(state));

	if (!rc && state.data_fd >= 0)
		fd_store(c, FD_DATA, state.data_fd);
	return rc;
}

/* From one device into another, or into nothing. */
static long migrate_data(struct caller *c)
{
	int from = fd_any(c, FD_DATA), to = fd_any(c, FD_DATA);
	ssize_t n, rc = -ENODATA;

	for (int i = 0; i < 4; i++) {
		n = iommufd_read(c->world->proc, from, c->scratch, sizeof(c->scratch));
		if (n <= 0)
			break;
		rc = n;
		iommufd_write(c->world->proc, to, c->scratch, (size_t)n);
	}
	return rc;
}

static long migrate_info(struct caller *c)
{
	struct vfio_device_feature_mig_data_size size = {0};
	struct vfio_precopy_info info = {.argsz = sizeof(info)};

	call(c, fd_any(c, FD_DATA), VFIO_MIG_GET_PRECOPY_INFO, &info);
	return feature(c, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, &size,
		       sizeof(size));
}

static long log_start(struct caller *c)
{
	struct vfio_device_feature_dma_logging_range range = {.iova = 0x10000, .length = 64 * PG};
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = PG, .num_ranges = 1, .ranges = (uintptr_t)&range};

	return feature(c, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, &control,
		       sizeof(control));
}

static long log_report(struct caller *c)
{
	u64 bits[2];
	struct vfio_device_feature_dma_logging_report report = {
		.iova = 0x10000, .length = 64 * PG, .page_size = PG, .bitmap = (uintptr_t)bits};

	return feature(c, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, &report,
		       sizeof(report));
}

static long log_stop(struct caller *c)
{
	return feature(c, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0);
}

static long lend(struct caller *c)
{
	struct {
		struct vfio_device_feature_dma_buf get;
		struct vfio_region_dma_range range;
	} cmd = {.get = {.open_flags = O_RDWR | O_CLOEXEC, .nr_ranges = 1}, .range = {0, PG}};
	long fd = feature(c, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_BUF, &cmd,
			  sizeof(cmd));

	if (fd >= 0)
		fd_store(c, FD_BUFFER, (int)fd);
	return fd;
}

static long low_power(struct caller *c)
{
	struct vfio_device_low_power_entry_with_wakeup entry = {
		.wakeup_eventfd = c->world->eventfds[below(c, EVENTFDS)]};

	switch (below(c, 3)) {
	case 0:
		return feature(c,
			       VFIO_DEVICE_FEATURE_SET |
				       VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP,
			       &entry, sizeof(entry));
	case 1:
		return feature(c, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
			       NULL, 0);
	default:
		return feature(c, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
			       NULL, 0);
	}
}

static long set_token(struct caller *c)
{
	u8 uuid[16];

	memcpy(uuid, token, sizeof(uuid));
	return feature(c, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, uuid,
		       sizeof(uuid));
}

/* ---- all ---- */

static const struct {
	const char *name;
	long (*fn)(struct caller *caller);
	u32 weight;
} calls[] = {
	{"use_group", use_group, 5},
	{"use_cdev", use_cdev, 3},
	{"container_open", container_open, 1},
	{"container_close", container_close, 1},
	{"group_open", group_open, 2},
	{"group_close", group_close, 1},
	{"group_set", group_set, 4},
	{"group_unset", group_unset, 1},
	{"group_status", group_status, 1},
	{"set_iommu", set_iommu, 4},
	{"get_device", get_device, 8},
	{"map_dma", map_dma, 6},
	{"unmap_dma", unmap_dma, 4},
	{"dirty_pages", dirty_pages, 2},
	{"container_info", container_info, 1},
	{"cdev_open", cdev_open, 2},
	{"device_close", device_close, 3},
	{"bind", bind, 6},
	{"attach", attach, 6},
	{"detach", detach, 1},
	{"ioas_map", ioas_map, 3},
	{"ioas_map_buffer", ioas_map_buffer, 2},
	{"ioas_unmap", ioas_unmap, 1},
	{"device_info", device_info, 1},
	{"set_irqs", set_irqs, 8},
	{"signal_eventfd", signal_eventfd, 3},
	{"ioeventfd", ioeventfd, 3},
	{"region_read", region_read, 3},
	{"region_write", region_write, 8},
	{"config_write", config_write, 4},
	{"bar_map", bar_map, 3},
	{"reset", reset, 2},
	{"hot_reset_info", hot_reset_info, 1},
	{"hot_reset", hot_reset, 2},
	{"migrate", migrate, 5},
	{"migrate_data", migrate_data, 3},
	{"migrate_info", migrate_info, 1},
	{"log_start", log_start, 2},
	{"log_report", log_report, 2},
	{"log_stop", log_stop, 1},
	{"lend", lend, 3},
	{"low_power", low_power, 2},
	{"set_token", set_token, 1},
};

u32 call_count(void)
{
	static_assert(ARRAY_SIZE(calls) <= CALLS_MAX, "room for what succeeded");
	return ARRAY_SIZE(calls);
}

const char *call_name(u32 row)
{
	return calls[row].name;
}

static u32 row_any(struct caller *c)
{
	u32 sum = 0, at, row;

	for (row = 0; row < ARRAY_SIZE(calls); row++)
		sum += calls[row].weight;
	at = below(c, sum);
	for (row = 0; at >= calls[row].weight; row++)
		at -= calls[row].weight;
	return row;
}

void call_any(struct caller *caller)
{
	u32 row = row_any(caller);
	long rc;

	atomic_store_explicit(&caller->since_ms, now_ms(), memory_order_relaxed);
	atomic_store_explicit(&caller->doing, calls[row].name, memory_order_release);
	rc = calls[row].fn(caller);
	atomic_store_explicit(&caller->doing, NULL, memory_order_release);
	if (rc >= 0)
		atomic_fetch_add_explicit(&caller->good[row], 1, memory_order_relaxed);
}
