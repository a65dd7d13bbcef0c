/* SPDX-License-Identifier: MIT */
/*
 * The text of /proc/PID/maps, for kernels that cannot be asked directly:
 *
 *	7f1231093000-7f1231193000 rw-s 00000000 00:01 1026    /dev/zero (deleted)
 */
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mem/mem_priv.h"

/* A path of 4095 bytes, each written as \ooo, and the columns before it. */
#define MAPS_LINE_MAX (4 * 4096 + 128)

static bool maps_line_parse(const char *line, struct vma *ret_vma)
{
	unsigned long long first, end, offset, ino;
	unsigned int major, minor;
	char perms[5];
	int name_at = 0;

	if (sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &first, &end, perms, &offset, &major,
		   &minor, &ino, &name_at) < 7)
		return false;
	*ret_vma = (struct vma){
		.first = first,
		.last = end - 1,
		.offset = offset,
		.ino = ino,
		.dev = makedev(major, minor),
		.page_size = PAGE_SIZE,
		.flags = (perms[0] == 'r' ? VMA_READ : 0) | (perms[1] == 'w' ? VMA_WRITE : 0) |
			 (perms[2] == 'x' ? VMA_EXEC : 0) | (perms[3] == 's' ? VMA_SHARED : 0),
	};
	if (strlen(line + name_at) < VMA_NAME_MAX)
		strcpy(ret_vma->name, line + name_at);
	/* The text has no page size; anonymous huge pages can be told by their name. */
	if (!strncmp(ret_vma->name, "/anon_hugepage", 14))
		ret_vma->page_size = 2UL << 20;
	return true;
}

/* 1: found; 0: not among these lines; -EFAULT: no lines of this file.  Sets *@used. */
static int maps_lines_find(char *buf, size_t len, u64 va, size_t *used, struct vma *ret_vma)
{
	char *newline;

	*used = 0;
	while ((newline = memchr(buf + *used, '\n', len - *used))) {
		*newline = '\0';
		if (!maps_line_parse(buf + *used, ret_vma))
			return -EFAULT;
		*used = (size_t)(newline + 1 - buf);
		if (va <= ret_vma->last)
			return 1;
	}
	return 0;
}

int vma_next_text(int maps_fd, u64 va, struct vma *ret_vma)
{
	char buf[MAPS_LINE_MAX];
	struct vma vma;
	off_t pos = 0;

	for (;;) {
		ssize_t n = pread(maps_fd, buf, sizeof(buf), pos);
		size_t used;
		int rc;

		if (n <= 0)
			return pos ? -EFAULT : -ESRCH;
		rc = maps_lines_find(buf, (size_t)n, va, &used, &vma);
		if (rc < 0 || (!rc && !used))
			return -EFAULT;
		if (rc) {
			*ret_vma = vma;
			return 0;
		}
		pos += (off_t)used;
	}
}
