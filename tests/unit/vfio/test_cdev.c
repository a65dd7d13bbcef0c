/* SPDX-License-Identifier: MIT */
/* A device by its own node: binding, attaching, what it says of itself, its registers. */
#include "rig.h"

#include <sys/mman.h>

#include "mem/mem.h"

#define PG 4096UL

/* ---- before and during bind ---- */

static void before_it_is_bound_everything_is_einval(void **state)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int fd = rig_cdev(0);
	char byte;
	void *va;

	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_INFO, &info), -EINVAL);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_RESET, NULL), -EINVAL);
	assert_int_equal(rig_ioctl(fd, 0x3b01, NULL), -EINVAL);
	assert_int_equal(rig_attach(fd, rig_ioas(), NULL), -EINVAL);
	assert_int_equal(iommufd_pread(rig.proc, fd, &byte, 1, PCI_REGION_OFFSET(0)), -EINVAL);
	assert_int_equal(iommufd_mmap(rig.proc, NULL, PG, PROT_READ, MAP_SHARED, fd,
				      PCI_REGION_OFFSET(0), &va),
			 -EINVAL);
	rig_close(fd);
}

static void bind_refuses_in_the_order_it_is_specified(void **state)
{
	struct {
		struct vfio_device_bind_iommufd bind;
		u32 tail;
	} cmd = {.bind = {.argsz = 15, .flags = 8, .iommufd = -1}, .tail = 1};
	struct vfio_device_bind_iommufd *bind = &cmd.bind;
	int fd = rig_cdev(0), other = rig_cdev(0), foreign = rig_eventfd();
	u8 uuid[16] = {1};

	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, NULL), -EFAULT);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), -EINVAL);
	bind->argsz = sizeof(cmd);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), -E2BIG);
	cmd.tail = 0;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), -EINVAL);
	bind->flags = 0;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), -EINVAL);
	bind->iommufd = foreign;
	bind->flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), -EFAULT);
	bind->token_uuid_ptr = (uintptr_t)uuid;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), -EINVAL);
	bind->flags = 0;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), -EBADFD);
	bind->iommufd = fd;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), -EBADFD);
	bind->iommufd = 9999;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), -EBADF);
	bind->iommufd = rig.iommu;
	bind->argsz = 16;
	bind->out_devid = 0;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), 0);
	assert_int_not_equal(bind->out_devid, 0);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), -EINVAL);
	assert_int_equal(rig_bind(other, rig.iommu, NULL), -EINVAL);
	/* The other file is no worse for it. */
	rig_close(fd);
	assert_int_equal(rig_bind(other, rig.iommu, NULL), 0);
	rig_close(other);
	close(foreign);
}

static void a_bind_that_cannot_answer_leaves_nothing(void **state)
{
	void *page = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_device_bind_iommufd *bind = page;
	int fd = rig_cdev(0);

	*bind = (struct vfio_device_bind_iommufd){.argsz = 16, .iommufd = rig.iommu};
	assert_int_equal(mprotect(page, PG, PROT_READ), 0);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), -EFAULT);
	assert_int_equal(mprotect(page, PG, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_BIND_IOMMUFD, bind), 0);
	rig_close(fd);
	munmap(page, 2 * PG);
}

static void a_model_that_does_not_open_refuses_the_bind(void **state)
{
	int fd = rig_cdev(0);

	rig.toys[0]->fail_open = -EIO;
	assert_int_equal(rig_bind(fd, rig.iommu, NULL), -EIO);
	rig.toys[0]->fail_open = 0;
	assert_int_equal(rig_bind(fd, rig.iommu, NULL), 0);
	rig_close(fd);
}

/* ---- attach and detach ---- */

static void attach_refuses_in_the_order_it_is_specified(void **state)
{
	struct vfio_device_attach_iommufd_pt attach = {.argsz = 11, .flags = 2, .pt_id = 77};
	int fd = rig_device(0, 0);
	u32 ioas = rig_ioas(), hwpt, again;

	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL), -EFAULT);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -EINVAL);
	attach.argsz = 12;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -EINVAL);
	attach.flags = VFIO_DEVICE_ATTACH_PASID;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -EINVAL);
	attach.flags = 0;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -ENOENT);
	attach.pt_id = ioas;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), 0);
	hwpt = attach.pt_id;
	assert_int_not_equal(hwpt, ioas);
	/* Again: replaces, with what is there already. */
	assert_int_equal(rig_attach(fd, ioas, &again), 0);
	assert_int_equal(again, hwpt);
	assert_int_equal(rig_attach(fd, rig_ioas(), &again), 0);
	assert_int_not_equal(again, hwpt);
	rig_close(fd);
}

static void pasids_are_attached_replaced_and_detached(void **state)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.flags = VFIO_DEVICE_ATTACH_PASID,
		.pasid = 1u << 31,
	};
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = 8,
		.flags = VFIO_DEVICE_DETACH_PASID,
		.pasid = 5,
	};
	struct iommu_hwpt_alloc alloc = {.size = sizeof(alloc), .flags = IOMMU_HWPT_ALLOC_PASID};
	int fd = rig_cdev(0);
	u32 id;

	assert_int_equal(rig_bind(fd, rig.iommu, &id), 0);
	alloc.dev_id = id;
	alloc.pt_id = rig_ioas();
	attach.pt_id = alloc.pt_id;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -ENOSPC);
	attach.pasid = 5;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), -EINVAL);
	assert_int_equal(rig_ioctl(rig.iommu, IOMMU_HWPT_ALLOC, &alloc), 0);
	attach.pt_id = alloc.out_hwpt_id;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), 0);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), 0);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), -EINVAL);
	detach.argsz = sizeof(detach);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
	attach.pasid = 6;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach), 0);
	/* Closing detaches what is left. */
	rig_close(fd);
}

static void an_attach_that_cannot_answer_is_undone(void **state)
{
	void *page = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_device_attach_iommufd_pt *attach = page;
	struct iommu_destroy destroy = {.size = sizeof(destroy)};
	int fd = rig_device(0, 0);
	u32 ioas = rig_ioas();

	*attach = (struct vfio_device_attach_iommufd_pt){.argsz = 12, .pt_id = ioas};
	mprotect(page, PG, PROT_READ);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, attach), -EFAULT);
	destroy.id = ioas;
	assert_int_equal(rig_ioctl(rig.iommu, IOMMU_DESTROY, &destroy), 0);
	rig_close(fd);
	munmap(page, PG);
}

static void dma_goes_where_the_device_is_attached(void **state)
{
	struct vfio_device_detach_iommufd_pt detach = {.argsz = 8};
	u64 *va = mmap(NULL, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u32 ioas = rig_ioas();
	int fd = rig_device(0, ioas);

	assert_int_equal(rig_map(ioas, va, PG, 0x100000), 0);
	rig_write(fd, TOY_SCRATCH, 0x1122334455667788, 8);
	rig_write(fd, TOY_DMA_ADDR, 0x100010, 8);
	/* Bus mastering is off when it is opened. */
	rig_write(fd, TOY_DMA_GO, 1, 4);
	assert_int_equal(rig_read(fd, TOY_DMA_RC, 8), EPERM);
	rig_config_write(fd, 4, rig_config_read(fd, 4, 2) | 4, 2);
	rig_write(fd, TOY_DMA_GO, 1, 4);
	assert_int_equal(rig_read(fd, TOY_DMA_RC, 8), 0);
	assert_int_equal(va[2], 0x1122334455667788);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
	rig_write(fd, TOY_DMA_GO, 2, 4);
	assert_int_not_equal(rig_read(fd, TOY_DMA_RC, 8), 0);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach), 0);
	rig_close(fd);
	munmap(va, PG);
}

/* ---- what it says of itself ---- */

static void info_knows_old_and_new_sizes(void **state)
{
	struct vfio_device_info info = {.argsz = 15};
	int fd = rig_device(0, 0);

	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_INFO, &info), -EINVAL);
	info = (struct vfio_device_info){.argsz = 16, .cap_offset = 77};
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(info.num_regions, 9);
	assert_int_equal(info.num_irqs, 5);
	assert_int_equal(info.cap_offset, 77);
	info.argsz = sizeof(info) + 100;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_INFO, &info), 0);
	assert_int_equal(info.cap_offset, 0);
	assert_int_equal(info.argsz, sizeof(info) + 100);
	rig_close(fd);
}

static int region(int fd, u32 index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){.argsz = sizeof(*info), .index = index};
	return (int)rig_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, info);
}

static void regions_are_described_with_their_capabilities(void **state)
{
	const u32 rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	struct {
		struct vfio_region_info info;
		struct vfio_info_cap_header cap;
		u32 behind;
	} big = {.info = {.argsz = sizeof(big.info) + 8}, .behind = 0xabcd};
	struct vfio_region_info info;
	int fd = rig_device(0, 0);

	assert_int_equal(region(fd, 0, &info), 0);
	assert_int_equal(info.flags, rw | VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS);
	assert_int_equal(info.size, TOY_BAR0);
	assert_int_equal(info.argsz, 40);
	assert_int_equal(info.cap_offset, 0);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &big), 0);
	assert_int_equal(big.info.argsz, 40);
	assert_int_equal(big.info.cap_offset, 32);
	assert_int_equal(big.cap.id, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
	assert_int_equal(big.cap.version, 1);
	assert_int_equal(big.cap.next, 0);
	assert_int_equal(big.behind, 0xabcd);
	assert_int_equal(region(fd, 1, &info), 0); /* the upper half of BAR 0 */
	assert_int_equal(info.flags | info.size, 0);
	assert_int_equal(info.offset, PCI_REGION_OFFSET(1));
	assert_int_equal(region(fd, 2, &info), 0);
	assert_int_equal(info.flags, rw | VFIO_REGION_INFO_FLAG_MMAP);
	assert_int_equal(region(fd, 3, &info), 0); /* less than a page */
	assert_int_equal(info.flags, rw);
	assert_int_equal(region(fd, 4, &info), 0); /* I/O ports */
	assert_int_equal(info.flags, rw);
	assert_int_equal(region(fd, VFIO_PCI_ROM_REGION_INDEX, &info), 0);
	assert_int_equal(info.flags | info.size, 0);
	assert_int_equal(region(fd, VFIO_PCI_CONFIG_REGION_INDEX, &info), 0);
	assert_int_equal(info.flags, rw);
	assert_int_equal(info.size, 4096);
	assert_int_equal(region(fd, VFIO_PCI_VGA_REGION_INDEX, &info), -EINVAL);
	assert_int_equal(region(fd, 9, &info), -EINVAL);
	info.argsz = 31;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info), -EINVAL);
	rig_close(fd);
}

static void interrupts_are_described(void **state)
{
	static const u32 want[5][2] = {{7, 1}, {9, 4}, {1, TOY_VECTORS}, {9, 1}, {9, 1}};
	struct vfio_irq_info info;
	int fd = rig_device(0, 0);

	for (u32 i = 0; i < 5; i++) {
		info = (struct vfio_irq_info){.argsz = sizeof(info), .index = i};
		assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, &info), 0);
		assert_int_equal(info.flags, want[i][0]);
		assert_int_equal(info.count, want[i][1]);
	}
	info.index = 5;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, &info), -EINVAL);
	info = (struct vfio_irq_info){.argsz = 15};
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, &info), -EINVAL);
	rig_close(fd);
}

/* ---- names ---- */

static void sysfs_shows_the_node(void **state)
{
	int fd = iommufd_open(
		rig.proc, "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0/vfio-dev/vfio0/dev",
		O_RDONLY);
	char text[32] = "";

	assert_true(fd >= 0);
	assert_int_equal(iommufd_read(rig.proc, fd, text, sizeof(text)), 6);
	assert_string_equal(text, "510:0\n");
	rig_close(fd);
	assert_int_equal(rig_open("/sys/class/vfio-dev/vfio0"), -ENXIO); /* a link */
	assert_int_equal(rig_open("/dev/char/510:2"), -ENXIO);
	assert_int_equal(rig_open("/dev/char/510:3"), -ENOENT);
}

/* ---- registers ---- */

static void transfers_become_accesses_of_natural_size(void **state)
{
	int fd = rig_device(0, 0);
	u8 direct[64], back[64], odd[7] = {1, 2, 3, 4, 5, 6, 7};

	assert_int_equal(rig_read(fd, TOY_ID, 8), TOY_MAGIC);
	assert_int_equal(rig_write(fd, TOY_SCRATCH, 0x1234567890, 8), 8);
	assert_int_equal(rig_read(fd, TOY_SCRATCH, 8), 0x1234567890);
	assert_int_equal(rig_read(fd, TOY_SCRATCH, 4), 0x34567890);
	for (u32 i = 0; i < 64; i++)
		direct[i] = (u8)(i * 3);
	assert_int_equal(
		iommufd_pwrite(rig.proc, fd, direct, 64, PCI_REGION_OFFSET(0) + TOY_DIRECT), 64);
	assert_int_equal(rig.toys[0]->direct_stores, 1);
	assert_memory_equal(rig.toys[0]->direct, direct, 64);
	assert_int_equal(iommufd_pwrite(rig.proc, fd, odd, 7, PCI_REGION_OFFSET(2) + 1), 7);
	assert_int_equal(iommufd_pread(rig.proc, fd, back, 64, PCI_REGION_OFFSET(2) + TOY_BAR2 - 3),
			 3);
	assert_int_equal(iommufd_pread(rig.proc, fd, back, 1, PCI_REGION_OFFSET(2) + TOY_BAR2),
			 -EINVAL);
	assert_int_equal(iommufd_pread(rig.proc, fd, back, 1, PCI_REGION_OFFSET(1)), -EINVAL);
	assert_int_equal(iommufd_pwrite(rig.proc, fd, back, 1, PCI_REGION_OFFSET(6)), -EINVAL);
	assert_int_equal(iommufd_pread(rig.proc, fd, back, 1, 0), -EINVAL);
	assert_int_equal(iommufd_pread(rig.proc, fd, NULL, 4, PCI_REGION_OFFSET(0)), -EFAULT);
	assert_int_equal(iommufd_pread(rig.proc, fd, NULL, 0, PCI_REGION_OFFSET(0)), 0);
	rig_close(fd);
}

static void the_msix_table_is_out_of_reach_of_calls(void **state)
{
	int fd = rig_device(0, 0);

	assert_int_equal(rig_write(fd, TOY_TABLE, 0, 8), 8);
	assert_int_equal(rig_read(fd, TOY_TABLE, 8), -1);
	assert_int_equal(rig_read(fd, TOY_TABLE + TOY_VECTORS * 16 - 4, 4), 0xffffffff);
	rig_close(fd);
}

static void configuration_space_is_read_whole_and_not_beyond(void **state)
{
	const u64 config = PCI_REGION_OFFSET(VFIO_PCI_CONFIG_REGION_INDEX);
	int fd = rig_device(0, 0);
	u8 buf[4100];

	assert_int_equal(iommufd_pread(rig.proc, fd, buf, 4096, config), 4096);
	assert_int_equal(buf[0] | buf[1] << 8, 0x1d0f);
	assert_int_equal(iommufd_pread(rig.proc, fd, buf, 1, config + 4096), -EFAULT);
	assert_int_equal(iommufd_pread(rig.proc, fd, buf, 8, config + 4092), -EFAULT);
	assert_int_equal(iommufd_pread(rig.proc, fd, buf, 3, config + 1), 3);
	/* Decode is on, bus mastering off. */
	assert_int_equal(rig_config_read(fd, 4, 2) & 6, 2);
	rig_close(fd);
}

static void with_decode_off_registers_are_eio(void **state)
{
	int fd = rig_device(0, 0);

	rig_config_write(fd, 4, 0, 2);
	assert_int_equal(rig_read(fd, TOY_ID, 4), -EIO);
	assert_int_equal(rig_write(fd, TOY_SCRATCH, 1, 4), -EIO);
	rig_config_write(fd, 4, 2, 2);
	assert_int_equal(rig_read(fd, TOY_ID, 4), TOY_MAGIC);
	rig_close(fd);
}

static void with_decode_off_mapped_registers_are_not_there(void **state)
{
	int fd = rig_device(0, 0);
	void *va, *late;
	u64 value;

	assert_int_equal(iommufd_mmap(rig.proc, NULL, TOY_BAR0, PROT_READ | PROT_WRITE, MAP_SHARED,
				      fd, PCI_REGION_OFFSET(0), &va),
			 0);
	rig_write(fd, TOY_SCRATCH, 42, 8);
	rig_config_write(fd, 4, 0, 2);
	/* As a load, but for the signal. */
	assert_int_equal(mem_guard_copy(&value, va, 8), -EFAULT);
	assert_int_equal(mem_guard_copy((u8 *)va + TOY_BAR0 - 8, &value, 8), -EFAULT);
	assert_int_equal(iommufd_mmap(rig.proc, NULL, PG, PROT_READ, MAP_SHARED, fd,
				      PCI_REGION_OFFSET(0), &late),
			 0);
	assert_int_equal(mem_guard_copy(&value, late, 8), -EFAULT);
	rig_config_write(fd, 4, 2, 2);
	assert_int_equal(mem_guard_copy(&value, (u8 *)va + TOY_SCRATCH, 8), 0);
	assert_int_equal(value, 42);
	assert_int_equal(mem_guard_copy(&value, late, 8), 0);
	assert_int_equal(value, TOY_MAGIC);
	iommufd_munmap(rig.proc, late, PG);
	iommufd_munmap(rig.proc, va, TOY_BAR0);
	rig_close(fd);
}

static void bars_are_mapped_and_outlive_the_descriptor(void **state)
{
	int fd = rig_device(0, 0);
	volatile u64 *bar;
	void *va, *part;

	assert_int_equal(iommufd_mmap(rig.proc, NULL, TOY_BAR0, PROT_READ | PROT_WRITE, MAP_SHARED,
				      fd, PCI_REGION_OFFSET(0), &va),
			 0);
	bar = va;
	assert_int_equal(bar[0], TOY_MAGIC);
	rig_write(fd, TOY_SCRATCH, 42, 8);
	assert_int_equal(bar[1], 42);
	assert_int_equal(iommufd_mmap(rig.proc, NULL, PG, PROT_READ, MAP_PRIVATE, fd,
				      PCI_REGION_OFFSET(0), &part),
			 -EINVAL);
	assert_int_equal(iommufd_mmap(rig.proc, NULL, TOY_BAR0 + PG, PROT_READ, MAP_SHARED, fd,
				      PCI_REGION_OFFSET(0), &part),
			 -EINVAL);
	assert_int_equal(iommufd_mmap(rig.proc, NULL, PG, PROT_READ, MAP_SHARED, fd,
				      PCI_REGION_OFFSET(0) + TOY_BAR0, &part),
			 -EINVAL);
	for (u32 i = 1; i < 9; i++) {
		if (i == 2)
			continue;
		assert_int_equal(iommufd_mmap(rig.proc, NULL, PG, PROT_READ, MAP_SHARED, fd,
					      PCI_REGION_OFFSET(i), &part),
				 -EINVAL);
	}
	assert_int_equal(iommufd_mmap(rig.proc, NULL, PG, PROT_READ, MAP_SHARED, fd,
				      PCI_REGION_OFFSET(0), &part),
			 0);
	assert_int_equal(((volatile u64 *)part)[1], 42);
	rig_close(fd);
	assert_int_equal(bar[0], TOY_MAGIC);
	iommufd_munmap(rig.proc, part, PG);
	iommufd_munmap(rig.proc, va, TOY_BAR0);
	/* Now it is closed: another can have it, and finds it reset. */
	fd = rig_device(0, 0);
	assert_int_equal(rig_read(fd, TOY_SCRATCH, 8), 0);
	rig_close(fd);
}

static void without_mmap_registers_are_calls_only(void **state)
{
	struct vfio_region_info info;
	int fd = rig_device(0, 0);
	void *va;

	assert_int_equal(region(fd, 0, &info), 0);
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	assert_int_equal(iommufd_mmap(rig.proc, NULL, PG, PROT_READ, MAP_SHARED, fd,
				      PCI_REGION_OFFSET(0), &va),
			 -EINVAL);
	assert_int_equal(rig_read(fd, TOY_ID, 4), TOY_MAGIC);
	rig_close(fd);
}

static int begin_no_mmap(void **state)
{
	rig_access = PCI_ACCESS_NO_MMAP;
	return rig_begin(state);
}

/* ---- split: some pages are mapped, the others are calls ---- */

static int begin_split(void **state)
{
	rig_access = PCI_ACCESS_SPLIT;
	return rig_begin(state);
}

static void in_split_mode_a_region_says_what_can_be_mapped(void **state)
{
	const u32 flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
			  VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_sparse_mmap sparse;
		struct vfio_region_sparse_mmap_area areas[2];
		struct vfio_info_cap_header msix;
		u32 behind;
	} big = {.info = {.argsz = offsetof(typeof(big), behind)}, .behind = 0xabcd};
	struct vfio_region_info info;
	int fd = rig_device(0, 0);

	/* Not enough room: how much it would be. */
	for (u32 argsz = sizeof(info); argsz < big.info.argsz; argsz += 4) {
		big.info.index = 0;
		info = (struct vfio_region_info){.argsz = argsz};
		assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &info), 0);
		assert_int_equal(info.argsz, big.info.argsz);
		assert_int_equal(info.flags, flags);
		assert_int_equal(info.cap_offset, 0);
	}
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &big), 0);
	assert_int_equal(big.info.flags, flags);
	assert_int_equal(big.info.size, TOY_BAR0);
	assert_int_equal(big.info.cap_offset, sizeof(big.info));
	assert_int_equal(big.sparse.header.id, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	assert_int_equal(big.sparse.header.version, 1);
	assert_int_equal(big.sparse.header.next, offsetof(typeof(big), msix));
	assert_int_equal(big.sparse.nr_areas, 2);
	assert_int_equal(big.sparse.reserved, 0);
	assert_int_equal(big.areas[0].offset, TOY_AREA);
	assert_int_equal(big.areas[0].size, TOY_AREA_SIZE);
	assert_int_equal(big.areas[1].offset, TOY_TABLE);
	assert_int_equal(big.areas[1].size, TOY_BAR0 - TOY_TABLE);
	assert_int_equal(big.msix.id, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
	assert_int_equal(big.msix.version, 1);
	assert_int_equal(big.msix.next, 0);
	assert_int_equal(big.behind, 0xabcd);
	/* One without an MSI-X table, and one of which nothing is mapped. */
	big.info = (struct vfio_region_info){.argsz = sizeof(big), .index = 2};
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &big), 0);
	assert_int_equal(big.info.flags, flags);
	assert_int_equal(big.sparse.header.next, 0);
	assert_int_equal(big.sparse.nr_areas, 1);
	assert_int_equal(big.areas[0].offset, 0);
	assert_int_equal(big.areas[0].size, TOY_BAR2);
	assert_int_equal(region(fd, 3, &info), 0);
	assert_int_equal(info.flags, VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
	rig_close(fd);
}

static int map_part(int fd, u64 offset, u64 length, void **ret_va)
{
	return iommufd_mmap(rig.proc, NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    PCI_REGION_OFFSET(0) + offset, ret_va);
}

static void in_split_mode_only_whole_parts_of_an_area_are_mapped(void **state)
{
	static const u64 bad[][2] = {
		{0, TOY_BAR0},
		{0, PG},
		{TOY_AREA - PG, 2 * PG},
		{TOY_AREA, TOY_AREA_SIZE + PG},
		{TOY_AREA + TOY_AREA_SIZE, PG},
		{TOY_AREA, TOY_BAR0 - TOY_AREA},
		{TOY_TABLE - PG, 2 * PG},
		{TOY_BAR0 - PG, 2 * PG},
		{TOY_BAR0, PG},
	};
	static const u64 good[][2] = {
		{TOY_AREA, TOY_AREA_SIZE},
		{TOY_AREA + PG, PG},
		{TOY_TABLE, TOY_BAR0 - TOY_TABLE},
		{TOY_BAR0 - PG, PG},
	};
	struct pci_dev *pdev = &rig.toys[0]->pdev;
	int fd = rig_device(0, 0);
	void *va;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(map_part(fd, bad[i][0], bad[i][1], &va), -EINVAL);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(map_part(fd, good[i][0], good[i][1], &va), 0);
		/* It is the memory that the model looks at. */
		*(volatile u32 *)va = (u32)i + 7;
		assert_int_equal(pci_bar_peek(pdev, 0, good[i][0], 4), i + 7);
		iommufd_munmap(rig.proc, va, good[i][1]);
	}
	/* The others are calls, at once. */
	assert_int_equal(rig_read(fd, TOY_ID, 8), TOY_MAGIC);
	assert_int_equal(rig_write(fd, TOY_SCRATCH, 42, 8), 8);
	assert_int_equal(rig.toys[0]->scratch, 42);
	assert_int_equal(map_part(fd, TOY_AREA, PG, &va), 0);
	rig_config_write(fd, 4, 0, 2);
	assert_int_equal(mem_guard_copy(&(u32){0}, va, 4), -EFAULT);
	rig_config_write(fd, 4, 2, 2);
	assert_int_equal(*(volatile u32 *)va, 7);
	rig_close(fd);
	iommufd_munmap(rig.proc, va, PG);
}

/* ---- ioeventfds ---- */

static bool soon(int fd, u64 offset, s64 want)
{
	for (int i = 0; i < 60000; i++) {
		if (rig_read(fd, offset, 8) == want)
			return true;
		usleep(1000);
	}
	return false;
}

static void an_eventfd_writes_a_register(void **state)
{
	int fd = rig_device(0, 0), event = rig_eventfd();
	struct vfio_device_ioeventfd io = {
		.argsz = 27,
		.flags = VFIO_DEVICE_IOEVENTFD_64,
		.offset = PCI_REGION_OFFSET(0) + TOY_SCRATCH,
		.data = 0xfeed,
		.fd = event,
	};

	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io), -EINVAL);
	io.argsz = sizeof(io);
	io.flags = 3;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io), -EINVAL);
	io.flags = VFIO_DEVICE_IOEVENTFD_64;
	io.offset = PCI_REGION_OFFSET(0) + TOY_TABLE;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io), -EINVAL);
	io.offset = PCI_REGION_OFFSET(7);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io), -EINVAL);
	io.offset = PCI_REGION_OFFSET(0) + TOY_BAR0;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io), -EINVAL);
	io.offset = PCI_REGION_OFFSET(0) + TOY_SCRATCH;
	io.fd = rig.iommu;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io), -EINVAL);
	io.fd = -1;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io), -ENODEV);
	io.fd = event;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io), 0);
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io), -EEXIST);
	assert_int_equal(eventfd_write(event, 1), 0);
	assert_true(soon(fd, TOY_SCRATCH, 0xfeed));
	io.fd = -1;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io), 0);
	rig_write(fd, TOY_SCRATCH, 0, 8);
	assert_int_equal(eventfd_write(event, 1), 0);
	assert_int_equal(rig_read(fd, TOY_SCRATCH, 8), 0);
	io.fd = event;
	assert_int_equal(rig_ioctl(fd, VFIO_DEVICE_IOEVENTFD, &io), 0);
	rig_close(fd);
	close(event);
}

/* ---- failures ---- */

static void every_failing_step_of_bind_and_attach_leaves_nothing(void **state)
{
	u32 ioas = rig_ioas();
	bool failed = true;

	for (u32 nth = 1; failed; nth++) {
		int fd = rig_cdev(0);
		int rc;

		iommufd_fail_nth_set(nth);
		rc = rig_bind(fd, rig.iommu, NULL);
		if (!rc)
			rc = rig_attach(fd, ioas, NULL);
		failed = !iommufd_fail_nth_get();
		iommufd_fail_nth_set(0);
		assert_true(failed || !rc);
		rig_close(fd);
		assert_true(nth < 1000);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(before_it_is_bound_everything_is_einval),
		T(bind_refuses_in_the_order_it_is_specified),
		T(a_bind_that_cannot_answer_leaves_nothing),
		T(a_model_that_does_not_open_refuses_the_bind),
		T(attach_refuses_in_the_order_it_is_specified),
		T(pasids_are_attached_replaced_and_detached),
		T(an_attach_that_cannot_answer_is_undone),
		T(dma_goes_where_the_device_is_attached),
		T(info_knows_old_and_new_sizes),
		T(regions_are_described_with_their_capabilities),
		T(interrupts_are_described),
		T(sysfs_shows_the_node),
		T(transfers_become_accesses_of_natural_size),
		T(the_msix_table_is_out_of_reach_of_calls),
		T(configuration_space_is_read_whole_and_not_beyond),
		T(with_decode_off_registers_are_eio),
		T(with_decode_off_mapped_registers_are_not_there),
		T(bars_are_mapped_and_outlive_the_descriptor),
		cmocka_unit_test_setup_teardown(without_mmap_registers_are_calls_only,
						begin_no_mmap, rig_end),
		cmocka_unit_test_setup_teardown(in_split_mode_a_region_says_what_can_be_mapped,
						begin_split, rig_end),
		cmocka_unit_test_setup_teardown(
			in_split_mode_only_whole_parts_of_an_area_are_mapped, begin_split, rig_end),
		T(an_eventfd_writes_a_register),
		T(every_failing_step_of_bind_and_attach_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
