/* SPDX-License-Identifier: MIT */
/*
 * Accesses for tests: an emulated device's use of an ioas, driven through a
 * descriptor.  Each pin is remembered under a number; when the ioas takes the
 * memory away the pin is dropped and forgotten.
 */
#include <fcntl.h>
#include <unistd.h>

#include <iommufd/access.h>

#include "base/alloc.h"
#include "core/ucmd.h"
#include "models/mock/mock.h"

#define ACCESS_LENGTH_MAX (16u << 20)

/**
 * struct mock_access - the descriptor
 * @access: NULL only while it is being made
 * @pins: made with NEEDS_PIN_PAGES
 * @lock: held over pinning, so that an unmap callback can not slip between pin and record
 * @items: struct mock_access_item
 */
struct mock_access {
	struct file file;
	struct iommufd_access *access;
	bool pins;
	struct mutex lock;
	struct cds_list_head items __guarded_by(&lock);
	u32 next_id __guarded_by(&lock);
};

struct mock_access_item {
	struct cds_list_head node;
	u64 iova;
	u64 length;
	u32 id;
};

static void access_unmap(void *data, u64 iova, u64 length)
{
	struct mock_access *ma = data;
	struct mock_access_item *item, *tmp;
	u64 last;

	if (__builtin_add_overflow(iova, length - 1, &last))
		last = UINT64_MAX;
	mutex_lock(&ma->lock);
	cds_list_for_each_entry_safe(item, tmp, &ma->items, node) {
		if (!ranges_overlap(item->iova, item->iova + item->length - 1, iova, last))
			continue;
		cds_list_del(&item->node);
		iommufd_access_unpin_pages(ma->access, item->iova, item->length);
		free(item);
	}
	mutex_unlock(&ma->lock);
}

static const struct iommufd_access_ops access_ops = {
	.unmap = access_unmap,
};

static const struct iommufd_access_ops access_pin_ops = {
	.needs_pin_pages = true,
	.unmap = access_unmap,
};

/* ---- the descriptor ---- */

static void access_file_release(struct file *file)
{
	struct mock_access *ma = container_of(file, struct mock_access, file);

	if (ma->access) {
		access_unmap(ma, 0, UINT64_MAX);
		iommufd_access_destroy(ma->access);
	}
	mutex_destroy(&ma->lock);
	free(ma);
}

static const struct file_ops access_file_ops = {
	.name = "[iommufd_test_access]",
	.release = access_file_release,
};

/* Release with file_put(&->file). */
static int access_get(u32 fd, struct mock_access **ret_ma)
{
	struct task_fd found;

	if (task_current->ops->fd_get(task_current, fd, &found))
		return -EBADFD;
	if (!found.file) {
		close(found.host_fd);
		return -EBADFD;
	}
	if (found.file->ops != &access_file_ops) {
		file_put(found.file);
		return -EBADFD;
	}
	*ret_ma = container_of(found.file, struct mock_access, file);
	return 0;
}

static int access_create(struct iommufd_ctx *ctx, u32 ioas_id, u32 flags,
			 struct mock_access **ret_ma)
{
	struct mock_access *ma;
	u32 id;
	int rc;

	ma = zalloc(sizeof(*ma));
	if (!ma)
		return -ENOMEM;
	file_init(&ma->file, &access_file_ops, ctx->system, O_RDWR | O_CLOEXEC);
	mutex_init(&ma->lock);
	CDS_INIT_LIST_HEAD(&ma->items);
	ma->pins = flags & MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES;
	rc = iommufd_access_create(ctx, ma->pins ? &access_pin_ops : &access_ops, ma, &id,
				   &ma->access);
	if (!rc)
		rc = iommufd_access_attach(ma->access, ioas_id);
	if (rc) {
		file_put(&ma->file);
		return rc;
	}
	*ret_ma = ma;
	return 0;
}

int mock_op_create_access(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	const struct task_ops *task_ops = task_current->ops;
	struct mock_access *ma;
	int fd, rc;

	if (cmd->create_access.flags & ~MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES)
		return -EOPNOTSUPP;
	if (task_ops->fd_reserve(task_current, O_CLOEXEC, &fd))
		return -ENOMEM;
	rc = access_create(ucmd->ctx, cmd->id, cmd->create_access.flags, &ma);
	if (rc)
		goto err_unreserve;
	cmd->create_access.out_access_fd = fd;
	rc = ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		goto err_put;
	task_ops->fd_install(task_current, fd, &ma->file);
	return 0;
err_put:
	file_put(&ma->file);
err_unreserve:
	task_ops->fd_unreserve(task_current, fd);
	return rc;
}

/* ---- pins ---- */

/* Is each pinned page the one the program has there now? */
static int pages_check(u64 uptr, const phys_addr_t *pages, u64 npages)
{
	u64 pa, pins, i;
	bool huge;
	int rc;

	for (i = 0; i < npages; i++) {
		rc = mem_va_page(task_current->mm, uptr + i * PAGE_SIZE, &pa, &pins, &huge);
		if (rc)
			return rc;
		if (pa != pages[i])
			return -EBADE;
	}
	return 0;
}

static u64 pages_spanned(u64 iova, u64 length)
{
	return ((iova & ~PAGE_MASK) + length + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

/* Pin, look, tell the program the number, remember: any failure undoes it all. */
static int access_pin(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd,
		      struct mock_access *ma, struct mock_access_item *item, phys_addr_t *pages)
	__must_hold(&ma->lock)
{
	u64 iova = cmd->access_pages.iova, uptr = cmd->access_pages.uptr;
	u32 flags = cmd->access_pages.flags & MOCK_FLAGS_ACCESS_WRITE ? IOMMUFD_ACCESS_RW_WRITE : 0;
	int rc;

	rc = iommufd_access_pin_pages(ma->access, iova, cmd->access_pages.length, pages, flags);
	if (rc)
		return rc;
	if (uptr) {
		rc = pages_check(uptr - (iova & ~PAGE_MASK), pages,
				 pages_spanned(iova, cmd->access_pages.length));
		if (rc)
			goto err_unpin;
	}
	item->iova = iova;
	item->length = cmd->access_pages.length;
	/* taken for good: a caller that cannot be told does not make it free again */
	item->id = ma->next_id++;
	cmd->access_pages.out_access_pages_id = item->id;
	rc = ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		goto err_unpin;
	cds_list_add_tail(&item->node, &ma->items);
	return 0;
err_unpin:
	iommufd_access_unpin_pages(ma->access, iova, cmd->access_pages.length);
	return rc;
}

static int access_pages(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd,
			struct mock_access *ma)
{
	u64 npages = pages_spanned(cmd->access_pages.iova, cmd->access_pages.length);
	struct mock_access_item *item;
	phys_addr_t *pages;
	int rc = -ENOMEM;

	pages = zalloc_array(MAX(npages, 1), sizeof(*pages));
	item = zalloc(sizeof(*item));
	if (pages && item) {
		mutex_lock(&ma->lock);
		rc = access_pin(ucmd, cmd, ma, item, pages);
		mutex_unlock(&ma->lock);
	}
	if (rc)
		free(item);
	free(pages);
	return rc;
}

int mock_op_access_pages(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	struct mock_access *ma;
	int rc;

	if (cmd->access_pages.length > ACCESS_LENGTH_MAX)
		return -ENOMEM;
	if (cmd->access_pages.flags & ~MOCK_FLAGS_ACCESS_WRITE)
		return -EOPNOTSUPP;
	rc = access_get(cmd->id, &ma);
	if (rc)
		return rc;
	rc = ma->pins ? access_pages(ucmd, cmd, ma) : -EOPNOTSUPP;
	file_put(&ma->file);
	return rc;
}

int mock_op_destroy_access_pages(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	struct mock_access_item *item, *tmp;
	struct mock_access *ma;
	int rc;

	rc = access_get(cmd->id, &ma);
	if (rc)
		return rc;
	rc = -ENOENT;
	mutex_lock(&ma->lock);
	cds_list_for_each_entry_safe(item, tmp, &ma->items, node) {
		if (item->id != cmd->destroy_access_pages.access_pages_id)
			continue;
		cds_list_del(&item->node);
		iommufd_access_unpin_pages(ma->access, item->iova, item->length);
		free(item);
		rc = 0;
		break;
	}
	mutex_unlock(&ma->lock);
	file_put(&ma->file);
	return rc;
}

/* ---- reading, writing, moving ---- */

static int access_rw(struct iommu_test_cmd *cmd, struct mock_access *ma)
{
	u64 length = cmd->access_rw.length, uptr = cmd->access_rw.uptr;
	bool write = cmd->access_rw.flags & MOCK_ACCESS_RW_WRITE;
	unsigned int flags = write ? IOMMUFD_ACCESS_RW_WRITE : IOMMUFD_ACCESS_RW_READ;
	void *buf;
	int rc = 0;

	if (cmd->access_rw.flags & MOCK_ACCESS_RW_SLOW_PATH)
		flags |= IOMMUFD_ACCESS_RW_SLOW_PATH;
	buf = zalloc(MAX(length, 1));
	if (!buf)
		return -ENOMEM;
	if (write && length)
		rc = copy_from_user(buf, uptr, length);
	if (!rc)
		rc = iommufd_access_rw(ma->access, cmd->access_rw.iova, buf, length, flags);
	if (!rc && !write)
		rc = copy_to_user(uptr, buf, length);
	free(buf);
	return rc;
}

int mock_op_access_rw(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	struct mock_access *ma;
	int rc;

	if (cmd->access_rw.length > ACCESS_LENGTH_MAX)
		return -ENOMEM;
	if (cmd->access_rw.flags & ~(MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH))
		return -EOPNOTSUPP;
	rc = access_get(cmd->id, &ma);
	if (rc)
		return rc;
	rc = access_rw(cmd, ma);
	file_put(&ma->file);
	return rc;
}

int mock_op_access_replace(struct iommufd_ucmd *ucmd, struct iommu_test_cmd *cmd)
{
	struct mock_access *ma;
	int rc;

	rc = access_get(cmd->id, &ma);
	if (rc)
		return rc;
	rc = iommufd_access_replace(ma->access, cmd->access_replace_ioas.ioas_id);
	file_put(&ma->file);
	return rc;
}
