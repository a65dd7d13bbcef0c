/* SPDX-License-Identifier: MIT */
/*
 * Which inode is behind the descriptor that a thread uses again and again.
 * Each call on a descriptor begins with that question, and to walk the path
 * /proc/TID/fd/N is a sixth of the whole call.  The file /proc/TID/fdinfo/N of
 * the descriptor used last is kept open instead: it belongs to the thread as
 * the directory does, looks the number up at each read, and names the inode by
 * its number and the mount it lies on.
 *
 * Our objects lie on mounts of the kernel's own, which stay.  Only "ours" is
 * believed: of what is not found by its mount the caller asks the path.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/host_priv.h"

/* An open and a close take as long as eight questions save. */
#define FDINFO_WORTH 32

/* target->info: the number and, above 0, our descriptor of its fdinfo; else how often, negative */
static u64 info_word(int fd, int info)
{
	return (u64)(u32)fd << 32 | (u32)info;
}

static int info_fd(u64 word)
{
	return (int)(word >> 32);
}

static int info_open_fd(u64 word)
{
	return (int)(u32)word;
}

static void info_end(u64 word)
{
	if (info_open_fd(word) > 0)
		close(info_open_fd(word));
}

u64 fdinfo_mount(int fd)
{
	struct statx stx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &stx) ||
	    !(stx.stx_mask & STATX_MNT_ID))
		return 0;
	return stx.stx_mnt_id;
}

static int info_open(const struct target *target, int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "fdinfo/%d", fd);
	return openat(target->dir, path, O_RDONLY | O_CLOEXEC);
}

/* Its first lines are "pos:", "flags:", "mnt_id:" and, since Linux 5.14, "ino:". */
static bool info_read(int info, u64 *ret_mnt, u64 *ret_ino)
{
	char text[128];
	ssize_t len = pread(info, text, sizeof(text) - 1, 0);
	const char *mnt, *ino;

	if (len <= 0)
		return false;
	text[len] = 0;
	mnt = strstr(text, "\nmnt_id:");
	ino = mnt ? strstr(mnt, "\nino:") : NULL;
	if (!ino)
		return false;
	*ret_mnt = strtoull(mnt + strlen("\nmnt_id:"), NULL, 10);
	*ret_ino = strtoull(ino + strlen("\nino:"), NULL, 10);
	return true;
}

bool fdinfo_ask(struct target *target, int fd, u64 *ret_mnt, u64 *ret_ino)
{
	/* A call of a thread that was killed may still be served while its id calls again. */
	u64 word = atomic_exchange_explicit(&target->info, 0, memory_order_acquire);
	int info = info_open_fd(word);
	bool known = false;

	if (info_fd(word) != fd) {
		info_end(word);
		info = 0;
	}
	if (info <= 0 && --info < -FDINFO_WORTH)
		info = info_open(target, fd);
	if (info > 0) {
		known = info_read(info, ret_mnt, ret_ino);
		if (!known) {
			close(info);
			info = 0;
		}
	}
	word = info_word(fd, info);
	info_end(atomic_exchange_explicit(&target->info, word, memory_order_acq_rel));
	return known;
}

void fdinfo_forget(struct target *target)
{
	info_end(atomic_exchange_explicit(&target->info, 0, memory_order_acquire));
}
