/* SPDX-License-Identifier: MIT */
/*
 * Files of sysfs that the program opens and that are more than a text written
 * once.  To be read as text only, it gets a file in memory with what the attribute says at
 * that moment: reading, seeking and mapping are the kernel's.  A binary one, or one that is
 * written, is a file of ours with a number the filter knows, and each write is a store.
 *
 * But a shell's redirection duplicates that descriptor to number 1, where writes
 * are the kernel's and land in the memory behind the descriptor.  The watch for its
 * last close tells of them too: then a thread stores what is new there.  The write
 * itself has succeeded by then, so an error is only logged; and so that what the program
 * does next finds it done, the next call waits for it, unless it waits itself.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/fault.h"
#include "host/host_priv.h"

#define ATTR_MAX      (64 * 1024)
#define STORE_LOOKS   40
#define STORE_LOOK_NS 5000000
#define STORE_TRIES   1000
#define STORE_TRY_NS  1000000

/* ---- our own memory as a caller's ---- */

static int local_copy_from(struct task *task, void *dst, u64 uaddr, size_t len)
{
	memcpy(dst, (const void *)(uintptr_t)uaddr, len);
	return 0;
}

static int local_copy_to(struct task *task, u64 uaddr, const void *src, size_t len)
{
	memcpy((void *)(uintptr_t)uaddr, src, len);
	return 0;
}

static bool local_capable(struct task *task, int cap)
{
	return true;
}

static int local_fd_get(struct task *task, int fd, struct task_fd *ret)
{
	return -EBADF;
}

static int local_fd_reserve(struct task *task, int open_flags, int *ret_fd)
{
	return -EMFILE;
}

static const struct task_ops local_task_ops = {
	.copy_from = local_copy_from,
	.copy_to = local_copy_to,
	.capable = local_capable,
	.fd_get = local_fd_get,
	.fd_reserve = local_fd_reserve,
};

static ssize_t attr_io(struct file *file, void *buf, size_t len, u64 pos, bool write)
{
	struct task task = {.ops = &local_task_ops};
	struct task *previous = task_enter(&task);
	ssize_t n;

	n = write ? file->ops->pwrite(file, (uintptr_t)buf, len, pos)
		  : file->ops->pread(file, (uintptr_t)buf, len, pos);
	task_leave(previous);
	return n;
}

/* ---- opening ---- */

/* All it says now; at most ATTR_MAX bytes. */
static ssize_t attr_text(struct file *file, char *text)
{
	ssize_t len = 0, n;

	while (len < ATTR_MAX && (n = attr_io(file, text + len, ATTR_MAX - len, len, false))) {
		if (n < 0)
			return n;
		len += n;
	}
	return len;
}

static long attr_open_text(struct call *call, struct file *file, int open_flags)
{
	char *text = alloc_uninit(ATTR_MAX);
	long rc = -ENOMEM;

	if (text)
		rc = attr_text(file, text);
	file_put(file);
	if (rc >= 0)
		rc = text_open(call, text, rc, open_flags);
	free(text);
	return rc;
}

long attr_open(struct call *call, struct host_name *name, int open_flags)
{
	struct file *file;
	int rc;

	if (open_flags & O_PATH)
		return CALL_NATIVE;
	if ((open_flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (open_flags & O_DIRECTORY)
		return -ENOTDIR;
	rc = tree_open(call->host->system, name->path, open_flags, &file);
	if (rc)
		return rc;
	if ((open_flags & O_ACCMODE) == O_RDONLY && !name->binary)
		return attr_open_text(call, file, open_flags);
	return open_file_high(call, file, name, open_flags);
}

/* ---- writes that passed us by ---- */

/* The bytes that came into the object since the last look, as one write. */
static void attr_store_new(struct host_file *hf)
{
	char text[TREE_TEXT_MAX];
	struct stat st;
	ssize_t len, n;
	u64 pos;

	mutex_lock(&hf->lock);
	if (fstat(hf->memory_fd, &st))
		st.st_size = 0;
	/* Not longer than it was: it was written anew from the start. */
	pos = (u64)st.st_size > hf->stored ? hf->stored : 0;
	hf->stored = st.st_size;
	mutex_unlock(&hf->lock);
	len = pread(hf->memory_fd, text, sizeof(text), (off_t)pos);
	if (len <= 0)
		return;
	n = attr_io(hf->file, text, len, pos, true);
	if (n < 0)
		host_log(hf->host, IOMMUFD_LOG_WARN,
			 "%s: a write through a duplicated descriptor "
			 "failed: %s",
			 hf->name->path, strerror((int)-n));
}

/** struct store - one under way; @tid: its thread, 0 if that has not begun; under stores_lock */
struct store {
	struct cds_list_head node; /* host.storing */
	struct host_file *hf;
	pid_t tid;
};

static void *attr_store_thread(void *arg)
{
	struct store *store = arg;
	struct host *host = store->hf->host;

	mutex_lock(&host->stores_lock);
	store->tid = gettid();
	mutex_unlock(&host->stores_lock);
	attr_store_new(store->hf);
	host_file_put(store->hf);
	mutex_lock(&host->stores_lock);
	cds_list_del(&store->node);
	atomic_fetch_sub(&host->stores, 1);
	pthread_cond_broadcast(&host->stores_done);
	mutex_unlock(&host->stores_lock);
	free(store);
	return NULL;
}

/* False: there may be no thread more, now. */
static bool attr_store_start(struct store *store)
{
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	if (fault_point("thread"))
		return false;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&thread, &attr, attr_store_thread, store);
	pthread_attr_destroy(&attr);
	return !rc;
}

/*
 * A store may take as long as it takes somebody to let go of a device, and who lets go may wait
 * for us: so it is done here only if no thread can be had for long.
 */
void attr_written(struct host_file *hf)
{
	const struct timespec again = { .tv_nsec = STORE_TRY_NS };
	struct store *store = zalloc(sizeof(*store));
	struct host *host = hf->host;

	if (!store) {
		attr_store_new(hf);
		return;
	}
	file_get(hf->file);
	store->hf = hf;
	mutex_lock(&host->stores_lock);
	cds_list_add(&store->node, &host->storing);
	atomic_fetch_add(&host->stores, 1);
	mutex_unlock(&host->stores_lock);
	for (int i = 0; i < STORE_TRIES; i++) {
		if (attr_store_start(store))
			return;
		nanosleep(&again, NULL);
	}
	attr_store_thread(store);
}

/* Does it get on, or would it if it had a processor?  Else it waits for something. */
static bool store_runs(const struct store *store)
{
	char path[64];

	if (!store->tid)
		return true;
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", store->tid);
	return proc_state(path) == 'R';
}

static bool stores_run(const struct host *host) __must_hold(&host->stores_lock)
{
	const struct store *store;

	cds_list_for_each_entry(store, &host->storing, node) {
		if (store_runs(store))
			return true;
	}
	return false;
}

/*
 * What waits may wait for a call that is to come.  Looks are counted, not the time between them:
 * where we are not let run a store is not either.
 */
void attr_stores_wait(struct host *host)
{
	struct timespec until;

	if (likely(!atomic_load_explicit(&host->stores, memory_order_acquire)))
		return;
	mutex_lock(&host->stores_lock);
	for (int i = 0; atomic_load(&host->stores) && (i < STORE_LOOKS || stores_run(host)); i++) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += STORE_LOOK_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		mutex_wait_until(&host->stores_lock, &host->stores_done, &until);
	}
	mutex_unlock(&host->stores_lock);
}
