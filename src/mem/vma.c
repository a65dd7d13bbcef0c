/* SPDX-License-Identifier: MIT */
/*
 * Looking up a mapping.  Since Linux 6.11 /proc/PID/maps answers one question
 * at a time (PROCMAP_QUERY), in a fifth of a microsecond; before, the text is
 * read (vma_text.c).  Both ask a descriptor, which belongs to an address space
 * and not to a pid.
 */
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mem/mem_priv.h"

/* From the kernel's <linux/fs.h>, which is often older than the kernel. */
struct procmap_query {
	u64 size;
	u64 query_flags;
	u64 query_addr;
	u64 vma_start;
	u64 vma_end;
	u64 vma_flags;
	u64 vma_page_size;
	u64 vma_offset;
	u64 inode;
	u32 dev_major;
	u32 dev_minor;
	u32 vma_name_size;
	u32 build_id_size;
	u64 vma_name_addr;
	u64 build_id_addr;
};

#define PROCMAP_QUERY_CMD _IOWR('f', 17, struct procmap_query)
#define PROCMAP_COVERING_OR_NEXT 0x10

_Static_assert(sizeof(struct procmap_query) == 104, "as in the kernel");

/* The flags of the query are ours: READ, WRITE, EXEC, SHARED are bits 0 to 3 of both. */

static int vma_next_query(int maps_fd, u64 va, struct vma *ret_vma)
{
	struct procmap_query q = {
		.size = sizeof(q),
		.query_flags = PROCMAP_COVERING_OR_NEXT,
		.query_addr = va,
		.vma_name_size = VMA_NAME_MAX,
		.vma_name_addr = (uintptr_t)ret_vma->name,
	};
	int rc;

	ret_vma->name[0] = '\0';
	rc = ioctl(maps_fd, PROCMAP_QUERY_CMD, &q);
	if (rc && errno == ENAMETOOLONG) {
		q.vma_name_size = 0;
		q.vma_name_addr = 0;
		ret_vma->name[0] = '\0';
		rc = ioctl(maps_fd, PROCMAP_QUERY_CMD, &q);
	}
	if (rc)
		return errno == ESRCH ? -ESRCH : -EFAULT;
	ret_vma->first = q.vma_start;
	ret_vma->last = q.vma_end - 1;
	ret_vma->flags = (u32)q.vma_flags;
	ret_vma->page_size = q.vma_page_size;
	ret_vma->offset = q.vma_offset;
	ret_vma->ino = q.inode;
	ret_vma->dev = makedev(q.dev_major, q.dev_minor);
	return 0;
}

int vma_next(int maps_fd, bool has_query, u64 va, struct vma *ret_vma)
{
	return has_query ? vma_next_query(maps_fd, va, ret_vma) :
			   vma_next_text(maps_fd, va, ret_vma);
}

int vma_find(struct mm *mm, u64 va, struct vma *ret_vma)
{
	int rc = mm->maps_fd < 0 ? -EFAULT : vma_next(mm->maps_fd, mm->has_query, va, ret_vma);

	if (!rc && va < ret_vma->first)
		rc = -EFAULT;
	return rc;
}

int maps_fd_alive(int maps_fd, bool *ret_query)
{
	struct procmap_query q = { .size = sizeof(q), .query_flags = PROCMAP_COVERING_OR_NEXT };
	char byte;

	*ret_query = true;
	if (!ioctl(maps_fd, PROCMAP_QUERY_CMD, &q) || errno == ENOENT)
		return 0;
	if (errno == ESRCH)
		return -ESRCH;
	/* An older kernel: the file of an address space that is gone is empty. */
	*ret_query = false;
	return pread(maps_fd, &byte, 1, 0) == 1 ? 0 : -ESRCH;
}
