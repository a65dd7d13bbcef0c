/* SPDX-License-Identifier: MIT */
/*
 * The namespace: blocks in a file, an image or a memfd.
 *
 * A write that was acknowledged is in the page cache of the file.  That belongs to the kernel, not
 * to this process: whoever kills us, or the program, loses nothing of it.  Only a crash of the host
 * does, and that is what the controller's volatile write cache stands for: flush is fdatasync(),
 * and FUA, or the cache turned off, waits for the disk with each write.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "devices/nvme/nvme.h"

static int say(char *error, size_t size, const char *image, const char *what, int rc)
{
	snprintf(error, size, "image %s: %s", image, what);
	return rc;
}

static int image_check(const struct nvme_ns_options *options, struct nvme_ns *ns, char *error,
		       size_t size)
{
	struct stat st;

	if (fstat(ns->fd, &st))
		return say(error, size, options->image, strerror(errno), -errno);
	if (S_ISDIR(st.st_mode))
		return say(error, size, options->image, "is a directory", -EISDIR);
	if (!S_ISREG(st.st_mode))
		return say(error, size, options->image, "is not a regular file", -EINVAL);
	if (!st.st_size || st.st_size & ((1 << options->shift) - 1)) {
		snprintf(error, size, "image %s: %llu bytes are not a multiple of the block, %u",
			 options->image, (unsigned long long)st.st_size, 1U << options->shift);
		return -EINVAL;
	}
	if (flock(ns->fd, (options->readonly ? LOCK_SH : LOCK_EX) | LOCK_NB))
		return say(error, size, options->image, "is in use by another device", -EBUSY);
	ns->bytes = (u64)st.st_size;
	return 0;
}

static int image_open(const struct nvme_ns_options *options, struct nvme_ns *ns, char *error,
		      size_t size)
{
	struct stat st;
	int rc;

	ns->fd = open(options->image, (options->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (ns->fd < 0) {
		rc = -errno;
		if (rc == -ENOENT)
			return say(error, size, options->image, "no such file", rc);
		if (rc == -EISDIR || (!stat(options->image, &st) && S_ISDIR(st.st_mode)))
			return say(error, size, options->image, "is a directory", -EISDIR);
		if (!options->readonly && (rc == -EACCES || rc == -EROFS || rc == -EPERM))
			return say(error, size, options->image, "is not writable (readonly?)", rc);
		return say(error, size, options->image, strerror(-rc), rc);
	}
	return image_check(options, ns, error, size);
}

static int memory_open(const struct nvme_ns_options *options, struct nvme_ns *ns, char *error,
		       size_t size)
{
	ns->memory = true;
	ns->bytes = options->size;
	ns->fd = fault_point("alloc") ? -1 : memfd_create("nvme", MFD_CLOEXEC);
	if (ns->fd >= 0 && !ftruncate(ns->fd, (off_t)options->size))
		return 0;
	snprintf(error, size, "size: no memory for %llu bytes", (unsigned long long)options->size);
	return -ENOMEM;
}

/* Can a read ask for what is in the page cache only? */
static bool can_nowait(const struct nvme_ns *ns)
{
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};

	return !ns->memory && (preadv2(ns->fd, &iov, 1, 0, RWF_NOWAIT) == 1 || errno == EAGAIN);
}

int nvme_ns_open(const struct nvme_ns_options *options, struct nvme_ns **ret_ns, char *error,
		 size_t error_size)
{
	struct nvme_ns *ns = zalloc(sizeof(*ns));
	int rc;

	if (!ns) {
		snprintf(error, error_size, "no memory");
		return -ENOMEM;
	}
	mutex_init(&ns->lock);
	atomic_store(&ns->refs, 1);
	ns->fd = -1;
	ns->shift = ns->first_shift = options->shift;
	ns->readonly = options->readonly;
	rc = options->image ? image_open(options, ns, error, error_size)
			    : memory_open(options, ns, error, error_size);
	if (rc) {
		nvme_ns_put(ns);
		return rc;
	}
	ns->nowait = can_nowait(ns);
	*ret_ns = ns;
	return 0;
}

struct nvme_ns *nvme_ns_get(struct nvme_ns *ns)
{
	atomic_fetch_add(&ns->refs, 1);
	return ns;
}

void nvme_ns_put(struct nvme_ns *ns)
{
	if (!ns || atomic_fetch_sub(&ns->refs, 1) != 1)
		return;
	if (ns->fd >= 0)
		close(ns->fd);
	mutex_destroy(&ns->lock);
	free(ns);
}

void nvme_ns_size(struct nvme_ns *ns, u32 *ret_shift, u64 *ret_blocks)
{
	mutex_lock(&ns->lock);
	*ret_shift = ns->shift;
	*ret_blocks = ns->bytes >> ns->shift;
	mutex_unlock(&ns->lock);
}

bool nvme_ns_enter(struct nvme_ns *ns, u32 *ret_shift, u64 *ret_blocks)
{
	bool ok;

	mutex_lock(&ns->lock);
	ok = !ns->formatting;
	ns->users += ok;
	*ret_shift = ns->shift;
	*ret_blocks = ns->bytes >> ns->shift;
	mutex_unlock(&ns->lock);
	return ok;
}

void nvme_ns_leave(struct nvme_ns *ns)
{
	mutex_lock(&ns->lock);
	ns->users--;
	mutex_unlock(&ns->lock);
}

bool nvme_ns_claim(struct nvme_ns *ns)
{
	bool ok;

	mutex_lock(&ns->lock);
	ok = !ns->formatting;
	ns->formatting = true;
	mutex_unlock(&ns->lock);
	return ok;
}

bool nvme_ns_quiet(struct nvme_ns *ns)
{
	bool quiet;

	mutex_lock(&ns->lock);
	quiet = !ns->users;
	mutex_unlock(&ns->lock);
	return quiet;
}

void nvme_ns_formatted(struct nvme_ns *ns, u32 shift)
{
	mutex_lock(&ns->lock);
	ns->formatting = false;
	if (shift) {
		if (shift != ns->shift)
			atomic_fetch_add(&ns->changes, 1);
		ns->shift = shift;
		atomic_store(&ns->nbad, 0);
	}
	mutex_unlock(&ns->lock);
}

int nvme_ns_resize(struct nvme_ns *ns, u64 bytes)
{
	struct stat st;
	int rc = 0;

	if (ns->memory && bytes && ftruncate(ns->fd, (off_t)bytes))
		return -errno;
	if (fstat(ns->fd, &st))
		return -errno;
	mutex_lock(&ns->lock);
	if (st.st_size >> ns->shift == 0) {
		rc = -EINVAL;
	} else {
		ns->bytes = (u64)st.st_size;
		atomic_fetch_add(&ns->changes, 1);
	}
	mutex_unlock(&ns->lock);
	return rc;
}

int nvme_ns_spoil(struct nvme_ns *ns, u64 lba)
{
	u32 n;
	int rc = 0;

	mutex_lock(&ns->lock);
	n = atomic_load(&ns->nbad);
	if (lba >= ns->bytes >> ns->shift) {
		rc = -ERANGE;
	} else if (n == NVME_BAD_LBAS) {
		rc = -ENOSPC;
	} else {
		ns->bad[n] = lba;
		atomic_store(&ns->nbad, n + 1);
	}
	mutex_unlock(&ns->lock);
	return rc;
}

bool nvme_ns_spoilt(struct nvme_ns *ns, u64 lba, u64 count, bool heal)
{
	bool found = false;
	u32 kept = 0, n;

	if (likely(!atomic_load_explicit(&ns->nbad, memory_order_relaxed)))
		return false;
	mutex_lock(&ns->lock);
	n = atomic_load(&ns->nbad);
	for (u32 i = 0; i < n; i++) {
		bool hit = ns->bad[i] >= lba && ns->bad[i] - lba < count;

		found |= hit;
		if (!hit || !heal)
			ns->bad[kept++] = ns->bad[i];
	}
	atomic_store(&ns->nbad, kept);
	mutex_unlock(&ns->lock);
	return found;
}
