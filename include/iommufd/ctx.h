/* SPDX-License-Identifier: MIT */
/*
 * Embedding: this process as the program.  It opens /dev/iommu by a call,
 * gets a descriptor number and uses it with calls named after the system
 * calls they stand for; each answers as the kernel would, with -errno in
 * place of -1 and errno.
 *
 *	iommufd_system_create(NULL, &system);
 *	iommufd_process_create(system, &proc);
 *	fd = iommufd_open(proc, "/dev/iommu", O_RDWR | O_CLOEXEC);
 *	rc = iommufd_ioctl(proc, fd, IOMMU_IOAS_ALLOC, &cmd);
 *
 * A descriptor number is a real one (an eventfd stands in its place), so it
 * never means two things.  It is readable for poll(2) and epoll(7) whenever
 * iommufd_read() would find something; what else the system calls do with it
 * means nothing.
 *
 * Context: every call here may be made by any thread at any time, except
 * where it says otherwise.  A child after fork() must not make any.
 */
#ifndef IOMMUFD_CTX_H
#define IOMMUFD_CTX_H

#include <iommufd/system.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iommufd_ctx;
struct iommufd_process;

/* ---- the process ---- */

/**
 * iommufd_process_create() - make this process a program of @system
 * @system: must outlive the process
 * @ret_proc: set on success only; iommufd_process_destroy() it
 *
 * Pinned memory is charged to the real user the calling thread has now.  Privileges are those
 * of the thread that makes a call; on a system with trusted_memory, those the creating thread
 * has now (asking costs a system call).
 * Return: 0, -ENOMEM, or what opening /proc/self says.
 */
IOMMUFD_EXPORT int iommufd_process_create(struct iommufd_system *system,
					  struct iommufd_process **ret_proc);

/**
 * iommufd_process_destroy() - close what is open and unmap what is mapped, as exit would
 * NULL is a no-op.  No other call on @proc may run or follow.
 */
IOMMUFD_EXPORT void iommufd_process_destroy(struct iommufd_process *proc);

/* ---- descriptors ---- */

/**
 * iommufd_open() - open(2)
 * @path: "/dev/iommu" or "/dev/vfio/vfio"
 * @open_flags: O_RDWR and O_CLOEXEC as usual
 * Return: a descriptor; -ENOENT for another path, -EMFILE, -ENFILE, -ENOMEM.
 */
IOMMUFD_EXPORT int iommufd_open(struct iommufd_process *proc, const char *path, int open_flags);

/**
 * iommufd_ioctl() - ioctl(2)
 * @arg: address of the command's struct (or, for a few VFIO commands, a number)
 * Return: >= 0, -EBADF if @fd is none of ours, -ENOTTY, or the command's errno.
 */
IOMMUFD_EXPORT long iommufd_ioctl(struct iommufd_process *proc, int fd, unsigned int cmd,
				  void *arg);

/** iommufd_read() - read(2); never blocks.  Return: bytes, -EBADF, -EINVAL, the file's errno */
IOMMUFD_EXPORT ssize_t iommufd_read(struct iommufd_process *proc, int fd, void *buf,
				    size_t count);
/** iommufd_write() - write(2); never blocks.  Return: bytes, -EBADF, -EINVAL, the file's errno */
IOMMUFD_EXPORT ssize_t iommufd_write(struct iommufd_process *proc, int fd, const void *buf,
				     size_t count);

/**
 * iommufd_pread(), iommufd_pwrite() - pread(2), pwrite(2)
 * Return: bytes, -EBADF, -ESPIPE for a file without positions, the file's errno.
 */
IOMMUFD_EXPORT ssize_t iommufd_pread(struct iommufd_process *proc, int fd, void *buf,
				     size_t count, u64 offset);
IOMMUFD_EXPORT ssize_t iommufd_pwrite(struct iommufd_process *proc, int fd, const void *buf,
				      size_t count, u64 offset);

/**
 * iommufd_poll() - poll(2) on one descriptor
 * @events: POLLIN, POLLOUT
 * @timeout_ms: 0 does not wait, negative waits for ever
 * Return: bits that are ready, 0 on time-out, -EBADF, -EINTR.
 */
IOMMUFD_EXPORT int iommufd_poll(struct iommufd_process *proc, int fd, unsigned int events,
				int timeout_ms);

/**
 * iommufd_close() - close(2)
 *
 * The last descriptor of a context releases it before this returns, unless an access, a
 * device or a mapping still holds it.
 * Return: 0, -EBADF.
 */
IOMMUFD_EXPORT int iommufd_close(struct iommufd_process *proc, int fd);

/** iommufd_dup() - fcntl(2) F_DUPFD_CLOEXEC.  Return: a descriptor, -EBADF, -EMFILE, -ENOMEM */
IOMMUFD_EXPORT int iommufd_dup(struct iommufd_process *proc, int fd);

/** iommufd_fd_is_ours() - is @fd a descriptor of @proc?  Takes no lock: a load or two */
IOMMUFD_EXPORT bool iommufd_fd_is_ours(const struct iommufd_process *proc, int fd);

/* ---- memory of a descriptor ---- */

/**
 * iommufd_mmap() - mmap(2)
 * @ret_addr: set on success only; iommufd_munmap() it (the system calls munmap and mremap
 *	would go unnoticed)
 * Return: 0, -EBADF, -ENODEV, -EACCES, -EINVAL, -ENOMEM, the file's errno.
 */
IOMMUFD_EXPORT int iommufd_mmap(struct iommufd_process *proc, void *addr, size_t length, int prot,
				int flags, int fd, u64 offset, void **ret_addr);

/** iommufd_munmap() - munmap(2), also of a part or of several.  Return: 0, -EINVAL, -ENOMEM */
IOMMUFD_EXPORT int iommufd_munmap(struct iommufd_process *proc, void *addr, size_t length);

/* ---- contexts ---- */

/**
 * iommufd_ctx_from_fd() - the context behind a descriptor, for the access and device calls
 * @ret_ctx: counted, set on success only; iommufd_ctx_put() it.  It stays open until then.
 * Return: 0, -EBADF not open, -EBADFD open but no iommufd.
 */
IOMMUFD_EXPORT int iommufd_ctx_from_fd(struct iommufd_process *proc, int fd,
				       struct iommufd_ctx **ret_ctx);
/** iommufd_ctx_put() - drop a context; NULL is a no-op.  The last holder releases it */
IOMMUFD_EXPORT void iommufd_ctx_put(struct iommufd_ctx *ctx);

/**
 * iommufd_ctx_check() - walk every structure of a context and name the first thing wrong
 * @buf, @size: gets a line of text when something is
 *
 * A self-check for tests, fuzzers and bug reports: a fault is always a bug in this library
 * or memory overwritten by somebody.  Commands may run beside it.
 * Return: 0 sound, -EUCLEAN.
 */
IOMMUFD_EXPORT int iommufd_ctx_check(struct iommufd_ctx *ctx, char *buf, size_t size);

/* ---- failures on demand ---- */

/**
 * iommufd_fail_nth_set() - make the nth fallible step of this thread's calls from now on fail
 * @nth: 1 is the next one; 0 disarms
 *
 * As /proc/self/task/TID/fail-nth of Linux: one failure, then disarmed.  Steps are
 * allocations, lookups, pins, copies; they count across calls.
 */
IOMMUFD_EXPORT void iommufd_fail_nth_set(u32 nth);

/** iommufd_fail_nth_get() - how far off the failure is; 0: none is armed, or it has happened */
IOMMUFD_EXPORT u32 iommufd_fail_nth_get(void);

#ifdef __cplusplus
}
#endif

#endif
