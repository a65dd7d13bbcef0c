/* SPDX-License-Identifier: MIT */
/*
 * Sets of names in /sys that come and go together.
 */
#ifndef PCI_SYSFS_H
#define PCI_SYSFS_H

#include "pci/priv.h"

/** struct pci_sysfs - a set; one thread at a time adds to it or removes it */
struct pci_sysfs {
	struct iommufd_system *system;
	void *owner;
	struct cds_list_head names;
};

/**
 * struct pci_name - one of them
 * @index: what its ops want to know
 */
struct pci_name {
	struct tree_entry entry;
	struct cds_list_head node;
	void *owner;
	int index;
	char *text; /* of a link, or a constant attribute; behind path */
	char path[];
};

typedef ssize_t (*sysfs_show_fn)(struct tree_entry *entry, char *buf);
typedef int (*sysfs_store_fn)(struct tree_entry *entry, const char *text, size_t len);

static inline struct pci_name *to_name(struct tree_entry *entry)
{
	return container_of(entry, struct pci_name, entry);
}

static inline struct pci_dev *name_dev(struct tree_entry *entry)
{
	return to_name(entry)->owner;
}

struct pci_sysfs *sysfs_new(struct iommufd_system *system, void *owner);
/* Each: 0, -EEXIST, -ENOMEM.  @dir and @name, or @dir alone if @name is NULL */
int sysfs_dir(struct pci_sysfs *set, const char *dir, const char *name);
int sysfs_text(struct pci_sysfs *set, const char *dir, const char *name, const char *text);
/** sysfs_link() - to @target, absolute, which becomes relative */
int sysfs_link(struct pci_sysfs *set, const char *dir, const char *name, const char *target);
int sysfs_attr(struct pci_sysfs *set, const char *dir, const char *name, mode_t mode,
	       sysfs_show_fn show, sysfs_store_fn store);
/** sysfs_binary() - @template: read_at, write_at, show, size and mode are taken from it */
int sysfs_binary(struct pci_sysfs *set, const char *dir, const char *name, int index,
		 const struct tree_entry *template);
/** sysfs_bool() - as the kernel reads one: 0, -EINVAL */
int sysfs_bool(const char *text, bool *ret_value);

/* ---- sysfs_driver.c ---- */

int sysfs_rescan_store(struct tree_entry *entry, const char *text, size_t len);
int sysfs_driver_files(struct pci_topology *topology, struct pci_sysfs *set);

#endif
