/* SPDX-License-Identifier: MIT */
/*
 * PCI functions.  A model says what its function looks like (struct pci_desc)
 * and does (struct pci_ops); this room gives it a configuration space with
 * rights per bit, base address registers, interrupts, resets, its place on a bus and
 * in a group, and a thread to work in.  Whoever drives it (vfio/) opens it.
 *
 * Registers are reached in one of four modes, chosen when the device is made:
 *
 *   poll     a program maps them as plain memory and nobody sees its accesses: the model's work()
 *            compares what it finds in memory with what it knows
 *   no-mmap  they cannot be mapped: every access is a call
 *   trap     they can be mapped, and each access raises a fault that the way in
 *            turns into the same calls
 *   split    the model says which pages are mapped as in poll mode; the others are reached by calls
 */
#ifndef PCI_PCI_H
#define PCI_PCI_H

#include <iommufd/dma.h>
#include <iommufd/driver.h>

#include "base/lock.h"
#include "core/tree.h"

#define PCI_BARS	6
#define PCI_CONFIG_SIZE 4096
#define PCI_BAR_ROM	6 /* index of the expansion ROM */

struct iommufd_system;
struct mem_device;
struct pci_client;
struct pci_dev;
struct pci_topology;

/** enum pci_access - see the top of this file */
enum pci_access {
	PCI_ACCESS_POLL,
	PCI_ACCESS_NO_MMAP,
	PCI_ACCESS_TRAP,
	PCI_ACCESS_SPLIT,
};

/** enum pci_irq - kinds of interrupts, numbered as VFIO does */
enum pci_irq {
	PCI_IRQ_INTX,
	PCI_IRQ_MSI,
	PCI_IRQ_MSIX,
	PCI_IRQ_ERR,
	PCI_IRQ_REQ,
};

#define PCI_AREAS 2

/** struct pci_area - a part of a BAR: whole pages */
struct pci_area {
	u64 offset, size;
};

/**
 * struct pci_bar_desc - a base address register
 * @size: bytes, a power of two, 0: none
 * @wide: 64-bit: the next one must be 0
 * @prefetch, @io: as in the register's low bits
 * @areas: what of it is mapped in split mode, in order, to the first of no size
 */
struct pci_bar_desc {
	u64 size;
	bool wide;
	bool prefetch;
	bool io;
	struct pci_area areas[PCI_AREAS];
};

/**
 * struct pci_desc - what a function looks like; constant
 * @model: as the machine file names it
 * @intx_pin: 0 none, 1 INTA
 * @msi_vectors: 0 none, else 1 to 32, a power of two
 * @msix_vectors: 0 none, to 2048; the table is in BAR @msix_bar at @msix_table, the pending bits at
 *	@msix_pba, each on pages of its own
 * @has_pm, @has_pcie, @has_flr: capabilities; extended ones need @has_pcie
 * @ats, @pri, @pasid_bits: extended capabilities; @pasid_bits 0: no PASIDs
 * @acs: functions of this device cannot reach each other behind the IOMMU's back
 * @sriov_vfs: most VFs, 0 none; @vf: what they look like (its @vendor and class are the PF's)
 */
struct pci_desc {
	const char *model;
	u16 vendor, device, subsystem_vendor, subsystem_device;
	u32 class_code; /* 24 bits */
	u8 revision;
	struct pci_bar_desc bars[PCI_BARS];
	u8 intx_pin;
	u16 msi_vectors;
	u16 msix_vectors;
	u8 msix_bar;
	u32 msix_table;
	u32 msix_pba;
	bool has_pm, has_pcie, has_flr;
	bool ats, pri;
	u8 pasid_bits;
	bool acs;
	u16 sriov_vfs;
	const struct pci_desc *vf;
};

/**
 * struct pci_ops - what a function does
 * @bar_read: @size is 1, 2, 4 or 8, naturally aligned; the value
 * @bar_write: as @bar_read, and 64 for a direct store (MOVDIR64B, or 64 bytes in one write), @data
 *	little endian. In poll and split mode a model also takes these (a pwrite), and leaves memory
 *	as a read is to find it.
 * @work: do what is to be done, for a bounded time (about a millisecond).  In poll and split mode
 *	also look at memory.
 *	Return: was there anything? (it is called again at once)
 * @reset: to power-on values; called with no work() running and no bar access under way, bus master
 *	off; must end all DMA and forget all work.  Interrupt state is this room's.
 * @opened, @closed: a driver has come (after @reset; BAR memory is there), has gone
 * @vf_create: SR-IOV: make VF @index, not yet on a bus, as device_model.create() does; its desc is
 *	the PF's @vf. Needed with desc->sriov_vfs
 * @vf_enable: SR-IOV: VF @index appears (after @vf_create) or goes; may refuse to appear; may be
 *	missing
 * @migrate_save: the whole state as bytes (malloc()ed): the device is stopped; @migrate_load: the
 *	reverse. Missing: no migration.  While stopped, work() is not called, nor is @reset while
 *	these run
 * @destroy: the last call
 * @inject: the control socket's `inject` for this device: a word of the model's and an argument; 0
 *	or -errno
 *
 * @bar_read and @bar_write may be missing in poll mode: memory is read, or written and work()
 * kicked.  The MSI-X table and pending bits never reach a model.
 *
 * Context: bar_read/bar_write may run on several threads at once and beside work(), which runs on
 * one; the model has its own lock.  They may do DMA and raise interrupts; not with a lock held that
 * they take, since DMA to another device's registers is a call of its model, which may do the same
 * here.
 */
struct pci_ops {
	u64 (*bar_read)(struct pci_dev *pdev, unsigned int bar, u64 offset, unsigned int size);
	void (*bar_write)(struct pci_dev *pdev, unsigned int bar, u64 offset, const void *data,
			  unsigned int size);
	bool (*work)(struct pci_dev *pdev);
	void (*reset)(struct pci_dev *pdev);
	int (*opened)(struct pci_dev *pdev);
	void (*closed)(struct pci_dev *pdev);
	int (*vf_create)(struct pci_dev *pdev, unsigned int index, struct pci_dev **ret_vf);
	int (*vf_enable)(struct pci_dev *pdev, unsigned int index, bool on);
	int (*migrate_save)(struct pci_dev *pdev, void **ret_data, size_t *ret_len);
	int (*migrate_load)(struct pci_dev *pdev, const void *data, size_t len);
	void (*destroy)(struct pci_dev *pdev);
	int (*inject)(struct pci_dev *pdev, const char *what, const char *argument);
};

/**
 * struct pci_addr - domain:bus:device.function
 */
struct pci_addr {
	u16 domain;
	u8 bus;
	u8 devfn;
};

#define PCI_ADDR_FMT "%04x:%02x:%02x.%x"
#define PCI_ADDR_ARGS(a) (a).domain, (a).bus, (a).devfn >> 3, (a).devfn & 7
#define PCI_ADDR_LEN 13 /* with the NUL */

/** pci_addr_parse() - "0000:01:00.0", or without the domain; false: it is none */
bool pci_addr_parse(const char *text, struct pci_addr *ret_addr);

/**
 * struct pci_bar - one of a living function
 * @mem: its memory while it is open in poll mode, or in split mode and has areas; else NULL
 * @mem_pa: of that memory; 0: there is none
 * @pa: where it is in physical space while it is open (in all modes: DMA of other devices reaches
 *	it).  In split mode not its memory: such DMA becomes calls
 */
struct pci_bar {
	u64 size;
	u8 *mem;
	u64 mem_pa;
	u64 pa;
};

/**
 * struct pci_dev - a function; embedded by its model, which fills in @desc, @ops, @access before
 * pci_dev_add()
 * @dev: what the IOMMU sees; its name is the address
 * @memory: of an emulated device, which does no DMA: how its model reads and writes memory of
 *	whoever drives it; 0 or -errno (<iommufd/access.h>, iommufd_access_rw()), -ENODEV attached
 *	to nothing. Set with @memory_owner by who serves it; any thread, no lock held
 * @priv: this room's
 */
struct pci_dev {
	struct device dev;
	const struct pci_desc *desc;
	const struct pci_ops *ops;
	enum pci_access access;
	struct iommufd_system *system;
	struct pci_addr addr;
	struct pci_bar bars[PCI_BARS];
	struct pci_dev *physfn; /* of a VF */
	int (*memory)(struct pci_dev *pdev, u64 iova, void *data, size_t len, bool write);
	void *memory_owner;
	struct pci_priv *priv;
};

/** pci_in_memory() - does a program map registers as memory, so that work() has to look? */
static inline bool pci_in_memory(const struct pci_dev *pdev)
{
	return pdev->access == PCI_ACCESS_POLL || pdev->access == PCI_ACCESS_SPLIT;
}

/* ---- a function's life ---- */

/**
 * pci_dev_add() - it appears on the bus, behind @iommu's driver, in sysfs, with nobody driving it
 * @topology: of the system (pci/topology.h)
 * @probe: puts pdev->dev behind an IOMMU (iommufd_generic_probe() or a model's own); NULL: behind
 *	none
 * Return: 0; -EEXIST the address is taken; -EINVAL desc makes no sense, -EOPNOTSUPP split mode, but
 *	no areas (logged); -ENOMEM; @probe's.
 */
int pci_dev_add(struct pci_topology *topology, struct pci_dev *pdev, struct pci_addr addr,
		int (*probe)(struct iommufd_system *system, struct device *dev));
/**
 * pci_dev_remove() - the reverse.  Asks who drives it to go, and waits; calls ops->destroy last
 * VFs go with their PF (or by pci_sriov_set()), never by this.  A write to sysfs may have removed a
 * function before: look for it (pci_find(), pci_for_each()), do not keep it.
 */
void pci_dev_remove(struct pci_dev *pdev);

/* ---- for models ---- */

/** pci_dev_kick() - let work() run soon; any thread */
void pci_dev_kick(struct pci_dev *pdev);

/** pci_bus_master() - may it do DMA at the moment? (DMA itself is refused anyway) */
bool pci_bus_master(const struct pci_dev *pdev);

/**
 * pci_bar_publish() - where there is memory put @size (1, 2, 4, 8) bytes where a program reads
 * them; else nothing
 */
void pci_bar_publish(struct pci_dev *pdev, unsigned int bar, u64 offset, u64 value,
		     unsigned int size);
/** pci_bar_peek() - what a program has left in memory there (read once); 0: there is none */
u64 pci_bar_peek(const struct pci_dev *pdev, unsigned int bar, u64 offset, unsigned int size);

/**
 * pci_raise() - an MSI or MSI-X vector, whichever is on (if INTx is: a pulse is not possible, use
 * pci_intx())
 */
void pci_raise(struct pci_dev *pdev, u32 vector);
/** pci_intx() - the level of the pin */
void pci_intx(struct pci_dev *pdev, bool level);
/** pci_irq_mode() - PCI_IRQ_INTX, _MSI, _MSIX, or -1: none is on */
int pci_irq_mode(const struct pci_dev *pdev);
/** pci_fatal() - an uncorrectable error: the ERR interrupt */
void pci_fatal(struct pci_dev *pdev);

/* ---- for who drives it (vfio) ---- */

/**
 * struct pci_client - who has it open; embedded
 * @irq: an interrupt of a kind that is on (pci_irq_set_mode()): MSI and MSI-X vectors; ERR and REQ
 *	with vector 0
 * @intx: the pin's level, as it changes and while it is not masked by the command register
 * @reset_done: a reset the driver did not ask for by pci_dev_reset() is over (a write of FLR)
 * Context of all: any thread, also the model's with its lock held: take no lock that is held over
 * calls below.
 */
struct pci_client {
	void (*irq)(struct pci_client *client, enum pci_irq kind, u32 vector);
	void (*intx)(struct pci_client *client, bool level);
	void (*reset_done)(struct pci_client *client);
};

/**
 * pci_dev_open() - begin to drive it: reset, memory decode on, bus master off, work() runs
 * @memory: where BARs are kept that a program maps: the file behind its descriptor, BAR n at
 *	pci_bar_offset(n).  NULL: they have memory of their own, which nobody maps.
 * Return: 0, -EBUSY somebody has, -ENODEV it is going, -ENOMEM, ops->opened's.
 */
int pci_dev_open(struct pci_dev *pdev, struct pci_client *client, struct mem_device *memory);
/**
 * pci_dev_close() - reset; no callback of @client runs or will run when it returns
 * Nothing may map its BARs any more (shared buffers are revoked): their memory goes.
 */
void pci_dev_close(struct pci_dev *pdev, struct pci_client *client);

/**
 * Region offsets in the file: a tag that no other file's offsets have, so that a way in can tell
 * accesses by it; BARs (n < 6), ROM 6, config 7, VGA 8, more from 9.
 */
#define PCI_REGION_TAG_MASK  0xffff000000000000ULL
#define PCI_REGION_TAG	     0x7566000000000000ULL
#define PCI_REGION_SHIFT     40
#define PCI_REGION_OFFSET(n) (PCI_REGION_TAG | (u64)(n) << PCI_REGION_SHIFT)
#define PCI_REGION_INDEX(o)  ((unsigned int)((o) >> PCI_REGION_SHIFT & 0xff))

/**
 * pci_config_read(), pci_config_write() - as a driver's access of @len (1, 2, 4) bytes, aligned
 * Writes obey the rights of each bit and have their effects (bus master, FLR, power state ...).
 */
u32 pci_config_read(struct pci_dev *pdev, u32 offset, unsigned int len);
void pci_config_write(struct pci_dev *pdev, u32 offset, u32 value, unsigned int len);
/** pci_config_size() - 256, or 4096 with a PCIe capability */
u32 pci_config_size(const struct pci_dev *pdev);

/**
 * pci_bar_access() - one access of @size (1, 2, 4, 8; writes also 64) bytes, aligned, inside the
 * BAR
 * Return: 0, -EIO memory decode is off or the function is in D3 (reads give all ones), -EINVAL.
 */
int pci_bar_access(struct pci_dev *pdev, unsigned int bar, u64 offset, void *data,
		   unsigned int size, bool write);
/** pci_mem_enabled() - may its BARs be touched now? */
bool pci_mem_enabled(const struct pci_dev *pdev);

/**
 * pci_dev_reset() - function reset; config space as opened but for what a driver keeps
 * Return: 0, -ENOTTY no FLR
 */
int pci_dev_reset(struct pci_dev *pdev);
/** pci_bus_reset() - the function's part in a reset of its bus: also without FLR.  0 */
int pci_bus_reset(struct pci_dev *pdev);
/** pci_irq_set_mode() - @mode one of INTX, MSI, MSIX, or -1 none: sets the enable bits */
void pci_irq_set_mode(struct pci_dev *pdev, int mode);
/** pci_irq_count() - vectors of a kind: 0 if it has none */
u32 pci_irq_count(const struct pci_dev *pdev, enum pci_irq kind);
/** pci_intx_level() - the pin as it is now, with the command register's disable bit */
bool pci_intx_level(const struct pci_dev *pdev);

/**
 * pci_dev_stop(), pci_dev_start() - no DMA and no work() in between (migration); stop waits for
 * what is under way
 */
void pci_dev_stop(struct pci_dev *pdev);
void pci_dev_start(struct pci_dev *pdev);
/**
 * pci_dev_save(), pci_dev_load() - the model's state, of one that is stopped and can migrate;
 *	nobody resets it meanwhile
 * @ret_data: the caller's to free()
 * Return: 0 or the model's errno.
 */
int pci_dev_save(struct pci_dev *pdev, void **ret_data, size_t *ret_len);
int pci_dev_load(struct pci_dev *pdev, const void *data, size_t len);

#endif
