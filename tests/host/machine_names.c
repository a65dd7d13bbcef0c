/* SPDX-License-Identifier: MIT */
/* The names of the machine: nodes, links and attributes, and what reads and writes them. */
#include "machine.h"

#include <semaphore.h>
#include <time.h>

#include "base/alloc.h"
#include "core/ctx.h"
#include "core/system.h"
#include "iommufd/mock.h"

_Atomic int *left_open;

static int iommu_open(struct tree_entry *entry, int open_flags, struct file **ret_file)
{
	struct iommufd_ctx *ctx;
	int rc = ctx_open(machine, 0, open_flags, &ctx);

	if (!rc)
		*ret_file = &ctx->file;
	return rc;
}

static ssize_t vendor_show(struct tree_entry *entry, char *buf)
{
	return sprintf(buf, "0x8086\n");
}

static ssize_t count_show(struct tree_entry *entry, char *buf)
{
	return sprintf(buf, "%d\n", stored);
}

static int count_store(struct tree_entry *entry, const char *text, size_t len)
{
	int value = atoi(text);

	if (value > 100)
		return -ERANGE;
	stored = value;
	return 0;
}

static sem_t let;

void stores_let(unsigned int n)
{
	while (n--)
		sem_post(&let);
}

/* A store that needs a processor for so many milliseconds, or (0) waits until it is let. */
static int work_store(struct tree_entry *entry, const char *text, size_t len)
{
	int ms = atoi(text), spent = 0;
	struct timespec t;

	while (!ms && sem_wait(&let))
		;
	while (spent < ms) {
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		spent = (int)(t.tv_sec * 1000 + t.tv_nsec / 1000000);
	}
	stored = ms / 100;
	return 0;
}

static ssize_t config_read(struct tree_entry *entry, void *buf, size_t len, u64 pos)
{
	size_t n = pos < 256 ? MIN(len, (size_t)(256 - pos)) : 0;

	for (size_t i = 0; i < n; i++)
		((u8 *)buf)[i] = (u8)(pos + i + (size_t)stored);
	return (ssize_t)n;
}

static struct tree_entry names[] = {
	{ .path = "/dev/machine/memory",
	  .kind = TREE_NODE,
	  .mode = 0600,
	  .major = 511,
	  .minor = 0,
	  .open = dev_open },
	{ .path = "/dev/machine/calls",
	  .kind = TREE_NODE,
	  .mode = 0600,
	  .major = 511,
	  .minor = 1,
	  .open = dev_open },
	{ .path = "/dev/iommu",
	  .kind = TREE_NODE,
	  .mode = 0600,
	  .major = 10,
	  .minor = 126,
	  .open = iommu_open },
	{ .path = "/dev/vfio/devices/vfio0",
	  .kind = TREE_NODE,
	  .mode = 0600,
	  .major = 509,
	  .minor = 0,
	  .open = dev_open },
	{ .path = "/dev/char/511:0", .kind = TREE_LINK, .target = "../machine/memory" },
	{ .path = "/sys/bus/pci/devices/0000:00:05.0",
	  .kind = TREE_LINK,
	  .target = "../../../devices/pci0000:00/0000:00:05.0" },
	{ .path = PCI_DEV "/vendor",
	  .kind = TREE_ATTR,
	  .mode = 0444,
	  .show = vendor_show,
	  .constant = true },
	{ .path = PCI_DEV "/count",
	  .kind = TREE_ATTR,
	  .mode = 0644,
	  .show = count_show,
	  .store = count_store },
	{ .path = PCI_DEV "/seen", .kind = TREE_ATTR, .mode = 0444, .show = count_show },
	{ .path = PCI_DEV "/work", .kind = TREE_ATTR, .mode = 0200, .store = work_store },
	{ .path = PCI_DEV "/config",
	  .kind = TREE_ATTR,
	  .mode = 0444,
	  .read_at = config_read,
	  .size = 256 },
	{ .path = PCI_DEV "/empty", .kind = TREE_DIR },
	{ .path = "/sys/kernel/iommu_groups", .kind = TREE_DIR },
	{ .path = "/sys/kernel/iommu_groups/7/devices/0000:00:05.0",
	  .kind = TREE_LINK,
	  .target = "../../../../devices/pci0000:00/0000:00:05.0" },
};

static struct tree_entry plugged[] = {
	{ .path = "/dev/machine/new", .kind = TREE_NODE, .mode = 0600, .major = 511, .minor = 2,
	  .open = dev_open },
	{ .path = "/sys/devices/pci0000:00/0000:00:06.0/vendor", .kind = TREE_ATTR, .mode = 0444,
	  .show = vendor_show, .constant = true },
	{ .path = "/sys/bus/pci/devices/0000:00:06.0", .kind = TREE_LINK,
	  .target = "../../../devices/pci0000:00/0000:00:06.0" },
	{ .path = "/sys/class/machine/new", .kind = TREE_LINK,
	  .target = "../../devices/pci0000:00/0000:00:06.0" },
};

int machine_plug(bool appears)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(plugged) && !rc; i++) {
		if (appears)
			rc = tree_add(&machine->tree, &plugged[i]);
		else
			tree_remove(&machine->tree, &plugged[i]);
	}
	return rc;
}

int machine_start(void *data, struct iommufd_system **ret_system)
{
	struct iommufd_system_opts opts = { .size = sizeof(opts), .selftest = true };
	int rc = iommufd_system_create(&opts, &machine);

	sem_init(&let, 0, 0);
	if (!rc)
		rc = iommufd_mock_init(machine);
	for (size_t i = 0; !rc && i < ARRAY_SIZE(names); i++)
		rc = tree_add(&machine->tree, &names[i]);
	*ret_system = machine;
	return rc;
}

void machine_stop(void *data)
{
	*left_open = opened;
	machine_plug(false);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		tree_remove(&machine->tree, &names[i]);
	iommufd_system_destroy(machine);
}
