/* SPDX-License-Identifier: MIT */
/*
 * A context: one open of /dev/iommu.  Owns the object table and the options
 * that are context-wide.
 */
#ifndef CORE_CTX_H
#define CORE_CTX_H

#include <iommufd/driver.h>

#include "base/idtable.h"
#include "base/lock.h"
#include "base/rangemap.h"
#include "core/file.h"
#include "core/system.h"
#include "mem/mm.h"

struct iommufd_ioas;
struct mem_device;

struct iommufd_ctx {
	struct file file;                     /* the descriptor the program holds */
	struct iommufd_system *system;        /* immutable */
	u32 number;                           /* immutable; no other open one has it */
	pid_t opener;                         /* immutable; 0: unknown */
	struct mutex objects_lock;            /* objects, vfio_ioas, id life */
	struct idtable objects __guarded_by(&objects_lock);
	u32 tombstones __guarded_by(&objects_lock);   /* ids taken for good */
	u32 unpublished __guarded_by(&objects_lock);  /* ids taken by objects being built */
	struct iommufd_ioas *vfio_ioas __guarded_by(&objects_lock); /* not counted */
	bool no_iommu_mode __guarded_by(&objects_lock);
	enum mem_account_mode account_mode __guarded_by(&objects_lock); /* USER or MM */
	pthread_cond_t wait;                  /* wait_cnt reached 0; with objects_lock */
	struct mutex groups_lock;
	struct cds_list_head groups __guarded_by(&groups_lock); /* struct iommufd_group */
	struct mutex ioas_creation_lock;      /* one CHANGE_PROCESS at a time */
	u64 visits __guarded_by(&ioas_creation_lock); /* marks for its walks over pages */
	struct mutex mmap_lock;               /* mmap offsets against their owners' end */
	struct rangemap mmap_regions __guarded_by(&mmap_lock); /* offset -> what may be mapped */
	struct rangemap mmio_blocks __guarded_by(&mmap_lock);  /* offset -> memory of drivers */
	struct mem_device *mmio __guarded_by(&mmap_lock);      /* its file; NULL: none yet */
	struct mutex sw_msi_lock;
	struct cds_list_head sw_msi_list __guarded_by(&sw_msi_lock); /* entries begin with their
								      * node; free()d at release */
	struct cds_list_head node;            /* system->contexts, under its lock */
	void *selftest;                       /* the mock model's own, or NULL */
#ifdef IOMMUFD_DEBUG
	_Atomic u32 running;                  /* commands being served */
	_Atomic u32 checks_due;               /* commands since the latest check */
	_Atomic bool check_slow;              /* the latest check took long: sample */
#endif
};

/** ctx_get() / ctx_put() - a reference on the open file */
static inline struct iommufd_ctx *ctx_get(struct iommufd_ctx *ctx)
{
	file_get(&ctx->file);
	return ctx;
}

static inline void ctx_put(struct iommufd_ctx *ctx)
{
	file_put(&ctx->file);
}

/** ctx_next() - the context with the lowest number from @number on, counted; NULL: none */
struct iommufd_ctx *ctx_next(struct iommufd_system *system, u32 number);

enum { CTX_OPEN_VFIO_CONTAINER = 1 << 0 }; /* opened as /dev/vfio/vfio: MM accounting */
int ctx_open(struct iommufd_system *system, unsigned int ctx_flags, int open_flags,
	     struct iommufd_ctx **ret_ctx);
/** ctx_from_file() - NULL if @file is not one of ours of this kind (borrowed) */
struct iommufd_ctx *ctx_from_file(struct file *file);

/**
 * ctx_check() - walk every structure of the context and say the first thing wrong
 * @buf: gets one line naming the object and the fault
 *
 * Looks at one object at a time, under that object's own locks, and holds it only by
 * wait_cnt: no command running beside it gets another answer than without the check (a
 * destroyer sleeps until the look at its object is over).  Passes no fault point.
 *
 * Context: call with no lock of the context held.
 * Return: 0 sound, -EUCLEAN otherwise.
 */
int ctx_check(struct iommufd_ctx *ctx, char *buf, size_t size);

#ifdef IOMMUFD_DEBUG
/*
 * ctx_check_begin() / ctx_check_end() - around each command in debug builds: the last one
 * to leave checks the context and aborts the program if it is unsound.
 */
void ctx_check_begin(struct iommufd_ctx *ctx);
void ctx_check_end(struct iommufd_ctx *ctx);
#else
static inline void ctx_check_begin(struct iommufd_ctx *ctx)
{
	(void)ctx;
}

static inline void ctx_check_end(struct iommufd_ctx *ctx)
{
	(void)ctx;
}
#endif

#endif
