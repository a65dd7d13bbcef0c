/* SPDX-License-Identifier: MIT */
/*
 * A dma-buf exporter for tests: a few zeroed pages in a row that can be taken
 * back.
 */
#include <unistd.h>

#include "base/alloc.h"
#include "core/dmabuf_file.h"
#include "core/ucmd.h"
#include "models/mock/mock.h"

#define DMABUF_PAGES_MAX 512

struct mock_buffer {
	struct mem_space *mem;
	void *ptr;
	u64 pa;
	unsigned int lg2_size;
};

static void buffer_release(void *data)
{
	struct mock_buffer *buffer = data;

	mem_frames_free(buffer->mem, buffer->ptr, buffer->pa, buffer->lg2_size);
	free(buffer);
}

static int buffer_alloc(struct mem_space *mem, u64 size, struct mock_buffer **ret_buffer)
{
	struct mock_buffer *buffer;

	buffer = zalloc(sizeof(*buffer));
	if (!buffer)
		return -ENOMEM;
	buffer->mem = mem;
	buffer->lg2_size = PAGE_SHIFT;
	while (BIT_ULL(buffer->lg2_size) < size)
		buffer->lg2_size++;
	buffer->ptr = mem_frames_alloc(mem, buffer->lg2_size, &buffer->pa);
	if (!buffer->ptr) {
		free(buffer);
		return -ENOMEM;
	}
	*ret_buffer = buffer;
	return 0;
}

static int buffer_export(struct iommufd_system *system, u64 size, int open_flags,
			 struct file **ret_file)
{
	struct mock_buffer *buffer;
	struct dmabuf *dmabuf;
	int rc;

	rc = buffer_alloc(system->mem, size, &buffer);
	if (rc)
		return rc;
	rc = dmabuf_create(buffer->pa, size, buffer_release, buffer, &dmabuf);
	if (rc) {
		buffer_release(buffer);
		return rc;
	}
	rc = dmabuf_file_create(system, dmabuf, open_flags, ret_file);
	dmabuf_put(dmabuf); /* the file has its own */
	return rc;
}

int mock_op_dmabuf_get(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	u64 size = ALIGN_UP((u64)cmd->dmabuf_get.length, PAGE_SIZE);
	struct file *file;
	int fd, rc;

	if (!size || size > DMABUF_PAGES_MAX * PAGE_SIZE)
		return -EINVAL;
	rc = buffer_export(ucmd->ctx->system, size, cmd->dmabuf_get.open_flags, &file);
	if (rc)
		return rc;
	rc = task_current->ops->fd_reserve(task_current, cmd->dmabuf_get.open_flags, &fd);
	if (rc) {
		file_put(file);
		return rc;
	}
	task_current->ops->fd_install(task_current, fd, file);
	ucmd->ret = fd;
	return 0;
}

int mock_op_dmabuf_revoke(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	struct dmabuf *dmabuf;
	struct task_fd found;
	int rc;

	rc = task_current->ops->fd_get(task_current, cmd->dmabuf_revoke.dmabuf_fd, &found);
	if (rc)
		return rc;
	if (!found.file) {
		close(found.host_fd);
		return -EINVAL;
	}
	dmabuf = dmabuf_from_file(found.file);
	if (dmabuf)
		dmabuf_revoke(dmabuf, cmd->dmabuf_revoke.revoked);
	file_put(found.file);
	return dmabuf ? 0 : -EINVAL;
}
