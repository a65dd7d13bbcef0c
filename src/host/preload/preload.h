/* SPDX-License-Identifier: MIT */
/*
 * The way in by LD_PRELOAD: the whole core inside the program's process, behind
 * libc's names.  A call on one of our descriptors or paths becomes a function
 * call; any other goes on to the next definition of the name (libc's, or that
 * of a library preloaded after us) after a load or two.
 *
 * What belongs to a process and must not survive fork() lies in one page that
 * the kernel wipes in the child (MADV_WIPEONFORK): there, "no system yet" is
 * the state, locks included, and the first use makes a new system.  It serves
 * one process: what a child inherits from its parent answers EIO.
 *
 * The core's own system calls would meet our definitions too; the linker sends
 * them to the __wrap_ functions of next.c instead (--wrap, see meson.build).  In
 * this folder the same holds, so close() here means the real one, except in the
 * file that defines close().
 *
 * What cannot be had this way: statically linked programs; system calls made
 * without libc (syscall(), io_uring); a second process on the same context, be
 * it by fork() or by SCM_RIGHTS; /dev being listed with our nodes in it; and
 * readiness other than POLLIN, since an eventfd can always be written.
 */
#ifndef HOST_PRELOAD_PRELOAD_H
#define HOST_PRELOAD_PRELOAD_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/self.h"
#include "host/preload/launch.h"

_Static_assert(sizeof(off_t) == 8 && sizeof(long) == 8, "names with and without 64 are one");

/* The names that leave the library, and nothing else does. */
#define PRELOAD_EXPORT __attribute__((visibility("default")))

/* ---- the next definitions of what we define ---- */

#define NEXT_LIST(X)                                                                               \
	X(open) X(openat) X(fopen) X(fclose) X(opendir)                                            \
	X(close) X(close_range) X(closefrom) X(dup) X(dup2) X(dup3) X(fcntl)                       \
	X(ioctl) X(read) X(write) X(pread) X(pwrite) X(readv) X(writev) X(lseek)                   \
	X(mmap) X(munmap) X(mremap)                                                                \
	X(stat) X(lstat) X(fstat) X(fstatat) X(statx)                                              \
	X(access) X(eaccess) X(faccessat) X(readlink) X(readlinkat)                                \
	X(sigaction)

enum next_call {
#define NEXT_ENUM(name) NEXT_##name,
	NEXT_LIST(NEXT_ENUM)
#undef NEXT_ENUM
	NEXT_CALLS,
};

extern void *_Atomic next_calls[NEXT_CALLS];
void *next_resolve(enum next_call call);

/* Resolved by the constructor; a call that comes before it (another library's) resolves its own. */
static inline void *next_get(enum next_call call)
{
	void *fn = atomic_load_explicit(&next_calls[call], memory_order_relaxed);

	return likely(fn != NULL) ? fn : next_resolve(call);
}

/** NEXT() - libc's function of this name */
#define NEXT(name) ((__typeof__(&name))next_get(NEXT_##name))

/* ---- the process ---- */

/**
 * struct preload_front - what a process has, in a page that is all zero in its children
 * @proc: set once under @lock; NULL until something of ours is used
 * @pid: who it belongs to; a vfork() child shares the page but not the descriptors
 * @mapped: a mapping of ours has been made, so munmap() has to be looked at
 */
struct preload_front {
	pthread_mutex_t lock;
	struct iommufd_process *_Atomic proc;
	pid_t pid;
	_Atomic bool mapped;
};

extern struct preload_front *_Atomic preload_front;

/** preload_proc() - the process if it has one; never makes one */
static inline struct iommufd_process *preload_proc(void)
{
	struct preload_front *front = atomic_load_explicit(&preload_front, memory_order_acquire);

	return front ? atomic_load_explicit(&front->proc, memory_order_acquire) : NULL;
}

/** preload_is_guest() - is this a vfork() child, with the process's memory but its own numbers? */
static inline bool preload_is_guest(void)
{
	return preload_proc() && preload_front->pid != getpid();
}

/** preload_proc_make() - the process, made with its system at first use.  Return: 0 or -errno */
int preload_proc_make(struct iommufd_process **ret_proc);
/** preload_opts_get() - from the environment, read once */
const struct preload_opts *preload_opts_get(void);
/** preload_say() - one line to stderr; the only voice this library has in its program */
void preload_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- descriptors ---- */

/**
 * enum fd_kind - whose is a descriptor number?
 * @FD_ORPHAN: inherited from a parent whose system is not here
 * @FD_INTERNAL: the core's own; the program has never seen it
 */
enum fd_kind { FD_FOREIGN, FD_OURS, FD_ORPHAN, FD_INTERNAL };

enum fd_kind fd_kind_slow(int fd);

/** fd_kind() - loads only, no lock; so also in signal handlers */
static inline enum fd_kind fd_kind(int fd)
{
	/* Never used, here or in an ancestor: nothing can be ours. */
	if (likely(!atomic_load_explicit(&preload_front, memory_order_acquire)))
		return FD_FOREIGN;
	return fd_kind_slow(fd);
}

enum fd_mark {
	MARK_INTERNAL = 1,
	MARK_ORPHAN = 2,
	MARK_KEEP = 4, /* the program has not asked for FD_CLOEXEC; we close on exec anyway */
};

void fd_mark_set(int fd, enum fd_mark mark);
void fd_mark_clear(int fd, unsigned int marks);
bool fd_mark_test(int fd, enum fd_mark mark);
/** fd_is_lost() - refuse a call on an orphan (-EIO, said once) or internal number (-EBADF), or 0 */
int fd_is_lost(int fd);

/** preload_return() - errno once, where libc has it: -1 and errno, or the value and errno kept */
static inline long preload_return(long rc, int saved_errno)
{
	errno = rc < 0 ? (int)-rc : saved_errno;
	return rc < 0 ? -1 : rc;
}

/* ---- names ---- */

/**
 * enum name_kind - what a path means to us
 * @NAME_NODE: one of our device nodes, @path says which
 * @NAME_STATUS: /proc/self/status
 * @NAME_FAIL_NTH: /proc/self/task/TID/fail-nth, @number is the TID
 * @NAME_FD: /proc/self/fd/N, @number is N
 * @NAME_DEBUGFS: below /sys/kernel/debug, @path is where it really lies
 */
enum name_kind { NAME_OTHER, NAME_NODE, NAME_STATUS, NAME_FAIL_NTH, NAME_FD, NAME_DEBUGFS };

struct name {
	enum name_kind kind;
	int number;
	char path[256];
};

/**
 * name_find() - what does @path, relative to @dirfd, mean?
 * Cheap for what is not ours: the last component decides.  Symbolic links are not followed.
 */
enum name_kind name_find(int dirfd, const char *path, struct name *ret);

struct node {
	const char *path;
	u32 minor; /* of major 10, misc */
	mode_t mode;
};

/** node_find() - the node of this path, or NULL */
const struct node *node_find(const char *path);
/** node_of_fd() - the node a descriptor of ours was opened by; NULL for anonymous files */
const struct node *node_of_fd(int fd);
/** fd_name() - what readlink() of /proc/self/fd/@fd shows, @fd being ours */
void fd_name(int fd, char *buf, size_t size);

/* ---- files with a meaning here ---- */

/**
 * fail_nth_open() - a descriptor that arms and reads the fail-nth counter of thread @tid
 * Return: a descriptor; -ENOENT for a thread of another process, -EMFILE, -ENOMEM.
 */
int fail_nth_open(struct iommufd_process *proc, int tid, int open_flags);

/** status_open() - /proc/self/status with what we count, as a file in memory; a real descriptor */
int status_open(int open_flags);

/** debugfs_path() - where @rest of /sys/kernel/debug lies; false if there is none */
bool debugfs_path(const char *rest, char *buf, size_t size);


/** trace_ioctl() - iommufd_ioctl(), and a line to stderr about it */
long trace_ioctl(struct iommufd_process *proc, int fd, unsigned int number, void *arg);

/** signals_arm() - the core wants faults of @sig: from now on our handler is the real one */
int signals_arm(int sig);

#endif
