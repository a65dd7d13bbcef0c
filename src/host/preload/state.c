/* SPDX-License-Identifier: MIT */
/*
 * The process and its system, made at first use and never unmade: at the end
 * other threads may still be in a call, and the kernel takes the memory anyway.
 *
 * Fork: the page of struct preload_front is zero in the child, ordinary memory
 * is a copy.  So "no process, but an ancestor had one" is what a child looks
 * like; its first look at a descriptor notes which numbers it has inherited,
 * reading the parent's table in the state the fork left it (pointers only, no
 * locks), and from then on they are orphans.  The parent's system stays in the
 * child's memory untouched: threads that held its locks do not exist there.
 */
#include "host/preload/preload.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <iommufd/mock.h>

struct preload_front *_Atomic preload_front;

/* Whose table the numbers are in that this process inherited or made; also keeps it reachable. */
static struct iommufd_process *_Atomic preload_table;

#define FD_MARKS (FDMAP_CHUNKS * FDMAP_CHUNK_SLOTS)
static _Atomic u8 fd_marks[FD_MARKS];

void preload_say(const char *fmt, ...)
{
	static const char head[] = "uiommufd: ";
	char line[LOG_LINE_MAX];
	size_t len = sizeof(head) - 1;
	va_list args;
	int n;

	memcpy(line, head, len);
	va_start(args, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, args);
	va_end(args);
	len = MIN(len + (size_t)MAX(n, 0), sizeof(line) - 2);
	line[len++] = '\n';
	(void)!write(STDERR_FILENO, line, len);
}

/* ---- options ---- */

static struct preload_opts opts_read;
static pthread_once_t opts_once = PTHREAD_ONCE_INIT;

static void opts_init(void)
{
	const char *text = getenv(PRELOAD_ENV);
	const char *bad = NULL;

	if (text)
		preload_opts_parse(text, &opts_read, &bad);
	if (bad)
		preload_say("%s: not understood: %s", PRELOAD_ENV, bad);
}

const struct preload_opts *preload_opts_get(void)
{
	pthread_once(&opts_once, opts_init);
	return &opts_read;
}

/* ---- the process ---- */

static void wipe_in_child(void)
{
	struct preload_front *front = atomic_load_explicit(&preload_front, memory_order_relaxed);

	memset(front, 0, sizeof(*front));
}

/* The page, made by the first who asks; NULL for want of memory. */
static struct preload_front *front_get(void)
{
	struct preload_front *front = atomic_load_explicit(&preload_front, memory_order_acquire);
	struct preload_front *expected = NULL;

	if (front)
		return front;
	front = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (front == MAP_FAILED)
		return NULL;
	/* Kernels before 4.14 have no such advice; fork() itself can still be caught. */
	if (madvise(front, PAGE_SIZE, MADV_WIPEONFORK) &&
	    pthread_atfork(NULL, NULL, wipe_in_child)) {
		munmap(front, PAGE_SIZE);
		return NULL;
	}
	if (atomic_compare_exchange_strong(&preload_front, &expected, front))
		return front;
	munmap(front, PAGE_SIZE);
	return expected;
}

static void system_line(void *data, enum iommufd_log_level level, const char *line)
{
	preload_say("%s", line);
}

static int system_make(struct iommufd_system **ret_system)
{
	const struct preload_opts *opts = preload_opts_get();
	struct iommufd_system_opts system_opts = {
		.size = sizeof(system_opts),
		.selftest = opts->selftest,
		.frames = opts->frames,
		.precise_dirty = opts->precise_dirty,
		.log = system_line,
		.log_level = IOMMUFD_LOG_WARN,
	};
	struct iommufd_system *system;
	int rc;

	rc = iommufd_system_create(&system_opts, &system);
	if (rc)
		return rc;
	if (opts->selftest) {
		rc = iommufd_mock_init(system);
		if (rc) {
			iommufd_system_destroy(system);
			return rc;
		}
	}
	*ret_system = system;
	return 0;
}

static int proc_make_locked(struct preload_front *front)
{
	struct iommufd_process *proc;
	struct iommufd_system *system;
	int rc;

	if (atomic_load_explicit(&front->proc, memory_order_relaxed))
		return 0;
	rc = system_make(&system);
	if (rc)
		return rc;
	rc = iommufd_process_create(system, &proc);
	if (rc) {
		iommufd_system_destroy(system);
		return rc;
	}
	front->pid = getpid();
	atomic_store_explicit(&preload_table, proc, memory_order_relaxed);
	atomic_store_explicit(&front->proc, proc, memory_order_release);
	return 0;
}

static void orphans_note(struct preload_front *front);

int preload_proc_make(struct iommufd_process **ret_proc)
{
	struct preload_front *front = front_get();
	int rc;

	if (!front)
		return -ENOMEM;
	if (!atomic_load_explicit(&front->proc, memory_order_acquire)) {
		orphans_note(front);
		pthread_mutex_lock(&front->lock);
		rc = proc_make_locked(front);
		pthread_mutex_unlock(&front->lock);
		if (rc)
			return rc;
	}
	*ret_proc = atomic_load_explicit(&front->proc, memory_order_acquire);
	return 0;
}

/* ---- descriptors ---- */

void fd_mark_set(int fd, enum fd_mark mark)
{
	if ((unsigned int)fd < FD_MARKS)
		atomic_fetch_or_explicit(&fd_marks[fd], (u8)mark, memory_order_relaxed);
}

void fd_mark_clear(int fd, unsigned int marks)
{
	/* Most numbers have none: do not write to their memory. */
	if ((unsigned int)fd < FD_MARKS &&
	    atomic_load_explicit(&fd_marks[fd], memory_order_relaxed))
		atomic_fetch_and_explicit(&fd_marks[fd], (u8)~marks, memory_order_relaxed);
}

bool fd_mark_test(int fd, enum fd_mark mark)
{
	return (unsigned int)fd < FD_MARKS &&
	       (atomic_load_explicit(&fd_marks[fd], memory_order_relaxed) & mark);
}

/* The page was wiped: what the table of the parent names are orphans here. */
static void orphans_note(struct preload_front *front)
{
	struct iommufd_process *table;
	int fd = -1;

	if (!atomic_load_explicit(&preload_table, memory_order_acquire))
		return;
	pthread_mutex_lock(&front->lock);
	table = atomic_load_explicit(&preload_table, memory_order_acquire);
	if (table && !atomic_load_explicit(&front->proc, memory_order_acquire)) {
		while ((fd = fdmap_next(&table->fds, fd + 1)) >= 0)
			fd_mark_set(fd, MARK_ORPHAN);
		atomic_store_explicit(&preload_table, NULL, memory_order_release);
	}
	pthread_mutex_unlock(&front->lock);
}

enum fd_kind fd_kind_slow(int fd)
{
	struct preload_front *front = atomic_load_explicit(&preload_front, memory_order_acquire);
	struct iommufd_process *proc = atomic_load_explicit(&front->proc, memory_order_acquire);

	if (proc) {
		if (iommufd_fd_is_ours(proc, fd))
			return FD_OURS;
	} else if (unlikely(atomic_load_explicit(&preload_table, memory_order_acquire) != NULL)) {
		orphans_note(front);
	}
	if ((unsigned int)fd >= FD_MARKS)
		return FD_FOREIGN;
	switch (atomic_load_explicit(&fd_marks[fd], memory_order_relaxed) &
		(MARK_INTERNAL | MARK_ORPHAN)) {
	case 0:
		return FD_FOREIGN;
	case MARK_INTERNAL:
		return FD_INTERNAL;
	default:
		return FD_ORPHAN;
	}
}

int fd_is_lost(int fd)
{
	static _Atomic bool said;

	switch (fd_kind(fd)) {
	case FD_INTERNAL:
		return -EBADF;
	case FD_ORPHAN:
		if (!atomic_exchange(&said, true))
			preload_say("descriptor %d was inherited by process %d over fork: "
				    "preloading serves one process, run it without preloading",
				    fd, getpid());
		return -EIO;
	default:
		return 0;
	}
}
