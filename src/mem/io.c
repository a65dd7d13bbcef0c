/* SPDX-License-Identifier: MIT */
/*
 * A window without memory.  Who copies holds the window, as with memory, so the last
 * reference of the backing is gone when nobody is inside an op any more.
 */
#include "mem/io.h"

#include "base/alloc.h"
#include "mem/mem_priv.h"

/**
 * struct mem_io - the range
 * @gone: the backing has lost its last reference; with @lock and @ended
 */
struct mem_io {
	struct mem_backing backing; /* immutable as far as it is ours, as the next three */
	u64 size;
	const struct mem_io_ops *ops;
	void *data;
	struct mutex lock;
	pthread_cond_t ended;
	bool gone __guarded_by(&lock);
};

/* Accesses this thread is inside of: each may cause the next. */
static __thread unsigned int io_depth;

/* The largest aligned access at @offset that is no longer than @len. */
static unsigned int access_size(u64 offset, size_t len)
{
	unsigned int size = 8;

	while (size > 1 && (offset & (size - 1) || size > len))
		size /= 2;
	return size;
}

static int io_accesses(const struct mem_io *io, u64 offset, u8 *buf, size_t len, bool write)
{
	while (len) {
		unsigned int size = access_size(offset, len);
		int rc = write ? io->ops->write(io->data, offset, buf, size)
			       : io->ops->read(io->data, offset, buf, size);

		if (rc)
			return -EFAULT;
		offset += size;
		buf += size;
		len -= size;
	}
	return 0;
}

int io_copy(struct mem_backing *backing, u64 offset, u8 *buf, size_t len, bool write)
{
	const struct mem_io *io = container_of(backing, struct mem_io, backing);
	int rc;

	if (offset >= io->size || len > io->size - offset || io_depth == MEM_IO_DEPTH)
		return -EFAULT;
	io_depth++;
	rc = io_accesses(io, offset, buf, len, write);
	io_depth--;
	return rc;
}

void io_gone(struct mem_backing *backing)
{
	struct mem_io *io = container_of(backing, struct mem_io, backing);

	mutex_lock(&io->lock);
	io->gone = true;
	pthread_cond_signal(&io->ended);
	mutex_unlock(&io->lock);
}

static void io_free(struct mem_io *io)
{
	pthread_cond_destroy(&io->ended);
	mutex_destroy(&io->lock);
	free(io);
}

int mem_io_create(struct mem_space *space, u64 size, const struct mem_io_ops *ops, void *data,
		  struct mem_io **ret_io, u64 *ret_pa)
{
	struct mem_window *window;
	struct mem_io *io;
	int rc;

	if (!size || size > MEM_WINDOW_SIZE)
		return -EINVAL;
	io = zalloc(sizeof(*io));
	if (!io)
		return -ENOMEM;
	io->backing =
		(struct mem_backing){.space = space, .kind = MEM_BACKING_IO, .fd = -1, .refs = 1};
	CDS_INIT_LIST_HEAD(&io->backing.windows);
	io->size = size;
	io->ops = ops;
	io->data = data;
	mutex_init(&io->lock);
	pthread_cond_init(&io->ended, NULL);
	rc = window_take(&io->backing, 0, 0, &window);
	if (rc) {
		io_free(io);
		return rc;
	}
	*ret_io = io;
	*ret_pa = window->pa;
	return 0;
}

void mem_io_destroy(struct mem_io *io)
{
	if (!io)
		return;
	backing_unhold_windows(&io->backing);
	backing_put(&io->backing);
	mutex_lock(&io->lock);
	while (!io->gone)
		mutex_wait(&io->lock, &io->ended);
	mutex_unlock(&io->lock);
	io_free(io);
}
