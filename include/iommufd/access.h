/* SPDX-License-Identifier: MIT */
/*
 * Accesses: how an emulated device inside this process uses an ioas.
 */
#ifndef IOMMUFD_ACCESS_H
#define IOMMUFD_ACCESS_H

#include <iommufd/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iommufd_access;
struct iommufd_ctx;

enum {
	IOMMUFD_ACCESS_RW_READ = 0,
	IOMMUFD_ACCESS_RW_WRITE = 1 << 0,
	IOMMUFD_ACCESS_RW_KTHREAD = 1 << 1, /* the caller is no thread of the program */
	/* test: go through pages even where the address would do */
	IOMMUFD_ACCESS_RW_SLOW_PATH = 1 << 2,
};

/**
 * struct iommufd_access_ops - the driver's side
 * @needs_pin_pages: pins are wanted: mappings must then be page aligned
 * @unmap: [iova, iova + length) is about to go (length UINT64_MAX from iova 0: everything). When it
 *	returns every pin overlapping the range is gone and none that began before may
 *	complete later.  No lock of the library is held; may run concurrently with
 *	itself and for ranges that hold no pin.
 */
struct iommufd_access_ops {
	bool needs_pin_pages;
	void (*unmap)(void *data, u64 iova, u64 length);
};

/**
 * iommufd_access_create() - a new access, not yet attached
 * @ctx: held open until the access is destroyed
 * @ret_id: its object id
 * @ret_access: set on success only; iommufd_access_destroy() it
 * Return: 0, -ENOMEM, -EBUSY (ids exhausted).
 */
IOMMUFD_EXPORT int iommufd_access_create(struct iommufd_ctx *ctx,
					 const struct iommufd_access_ops *ops, void *data,
					 u32 *ret_id, struct iommufd_access **ret_access);

/** iommufd_access_destroy() - detaches if need be; after it no callback runs */
IOMMUFD_EXPORT void iommufd_access_destroy(struct iommufd_access *access);

/**
 * iommufd_access_attach() - start using @ioas_id
 * Return: 0, -EINVAL already attached, -ENOENT no such ioas, -EBUSY a detach is still running or
 * the ioas has 65536 accesses, -EADDRINUSE an area is not aligned to what the access needs,
 * -ENOMEM.
 */
IOMMUFD_EXPORT int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id);

/**
 * iommufd_access_replace() - move to another ioas; the driver is told to drop all pins of the old
 * one
 * Return: 0 (also when it is the same: no callback then), -ENOENT not attached or no such ioas,
 * else as attach; on error nothing changed.
 */
IOMMUFD_EXPORT int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id);

/** iommufd_access_detach() - the driver is told to drop all pins; a no-op when not attached */
IOMMUFD_EXPORT void iommufd_access_detach(struct iommufd_access *access);

/**
 * iommufd_access_pin_pages() - keep the pages behind a range where they are
 * @iova, @length: bytes
 * @ret_pages: one physical page address per page touched, in order
 * @flags: IOMMUFD_ACCESS_RW_WRITE or 0
 *
 * All or nothing.  Pins block unmapping: the unmap callback asks for them back.
 * Return: 0; -EINVAL no bytes, an area being unmapped, a misaligned joint, a dma-buf, or an access
 * without needs_pin_pages; -EOVERFLOW; -ENOENT not attached or a hole; -EPERM; -EFAULT; -ENOMEM.
 */
IOMMUFD_EXPORT int iommufd_access_pin_pages(struct iommufd_access *access, u64 iova, u64 length,
					    phys_addr_t *ret_pages, unsigned int flags);

/** iommufd_access_unpin_pages() - exactly a range pinned before */
IOMMUFD_EXPORT void iommufd_access_unpin_pages(struct iommufd_access *access, u64 iova, u64 length);

/**
 * iommufd_access_rw() - copy between @data and an iova range, any alignment
 * Return: 0; -EINVAL no bytes, an area being unmapped, a dma-buf; -EOVERFLOW; -ENOENT not attached,
 * or a hole (what lies before it has moved); -EPERM; -EFAULT.
 */
IOMMUFD_EXPORT int iommufd_access_rw(struct iommufd_access *access, u64 iova, void *data,
				     size_t length, unsigned int flags);

#ifdef __cplusplus
}
#endif

#endif
