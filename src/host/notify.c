/* SPDX-License-Identifier: MIT */
/*
 * The notification descriptor: receive a trapped call, answer it, put a
 * descriptor into the caller.  Raw ioctls: libseccomp's wrappers allocate, and
 * do not know the newer operations.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "host/host_priv.h"

/* Have all users of the filter gone?  (Older kernels never end a receive for that.) */
static bool notify_hung_up(struct host *host)
{
	struct pollfd pfd = { .fd = host->listener };

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & POLLHUP);
}

/* 0, or -ESHUTDOWN when nobody is left to call. */
int notify_recv(struct host *host, struct seccomp_notif *req)
{
	for (;;) {
		/* The kernel insists on a zeroed struct. */
		memset(req, 0, host->notif_size);
		if (!ioctl(host->listener, SECCOMP_IOCTL_NOTIF_RECV, req)) {
			/* pairs with notify_send() */
			atomic_load_explicit(&host->answered, memory_order_acquire);
			return 0;
		}
		/* ENOENT: the caller was killed between its call and our look. */
		if (errno != EINTR && errno != ENOENT)
			return -errno;
		if (errno == ENOENT && notify_hung_up(host))
			return -ESHUTDOWN;
	}
}

/* What interrupts us (a debugger, a tracer of our own) is no matter of the caller's. */
static int notify_ioctl(struct host *host, unsigned long cmd, void *arg)
{
	int rc;

	do
		rc = ioctl(host->listener, cmd, arg);
	while (rc < 0 && errno == EINTR);
	return rc;
}

/* -ENOENT: the caller is gone. */
int notify_send(struct host *host, u64 id, long result)
{
	struct seccomp_notif_resp resp = { .id = id };

	if (result == CALL_NATIVE)
		resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else if (result < 0)
		resp.error = (s32)result;
	else
		resp.val = result;
	/*
	 * A program's next call comes after this one, whichever thread serves it: the kernel sees
	 * to that, and neither the language nor a sanitizer can know.
	 */
	atomic_fetch_add_explicit(&host->answered, 1, memory_order_release);
	return notify_ioctl(host, SECCOMP_IOCTL_NOTIF_SEND, &resp) ? -errno : 0;
}

bool notify_valid(struct host *host, u64 id)
{
	return notify_ioctl(host, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

/*
 * Never as the answer itself (SECCOMP_ADDFD_FLAG_SEND): if we are stopped and go on before the
 * caller has taken the descriptor, it is withdrawn, and the call has been answered with 0.
 */
int notify_addfd(struct host *host, u64 id, int srcfd, int newfd, int open_flags)
{
	struct seccomp_notif_addfd add = {
		.id = id,
		.srcfd = srcfd,
		.newfd_flags = open_flags & O_CLOEXEC,
	};
	int rc;

	if (newfd >= 0) {
		add.newfd = newfd;
		add.flags |= SECCOMP_ADDFD_FLAG_SETFD;
	}
	rc = notify_ioctl(host, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
	return rc < 0 ? -errno : rc;
}
