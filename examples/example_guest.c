/* SPDX-License-Identifier: MIT */
/*
 * A machine with the example IOMMU and a program on it, in one process: what a
 * virtual machine monitor does for a guest that has a vIOMMU, step by step, with
 * a check after each.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <iommufd/ctx.h>
#include <iommufd/device.h>
#include <iommufd/uapi/iommufd.h>

#include "example_driver.h"

#define PAGE 4096ul
#define GUEST_PAGES 16
#define TABLE (8 * PAGE)  /* where the guest keeps its table, its ring and its data */
#define RING (12 * PAGE)
#define VIRT_ID 0x42

static struct iommufd_process *proc;
static int iommu;

#define CHECK(what)                                                                                \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what);         \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

static long command(unsigned int number, void *cmd)
{
	return iommufd_ioctl(proc, iommu, number, cmd);
}

static long destroy(u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return command(IOMMU_DESTROY, &cmd);
}

/* The guest's memory is what its vIOMMU's parent translates. */
static u32 map_guest(char *memory)
{
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	struct iommu_ioas_map map = { .size = sizeof(map),
				      .flags = IOMMU_IOAS_MAP_FIXED_IOVA |
					       IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
				      .user_va = (uintptr_t)memory,
				      .length = GUEST_PAGES * PAGE };

	CHECK(!command(IOMMU_IOAS_ALLOC, &ioas));
	map.ioas_id = ioas.out_ioas_id;
	CHECK(!command(IOMMU_IOAS_MAP, &map));
	return ioas.out_ioas_id;
}

static u32 alloc_hwpt(struct iommu_hwpt_alloc cmd)
{
	cmd.size = sizeof(cmd);
	CHECK(!command(IOMMU_HWPT_ALLOC, &cmd));
	return cmd.out_hwpt_id;
}

static u32 alloc_viommu(u32 dev_id, u32 parent, struct example_viommu_data *data)
{
	struct iommu_viommu_alloc cmd = { .size = sizeof(cmd), .type = EXAMPLE_TYPE,
					  .dev_id = dev_id, .hwpt_id = parent,
					  .data_len = sizeof(*data), .data_uptr = (uintptr_t)data };

	CHECK(!command(IOMMU_VIOMMU_ALLOC, &cmd));
	return cmd.out_viommu_id;
}

static long alloc_queue(u32 viommu, u32 index, u32 *ret_queue)
{
	struct iommu_hw_queue_alloc cmd = { .size = sizeof(cmd), .viommu_id = viommu,
					    .type = EXAMPLE_TYPE, .index = index,
					    .nesting_parent_iova = RING + index * PAGE,
					    .length = PAGE };
	long rc = command(IOMMU_HW_QUEUE_ALLOC, &cmd);

	*ret_queue = cmd.out_hw_queue_id;
	return rc;
}

static void check_event(int fd, u64 iova)
{
	struct {
		struct iommufd_vevent_header header;
		struct example_event event;
	} item;

	CHECK(iommufd_read(proc, fd, &item, sizeof(item)) == sizeof(item));
	CHECK(item.header.flags == 0 && item.event.virt_id == VIRT_ID && item.event.iova == iova);
	CHECK(iommufd_read(proc, fd, &item, sizeof(item)) == 0);
}

/* The guest changes its table; the device sees it once its IOMMU has been told. */
static void use_tables(struct example_iommu *hw, struct example_dev *dev, char *memory, u32 viommu,
		       int events, u32 *doorbells)
{
	struct example_command forget = { .virt_id = VIRT_ID };
	struct iommu_hwpt_invalidate inv = { .size = sizeof(inv), .hwpt_id = viommu,
					     .data_uptr = (uintptr_t)&forget,
					     .data_type = EXAMPLE_TYPE,
					     .entry_len = sizeof(forget), .entry_num = 1 };
	u64 *table = (u64 *)(memory + TABLE);
	char word[8];

	strcpy(memory + PAGE, "one");
	strcpy(memory + 2 * PAGE, "two");
	CHECK(example_dma_read(dev, 5 * PAGE, word, 4) == -EFAULT);
	check_event(events, 5 * PAGE);
	table[5] = PAGE | EXAMPLE_VALID;
	CHECK(!example_dma_read(dev, 5 * PAGE, word, 4) && !strcmp(word, "one"));
	table[5] = 2 * PAGE | EXAMPLE_VALID;
	CHECK(!example_dma_read(dev, 5 * PAGE, word, 4) && !strcmp(word, "one"));
	CHECK(!command(IOMMU_HWPT_INVALIDATE, &inv) && inv.entry_num == 1);
	CHECK(!example_dma_read(dev, 5 * PAGE, word, 4) && !strcmp(word, "two"));

	/* the same through a ring that the IOMMU reads by itself */
	table[5] = PAGE | EXAMPLE_VALID;
	memcpy(memory + RING, &forget, sizeof(forget));
	doorbells[0] = 1;
	CHECK(!example_dma_read(dev, 5 * PAGE, word, 4) && !strcmp(word, "two"));
	example_iommu_poll(hw);
	CHECK(!example_dma_read(dev, 5 * PAGE, word, 4) && !strcmp(word, "one"));
}

/* The ring can not go while the IOMMU reads it, nor the first queue before the second. */
static void use_queues(u32 ioas, u32 viommu, const u32 queue[2])
{
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap), .ioas_id = ioas,
					  .length = GUEST_PAGES * PAGE };

	CHECK(command(IOMMU_IOAS_UNMAP, &unmap) == -EBUSY);
	CHECK(destroy(queue[0]) == -EBUSY);
	CHECK(destroy(viommu) == -EBUSY);
	CHECK(!destroy(queue[1]) && !destroy(queue[0]));
	CHECK(!command(IOMMU_IOAS_UNMAP, &unmap));
}

static void run_guest(struct example_iommu *hw, struct example_dev *dev,
		      struct iommufd_device *idev, u32 dev_id, char *memory)
{
	const struct example_table_data table = { .table = TABLE };
	struct iommu_vdevice_alloc vdevice = { .size = sizeof(vdevice), .dev_id = dev_id,
					       .virt_id = VIRT_ID };
	struct iommu_veventq_alloc veventq = { .size = sizeof(veventq), .type = EXAMPLE_TYPE,
					       .veventq_depth = 16 };
	struct example_viommu_data data = { 0 };
	u32 ioas = map_guest(memory), parent, viommu, nested, queue[2];
	void *doorbells;

	parent = alloc_hwpt((struct iommu_hwpt_alloc){ .flags = IOMMU_HWPT_ALLOC_NEST_PARENT,
						       .dev_id = dev_id, .pt_id = ioas });
	viommu = alloc_viommu(dev_id, parent, &data);
	CHECK(!iommufd_mmap(proc, NULL, data.out_mmap_length, PROT_READ | PROT_WRITE, MAP_SHARED,
			    iommu, data.out_mmap_offset, &doorbells));
	veventq.viommu_id = vdevice.viommu_id = viommu;
	CHECK(!command(IOMMU_VEVENTQ_ALLOC, &veventq));
	CHECK(alloc_queue(viommu, 1, &queue[1]) == -EIO);
	CHECK(!alloc_queue(viommu, 0, &queue[0]) && !alloc_queue(viommu, 1, &queue[1]));
	nested = alloc_hwpt((struct iommu_hwpt_alloc){ .dev_id = dev_id, .pt_id = viommu,
						       .data_type = EXAMPLE_TYPE,
						       .data_len = sizeof(table),
						       .data_uptr = (uintptr_t)&table });
	CHECK(iommufd_device_attach(idev, IOMMU_NO_PASID, &nested) == -ENOENT);
	CHECK(!command(IOMMU_VDEVICE_ALLOC, &vdevice));
	CHECK(!iommufd_device_attach(idev, IOMMU_NO_PASID, &nested));

	use_tables(hw, dev, memory, viommu, (int)veventq.out_veventq_fd, doorbells);
	use_queues(ioas, viommu, queue);

	iommufd_device_detach(idev, IOMMU_NO_PASID);
	/* unplugged: what the guest called it goes with it */
	iommufd_device_unbind(idev);
	CHECK(destroy(vdevice.out_vdevice_id) == -ENOENT);
	CHECK(!destroy(nested));
	CHECK(destroy(viommu) == -EBUSY); /* mapped, and events may come */
	CHECK(!iommufd_munmap(proc, doorbells, data.out_mmap_length));
	CHECK(!iommufd_close(proc, (int)veventq.out_veventq_fd));
	CHECK(!destroy(veventq.out_veventq_id) && !destroy(viommu) && !destroy(parent));
}

int main(void)
{
	struct iommufd_system *system;
	struct iommufd_device *idev;
	struct example_iommu *hw;
	struct example_dev *dev;
	struct iommufd_ctx *ctx;
	char *memory;
	u32 dev_id;

	CHECK(!iommufd_system_create(NULL, &system));
	hw = example_iommu_create(system);
	dev = hw ? example_dev_create(hw) : NULL;
	CHECK(dev && !iommufd_process_create(system, &proc));
	iommu = iommufd_open(proc, "/dev/iommu", O_RDWR);
	CHECK(iommu >= 0 && !iommufd_ctx_from_fd(proc, iommu, &ctx));
	idev = iommufd_device_bind(ctx, example_to_device(dev), &dev_id);
	CHECK(!IS_ERR(idev));
	memory = mmap(NULL, GUEST_PAGES * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(memory != MAP_FAILED);

	run_guest(hw, dev, idev, dev_id, memory);

	iommufd_ctx_put(ctx);
	iommufd_process_destroy(proc);
	example_dev_destroy(dev);
	example_iommu_destroy(hw);
	iommufd_system_destroy(system);
	puts("a guest used the example IOMMU, and nothing is left of it");
	return 0;
}
