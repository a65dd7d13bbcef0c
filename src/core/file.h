/* SPDX-License-Identifier: MIT */
/*
 * An open file description of ours: what a descriptor in the program stands
 * for.  The way in turns the program's system calls on it into these ops and
 * drops its reference when the last descriptor is closed; other holders
 * (accesses, devices, mappings) delay the release as in the kernel.
 */
#ifndef CORE_FILE_H
#define CORE_FILE_H

#include <stdatomic.h>

#include "base/types.h"

struct file;
struct iommufd_system;

/** struct file_map - what mmap() of a file gives: memory the host can map for the program */
struct file_map {
	int host_fd;   /* borrowed: a file of this process to be mapped shared */
	u64 host_offset;
	u64 length;
	void *cookie;  /* for unmap(), once per mapping that ends */
	bool trapped;  /* no memory: each access of the program is to become an access() op */
};

/**
 * struct file_ops - a missing op gives what the kernel gives
 * @name: as /proc/PID/fd shows it: "/dev/iommu", "[iommufd-pgfault]"
 * @ioctl: returns >= 0 or -errno; missing: -ENOTTY
 * @read, @write: @ubuf in the current task; bytes or -errno; missing: -EINVAL
 * @poll: POLL* bits ready now; missing: always readable and writable
 * @mmap: check and describe; missing: -ENODEV
 * @unmap: one mapping made through @mmap is gone; any thread, no current task needed
 * @release: the last reference is gone
 * @pread, @pwrite: of files with a position, instead of @read and @write; the way in keeps the
 *	position.  Missing: pread() and pwrite() give -ESPIPE
 * @access: one access of the program's to a mapping that is @trapped: @size 1, 2, 4, 8 bytes, for
 *	writes also 64, at file position @pos, aligned; 0, or -errno: the program gets SIGBUS
 */
struct file_ops {
	const char *name;
	long (*ioctl)(struct file *file, unsigned int cmd, u64 arg);
	ssize_t (*read)(struct file *file, u64 ubuf, size_t count);
	ssize_t (*write)(struct file *file, u64 ubuf, size_t count);
	unsigned int (*poll)(struct file *file);
	int (*mmap)(struct file *file, u64 length, int prot, int flags, u64 offset,
		    struct file_map *ret_map);
	void (*unmap)(struct file *file, void *cookie);
	void (*release)(struct file *file);
	ssize_t (*pread)(struct file *file, u64 ubuf, size_t count, u64 pos);
	ssize_t (*pwrite)(struct file *file, u64 ubuf, size_t count, u64 pos);
	int (*access)(struct file *file, u64 pos, void *data, unsigned int size, bool write);
};

/**
 * struct file - embedded at the start of the owner's struct
 * @refs: one for the descriptors, one per other holder
 * @open_flags: O_RDWR, O_CLOEXEC ...
 * @size: bytes, as fstat() and lseek() to its end show it where the way in can; 0 or fixed before
 *	a program can reach the file
 * @host: the way in's handle, set before a program can reach the file
 * @host_wake: called when poll() bits may have changed; NULL if nobody waits
 * @host_memory: the file behind the program's descriptors, borrowed, for memory that the program
 *	maps through them; NULL: the way in maps any file.  Nobody can shrink it, unless @shrinks:
 *	then its size stays anybody's to change.  0 or -errno
 * @host_settle: end the mappings that the program has ended unseen, with the op unmap; NULL: all
 *	are seen
 * @host_release: end of @host, after the op release and so after the last host_wake; may be NULL
 */
struct file {
	const struct file_ops *ops;
	_Atomic u32 refs;
	int open_flags;
	u64 size;
	struct iommufd_system *system;
	void *host;
	void (*host_wake)(struct file *file);
	int (*host_memory)(struct file *file, bool shrinks, int *ret_fd);
	void (*host_settle)(struct file *file);
	void (*host_release)(void *host);
};

/** file_init() - one reference, the caller's */
void file_init(struct file *file, const struct file_ops *ops, struct iommufd_system *system,
	       int open_flags);
struct file *file_get(struct file *file);
/**
 * file_get_live() - the same, where the last reference may be gone and only the memory be there
 * still; false: it is gone
 */
bool file_get_live(struct file *file);
/** file_put() - the last one releases the file before it returns; NULL is a no-op */
void file_put(struct file *file);
/**
 * file_wake() - poll() bits may have changed, by a read too; never after the release op has
 * returned.  Who waits for edges gets one for each call while the file can be read.
 */
void file_wake(struct file *file);
/** file_settle() - from here on every mapping of @file that has ended has been told to it */
void file_settle(struct file *file);
/** file_mmap_check() - what the kernel's VM asks of any file before it asks the file */
int file_mmap_check(const struct file *file, u64 addr, u64 length, int prot, int flags, u64 offset);

#endif
