/* SPDX-License-Identifier: MIT */
/*
 * What the files of this room share.
 *
 *   dev.c       a function's life: open, close, reset, stop
 *   config.c    configuration space as it reads; caps.c its capabilities; config_write.c what
 * writes do bar.c       memory and addresses behind the BARs, accesses to them worker.c    the
 * thread that calls work() irq.c       interrupts topology.c  buses, functions, bridges; add.c a
 * function comes and goes; group.c IOMMU groups sriov.c     virtual functions sysfs*.c    what /sys
 * shows
 */
#ifndef PCI_PRIV_H
#define PCI_PRIV_H

#include <linux/pci_regs.h>
#include <stdatomic.h>
#include <string.h>
#include <urcu/list.h>

#include "base/alloc.h"
#include "core/system.h"
#include "mem/device_mem.h"
#include "mem/io.h"
#include "pci/gate.h"
#include "pci/pci.h"
#include "pci/topology.h"

struct pci_sysfs;

/** struct pci_caps - where capabilities are in configuration space; 0: none */
struct pci_caps {
	u16 pm, msi, msix, exp;
	u16 aer, ats, pri, pasid, sriov, acs;
};

/** struct pci_bar_io - a BAR for whoever reaches it by physical address */
struct pci_bar_io {
	struct pci_dev *pdev;
	unsigned int bar;
	struct mem_io *io;
	struct mem_run run; /* in poll and split mode */
	bool provided;	    /* is run */
};

/**
 * struct pci_worker - the thread
 * @state: WORKER_*, also what it sleeps on
 * @parked: it is not inside work() and will not be until WORKER_PAUSE is gone; under lock
 */
struct pci_worker {
	pthread_t thread;
	bool started; /* under op_lock */
	_Atomic u32 state;
	struct mutex lock;
	pthread_cond_t changed;
	bool parked __guarded_by(&lock);
};

enum pci_driver_state {
	PCI_DRIVER_NONE,
	PCI_DRIVER_BINDING,
	PCI_DRIVER_BOUND,
	PCI_DRIVER_UNBINDING,
};

/**
 * struct pci_priv - this room's part of a function
 * @op_lock: opening, closing, resets, power states, stop and start, and writes to configuration
 *space, one at a time; held while work() and BAR accesses are waited for
 * @lock: configuration space and the pin; a leaf
 * @config, @mask: as it reads (but for what is computed), and which bits a driver may change
 * @address: of BARs, as assigned by firmware; @vf_address: of VF BARs; immutable
 * @accesses: bar accesses under way; open while the function works
 * @callbacks: calls of the client under way; open while there is one
 * @client: NULL: nobody drives it; written under op_lock with @callbacks closed
 * @stopped, @d3, @resetting: why it does nothing; under op_lock
 * @dma_on: bus master is on and none of those holds
 * @command: the command register once more, for who has no lock
 * @irq_mode: enum pci_irq or -1
 * @pin: the level the model gave; @told: what the client knows; @telling: somebody is telling it;
 *under lock
 * @memory: where BARs are in poll and split mode; @own_memory: made by us; @hidden: from who has
 *	mapped them.  Under op_lock
 * @users: who found it by the topology; @open: somebody drives it; @going: it is being removed;
 *@shown: it can be found; @driver: is it vfio-pci's? @driver_override: "" none; all under
 *topology->lock
 * @sriov_lock: one pci_sriov_set() at a time
 * @vfs: of a PF, room for all; @num_vfs of them are enabled; written under both sriov_lock and
 *	topology->lock
 * @integrated: on a root bus
 */
struct pci_priv {
	struct pci_dev *pdev;
	struct pci_topology *topology;
	char name[PCI_ADDR_LEN];
	int (*probe)(struct iommufd_system *system, struct device *dev);
	struct pci_caps caps;
	u64 address[PCI_BARS];
	u64 vf_address[PCI_BARS];
	bool integrated;

	struct mutex op_lock;
	struct mutex lock;
	u8 config[PCI_CONFIG_SIZE] __guarded_by(&lock);
	u8 mask[PCI_CONFIG_SIZE] __guarded_by(&lock);
	bool pin __guarded_by(&lock);
	bool told __guarded_by(&lock);
	bool telling __guarded_by(&lock);

	struct pci_gate accesses;
	struct pci_gate callbacks;
	struct pci_client *client;
	bool stopped, d3, resetting;
	_Atomic bool dma_on;
	_Atomic u16 command;
	_Atomic int irq_mode;

	struct mem_device *memory;
	bool own_memory, hidden;
	struct pci_bar_io bar_io[PCI_BARS];
	struct pci_worker worker;

	struct cds_list_head node; /* topology->functions, in order of address */
	u32 users;
	bool open;
	bool going;
	bool shown;
	enum pci_driver_state driver;
	char driver_override[64];
	int group_id; /* -1: behind no IOMMU; immutable once shown */

	struct mutex sriov_lock;
	struct pci_dev **vfs;
	unsigned int num_vfs;
	_Atomic u32 shown_vfs; /* num_vfs, for configuration space */
	u8 first_vf;	       /* devfn of VF 0; immutable */
	struct pci_sysfs *sysfs;
	struct pci_sysfs *driver_sysfs; /* while it is bound */
	struct pci_sysfs *vf_sysfs;	/* while there are VFs; under sriov_lock */
};

/** struct pci_bridge - a port */
struct pci_bridge {
	struct cds_list_head
		node; /* topology->bridges; bridges are only added, before all is open */
	struct pci_topology *topology;
	struct pci_bridge_desc desc;
	struct pci_bridge *parent; /* above it; NULL: on the root bus */
	char path[128];		   /* in sysfs */
	u8 config[256];		   /* immutable */
	struct pci_sysfs *sysfs;
};

#define PCI_GROUPS 4096
#define PCI_IDS	   16

/** struct pci_dynamic_id - what was written to new_id */
struct pci_dynamic_id {
	u16 vendor, device;
	bool used;
};

/**
 * struct pci_topology - of one system
 * @probe_lock: one function at a time gets its group
 * @lock: the lists and what hangs in them; a leaf
 * @idle: users of a function that goes became 0; with lock
 * @group_refs: functions of group n; 0: the number is free
 */
struct pci_topology {
	struct iommufd_system *system;
	struct mutex probe_lock;
	struct mutex lock;
	pthread_cond_t idle;
	struct cds_list_head functions __guarded_by(&lock);
	struct cds_list_head bridges __guarded_by(&lock);
	u32 group_refs[PCI_GROUPS] __guarded_by(&lock);
	struct pci_sysfs *group_sysfs[PCI_GROUPS] __guarded_by(&probe_lock);
	struct pci_dynamic_id ids[PCI_IDS] __guarded_by(&lock);
	struct pci_listener *listener __guarded_by(&lock);
	int (*owner_remove)(void *owner, struct pci_dev *pdev); /* immutable, as is owner */
	void *owner;
	struct pci_sysfs *sysfs;
};

static inline u32 addr_key(struct pci_addr addr)
{
	return (u32)addr.domain << 16 | (u32)addr.bus << 8 | addr.devfn;
}

/* ---- config.c, caps.c ---- */

/** config_build() - as after power on, for pdev->desc and the addresses given; under lock or
 * unshared */
void config_build(struct pci_priv *priv);
/** caps_build() - the capabilities' part; sets priv->caps */
void caps_build(struct pci_priv *priv);
static inline u32 config_get(const struct pci_priv *priv, u32 offset, unsigned int len)
{
	u32 value = 0;

	memcpy(&value, priv->config + offset, len);
	return value;
}
/** config_put() - what reads as @value and may be changed in @mask */
static inline void config_put(struct pci_priv *priv, u32 offset, unsigned int len, u32 value,
			      u32 mask)
{
	memcpy(priv->config + offset, &value, len);
	memcpy(priv->mask + offset, &mask, len);
}
/** config_bar_put() - a base address register, of @size, @wide or not, now @address */
void config_bar_put(struct pci_priv *priv, u32 offset, const struct pci_bar_desc *bar, u64 address,
		    bool writable);

/* ---- dev.c ---- */

/** dev_settle() - DMA on or off, as the state under op_lock says */
void dev_settle(struct pci_priv *priv) __must_hold(&priv->op_lock);
/**
 * dev_command() - the same, and whether mapped BARs can be reached: the command register was
 * written
 */
void dev_command(struct pci_priv *priv) __must_hold(&priv->op_lock);
/** dev_function_reset() - the function, not configuration space; leaves it in D0 */
void dev_function_reset(struct pci_priv *priv) __must_hold(&priv->op_lock);
/** dev_set_power() - D3 or D0 as PMCSR says now */
void dev_set_power(struct pci_priv *priv, bool d3) __must_hold(&priv->op_lock);
/** client_enter() - the client, until client_leave(); NULL: there is none */
struct pci_client *client_enter(struct pci_priv *priv);
void client_leave(struct pci_priv *priv);

/* ---- bar.c ---- */

int bars_open(struct pci_priv *priv, struct mem_device *memory);
void bars_close(struct pci_priv *priv);
/** bars_clear() - memory is zero again */
void bars_clear(struct pci_priv *priv);
/** bars_settled() - can a program reach what it has mapped exactly if it may? */
bool bars_settled(const struct pci_priv *priv) __must_hold(&priv->op_lock);
/** bars_settle() - see to that; the function is at rest */
void bars_settle(struct pci_priv *priv) __must_hold(&priv->op_lock);

/* ---- worker.c ---- */

void worker_init(struct pci_worker *worker);
void worker_fini(struct pci_worker *worker);
/** worker_start() - paused; 0, -ENOMEM; worker_stop(): paused before */
int worker_start(struct pci_priv *priv);
void worker_stop(struct pci_priv *priv);
/** worker_pause() - work() does not run when it returns; worker_resume() */
void worker_pause(struct pci_priv *priv);
void worker_resume(struct pci_priv *priv);

/* ---- irq.c ---- */

/** irq_settle() - tell the client the pin's level if it does not know it; no lock held but op_lock
 */
void irq_settle(struct pci_priv *priv);

/* ---- topology.c, group.c ---- */

struct pci_dev *topology_find(struct pci_topology *topology, struct pci_addr addr)
	__must_hold(&topology->lock);
/** address_assign() - where @size bytes behind a BAR are free; 0: nowhere */
u64 address_assign(struct pci_topology *topology, u64 size, const struct pci_bar_desc *bar)
	__must_hold(&topology->lock);
/** bus_bridge() - what leads to @bus; NULL: it is a root bus, or there is none */
struct pci_bridge *bus_bridge(struct pci_topology *topology, u16 domain, u8 bus)
	__must_hold(&topology->lock);
struct pci_listener *topology_listener(struct pci_topology *topology);
struct iommu_group *pci_device_group(struct device *dev);
/** group_id_set() - the number of pdev's group, which has one more function; 0, -ENOSPC, -ENOMEM;
 * under probe_lock */
int group_id_set(struct pci_dev *pdev);
void group_id_put(struct pci_dev *pdev);

/* ---- add.c ---- */

/** dev_bind() - vfio-pci drives it; 0, -ENODEV it is another's, -EBUSY it does already, the
 * listener's */
int dev_bind(struct pci_dev *pdev);
/** dev_unbind() - 0, -ENODEV it does not drive it */
int dev_unbind(struct pci_dev *pdev);
/** dev_remove_once() - pci_dev_remove(); false: somebody else is at it */
bool dev_remove_once(struct pci_dev *pdev);
/** dev_remove_marked() - the same for one that is already marked as going */
void dev_remove_marked(struct pci_dev *pdev);

/* ---- sriov.c ---- */

/** sriov_place() - where the VFs of @pdev will be; -EINVAL there is no room on its bus */
int sriov_place(struct pci_priv *priv) __must_hold(&priv->topology->lock);
/** sriov_reserved() - does @addr lie where VFs of some function will be? */
bool sriov_reserved(struct pci_topology *topology, struct pci_addr addr)
	__must_hold(&topology->lock);
/** sriov_disable_all() - @pdev goes; its VFs go first, in use or not */
void sriov_disable_all(struct pci_dev *pdev);

/* ---- sysfs ---- */

int sysfs_topology_add(struct pci_topology *topology);
/** sysfs_iommu_add() - an IOMMU that may be there already; sysfs_group_add(): one that is not;
 * under probe_lock */
int sysfs_iommu_add(struct pci_topology *topology, const char *name);
int sysfs_group_add(struct pci_topology *topology, int id);
void sysfs_group_del(struct pci_topology *topology, int id);
int sysfs_bridge_add(struct pci_bridge *bridge);
int sysfs_dev_add(struct pci_dev *pdev);
/** sysfs_driver_add() - the links of a bound function */
int sysfs_driver_add(struct pci_dev *pdev);
/** sysfs_vfs_add() - virtfnN of @pf */
int sysfs_vfs_add(struct pci_dev *pf, unsigned int num_vfs);
/** sysfs_del() - all entries of one owner; NULL is a no-op */
void sysfs_del(struct iommufd_system *system, struct pci_sysfs *sysfs);

#endif
