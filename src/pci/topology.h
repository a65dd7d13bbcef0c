/* SPDX-License-Identifier: MIT */
/*
 * What is where: buses, bridges, addresses; and, from them and ACS, which functions
 * share an IOMMU group.
 */
#ifndef PCI_TOPOLOGY_H
#define PCI_TOPOLOGY_H

#include "pci/pci.h"

/**
 * struct pci_bridge_desc - a root port, or a switch port
 * @addr: of the port itself
 * @secondary: number of the bus behind it
 * @acs: keeps what is behind it apart from everything else
 */
struct pci_bridge_desc {
	struct pci_addr addr;
	u8 secondary;
	bool acs;
};

/** pci_topology_create() - an empty root complex; 0, -ENOMEM */
int pci_topology_create(struct iommufd_system *system, struct pci_topology **ret_topology);
/** pci_topology_destroy() - all functions are removed; NULL is a no-op */
void pci_topology_destroy(struct pci_topology *topology);

/**
 * pci_bridge_add() - before any function behind it; 0, -EEXIST, -ENOENT no bus for it, -EINVAL,
 * -ENOMEM
 */
int pci_bridge_add(struct pci_topology *topology, const struct pci_bridge_desc *desc);

/**
 * pci_find() - the function at @addr, or NULL; it stays while topology's lock is not needed to
 * remove it
 */
struct pci_dev *pci_find(struct pci_topology *topology, struct pci_addr addr);
/** topology_get() - the same, counted: who removes it waits for topology_put() */
struct pci_dev *topology_get(struct pci_topology *topology, struct pci_addr addr);
void topology_put(struct pci_dev *pdev);

/**
 * pci_for_each() - each function in order of address, until @fn says other than 0; it may not
 * remove
 */
void pci_for_each(struct pci_topology *topology, int (*fn)(struct pci_dev *pdev, void *data),
		  void *data);

/** pci_sysfs_path() - "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0" */
void pci_sysfs_path(const struct pci_dev *pdev, char *buf, size_t size);

/**
 * pci_group_id() - number of its IOMMU group, as sysfs and /dev/vfio show it; -1 behind no IOMMU
 */
int pci_group_id(const struct pci_dev *pdev);

/**
 * pci_sriov_set() - what writing sriov_numvfs does
 * Return: 0; -EINVAL more than there are, or it has none; -EBUSY some are enabled (other than 0),
 * or a VF is in use; -ENOMEM.
 */
int pci_sriov_set(struct pci_dev *pf, unsigned int num_vfs);

/**
 * struct pci_listener - who wants to know of functions (vfio/): one per topology
 * @added: 0 or -errno, which refuses it; @removing: stop using it, may take its time and
 *	must ask its user to go
 */
struct pci_listener {
	int (*added)(struct pci_listener *listener, struct pci_dev *pdev);
	void (*removing)(struct pci_listener *listener, struct pci_dev *pdev);
};
void pci_listen(struct pci_topology *topology, struct pci_listener *listener);

/**
 * pci_owner_set() - who keeps pointers to functions (machine/), and so is asked to remove one when
 *	a program writes to its `remove`; @remove calls pci_dev_remove() and returns 0 or -errno
 * Context: before the first function is added.
 */
void pci_owner_set(struct pci_topology *topology, int (*remove)(void *owner, struct pci_dev *pdev),
		   void *owner);

#endif
