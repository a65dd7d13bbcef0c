/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "../mem/keep_signals.h"

#include "core/dmabuf_file.h"

int iommufd_generic_init(struct iommufd_system *system);
int iommufd_generic_probe(struct iommufd_system *system, struct device *dev);

static void log_line_of(void *data, enum iommufd_log_level level, const char *line)
{
	print_message("%s\n", line);
}

int rig_begin(void **state)
{
	const struct iommufd_system_opts opts = {
		.size = sizeof(opts), .log = log_line_of, .log_level = IOMMUFD_LOG_WARN};
	struct iommu_ioas_alloc ioas = {.size = sizeof(ioas)};
	struct rig *rig = calloc(1, sizeof(*rig));
	struct iommu_ioas_map map = {.size = sizeof(map),
				     .iova = RIG_IOVA,
				     .length = RIG_MEMORY,
				     .flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
					      IOMMU_IOAS_MAP_WRITEABLE};

	assert_int_equal(iommufd_system_create(&opts, &rig->system), 0);
	assert_int_equal(iommufd_generic_init(rig->system), 0);
	assert_int_equal(pci_topology_create(rig->system, &rig->topology), 0);
	assert_int_equal(iommufd_process_create(rig->system, &rig->proc), 0);
	rig->fd = iommufd_open(rig->proc, "/dev/iommu", O_RDWR);
	assert_int_equal(iommufd_ctx_from_fd(rig->proc, rig->fd, &rig->ctx), 0);
	assert_int_equal(iommufd_ioctl(rig->proc, rig->fd, IOMMU_IOAS_ALLOC, &ioas), 0);
	rig->ioas = ioas.out_ioas_id;
	rig->memory =
		mmap(NULL, RIG_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	map.ioas_id = rig->ioas;
	map.user_va = (uintptr_t)rig->memory;
	assert_int_equal(iommufd_ioctl(rig->proc, rig->fd, IOMMU_IOAS_MAP, &map), 0);
	*state = rig;
	return 0;
}

static int found(struct pci_dev *pdev, void *data)
{
	*(struct pci_dev **)data = pdev;
	/* VFs go with their PF. */
	return !pdev->physfn;
}

int rig_end(void **state)
{
	struct rig *rig = *state;
	struct pci_dev *pdev;

	for (;;) {
		pdev = NULL;
		pci_for_each(rig->topology, found, &pdev);
		if (!pdev)
			break;
		pci_dev_remove(pdev);
	}
	iommufd_ctx_put(rig->ctx);
	iommufd_process_destroy(rig->proc);
	pci_topology_destroy(rig->topology);
	assert_int_equal(mem_space_pins(rig->system->mem), 0);
	assert_null(mem_space_check(rig->system->mem));
	iommufd_system_destroy(rig->system);
	munmap(rig->memory, RIG_MEMORY);
	free(rig);
	return 0;
}

struct edu *rig_add(struct rig *rig, const char *address, const struct pci_desc *desc,
		    enum pci_access access)
{
	struct edu *edu = edu_create(desc, access);

	edu->destroyed = &rig->destroyed;
	assert_int_equal(
		pci_dev_add(rig->topology, &edu->pdev, rig_addr(address), iommufd_generic_probe),
		0);
	return edu;
}

/* ---- clients ---- */

static void told_irq(struct pci_client *client, enum pci_irq kind, u32 vector)
{
	struct told *told = container_of(client, struct told, client);

	if (kind == PCI_IRQ_ERR)
		atomic_fetch_add(&told->errors, 1);
	else
		atomic_fetch_add(&told->irqs[vector % 32], 1);
}

static void told_intx(struct pci_client *client, bool level)
{
	struct told *told = container_of(client, struct told, client);

	atomic_store(&told->level, level);
	atomic_fetch_add(&told->levels, 1);
}

static void told_reset(struct pci_client *client)
{
	atomic_fetch_add(&container_of(client, struct told, client)->resets, 1);
}

void rig_open(struct edu *edu, struct told *told, struct mem_device *memory)
{
	*told = (struct told){.client = {told_irq, told_intx, told_reset}, .edu = edu};
	assert_int_equal(pci_dev_open(&edu->pdev, &told->client, memory), 0);
}

void rig_close(struct told *told)
{
	pci_dev_close(&told->edu->pdev, &told->client);
}

/* ---- DMA ---- */

struct iommufd_device *rig_attach(struct rig *rig, struct edu *edu)
{
	struct iommufd_device *idev;
	u32 id, pt = rig->ioas;

	idev = iommufd_device_bind(rig->ctx, &edu->pdev.dev, &id);
	assert_false(IS_ERR(idev));
	assert_int_equal(iommufd_device_attach(idev, IOMMU_NO_PASID, &pt), 0);
	return idev;
}

void rig_detach(struct iommufd_device *idev)
{
	iommufd_device_detach(idev, IOMMU_NO_PASID);
	iommufd_device_unbind(idev);
}

void rig_map_bar(struct rig *rig, struct edu *edu, unsigned int bar)
{
	struct iommu_ioas_map_file map = {.size = sizeof(map),
					  .ioas_id = rig->ioas,
					  .iova = RIG_PEER,
					  .flags = IOMMU_IOAS_MAP_FIXED_IOVA |
						   IOMMU_IOAS_MAP_READABLE |
						   IOMMU_IOAS_MAP_WRITEABLE,
					  .length = edu->pdev.bars[bar].size};
	struct dmabuf *dmabuf;
	struct file *file;

	assert_true(edu->pdev.bars[bar].pa);
	assert_int_equal(dmabuf_create(edu->pdev.bars[bar].pa, edu->pdev.bars[bar].size, NULL, NULL,
				       &dmabuf),
			 0);
	assert_int_equal(dmabuf_file_create(rig->system, dmabuf, O_RDWR, &file), 0);
	dmabuf_put(dmabuf);
	map.fd = self_adopt(rig->proc, file);
	assert_true(map.fd >= 0);
	assert_int_equal(iommufd_ioctl(rig->proc, rig->fd, IOMMU_IOAS_MAP_FILE, &map), 0);
	iommufd_close(rig->proc, map.fd);
}

void rig_unmap_bar(struct rig *rig, struct edu *edu, unsigned int bar)
{
	struct iommu_ioas_unmap unmap = {.size = sizeof(unmap),
					 .ioas_id = rig->ioas,
					 .iova = RIG_PEER,
					 .length = edu->pdev.bars[bar].size};

	assert_int_equal(iommufd_ioctl(rig->proc, rig->fd, IOMMU_IOAS_UNMAP, &unmap), 0);
}

/* ---- files ---- */

ssize_t rig_read(struct rig *rig, const char *path, char *buf, size_t size)
{
	int fd = iommufd_open(rig->proc, path, O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	memset(buf, 0, size);
	n = iommufd_pread(rig->proc, fd, buf, size - 1, 0);
	iommufd_close(rig->proc, fd);
	return n;
}

ssize_t rig_write(struct rig *rig, const char *path, const char *text)
{
	int fd = iommufd_open(rig->proc, path, O_WRONLY);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = iommufd_pwrite(rig->proc, fd, text, strlen(text), 0);
	iommufd_close(rig->proc, fd);
	return n;
}
