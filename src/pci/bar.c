/* SPDX-License-Identifier: MIT */
/*
 * BARs.  In poll mode a BAR is memory in a file that a program maps; in no-mmap and trap mode it
 * is nothing but an address.  Either way it is somewhere in physical space, where DMA of
 * other devices finds it.  In split mode it is both: memory for the program, and an address where
 * the model answers.  While the function does not decode memory, such a file is hidden
 * (mem/device_mem.h): who touches a mapping gets SIGBUS.
 */
#include "pci/priv.h"

static u64 bar_bytes(const struct pci_bar_desc *bar)
{
	return ALIGN_UP(bar->size, PAGE_SIZE);
}

/* ---- by physical address ---- */

static int io_read(void *data, u64 offset, void *buf, unsigned int size)
{
	const struct pci_bar_io *io = data;

	return pci_bar_access(io->pdev, io->bar, offset, buf, size, false);
}

static int io_write(void *data, u64 offset, const void *buf, unsigned int size)
{
	const struct pci_bar_io *io = data;

	return pci_bar_access(io->pdev, io->bar, offset, (void *)(uintptr_t)buf, size, true);
}

static const struct mem_io_ops bar_io_ops = {.read = io_read, .write = io_write};

/* ---- opening and closing ---- */

static int bar_open_memory(struct pci_priv *priv, unsigned int n)
{
	struct pci_bar_io *io = &priv->bar_io[n];
	struct pci_bar *bar = &priv->pdev->bars[n];
	u64 length;
	int rc;

	rc = mem_device_provide(priv->memory, PCI_REGION_OFFSET((u64)n),
				bar_bytes(&priv->pdev->desc->bars[n]), &io->run);
	if (rc)
		return rc;
	io->provided = true;
	bar->mem_pa = bar->pa = mem_run_phys(&io->run, 0, &(u32){0});
	bar->mem = mem_phys_ptr(priv->pdev->system->mem, bar->pa, &length);
	return 0;
}

static int bar_open(struct pci_priv *priv, unsigned int n)
{
	const struct pci_bar_desc *desc = &priv->pdev->desc->bars[n];
	struct pci_bar_io *io = &priv->bar_io[n];
	bool split = priv->pdev->access == PCI_ACCESS_SPLIT;
	int rc = 0;

	if (!desc->size || desc->io)
		return 0;
	if (priv->memory && (!split || desc->areas[0].size))
		rc = bar_open_memory(priv, n);
	if (rc || (priv->memory && !split))
		return rc;
	io->pdev = priv->pdev;
	io->bar = n;
	return mem_io_create(priv->pdev->system->mem, desc->size, &bar_io_ops, io, &io->io,
			     &priv->pdev->bars[n].pa);
}

/* ---- decoding ---- */

static bool decodes(const struct pci_dev *pdev, bool io)
{
	u16 command = atomic_load_explicit(&pdev->priv->command, memory_order_relaxed);

	/* A VF's memory is enabled by its PF, for all of them (PCIe 6.0, 9.3.4.1.3). */
	return command & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY) || (pdev->physfn && !io);
}

bool pci_mem_enabled(const struct pci_dev *pdev)
{
	return decodes(pdev, false) && !(atomic_load_explicit(&pdev->priv->accesses.state,
							   memory_order_relaxed) &
				      GATE_CLOSED);
}

/* Nobody but us has mapped memory of our own. */
static bool bars_hide(const struct pci_priv *priv)
{
	return priv->memory && !priv->own_memory && priv->client &&
	       (priv->d3 || !decodes(priv->pdev, false));
}

bool bars_settled(const struct pci_priv *priv)
{
	return priv->hidden == bars_hide(priv);
}

static int bars_set_hidden(struct pci_priv *priv, bool hide)
{
	struct mem_part parts[PCI_BARS];
	unsigned int n = 0;

	for (unsigned int i = 0; i < PCI_BARS; i++) {
		if (priv->bar_io[i].provided)
			parts[n++] = (struct mem_part){PCI_REGION_OFFSET((u64)i),
						       priv->bar_io[i].run};
	}
	return hide ? mem_device_hide(priv->memory, parts, n)
		    : mem_device_show(priv->memory, parts, n);
}

void bars_settle(struct pci_priv *priv)
{
	bool hide = bars_hide(priv);
	int rc;

	mutex_assert_held(&priv->op_lock);
	if (hide == priv->hidden)
		return;
	rc = bars_set_hidden(priv, hide);
	if (rc)
		system_log(priv->pdev->system, IOMMUFD_LOG_WARN,
			   "%s: mapped registers could not be %s: %s", priv->name,
			   hide ? "taken away" : "given back", strerror(-rc));
	else
		priv->hidden = hide;
}

void bars_close(struct pci_priv *priv)
{
	if (priv->hidden)
		bars_set_hidden(priv, false);
	priv->hidden = false;
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		struct pci_bar_io *io = &priv->bar_io[i];

		priv->pdev->bars[i].mem = NULL;
		priv->pdev->bars[i].pa = priv->pdev->bars[i].mem_pa = 0;
		mem_io_destroy(io->io);
		if (io->provided)
			mem_device_withdraw(priv->memory, PCI_REGION_OFFSET((u64)i), &io->run);
		*io = (struct pci_bar_io){0};
	}
	if (priv->own_memory)
		mem_device_free(priv->memory);
	priv->memory = NULL;
	priv->own_memory = false;
}

int bars_open(struct pci_priv *priv, struct mem_device *memory)
{
	int rc = 0;

	if (pci_in_memory(priv->pdev)) {
		priv->memory = memory;
		if (!memory) {
			rc = mem_device_create(priv->pdev->system->mem, -1, false,
					       &priv->memory);
			priv->own_memory = !rc;
		}
	}
	for (unsigned int i = 0; i < PCI_BARS && !rc; i++)
		rc = bar_open(priv, i);
	if (rc)
		bars_close(priv);
	return rc;
}

void bars_clear(struct pci_priv *priv)
{
	for (unsigned int i = 0; i < PCI_BARS; i++)
		if (priv->bar_io[i].provided)
			mem_device_clear(priv->memory, PCI_REGION_OFFSET((u64)i),
					 &priv->bar_io[i].run);
}

/* ---- memory ---- */

/* A word in memory, or NULL: there is none, or not there. */
static u8 *bar_ptr(const struct pci_dev *pdev, unsigned int bar, u64 offset, unsigned int size)
{
	if (bar >= PCI_BARS || !pdev->bars[bar].mem || offset > pdev->bars[bar].size ||
	    size > pdev->bars[bar].size - offset)
		return NULL;
	return pdev->bars[bar].mem + offset;
}

/* The program can cut its file off, so all touches are guarded. */
void pci_bar_publish(struct pci_dev *pdev, unsigned int bar, u64 offset, u64 value,
		     unsigned int size)
{
	u8 *ptr = bar_ptr(pdev, bar, offset, size);

	if (ptr && size <= sizeof(value))
		mem_guard_copy(ptr, &value, size);
}

u64 pci_bar_peek(const struct pci_dev *pdev, unsigned int bar, u64 offset, unsigned int size)
{
	u8 *ptr = bar_ptr(pdev, bar, offset, size);
	u64 value = 0;

	if (ptr && size <= sizeof(value) && mem_guard_copy(&value, ptr, size))
		value = UINT64_MAX >> (64 - 8 * size);
	return value;
}

/* ---- accesses ---- */

/* Who has mapped memory sees it whatever the table says; by calls it is not there, as in Linux. */
static bool in_msix(const struct pci_desc *desc, unsigned int bar, u64 offset, bool *ret_table)
{
	u64 table = desc->msix_table, vectors = desc->msix_vectors;

	if (!vectors || bar != desc->msix_bar)
		return false;
	*ret_table = offset >= table && offset < table + vectors * PCI_MSIX_ENTRY_SIZE;
	return *ret_table ||
	       (offset >= desc->msix_pba && offset < desc->msix_pba + ALIGN_UP(vectors, 64ULL) / 8);
}

static u64 access_read(struct pci_dev *pdev, unsigned int bar, u64 offset, unsigned int size)
{
	bool table = false;

	if (in_msix(pdev->desc, bar, offset, &table))
		return table ? UINT64_MAX : 0;
	if (pdev->ops->bar_read)
		return pdev->ops->bar_read(pdev, bar, offset, size);
	return pci_bar_peek(pdev, bar, offset, size);
}

static void access_write(struct pci_dev *pdev, unsigned int bar, u64 offset, const void *data,
			 unsigned int size)
{
	u8 *ptr;
	bool table;

	if (in_msix(pdev->desc, bar, offset, &table))
		return;
	if (pdev->ops->bar_write) {
		pdev->ops->bar_write(pdev, bar, offset, data, size);
		return;
	}
	ptr = bar_ptr(pdev, bar, offset, size);
	if (ptr)
		mem_guard_copy(ptr, data, size);
	pci_dev_kick(pdev);
}

static bool access_valid(const struct pci_dev *pdev, unsigned int bar, u64 offset,
			 unsigned int size, bool write)
{
	u64 bar_size = bar < PCI_BARS ? pdev->desc->bars[bar].size : 0;

	if (size != 1 && size != 2 && size != 4 && size != 8 && !(write && size == 64))
		return false;
	return !(offset & (size - 1)) && offset < bar_size && size <= bar_size - offset;
}

int pci_bar_access(struct pci_dev *pdev, unsigned int bar, u64 offset, void *data,
		   unsigned int size, bool write)
{
	struct pci_priv *priv = pdev->priv;
	int rc = -EIO;
	u64 value;

	if (!access_valid(pdev, bar, offset, size, write))
		return -EINVAL;
	if (!write)
		memset(data, 0xff, size);
	if (!gate_enter(&priv->accesses))
		return -EIO;
	if (decodes(pdev, pdev->desc->bars[bar].io)) {
		rc = 0;
		if (write) {
			access_write(pdev, bar, offset, data, size);
		} else {
			value = access_read(pdev, bar, offset, size);
			memcpy(data, &value, size);
		}
	}
	gate_leave(&priv->accesses);
	return rc;
}
