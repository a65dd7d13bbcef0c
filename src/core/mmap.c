/* SPDX-License-Identifier: MIT */
/*
 * What a program maps through its /dev/iommu descriptor: registers that drivers
 * let it have.
 *
 * The registers of a context lie in one file, each at the offset that mmap()
 * wants for it.  So a way in that cannot place mappings in the program itself
 * makes that file the one behind the descriptor, and lets the program's mmap()
 * go to the kernel as it is.
 *
 *	blocks    what drivers have allocated, by offset
 *	regions   what of it programs may map, by offset; never two for one page
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <urcu/list.h>
#include <iommufd/viommu.h>

#include "base/alloc.h"
#include "core/mmap.h"
#include "core/object.h"
#include "mem/device_mem.h"

#define MMIO_FIRST PAGE_SIZE /* offset 0 is never given out */

struct mmio_block {
	struct mem_run run;
	u64 offset;
	u64 length;
	u64 pa;
	void *ptr;
};

/**
 * struct mmap_region - @owner has one users reference per mapping, taken with ctx->mmap_lock held
 */
struct mmap_region {
	struct iommufd_object *owner;
	u64 length;
};

void ctx_mmap_init(struct iommufd_ctx *ctx)
{
	mutex_init(&ctx->mmap_lock);
	rangemap_init(&ctx->mmap_regions);
	rangemap_init(&ctx->mmio_blocks);
}

void ctx_mmap_fini(struct iommufd_ctx *ctx)
{
	if (!rangemap_empty(&ctx->mmap_regions) || !rangemap_empty(&ctx->mmio_blocks))
		system_log(ctx->system, IOMMUFD_LOG_ERROR,
			   "a driver has not given back what it let the program map");
	rangemap_clear(&ctx->mmap_regions);
	rangemap_clear(&ctx->mmio_blocks);
	mem_device_free(ctx->mmio);
	mutex_destroy(&ctx->mmap_lock);
}

/* ---- the memory ---- */

/* The file, made when the first driver needs it. */
static int mmio_get(struct iommufd_ctx *ctx) __must_hold(&ctx->mmap_lock)
{
	int host_fd = -1;
	int rc = 0;

	if (ctx->mmio)
		return 0;
	if (ctx->file.host_memory)
		rc = ctx->file.host_memory(&ctx->file, false, &host_fd);
	return rc ? rc : mem_device_create(ctx->system->mem, host_fd, false, &ctx->mmio);
}

static int mmio_provide(struct iommufd_ctx *ctx, struct mmio_block *block)
	__must_hold(&ctx->mmap_lock)
{
	u64 first = MMIO_FIRST, last = MEM_DEVICE_SIZE - 1, contig;
	int rc;

	rc = mmio_get(ctx);
	if (rc)
		return rc;
	if (!rangemap_next_gap(&ctx->mmio_blocks, &first, &last, block->length))
		return -EBUSY;
	rc = rangemap_insert(&ctx->mmio_blocks, first, first + block->length - 1, block);
	if (rc)
		return rc;
	block->offset = first;
	rc = mem_device_provide(ctx->mmio, first, block->length, &block->run);
	if (rc) {
		rangemap_remove(&ctx->mmio_blocks, first);
		return rc;
	}
	block->pa = mem_run_phys(&block->run, 0, &(u32){ 0 });
	block->ptr = mem_phys_ptr(ctx->system->mem, block->pa, &contig);
	return 0;
}

void *iommufd_alloc_mmio(struct iommufd_ctx *ictx, size_t length, phys_addr_t *ret_mmio)
{
	struct mmio_block *block;
	int rc;

	if (!length || (length & ~PAGE_MASK) || length > MEM_DEVICE_SIZE)
		return NULL;
	block = zalloc(sizeof(*block));
	if (!block)
		return NULL;
	block->length = length;
	mutex_lock(&ictx->mmap_lock);
	rc = mmio_provide(ictx, block);
	mutex_unlock(&ictx->mmap_lock);
	if (rc) {
		free(block);
		return NULL;
	}
	*ret_mmio = block->pa;
	return block->ptr;
}

static struct mmio_block *mmio_find(struct iommufd_ctx *ctx, const void *ptr)
	__must_hold(&ctx->mmap_lock)
{
	struct rangemap_entry entry;

	rangemap_for_each_in(&ctx->mmio_blocks, entry, 0, UINT64_MAX)
		if (((struct mmio_block *)entry.value)->ptr == ptr)
			return entry.value;
	return NULL;
}

void iommufd_free_mmio(struct iommufd_ctx *ictx, void *ptr)
{
	struct mmio_block *block;

	if (!ptr)
		return;
	mutex_lock(&ictx->mmap_lock);
	block = mmio_find(ictx, ptr);
	assert(block && !rangemap_overlaps(&ictx->mmap_regions, block->offset,
					   block->offset + block->length - 1));
	mem_device_withdraw(ictx->mmio, block->offset, &block->run);
	rangemap_remove(&ictx->mmio_blocks, block->offset);
	mutex_unlock(&ictx->mmap_lock);
	free(block);
}

/* ---- what may be mapped ---- */

/* Where physical memory of ours is in the file; the whole range in one block. */
static int mmio_offset(struct iommufd_ctx *ctx, u64 pa, u64 length, u64 *ret_offset)
	__must_hold(&ctx->mmap_lock)
{
	struct rangemap_entry entry;

	rangemap_for_each_in(&ctx->mmio_blocks, entry, 0, UINT64_MAX) {
		const struct mmio_block *block = entry.value;

		if (pa < block->pa || pa - block->pa >= block->length ||
		    length > block->length - (pa - block->pa))
			continue;
		*ret_offset = block->offset + (pa - block->pa);
		return 0;
	}
	return -EINVAL;
}

int iommufd_alloc_mmap(struct iommufd_ctx *ictx, struct iommufd_object *owner, phys_addr_t mmio,
		       size_t length, unsigned long *offset)
{
	struct mmap_region *region;
	u64 first;
	int rc;

	if (!length || ((mmio | length) & ~PAGE_MASK))
		return -EINVAL;
	region = zalloc(sizeof(*region));
	if (!region)
		return -ENOMEM;
	region->owner = owner;
	region->length = length;
	mutex_lock(&ictx->mmap_lock);
	rc = mmio_offset(ictx, mmio, length, &first);
	if (!rc)
		rc = rangemap_insert(&ictx->mmap_regions, first, first + length - 1, region);
	mutex_unlock(&ictx->mmap_lock);
	if (rc) {
		free(region);
		return rc == -EEXIST ? -EBUSY : rc;
	}
	*offset = first;
	return 0;
}

void iommufd_destroy_mmap(struct iommufd_ctx *ictx, struct iommufd_object *owner,
			  unsigned long offset)
{
	struct mmap_region *region;

	mutex_lock(&ictx->mmap_lock);
	region = rangemap_remove(&ictx->mmap_regions, offset);
	mutex_unlock(&ictx->mmap_lock);
	assert(region && region->owner == owner);
	free(region);
}

/* ---- the file's ops ---- */

/*
 * The owner is held before the lock is dropped, and only if it is published: one
 * still being made may be undone whoever maps it, one being destroyed is lost.
 */
static int mmap_hold(struct iommufd_ctx *ctx, u64 length, u64 offset,
		     struct iommufd_object **ret_owner) __must_hold(&ctx->mmap_lock)
{
	struct rangemap_entry entry;
	struct mmap_region *region;

	if (!rangemap_find(&ctx->mmap_regions, offset, &entry))
		return -ENXIO;
	region = entry.value;
	if (entry.first != offset || region->length != length)
		return -ENXIO;
	if (object_try_hold(ctx, region->owner))
		return -ENXIO;
	*ret_owner = region->owner;
	return 0;
}

int ctx_file_mmap(struct file *file, u64 length, int prot, int flags, u64 offset,
		  struct file_map *ret_map)
{
	struct iommufd_ctx *ctx = container_of(file, struct iommufd_ctx, file);
	struct iommufd_object *owner;
	int rc;

	/* the kernel takes a shared mapping that cannot be written for a private one */
	if ((flags & MAP_TYPE) == MAP_PRIVATE || (file->open_flags & O_ACCMODE) == O_RDONLY)
		return -EINVAL;
	if (prot & PROT_EXEC)
		return -EPERM;
	mutex_lock(&ctx->mmap_lock);
	rc = mmap_hold(ctx, length, offset, &owner);
	if (!rc)
		*ret_map = (struct file_map){
			.host_fd = mem_device_fd(ctx->mmio),
			.host_offset = offset,
			.length = length,
			.cookie = owner,
		};
	mutex_unlock(&ctx->mmap_lock);
	return rc;
}

void ctx_file_unmap(struct file *file, void *cookie)
{
	object_release(cookie);
}
