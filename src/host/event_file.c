/* SPDX-License-Identifier: MIT */
/*
 * Files that a program waits on: fault and event queues.  poll() and its kin
 * name many descriptors at once and cannot be filtered, so they stay native:
 * the program's descriptor is a pipe, and a byte in it, the token, makes it
 * readable.  One that can be written is open both ways, for a pipe's read end is
 * never writable.  Reads and writes themselves are trapped: these descriptors
 * get numbers the filter knows.
 *
 * We have the pipe open once more, both ways, and so can take the token back as
 * soon as the queue is empty, whoever emptied it.  Each event puts a token
 * before those there are taken, so that who waits for edges gets one per event
 * and nobody finds the pipe empty meanwhile.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/host_priv.h"

/* The pipe behind @fd, open anew. */
static int pipe_open(int fd, int open_flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, open_flags | O_CLOEXEC);
}

int event_file_make(struct host_file *hf, int open_flags, int *ret_fd)
{
	int access = hf->file->ops->write ? O_RDWR : O_RDONLY;
	int ends[2];
	int ours, fd;

	if (pipe2(ends, O_CLOEXEC))
		return errno == ENOMEM ? -ENOMEM : -ENFILE;
	ours = pipe_open(ends[0], O_RDWR | O_NONBLOCK);
	fd = pipe_open(ends[0], access | (open_flags & O_NONBLOCK));
	close(ends[0]);
	close(ends[1]);
	if (ours < 0 || fd < 0) {
		if (ours >= 0)
			close(ours);
		if (fd >= 0)
			close(fd);
		return -ENFILE;
	}
	hf->event_fd = ours;
	*ret_fd = fd;
	return 0;
}

/* Take all tokens but @keep.  What else is in the pipe the program has written past us. */
static void tokens_take(int event_fd, int keep)
{
	char tokens[512];
	ssize_t len;
	int left;

	if (ioctl(event_fd, FIONREAD, &left))
		return;
	for (left -= keep; left > 0; left -= (int)len) {
		len = read(event_fd, tokens, MIN((size_t)left, sizeof(tokens)));
		if (len <= 0)
			return;
	}
}

/* Runs with whatever file_wake()'s caller holds, but not with a lock its poll op takes. */
void event_file_wake(struct file *file)
{
	struct host_file *hf = file->host;
	bool readable;

	mutex_lock(&hf->lock);
	readable = file->ops->poll(file) & POLLIN;
	/* If it is full there is more than a token in it. */
	if (readable)
		(void)!write(hf->event_fd, "", 1);
	tokens_take(hf->event_fd, readable);
	mutex_unlock(&hf->lock);
}
