/* SPDX-License-Identifier: MIT */
/*
 * Inside the room: devices, the sets they are reset in, groups, open files.
 *
 * Locks, in this order: vfio->group_lock, group->lock, container->rwsem, set->lock, irqs.igate,
 * vfio->lock; irqs.lock.
 *   vfio->group_lock  one group comes or goes at a time
 *   group->lock       whether a group is open, and what it is attached to
 *   set->lock         opening, closing, attaching, resetting the devices of a bus; state that lives
 *                     as long as a device is open
 *   vfio->lock        the lists; how many files of a device are open; a leaf but for irqs.lock
 */
#ifndef VFIO_VFIO_PRIV_H
#define VFIO_VFIO_PRIV_H

#include <fcntl.h>
#include <urcu/list.h>

#include <iommufd/access.h>
#include <iommufd/device.h>
#include <iommufd/uapi/vfio.h>

#include "base/idtable.h"
#include "base/rangemap.h"
#include "core/ctx.h"
#include "core/tree.h"
#include "vfio/irqs.h"
#include "vfio/vfio.h"

#define VFIO_MISC_MAJOR	    10
#define VFIO_MISC_MINOR	    196
#define VFIO_DEV_MAJOR	    510
#define VFIO_GROUP_MAJOR    511
#define VFIO_UUID_SIZE	    16
#define VFIO_GROUP_EMULATED 4096 /* numbers of groups of devices behind no IOMMU begin here */

struct mem_device;
struct vfio_container;
struct vfio_export;
struct vfio_mig_file;

#define VFIO_NAMES_MAX 10
#define VFIO_PATH_MAX  256

/** struct vfio_name - a name in the tree; @text: of an attribute or link; @owner: of a node */
struct vfio_name {
	struct tree_entry entry;
	char path[VFIO_PATH_MAX];
	char text[VFIO_PATH_MAX];
	void *owner;
};

/** struct vfio_names - names that come and go together */
struct vfio_names {
	struct vfio_name *names[VFIO_NAMES_MAX];
	u32 count;
	bool shown;
};

/**
 * struct vfio - the room's state for one system
 * @group_lock: one group at a time is made for its first device, or ends with its last
 * @devices: struct vfio_device.node
 * @minors: of cdevs
 * @idle: a device lost its last file; with lock
 */
struct vfio {
	struct iommufd_system *system; /* immutable, as are the next five */
	struct pci_topology *topology;
	enum vfio_container_kind kind;
	struct watcher *watcher;
	struct raiser raiser;
	struct pci_listener listener;
	struct vfio_names names;
	struct mutex group_lock;
	struct mutex lock;
	pthread_cond_t idle;
	struct cds_list_head devices __guarded_by(&lock);
	struct cds_list_head groups __guarded_by(&lock);
	struct cds_list_head sets __guarded_by(&lock);
	struct idtable minors __guarded_by(&lock);
	struct mutex export_lock; /* what is lent of BARs; held over dmabuf_revoke() */
};

/** struct vfio_set - devices that a bus reset hits together; @closed: a device of it was closed */
struct vfio_set {
	struct cds_list_head node; /* vfio->sets */
	u16 domain;
	u8 bus;
	u32 refs __guarded_by(&vfio->lock);
	struct mutex lock;
	pthread_cond_t closed;
};

/**
 * struct vfio_group - a group, and who has it open
 * @refs: one per device, one for the open file
 * @devices: struct vfio_device.group_node, under vfio->lock
 * @opened: the open file, or NULL
 * @cdevs: devices of it that are bound by cdev, which keeps the group closed
 * @container, @ctx: what it is attached to: one of them, or neither; @container_file counted
 * @dead: its last device is gone
 */
struct vfio_group {
	struct cds_list_head node; /* vfio->groups */
	struct vfio *vfio;
	u32 id;
	u32 refs __guarded_by(&vfio->lock);
	bool dead __guarded_by(&vfio->lock); /* written under lock as well */
	struct cds_list_head devices;
	struct vfio_names names;
	struct mutex lock;
	struct file *opened __guarded_by(&lock);
	u32 cdevs __guarded_by(&lock);
	u32 open_devices __guarded_by(&lock);
	struct vfio_container *container __guarded_by(&lock);
	struct cds_list_head container_node; /* container->groups, under its lock */
	struct iommufd_ctx *ctx __guarded_by(&lock);
};

/** struct vfio_ioeventfd - an eventfd that stands for a write; in vdev->ioeventfds */
struct vfio_ioeventfd;

/**
 * struct vfio_migration - under set->lock
 * @state: enum vfio_device_mig_state
 * @file: the data file of the state, counted; NULL: none
 * @reinit: the program knows VFIO_PRECOPY_INFO_REINIT
 */
struct vfio_migration {
	u32 state;
	struct vfio_mig_file *file;
};

/**
 * struct vfio_device - a function, or an emulated device
 * @files: open files, of its cdev and by its group; @removing: there will be no more, or none yet:
 *	it is still being made; @used: it is open in the sense of @open_count; vfio->lock
 * @open_count: of those, how many share the open state; the rest under set->lock
 * @idev, @access: what it is in @ctx: one of them
 * @container_idev: the same in the container its group is attached to, while not open
 * @pasids: attached ones
 * @memory: where its BARs are; @memory_file: the file whose descriptor that memory is behind,
 *	or NULL: nobody's in particular
 * @was_reset: by itself, since anybody looked
 * @token: who uses a VF of this PF must know it
 */
struct vfio_device {
	struct cds_list_head node;	 /* vfio->devices */
	struct cds_list_head group_node; /* group->devices; both under vfio->lock */
	struct vfio *vfio;		 /* immutable, as are the next five */
	struct pci_dev *pdev;
	bool emulated;
	u32 minor;
	struct vfio_group *group;
	struct vfio_set *set;
	struct vfio_names names;
	u32 files __guarded_by(&vfio->lock);
	bool removing __guarded_by(&vfio->lock);
	bool used __guarded_by(&vfio->lock);

	u32 open_count __guarded_by(&set->lock);
	struct iommufd_ctx *ctx;
	struct iommufd_device *idev;
	struct iommufd_access *access;
	struct iommufd_device *container_idev;
	bool attached;
	struct rangemap pasids;
	struct mem_device *memory;
	struct file *memory_file;
	_Atomic bool was_reset;
	u8 token[VFIO_UUID_SIZE];
	struct vfio_migration mig;
	_Atomic bool low_power;
	int wakeup; /* eventfd, or -1 */

	struct pci_client client;
	struct vfio_irqs irqs;
	struct cds_list_head exports __guarded_by(&vfio->export_lock); /* struct vfio_export */
	bool exports_off __guarded_by(&vfio->export_lock);
	struct mutex ioeventfd_lock;
	struct cds_list_head ioeventfds __guarded_by(&ioeventfd_lock);
	u32 num_ioeventfds __guarded_by(&ioeventfd_lock);
};

/**
 * struct vfio_file - an open device file
 * @group_file: made through a group: its file, counted; else NULL
 * @bound: it may use the device; set once, under set->lock
 */
struct vfio_file {
	struct file file;
	struct vfio_device *vdev;
	struct file *group_file;
	_Atomic bool bound;
};

/* ---- names (names.c) ---- */

/** vfio_names_node(), _attr(), _dir(), _link() - one more, not shown yet; 0, -ENOMEM */
int vfio_names_node(struct vfio_names *names, const char *path, mode_t mode, u32 major, u32 minor,
		    int (*open)(struct tree_entry *entry, int open_flags, struct file **ret_file),
		    void *owner);
int vfio_names_attr(struct vfio_names *names, const char *dir, const char *name, const char *text);
int vfio_names_dir(struct vfio_names *names, const char *dir, const char *name);
/** @target: absolute, in the same file system: the link's text leads there from where it is */
int vfio_names_link(struct vfio_names *names, const char *path, const char *target);
/** vfio_names_show() - all or none; 0, -EEXIST */
int vfio_names_show(struct vfio *vfio, struct vfio_names *names);
/** vfio_names_hide() - when it returns no op of theirs runs; shown or not, they are freed */
void vfio_names_hide(struct vfio *vfio, struct vfio_names *names);
/** vfio_names_device() - what a node, its char link and its directory in sysfs consist of */
int vfio_names_device(struct vfio_names *names, const char *node, u32 major, u32 minor,
		      const char *dir, const char *class_name, const char *name);

/* ---- devices (vfio.c) ---- */

/** vfio_device_get() - one more open file; false: it is being removed */
bool vfio_device_get(struct vfio_device *vdev);
void vfio_device_put(struct vfio_device *vdev);
/** vfio_device_find() - the device of @pdev, or NULL; vfio->lock held */
struct vfio_device *vfio_device_find(struct vfio *vfio, const struct pci_dev *pdev);

/* ---- opening and closing (open.c) ---- */

/**
 * vfio_device_open() - first open: into @ctx (NULL: a native container has it), reset, running
 * @file: whose descriptor BARs are mapped through
 * Return: 0; errors of iommufd_device_bind(), mem_device_create(), pci_dev_open().
 */
int vfio_device_open(struct vfio_device *vdev, struct iommufd_ctx *ctx, struct file *file,
		     u32 *ret_id) __must_hold(&vdev->set->lock);
/** vfio_device_close() - the last one's end: reset, detached, unbound */
void vfio_device_close(struct vfio_device *vdev) __must_hold(&vdev->set->lock);
/** vfio_device_attach_ioas() - DMA of an open device, or accesses, go through ioas @pt_id; in/out
 */
int vfio_device_attach(struct vfio_device *vdev, u32 *pt_id) __must_hold(&vdev->set->lock);
void vfio_device_detach(struct vfio_device *vdev) __must_hold(&vdev->set->lock);

/* ---- files (device_file.c, cdev.c) ---- */

int vfio_file_create(struct vfio_device *vdev, struct file *group_file, int open_flags,
		     struct vfio_file **ret_file);
/** vfio_device_from_file() - NULL: no device file */
struct vfio_file *vfio_file_from_file(struct file *file);
int vfio_cdev_open(struct tree_entry *entry, int open_flags, struct file **ret_file);
int vfio_cdev_bind(struct vfio_file *df, u64 arg);
int vfio_cdev_attach(struct vfio_file *df, u64 arg);
int vfio_cdev_detach(struct vfio_file *df, u64 arg);

/* ---- what can be asked (info.c) ---- */

int vfio_get_info(struct vfio_device *vdev, u64 arg);
int vfio_get_region_info(struct vfio_device *vdev, u64 arg);
int vfio_get_irq_info(struct vfio_device *vdev, u64 arg);
/** vfio_bar_mappable() - has BAR @index VFIO_REGION_INFO_FLAG_MMAP? */
bool vfio_bar_mappable(const struct vfio_device *vdev, u32 index);
/** vfio_bar_area_mappable() - and can this part of it be mapped? */
bool vfio_bar_area_mappable(const struct vfio_device *vdev, u32 index, u64 offset, u64 length);

/* ---- regions (region.c) ---- */

ssize_t vfio_region_read(struct vfio_device *vdev, u64 ubuf, size_t count, u64 pos);
ssize_t vfio_region_write(struct vfio_device *vdev, u64 ubuf, size_t count, u64 pos);
int vfio_region_mmap(struct vfio_file *df, u64 length, int prot, int flags, u64 offset,
		     struct file_map *ret_map);
int vfio_region_access(struct vfio_device *vdev, u64 pos, void *data, unsigned int size,
		       bool write);

/* ---- ioeventfds (ioeventfd.c) ---- */

int vfio_ioeventfd(struct vfio_device *vdev, u64 arg);
void vfio_ioeventfds_remove(struct vfio_device *vdev);

/* ---- resets (reset.c) ---- */

int vfio_reset(struct vfio_device *vdev);
int vfio_hot_reset_info(struct vfio_device *vdev, u64 arg);
int vfio_hot_reset(struct vfio_device *vdev, u64 arg);

/* ---- features (feature.c, migration.c, dma_log.c, export.c) ---- */

int vfio_feature(struct vfio_device *vdev, u64 arg);
/** vfio_token_check() - may a file with @uuid (NULL: none given) use it? 0, -EACCES, -EINVAL */
int vfio_token_check(struct vfio_device *vdev, const u8 *uuid);
/** vfio_wake() - a device in low power is touched */
void vfio_wake(struct vfio_device *vdev);

int vfio_mig_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len);
int vfio_mig_state_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len);
int vfio_mig_size_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len);
int vfio_mig_precopy_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len);
/** vfio_mig_reset() - RUNNING again, the data file is dead */
void vfio_mig_reset(struct vfio_device *vdev) __must_hold(&vdev->set->lock);

int vfio_dma_log_start_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len);
int vfio_dma_log_stop_feature(struct vfio_device *vdev, u32 flags, size_t len);
int vfio_dma_log_report_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len);
/** vfio_dma_log_end() - the device is closed */
void vfio_dma_log_end(struct vfio_device *vdev);

int vfio_export_feature(struct vfio_device *vdev, u32 flags, u64 arg, size_t len);
/** vfio_exports_sync() - take buffers back while memory decode is off, let them go when on */
void vfio_exports_sync(struct vfio_device *vdev);
void vfio_exports_revoke(struct vfio_device *vdev);
/** vfio_exports_drop() - the device is closed: they never come back */
void vfio_exports_drop(struct vfio_device *vdev);

void vfio_token_init(struct vfio_device *vdev);
void vfio_low_power_end(struct vfio_device *vdev);

int vfio_feature_check(u32 flags, size_t len, u32 supported, size_t min);

/* ---- groups (group.c) ---- */

/** vfio_group_join() - the group @id, made for its first device; 0, -EEXIST, -ENOMEM */
int vfio_group_join(struct vfio *vfio, u32 id, struct vfio_device *vdev);
void vfio_group_leave(struct vfio_device *vdev);
/** vfio_group_block() - a cdev of it is to be bound: 0, or -EBUSY the group is open */
int vfio_group_block(struct vfio_group *group);
void vfio_group_unblock(struct vfio_group *group);
/** vfio_group_from_file() - NULL: no group file */
struct vfio_group *vfio_group_from_file(struct file *file);
/** vfio_group_put() - NULL is a no-op */
void vfio_group_put(struct vfio_group *group);
/** vfio_group_device_closed() - a device opened through it is closed */
void vfio_group_device_closed(struct vfio_group *group);

/* ---- containers (container.c) ---- */

/** vfio_container_file() - its file, borrowed */
struct file *vfio_container_file(struct vfio_container *container);
int vfio_container_open(struct tree_entry *entry, int open_flags, struct file **ret_file);
struct vfio_container *vfio_container_from_file(struct file *file);
/** vfio_container_attach() - 0, errors of binding and attaching the group's devices */
int vfio_container_attach(struct vfio_container *container, struct vfio_group *group)
	__must_hold(&group->lock);
void vfio_container_detach(struct vfio_container *container, struct vfio_group *group)
	__must_hold(&group->lock);
/** vfio_container_ready() - has it an IOMMU? */
bool vfio_container_ready(struct vfio_container *container);
struct iommufd_ctx *vfio_container_ctx(struct vfio_container *container);
u32 vfio_container_ioas(struct vfio_container *container);
/** vfio_container_device_added(), _removed() - a device comes to, goes from a group that is
 * attached */
int vfio_container_device_added(struct vfio_container *container, struct vfio_device *vdev);
void vfio_container_device_removed(struct vfio_container *container, struct vfio_device *vdev);

#endif
