/* SPDX-License-Identifier: MIT */
/*
 * Containers with type1's own rules: a list of mappings over an IOAS of a
 * context that no program sees.
 */
#ifndef VFIO_CONTAINER_H
#define VFIO_CONTAINER_H

#include "vfio/vfio_priv.h"

#define CONTAINER_DMAS_MAX 65535U

/**
 * struct container_dma - a mapping
 * @number: how many were asked for before it
 * @busy: being made or ended; @ending: by which request, if ended
 */
struct container_dma {
	u64 number;
	bool busy;
	const struct container_ending *ending;
};

/**
 * struct vfio_container - the open file
 * @ctx, @ioas: the space behind it, made with the file
 * @rwsem: write: groups come and go, the type is chosen; read: a command on mappings
 * @turn, @changes: who wants to write holds @turn, and is counted, while it waits: else programs that
 *	map without end would keep it out
 * @groups: struct vfio_group.container_node
 * @type: VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, 0: none yet
 * @lock: the mappings; a leaf
 * @dmas: iova -> struct container_dma; @settled: one of them is no longer busy
 * @next_dma: the number of the next one
 * @dirty: GET_BITMAP may be asked
 */
struct vfio_container {
	struct file file;
	struct vfio *vfio;
	struct iommufd_ctx *ctx;
	struct iommufd_ioas *ioas;
	struct rwlock rwsem;
	struct mutex turn;
	_Atomic u32 changes;
	struct cds_list_head groups __guarded_by(&rwsem);
	u32 type __guarded_by(&rwsem);
	struct mutex lock;
	pthread_cond_t settled;
	struct rangemap dmas __guarded_by(&lock);
	u64 next_dma __guarded_by(&lock);
	u32 num_dmas __guarded_by(&lock);
	bool dirty __guarded_by(&lock);
};

/* commands on mappings (container_dma.c), with rwsem held for reading and a type chosen */
/** @ret_file: file_put() it when rwsem is no longer held */
int container_map_dma(struct vfio_container *container, u64 arg, struct file **ret_file);
int container_unmap_dma(struct vfio_container *container, u64 arg);
int container_dirty_pages(struct vfio_container *container, u64 arg);
/** container_unmap_everything() - rwsem held for writing */
void container_unmap_everything(struct vfio_container *container);

/** container_get_info() - VFIO_IOMMU_GET_INFO (container_info.c) */
int container_get_info(struct vfio_container *container, u64 arg);

struct iopt_pages;

/**
 * container_bar_pages() - registers of a device that the caller has mapped at @va (export.c)
 * @ret_file: to be put once no lock is held, its end may be that of a group; also after a failure
 * Return: 0, -EFAULT they are none, -ENOMEM.
 */
int container_bar_pages(struct vfio_container *container, u64 va, u64 length, bool writable,
			struct file **ret_file, struct iopt_pages **ret_pages);

#endif
