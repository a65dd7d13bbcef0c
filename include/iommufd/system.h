/* SPDX-License-Identifier: MIT */
/*
 * A system: one machine as its programs see it -- physical memory, IOMMUs,
 * devices, test switches.  Everything else hangs off one; several may live in
 * one process and share nothing.
 */
#ifndef IOMMUFD_SYSTEM_H
#define IOMMUFD_SYSTEM_H

#include <iommufd/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iommufd_system;

enum iommufd_log_level {
	IOMMUFD_LOG_ERROR,
	IOMMUFD_LOG_WARN,
	IOMMUFD_LOG_INFO,
	IOMMUFD_LOG_DEBUG,
};

/**
 * typedef iommufd_log_fn - receives one line, without a newline
 * Context: any thread of the library, possibly with its locks held: do not call back.
 */
typedef void (*iommufd_log_fn)(void *data, enum iommufd_log_level level, const char *line);

/**
 * enum iommufd_frame_policy - how pages of memory are laid out in physical space
 * @IOMMUFD_FRAMES_CONTIGUOUS: as in their backing, so large entries appear
 * @IOMMUFD_FRAMES_HUGE_ONLY: only huge pages (hugetlbfs) are contiguous, the rest scattered
 * @IOMMUFD_FRAMES_RANDOM: every 4 KiB page somewhere else
 */
enum iommufd_frame_policy {
	IOMMUFD_FRAMES_CONTIGUOUS,
	IOMMUFD_FRAMES_HUGE_ONLY,
	IOMMUFD_FRAMES_RANDOM,
};

/**
 * struct iommufd_system_opts - what iommufd_system_create() is to make
 * @size: sizeof(struct iommufd_system_opts); later versions grow at the end
 * @selftest: serve IOMMU_TEST_CMD and its mock devices
 * @trusted_memory: addresses of this process are identities by themselves and are not
 *	looked up at each pin: fast, for embedders who keep mapped memory in place
 * @frames: layout of physical memory
 * @log: where lines go (NULL: nowhere), @log_data its first argument
 * @log_level: the least severe level passed on
 * @precise_dirty: domains of the generic IOMMU have no entry over 4 KiB while dirty tracking is
 *	on, so that the bitmap tells which pages were written, not which entries
 */
struct iommufd_system_opts {
	size_t size;
	bool selftest;
	bool trusted_memory;
	enum iommufd_frame_policy frames;
	iommufd_log_fn log;
	void *log_data;
	enum iommufd_log_level log_level;
	bool precise_dirty;
};

/**
 * iommufd_system_create() - make an empty machine
 * @opts: NULL for the defaults (all zero)
 * @ret_system: set on success only; iommufd_system_destroy() it
 *
 * Return: 0, -EINVAL for an unknown size or value, -ENOMEM.
 */
IOMMUFD_EXPORT int iommufd_system_create(const struct iommufd_system_opts *opts,
					 struct iommufd_system **ret_system);

/** iommufd_system_destroy() - every context of it must be closed; NULL is a no-op */
IOMMUFD_EXPORT void iommufd_system_destroy(struct iommufd_system *system);

/**
 * iommufd_phys_read(), iommufd_phys_write() - physical memory, as the hardware of a model uses it
 * @pa: any address; @len: any length
 *
 * Context: any thread.  A program may take its memory away at any time, also while it is pinned.
 * Return: 0, -EFAULT where there is no memory (any more); bytes before it may have moved.
 */
IOMMUFD_EXPORT int iommufd_phys_read(struct iommufd_system *system, phys_addr_t pa, void *buf,
				     size_t len);
IOMMUFD_EXPORT int iommufd_phys_write(struct iommufd_system *system, phys_addr_t pa,
				      const void *buf, size_t len);

#ifdef __cplusplus
}
#endif

#endif
