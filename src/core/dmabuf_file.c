/* SPDX-License-Identifier: MIT */
/*
 * The file holds the buffer; importers hold it too, so closing the descriptor
 * takes nothing away from them.
 */
#include "core/dmabuf_file.h"

#include "base/alloc.h"

static void dmabuf_file_release(struct file *file)
{
	struct dmabuf_file *df = container_of(file, struct dmabuf_file, file);

	dmabuf_put(df->dmabuf);
	free(df);
}

/* Exporters of ours hand out what only devices reach. */
static int dmabuf_file_mmap(struct file *file, u64 length, int prot, int flags, u64 offset,
			    struct file_map *ret_map)
{
	return -EINVAL;
}

static const struct file_ops dmabuf_file_ops = {
	.name = "/dmabuf:",
	.mmap = dmabuf_file_mmap,
	.release = dmabuf_file_release,
};

int dmabuf_file_create(struct iommufd_system *system, struct dmabuf *dmabuf, int open_flags,
		       struct file **ret_file)
{
	struct dmabuf_file *df;

	df = zalloc(sizeof(*df));
	if (!df)
		return -ENOMEM;
	file_init(&df->file, &dmabuf_file_ops, system, open_flags);
	df->file.size = dmabuf_size(dmabuf);
	df->dmabuf = dmabuf_get(dmabuf);
	*ret_file = &df->file;
	return 0;
}

struct dmabuf *dmabuf_from_file(struct file *file)
{
	if (file->ops != &dmabuf_file_ops)
		return NULL;
	return container_of(file, struct dmabuf_file, file)->dmabuf;
}
