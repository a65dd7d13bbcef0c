/* SPDX-License-Identifier: MIT */
/* Resets, migration, buffers lent, low power, tokens; emulated devices. */
#include "rig.h"

#include <stdio.h>
#include <sys/mman.h>

#define PG 4096UL
#define GET   VFIO_DEVICE_FEATURE_GET
#define SET   VFIO_DEVICE_FEATURE_SET
#define PROBE VFIO_DEVICE_FEATURE_PROBE

static long feature(int fd, u32 flags, void *data, size_t len)
{
	struct {
		struct vfio_device_feature head;
		u8 data[128];
	} cmd = { .head = { .argsz = (u32)(8 + len), .flags = flags } };
	long rc;

	if (len)
		memcpy(cmd.head.data, data, len);
	rc = rig_ioctl(fd, VFIO_DEVICE_FEATURE, &cmd);
	if (len)
		memcpy(data, cmd.head.data, len);
	return rc;
}

/* ---- the frame ---- */

static void features_are_asked_for_by_one_rule(void **state)
{
	struct vfio_device_feature head = { .argsz = 7, .flags = PROBE | GET | 1 };
	int fd = rig_device(0, 0);
	u64 flags = 0;

	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_FEATURE, &head), -EINVAL);
	assert_int_equal(feature(fd, 1 | 1 << 19, &flags, 8), -EINVAL);
	assert_int_equal(feature(fd, 1 | GET | SET, &flags, 8), -EINVAL);
	assert_int_equal(feature(fd, 1 | SET, &flags, 8), -EINVAL);
	assert_int_equal(feature(fd, 1 | GET | SET | PROBE, &flags, 8), -EINVAL);
	assert_int_equal(feature(fd, 1 | GET | PROBE, NULL, 0), 0);
	assert_int_equal(feature(fd, 2 | GET | SET | PROBE, NULL, 0), 0);
	assert_int_equal(feature(fd, 1 | PROBE, NULL, 0), 0);
	assert_int_equal(feature(fd, 1, &flags, 8), -EINVAL);
	assert_int_equal(feature(fd, 1 | GET, &flags, 7), -EINVAL);
	assert_int_equal(feature(fd, 1 | GET, &flags, 8), 0);
	assert_int_equal(flags, 7);
	assert_int_equal(feature(fd, 77 | GET | PROBE, NULL, 0), -ENOTTY);
	assert_int_equal(feature(fd, 0 | SET | PROBE, NULL, 0), -ENOTTY); /* no VFs */
	rig_close(fd);
}

/* ---- resets ---- */

static void a_reset_forgets_registers_and_keeps_eventfds(void **state)
{
	int fd = rig_device(0, 0);
	u32 before = rig.toys[0]->resets;

	rig_write(fd, TOY_SCRATCH, 9, 8);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_RESET, NULL), 0);
	assert_true(rig.toys[0]->resets > before);
	assert_int_equal(rig_read(fd, TOY_SCRATCH, 8), 0);
	rig_close(fd);
}

static int begin_no_flr(void **state)
{
	rig_toy_flags = TOY_NO_FLR;
	return rig_begin(state);
}

static void without_flr_there_is_no_reset(void **state)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int fd = rig_device(0, 0);

	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_RESET, NULL), -EINVAL);
	rig_close(fd);
}

struct hot_info {
	struct vfio_pci_hot_reset_info head;
	struct vfio_pci_dependent_device devices[4];
};

static void a_bus_is_reset_for_who_owns_all_of_it(void **state)
{
	struct hot_info info = { .head = { .argsz = 11 } };
	struct vfio_pci_hot_reset reset = { .argsz = 12 };
	int fd = rig_cdev(1), other;
	u32 id, before;

	assert_int_equal(rig_bind(fd, rig.iommu, &id), 0);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), -EINVAL);
	info.head.argsz = 12;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), -ENOSPC);
	assert_int_equal(info.head.count, 2);
	info.head.argsz = sizeof(info);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	assert_int_equal(info.head.count, 2);
	assert_int_equal(info.devices[0].devid, id);
	assert_int_equal(info.devices[0].bus, 2);
	assert_int_equal(info.devices[1].devfn, 1);
	if ((s32)info.devices[1].devid == VFIO_PCI_DEVID_NOT_OWNED) {
		assert_int_equal(info.head.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID);
		assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EINVAL);
	}
	other = rig_device(2, 0);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	assert_int_equal(info.head.flags, VFIO_PCI_HOT_RESET_FLAG_DEV_ID |
						  VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED);
	reset.flags = 1;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EINVAL);
	reset.flags = 0;
	reset.count = 1;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EINVAL);
	reset.count = 0;
	before = rig.toys[2]->resets;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset), 0);
	assert_int_equal(rig.toys[2]->resets, before + 1);
	rig_close(other);
	rig_close(fd);
}

static void groups_prove_who_owns_a_bus(void **state)
{
	struct hot_info info = { .head = { .argsz = sizeof(info) } };
	struct {
		struct vfio_pci_hot_reset head;
		s32 fds[3];
	} reset = { .head = { .argsz = sizeof(reset), .count = 1 } };
	int container = rig_open("/dev/vfio/vfio"), groups[2], n = 2, fd;
	char path[64];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/dev/vfio/%d",
			 pci_group_id(&rig.toys[i + 1]->pdev));
		groups[i] = rig_open(path);
		if (groups[i] == -EBUSY)
			n = 1; /* one group for both */
		else
			assert_int_equal(rig_ioctl(groups[i], VFIO_GROUP_SET_CONTAINER, &container),
					 0);
	}
	assert_int_equal(rig_ioctl(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU), 0);
	fd = (int)rig_ioctl(groups[0], VFIO_GROUP_GET_DEVICE_FD, (void *)"0000:02:00.0");
	assert_true(fd >= 0);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info), 0);
	assert_int_equal(info.head.flags, 0);
	assert_int_equal(info.devices[0].group_id, pci_group_id(&rig.toys[1]->pdev));
	reset.fds[0] = 9999;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EBADF);
	reset.fds[0] = container;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EINVAL);
	reset.fds[0] = groups[0];
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset), n == 2 ? -EINVAL : 0);
	reset.head.count = 0;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EINVAL);
	reset.head.count = 3;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset), -EINVAL);
	reset.head.count = (u32)n;
	reset.fds[1] = groups[1];
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_PCI_HOT_RESET, &reset), 0);
	rig_close(fd);
}

/* ---- migration ---- */

static long set_state(int fd, u32 to, int *ret_data)
{
	struct vfio_device_feature_mig_state st = { .device_state = to, .data_fd = 99 };
	long rc = feature(fd, 2 | SET, &st, sizeof(st));

	if (rc)
		assert_int_equal(st.data_fd, -1);
	else if (ret_data)
		*ret_data = st.data_fd;
	return rc;
}

static u32 get_state(int fd)
{
	struct vfio_device_feature_mig_state st = { 0 };

	assert_int_equal(feature(fd, 2 | GET, &st, sizeof(st)), 0);
	assert_int_equal(st.data_fd, -1);
	return st.device_state;
}

static void a_device_migrates(void **state)
{
	int from = rig_device(0, 0), to = rig_device(1, 0), out = -1, in = -1;
	u8 stream[256];
	ssize_t len;

	rig_write(from, TOY_SCRATCH, 0xabcdef, 8);
	assert_int_equal(get_state(from), VFIO_DEVICE_STATE_RUNNING);
	assert_int_equal(set_state(from, VFIO_DEVICE_STATE_STOP_COPY, &out), 0);
	assert_int_equal(get_state(from), VFIO_DEVICE_STATE_STOP_COPY);
	assert_true(out >= 0);
	len = iommufd_read(rig.proc, out, stream, 10);
	assert_int_equal(len, 10);
	len += iommufd_read(rig.proc, out, stream + 10, sizeof(stream));
	assert_int_equal(iommufd_read(rig.proc, out, stream, sizeof(stream)), 0);
	assert_int_equal(iommufd_write(rig.proc, out, stream, 1), -EINVAL);
	assert_int_equal(set_state(to, VFIO_DEVICE_STATE_RESUMING, &in), 0);
	assert_int_equal(iommufd_write(rig.proc, in, stream, (size_t)len), len);
	assert_int_equal(set_state(to, VFIO_DEVICE_STATE_RUNNING, &in), 0);
	assert_int_equal(in, -1);
	assert_int_equal(rig_read(to, TOY_SCRATCH, 8), 0xabcdef);
	assert_int_equal(set_state(from, VFIO_DEVICE_STATE_RUNNING, NULL), 0);
	assert_int_equal(iommufd_read(rig.proc, out, stream, 1), -ENODEV);
	rig_close(from);
	rig_close(to);
}

static void a_running_device_is_copied_in_two_parts(void **state)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	int fd = rig_device(0, 0), out = -1, more = -1;
	u8 stream[256];

	assert_int_equal(set_state(fd, VFIO_DEVICE_STATE_PRE_COPY, &out), 0);
	assert_int_equal(rig_ioctl(out, VFIO_MIG_GET_PRECOPY_INFO, &info), 0);
	assert_true(info.initial_bytes > 0);
	assert_int_equal(iommufd_read(rig.proc, out, stream, sizeof(stream)), info.initial_bytes);
	assert_int_equal(iommufd_read(rig.proc, out, stream, sizeof(stream)), -ENOMSG);
	assert_int_equal(set_state(fd, VFIO_DEVICE_STATE_STOP_COPY, &more), 0);
	assert_int_equal(more, -1); /* the same file goes on */
	assert_int_equal(iommufd_read(rig.proc, out, stream, sizeof(stream)), 8);
	assert_int_equal(iommufd_read(rig.proc, out, stream, sizeof(stream)), 0);
	assert_int_equal(rig_ioctl(out, VFIO_MIG_GET_PRECOPY_INFO, &info), -EINVAL);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(get_state(fd), VFIO_DEVICE_STATE_RUNNING);
	rig_close(fd);
}

/* What could be moved is; the rest is an error of the next call. */
static void a_stream_stops_where_memory_ends(void **state)
{
	int fd = rig_device(0, 0), in = -1, out = -1;
	u8 *mem = mmap(NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	u8 first[8], *edge = mem + PAGE_SIZE;
	ssize_t len;

	assert_ptr_not_equal(mem, MAP_FAILED);
	assert_int_equal(set_state(fd, VFIO_DEVICE_STATE_STOP_COPY, &out), 0);
	assert_int_equal(mprotect(edge, PAGE_SIZE, PROT_NONE), 0);
	/* Nothing is lost by a read that failed. */
	assert_int_equal(iommufd_read(rig.proc, out, edge - 4, 8), -EFAULT);
	assert_int_equal(iommufd_read(rig.proc, out, first, 8), 8);
	assert_memory_equal(first, "ufiomig1", 8);
	len = iommufd_read(rig.proc, out, mem, PAGE_SIZE);
	assert_true(len > 0);
	assert_int_equal(set_state(fd, VFIO_DEVICE_STATE_RESUMING, &in), 0);
	assert_int_equal(iommufd_write(rig.proc, in, mem, 2 * PAGE_SIZE), PAGE_SIZE);
	assert_int_equal(iommufd_write(rig.proc, in, edge, 1), -EFAULT);
	assert_int_equal(iommufd_write(rig.proc, in, edge, 0), 0);
	rig_close(fd);
	assert_int_equal(iommufd_write(rig.proc, in, mem, 1), -ENODEV);
	munmap(mem, 2 * PAGE_SIZE);
}

/* By whichever way it is reset, the device runs again. */
static void a_reset_by_configuration_space_ends_migration(void **state)
{
	int fd = rig_device(0, 0), out = -1;
	u32 at = rig_config_read(fd, 0x34, 1);
	u8 byte;

	while (rig_config_read(fd, at, 1) != 0x10)
		at = rig_config_read(fd, at + 1, 1);
	assert_int_equal(set_state(fd, VFIO_DEVICE_STATE_STOP_COPY, &out), 0);
	rig_config_write(fd, at + 8, 0x8000, 2);
	assert_int_equal(get_state(fd), VFIO_DEVICE_STATE_RUNNING);
	assert_int_equal(iommufd_read(rig.proc, out, &byte, 1), -ENODEV);
	rig_close(fd);
}

static void what_is_no_state_is_refused(void **state)
{
	int fd = rig_device(0, 0), in = -1;

	assert_int_equal(set_state(fd, VFIO_DEVICE_STATE_ERROR, NULL), -EINVAL);
	assert_int_equal(set_state(fd, VFIO_DEVICE_STATE_NR, NULL), -EINVAL);
	assert_int_equal(get_state(fd), VFIO_DEVICE_STATE_RUNNING);
	assert_int_equal(set_state(fd, VFIO_DEVICE_STATE_RESUMING, &in), 0);
	assert_int_equal(iommufd_write(rig.proc, in, "rubbish", 7), 7);
	assert_int_equal(set_state(fd, VFIO_DEVICE_STATE_STOP, NULL), -EINVAL);
	assert_int_equal(get_state(fd), VFIO_DEVICE_STATE_ERROR);
	assert_int_equal(set_state(fd, VFIO_DEVICE_STATE_RUNNING, NULL), -EINVAL);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_RESET, NULL), 0);
	assert_int_equal(get_state(fd), VFIO_DEVICE_STATE_RUNNING);
	rig_close(fd);
}

/* ---- buffers ---- */

static long export(int fd, u32 region, u32 flags, u32 n, u64 off, u64 len)
{
	struct {
		struct vfio_device_feature_dma_buf get;
		struct vfio_region_dma_range range;
	} data = { .get = { .region_index = region, .open_flags = O_CLOEXEC, .flags = flags,
			    .nr_ranges = n },
		   .range = { off, len } };

	return feature(fd, VFIO_DEVICE_FEATURE_DMA_BUF | GET, &data, sizeof(data));
}

static long map_file(u32 ioas, int fd, u64 length, u64 iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd), .ioas_id = ioas, .fd = fd, .length = length, .iova = iova,
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
	};

	return rig_ioctl(rig.iommu, IOMMU_IOAS_MAP_FILE, &cmd);
}

static void a_bar_is_lent_to_another_device(void **state)
{
	u32 ioas = rig_ioas();
	int fd = rig_device(0, 0), peer = rig_device(1, ioas), buf;

	assert_int_equal(export(fd, 2, 1, 1, 0, PG), -EINVAL);
	assert_int_equal(export(fd, 2, 0, 0, 0, PG), -EINVAL);
	assert_int_equal(export(fd, 7, 0, 1, 0, PG), -ENODEV);
	assert_int_equal(export(fd, 1, 0, 1, 0, PG), -ENODEV);
	assert_int_equal(export(fd, 2, 0, 1, 0, TOY_BAR2 + PG), -EINVAL);
	assert_int_equal(export(fd, 2, 0, 1, 1, PG), -EINVAL);
	buf = (int)export(fd, 2, 0, 1, PG, 2 * PG);
	assert_true(buf >= 0);
	assert_int_equal(map_file(ioas, buf, 2 * PG, 0x10000), 0);
	rig_config_write(peer, 4, 6, 2);
	rig_write(peer, TOY_SCRATCH, 31415, 8);
	rig_write(peer, TOY_DMA_ADDR, 0x10008, 8);
	rig_write(peer, TOY_DMA_GO, 1, 4);
	assert_int_equal(rig_read(peer, TOY_DMA_RC, 8), 0);
	/* Decode off: taken back, for those who have it and those who come. */
	rig_config_write(fd, 4, 0, 2);
	rig_write(peer, TOY_DMA_GO, 1, 4);
	assert_int_not_equal(rig_read(peer, TOY_DMA_RC, 8), 0);
	assert_int_equal(map_file(ioas, buf, 2 * PG, 0x20000), -ENODEV);
	rig_config_write(fd, 4, 2, 2);
	assert_int_equal(map_file(ioas, buf, 2 * PG, 0x20000), 0);
	rig_write(peer, TOY_DMA_ADDR, 0x20008, 8);
	rig_write(peer, TOY_DMA_GO, 1, 4);
	assert_int_equal(rig_read(peer, TOY_DMA_RC, 8), 0);
	rig_close(fd);
	rig_write(peer, TOY_DMA_GO, 1, 4);
	assert_int_not_equal(rig_read(peer, TOY_DMA_RC, 8), 0);
	assert_int_equal(map_file(ioas, buf, 2 * PG, 0x30000), -ENODEV);
	rig_close(buf);
	rig_close(peer);
}

/* ---- low power ---- */

static void a_sleeping_device_wakes_when_it_is_touched(void **state)
{
	int fd = rig_device(0, 0), wake = rig_eventfd();
	struct vfio_device_low_power_entry_with_wakeup entry = { .wakeup_eventfd = wake };

	assert_int_equal(feature(fd, 5 | SET, NULL, 0), 0);
	assert_int_equal(feature(fd, 4 | SET, &entry, sizeof(entry)), 0);
	assert_int_equal(feature(fd, 3 | SET, NULL, 0), -EINVAL);
	assert_int_equal(rig_count(wake), 0);
	assert_int_equal(rig_read(fd, TOY_ID, 4), TOY_MAGIC);
	assert_int_equal(rig_count(wake), 1);
	assert_int_equal(feature(fd, 3 | SET, NULL, 0), 0);
	assert_int_equal(feature(fd, 5 | SET, NULL, 0), 0);
	entry.wakeup_eventfd = rig.iommu;
	assert_int_equal(feature(fd, 4 | SET, &entry, sizeof(entry)), -EINVAL);
	rig_close(fd);
	close(wake);
}

/* ---- tokens ---- */

static int begin_sriov(void **state)
{
	rig_toy_flags = TOY_SRIOV;
	return rig_begin(state);
}

static void a_vf_is_for_who_knows_the_token(void **state)
{
	u8 uuid[16] = { 1, 2, 3 }, wrong[16] = { 3 };
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind), .iommufd = rig.iommu, .flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
		.token_uuid_ptr = (uintptr_t)wrong,
	};
	int pf = rig_device(0, 0), vf, again;

	assert_int_equal(feature(pf, 0 | GET, uuid, 16), -EINVAL);
	assert_int_equal(feature(pf, 0 | SET, uuid, 16), 0);
	assert_int_equal(pci_sriov_set(&rig.toys[0]->pdev, 2), 0);
	vf = rig_cdev(3);
	assert_int_equal(rig_bind(vf, rig.iommu, NULL), -EACCES);
	assert_int_equal(rig_ioctl(vf, VFIO_DEVICE_BIND_IOMMUFD, &bind), -EACCES);
	bind.token_uuid_ptr = (uintptr_t)uuid;
	assert_int_equal(rig_ioctl(vf, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	/* With a VF in use the PF is guarded, too. */
	rig_close(pf);
	again = rig_cdev(0);
	assert_int_equal(rig_bind(again, rig.iommu, NULL), -EACCES);
	assert_int_equal(rig_ioctl(again, VFIO_DEVICE_BIND_IOMMUFD, &bind), 0);
	rig_close(again);
	rig_close(vf);
	assert_int_equal(pci_sriov_set(&rig.toys[0]->pdev, 0), 0);
}

/* ---- emulated devices ---- */

static void an_emulated_device_reaches_memory_by_an_access(void **state)
{
	struct toy *toy = toy_add(rig.topology, PCI_ADDR(3, 0, 0), PCI_ACCESS_POLL, TOY_EMULATED);
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach), .flags = VFIO_DEVICE_ATTACH_PASID, .pasid = 1,
	};
	struct iommu_hw_info hw = { .size = sizeof(hw) };
	u64 *va = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u32 ioas = rig_ioas(), out = 0, id;
	int fd;

	assert_int_equal(vfio_add_emulated(rig.vfio, &toy->pdev), 0);
	assert_int_equal(vfio_add_emulated(rig.vfio, &toy->pdev), -EEXIST);
	toy->vfio = rig.vfio;
	fd = rig_cdev(3);
	assert_int_equal(rig_bind(fd, rig.iommu, &id), 0);
	hw.dev_id = id;
	assert_int_equal(rig_ioctl(rig.iommu, IOMMU_GET_HW_INFO, &hw), -ENOENT);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -EOPNOTSUPP);
	assert_int_equal(rig_attach(fd, id, NULL), -ENOENT);
	assert_int_equal(rig_attach(fd, ioas, &out), 0);
	assert_int_equal(out, ioas); /* unchanged */
	assert_int_equal(rig_map(ioas, va, PG, 0x40000), 0);
	rig_write(fd, TOY_SCRATCH, 2718, 8);
	rig_write(fd, TOY_DMA_ADDR, 0x40000, 8);
	rig_write(fd, TOY_DMA_GO, 1, 4);
	assert_int_equal(rig_read(fd, TOY_DMA_RC, 8), 0);
	assert_int_equal(va[0], 2718);
	assert_int_equal(rig_attach(fd, rig_ioas(), NULL), 0);
	rig_write(fd, TOY_DMA_GO, 1, 4);
	assert_int_equal(rig_read(fd, TOY_DMA_RC, 8), ENOENT);
	rig_close(fd);
	munmap(va, PG);
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(features_are_asked_for_by_one_rule),
		T(a_reset_forgets_registers_and_keeps_eventfds),
		cmocka_unit_test_setup_teardown(without_flr_there_is_no_reset, begin_no_flr,
						rig_end),
		T(a_bus_is_reset_for_who_owns_all_of_it),
		T(groups_prove_who_owns_a_bus),
		T(a_device_migrates),
		T(a_running_device_is_copied_in_two_parts),
		T(a_stream_stops_where_memory_ends),
		T(a_reset_by_configuration_space_ends_migration),
		T(what_is_no_state_is_refused),
		T(a_bar_is_lent_to_another_device),
		T(a_sleeping_device_wakes_when_it_is_touched),
		cmocka_unit_test_setup_teardown(a_vf_is_for_who_knows_the_token, begin_sriov,
						rig_end),
		T(an_emulated_device_reaches_memory_by_an_access),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
