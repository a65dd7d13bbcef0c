/* SPDX-License-Identifier: MIT */
/*
 * Files that a program waits on: fault and event queues.  poll() and its kin
 * name many descriptors at once and cannot be filtered, so they stay native:
 * the program holds one end of a pipe (of a socket pair, if the file can be
 * written, since a pipe's read end is never writable), and bytes in it, the
 * tokens, make it readable.  Reads and writes themselves are trapped: these
 * descriptors get numbers the filter knows.
 *
 * Each event puts a token more, so that who waits for edges gets one per event;
 * when the kernel takes no more, it has enough of them.  Tokens can be put from
 * our end but taken only from the program's, so they are taken by the read that
 * empties the queue, through a copy of its descriptor.  The last close shows as
 * a hang-up on our end.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/host_priv.h"

int event_file_make(struct host_file *hf, int open_flags, int *ret_fd)
{
	int ends[2];
	int rc;

	if (hf->file->ops->write)
		rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
	else
		rc = pipe2(ends, O_CLOEXEC);
	if (rc)
		return errno == ENOMEM ? -ENOMEM : -ENFILE;
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	if (open_flags & O_NONBLOCK)
		fcntl(ends[0], F_SETFL, O_NONBLOCK);
	/* Hang-up and error are always reported; nothing else is wanted. */
	if (fdtable_listen(&hf->host->fds, ends[1], 0, (uintptr_t)hf)) {
		close(ends[0]);
		close(ends[1]);
		return -ENOMEM;
	}
	hf->event_fd = ends[1];
	*ret_fd = ends[0];
	return 0;
}

/* Runs with whatever file_wake()'s caller holds, but not with a lock its poll op takes. */
void event_file_wake(struct file *file)
{
	struct host_file *hf = file->host;

	mutex_lock(&hf->lock);
	if ((file->ops->poll(file) & POLLIN) &&
	    (send(hf->event_fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ||
	     (errno == ENOTSOCK && write(hf->event_fd, "", 1) == 1)))
		hf->tokens = true;
	mutex_unlock(&hf->lock);
}

/* A read that never waits: O_NONBLOCK of @native is the program's, so a pipe is opened anew. */
static ssize_t token_read(int native, int own, char *tokens, size_t size)
{
	return own < 0 ? recv(native, tokens, size, MSG_DONTWAIT) : read(own, tokens, size);
}

/* None is put meanwhile; the program may take some of them at any time. */
static void tokens_take(int native)
{
	char link[32], tokens[512];
	int own;

	/* A socket has no such name. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", native);
	own = open(link, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	while (token_read(native, own, tokens, sizeof(tokens)) > 0)
		;
	if (own >= 0)
		close(own);
}

void event_file_settle(struct call *call, struct host_file *hf, int fd)
{
	int native;

	if (!hf->file->ops->poll)
		return;
	mutex_lock(&hf->lock);
	if (hf->tokens && !(hf->file->ops->poll(hf->file) & POLLIN)) {
		native = call_steal_fd(call, fd);
		if (native >= 0) {
			tokens_take(native);
			hf->tokens = false;
			close(native);
		}
	}
	mutex_unlock(&hf->lock);
}
