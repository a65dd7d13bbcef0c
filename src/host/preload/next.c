/* SPDX-License-Identifier: MIT */
/*
 * Libc as the core and this folder see it.  Everything they call by one of the
 * names we define is sent here by the linker, goes to the next definition of
 * the name, and leaves a mark on descriptors made on the way: those are the
 * core's own, and a program that closes "all" descriptors must not hit them.
 */
#include "host/preload/preload.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

void *_Atomic next_calls[NEXT_CALLS];

static const char *const next_names[NEXT_CALLS] = {
#define NEXT_NAME(name) #name,
	NEXT_LIST(NEXT_NAME)
#undef NEXT_NAME
};

void *next_resolve(enum next_call call)
{
	int saved_errno = errno;
	void *fn = dlsym(RTLD_NEXT, next_names[call]);

	atomic_store_explicit(&next_calls[call], fn, memory_order_relaxed);
	errno = saved_errno;
	return fn;
}

/* dlsym() is nothing for a signal handler: all of them before main(). */
__attribute__((constructor)) static void next_resolve_all(void)
{
	for (int call = 0; call < NEXT_CALLS; call++)
		next_resolve(call);
}

static int internal_fd(int fd)
{
	if (fd >= 0)
		fd_mark_set(fd, MARK_INTERNAL);
	return fd;
}

/* Out of the way: the program counts on getting the lowest free numbers. */
static int internal_fd_high(int fd)
{
	struct rlimit limit;
	int high;

	if (fd < 0 || getrlimit(RLIMIT_NOFILE, &limit))
		return internal_fd(fd);
	high = NEXT(fcntl)(fd, F_DUPFD_CLOEXEC, (int)MIN(limit.rlim_cur / 2, 4096U));
	if (high < 0)
		return internal_fd(fd);
	NEXT(close)(fd);
	return internal_fd(high);
}

/* ---- calls of the core that make or end descriptors ---- */

int __wrap_open(const char *path, int flags, ...);
int __wrap_openat(int dirfd, const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_dup3(int fd, int new_fd, int flags);
int __wrap_fcntl(int fd, int cmd, ...);
int __wrap_eventfd(unsigned int count, int flags);
int __real_eventfd(unsigned int count, int flags);
int __wrap_memfd_create(const char *name, unsigned int flags);
int __real_memfd_create(const char *name, unsigned int flags);

int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list args;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	return internal_fd_high(NEXT(open)(path, flags, mode));
}

int __wrap_openat(int dirfd, const char *path, int flags, ...)
{
	mode_t mode;
	va_list args;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	return internal_fd_high(NEXT(openat)(dirfd, path, flags, mode));
}

int __wrap_close(int fd)
{
	/* Before the number can be given out again. */
	fd_mark_clear(fd, ~0U);
	return NEXT(close)(fd);
}

int __wrap_dup3(int fd, int new_fd, int flags)
{
	/* The program chose the number, so it knows it. */
	fd_mark_clear(new_fd, ~0U);
	return NEXT(dup3)(fd, new_fd, flags);
}

int __wrap_fcntl(int fd, int cmd, ...)
{
	va_list args;
	long arg;
	int rc;

	va_start(args, cmd);
	arg = va_arg(args, long);
	va_end(args);
	rc = NEXT(fcntl)(fd, cmd, arg);
	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? internal_fd(rc) : rc;
}

int __wrap_eventfd(unsigned int count, int flags)
{
	return internal_fd(__real_eventfd(count, flags));
}

int __wrap_memfd_create(const char *name, unsigned int flags)
{
	return internal_fd_high(__real_memfd_create(name, flags));
}

/* From here on libc closes it, past us. */
DIR *__wrap_fdopendir(int fd);
DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
	DIR *dir = __real_fdopendir(fd);

	if (dir)
		fd_mark_clear(fd, MARK_INTERNAL);
	return dir;
}

/* ---- and those that only go past our definitions ---- */

int __wrap_ioctl(int fd, unsigned long request, ...);
ssize_t __wrap_read(int fd, void *buf, size_t count);
ssize_t __wrap_write(int fd, const void *buf, size_t count);
ssize_t __wrap_pread(int fd, void *buf, size_t count, off_t pos);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t count, off_t pos);
void *__wrap_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *addr, size_t length);
int __wrap_stat(const char *path, struct stat *st);
int __wrap_fstat(int fd, struct stat *st);
int __wrap_fstatat(int dirfd, const char *path, struct stat *st, int flags);
off_t __wrap_lseek(int fd, off_t offset, int whence);
int __wrap_access(const char *path, int mode);
ssize_t __wrap_readlink(const char *path, char *buf, size_t size);
int __wrap_sigaction(int sig, const struct sigaction *action, struct sigaction *old);

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	return NEXT(ioctl)(fd, request, arg);
}

ssize_t __wrap_read(int fd, void *buf, size_t count)
{
	return NEXT(read)(fd, buf, count);
}

ssize_t __wrap_write(int fd, const void *buf, size_t count)
{
	return NEXT(write)(fd, buf, count);
}

ssize_t __wrap_pread(int fd, void *buf, size_t count, off_t pos)
{
	return NEXT(pread)(fd, buf, count, pos);
}

ssize_t __wrap_pwrite(int fd, const void *buf, size_t count, off_t pos)
{
	return NEXT(pwrite)(fd, buf, count, pos);
}

void *__wrap_mmap(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	return NEXT(mmap)(addr, length, prot, flags, fd, offset);
}

int __wrap_munmap(void *addr, size_t length)
{
	return NEXT(munmap)(addr, length);
}

int __wrap_stat(const char *path, struct stat *st)
{
	return NEXT(stat)(path, st);
}

int __wrap_fstat(int fd, struct stat *st)
{
	return NEXT(fstat)(fd, st);
}

int __wrap_fstatat(int dirfd, const char *path, struct stat *st, int flags)
{
	return NEXT(fstatat)(dirfd, path, st, flags);
}

off_t __wrap_lseek(int fd, off_t offset, int whence)
{
	return NEXT(lseek)(fd, offset, whence);
}

int __wrap_access(const char *path, int mode)
{
	return NEXT(access)(path, mode);
}

ssize_t __wrap_readlink(const char *path, char *buf, size_t size)
{
	return NEXT(readlink)(path, buf, size);
}

/*
 * The core's guard asks for SIGSEGV and SIGBUS.  What it gets is our handler,
 * which asks guard_handle_fault() and knows the program's own handlers; so it
 * need not chain, and what the program had before is not its business.
 */
int __wrap_sigaction(int sig, const struct sigaction *action, struct sigaction *old)
{
	if (sig != SIGSEGV && sig != SIGBUS)
		return NEXT(sigaction)(sig, action, old);
	if (old)
		*old = (struct sigaction){ .sa_handler = SIG_DFL };
	return action ? signals_arm(sig) : 0;
}

/* ---- the names with 64 ---- */

#define SAME_64(name)                                                                              \
	extern __typeof__(__wrap_##name) __wrap_##name##64 __attribute__((alias("__wrap_" #name)))

SAME_64(open);
SAME_64(openat);
SAME_64(fcntl);
SAME_64(pread);
SAME_64(pwrite);
SAME_64(lseek);
SAME_64(mmap);
SAME_64(stat);
SAME_64(fstat);
SAME_64(fstatat);
