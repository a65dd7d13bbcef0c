/* SPDX-License-Identifier: MIT */
/* The devices of the machine: registers that are memory (minor 0), or calls (minor 1). */
#include "machine.h"

#include "base/alloc.h"
#include "base/fault.h"
#include "core/system.h"
#include "mem/device_mem.h"
#include "mem/task.h"

struct iommufd_system *machine;
_Atomic int stored;
_Atomic int opened;

struct dev {
	struct file file;
	bool trapped;
	struct mem_device *memory;
	struct mem_run run;
	int fd;
	_Atomic int maps;
	_Atomic u32 last;
	u8 regs[BAR_SIZE] __attribute__((aligned(64)));
};

static struct dev *to_dev(struct file *file)
{
	return container_of(file, struct dev, file);
}

static int dev_access(struct file *file, u64 pos, void *data, unsigned int size, bool write)
{
	struct dev *dev = to_dev(file);
	u64 at = pos - PCI_REGION_OFFSET(0);

	/* The last register is one that does not answer. */
	if (at > BAR_SIZE - 8 - size)
		return -EIO;
	dev->last = size | (write ? 0x100 : 0);
	memcpy(write ? dev->regs + at : data, write ? data : dev->regs + at, size);
	return 0;
}

static ssize_t dev_io(struct file *file, u64 ubuf, size_t count, u64 pos, bool write)
{
	struct dev *dev = to_dev(file);
	u64 at = pos - PCI_REGION_OFFSET(0);

	if (at >= BAR_SIZE)
		return -EINVAL;
	count = MIN(count, BAR_SIZE - (size_t)at);
	if (write ? copy_from_user(dev->regs + at, ubuf, count) :
		    copy_to_user(ubuf, dev->regs + at, count))
		return -EFAULT;
	return (ssize_t)count;
}

static ssize_t dev_pread(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	return dev_io(file, ubuf, count, pos, false);
}

static ssize_t dev_pwrite(struct file *file, u64 ubuf, size_t count, u64 pos)
{
	return dev_io(file, ubuf, count, pos, true);
}

static int dev_mmap(struct file *file, u64 length, int prot, int flags, u64 offset,
		    struct file_map *ret_map)
{
	struct dev *dev = to_dev(file);

	if ((flags & MAP_TYPE) == MAP_PRIVATE || PCI_REGION_INDEX(offset) ||
	    offset - PCI_REGION_OFFSET(0) + length > BAR_SIZE)
		return -EINVAL;
	dev->maps++;
	*ret_map = (struct file_map){ .host_fd = dev->fd, .host_offset = offset, .length = length,
				      .trapped = dev->trapped };
	return 0;
}

static void dev_unmap(struct file *file, void *cookie)
{
	to_dev(file)->maps--;
}

static int dev_memory(struct dev *dev)
{
	int rc;

	if (dev->memory)
		return 0;
	rc = dev->file.host_memory(&dev->file, false, &dev->fd);
	if (!rc)
		rc = mem_device_create(machine->mem, dev->fd, false, &dev->memory);
	if (!rc)
		rc = mem_device_provide(dev->memory, PCI_REGION_OFFSET(0), BAR_SIZE, &dev->run);
	if (!rc)
		rc = mem_run_write(&dev->run, 0, "registers", 9);
	return rc;
}

static long dev_ioctl(struct file *file, unsigned int cmd, u64 arg)
{
	struct dev *dev = to_dev(file);
	u64 injected;
	long left;

	switch (cmd) {
	case CMD_PLUG:
		return machine_plug(arg != 0);
	case CMD_STORED:
		return stored;
	case CMD_LET:
		stores_let((unsigned int)arg);
		return 0;
	case CMD_NO_THREAD:
		fault_named_set("thread", 0, (u32)arg);
		return 0;
	case CMD_LAST:
		return dev->last;
	case CMD_MAPS:
		file_settle(file);
		return dev->maps;
	case CMD_MEMORY:
		return dev_memory(dev);
	case CMD_FAIL:
		left = (long)fault_named_left(&injected);
		fault_named_set("alloc", arg ? (u32)arg - 1 : 0, arg != 0);
		return left;
	default:
		return -ENOTTY;
	}
}

static void dev_release(struct file *file)
{
	struct dev *dev = to_dev(file);

	if (dev->maps)
		fprintf(stderr, "%d mappings never ended\n", dev->maps);
	if (dev->memory) {
		mem_device_withdraw(dev->memory, PCI_REGION_OFFSET(0), &dev->run);
		mem_device_free(dev->memory);
	}
	free(dev);
	opened--;
}

static const struct file_ops dev_ops = {
	.name = "dev",
	.ioctl = dev_ioctl,
	.pread = dev_pread,
	.pwrite = dev_pwrite,
	.mmap = dev_mmap,
	.unmap = dev_unmap,
	.access = dev_access,
	.release = dev_release,
};

int dev_open(struct tree_entry *entry, int open_flags, struct file **ret_file)
{
	struct dev *dev;

	if (posix_memalign((void **)&dev, 64, sizeof(*dev)))
		return -ENOMEM;
	memset(dev, 0, sizeof(*dev));
	dev->fd = -1;
	dev->trapped = entry->minor == 1;
	memcpy(dev->regs, "registers", 9);
	file_init(&dev->file, &dev_ops, machine, open_flags);
	*ret_file = &dev->file;
	opened++;
	return 0;
}
