/* SPDX-License-Identifier: MIT */
/*
 * open() and its family: where one of our names is meant, the answer is a
 * descriptor put into the caller; everything else goes on in the kernel.
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/host_priv.h"

struct open_args {
	int dirfd;
	u64 path;
	u64 flags;
};

static int open_args(struct call *call, struct open_args *args)
{
	const u64 *arg = (const u64 *)call->req->data.args;
	struct open_how how;
	int rc;

	args->dirfd = (int)arg[0];
	args->path = arg[1];
	args->flags = (u32)arg[2];
	switch (call->req->data.nr) {
	case SYS_openat:
		return 0;
	case SYS_openat2:
		if (arg[3] < sizeof(how))
			return -EINVAL;
		rc = call_read(call, &how, arg[2], sizeof(how));
		args->flags = how.flags;
		return rc;
#ifdef SYS_open
	case SYS_creat:
		args->flags = O_CREAT | O_WRONLY | O_TRUNC;
		break;
	default:
		args->flags = (u32)arg[1];
#endif
	}
	args->dirfd = AT_FDCWD;
	args->path = arg[0];
	return 0;
}

long open_file_send(struct call *call, struct file *file, struct host_name *name,
		    int open_flags)
{
	int native;
	int rc;

	rc = fdtable_open(call->host, file, name, open_flags, &native);
	if (rc)
		return rc;
	/*
	 * Not as the answer itself: who waits for that in the kernel has the file in hand, and
	 * so the caller's close() would not be the last one while we are not let run.
	 */
	rc = notify_addfd(call->host, call->req->id, native, -1, open_flags);
	/* If it did not get there, this close is the last one and releases the file. */
	close(native);
	return rc;
}

long open_file_high(struct call *call, struct file *file, struct host_name *name, int open_flags)
{
	int native, fd;
	long rc;

	rc = fdtable_open(call->host, file, name, open_flags, &native);
	if (rc)
		return rc;
	rc = call_enter(call);
	if (rc)
		goto out_close;
	rc = fdtable_reserve(call, &fd);
	if (!rc) {
		rc = notify_addfd(call->host, call->req->id, native, fd, open_flags);
		fdtable_unreserve(call, fd);
		rc = rc < 0 ? rc : fd;
	}
	call_leave(call);
out_close:
	close(native);
	return rc;
}

static long open_node(struct call *call, struct host_name *name, int flags)
{
	struct file *file;
	int rc;

	if (flags & O_PATH)
		return CALL_NATIVE;
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	rc = call_enter(call);
	if (rc)
		return rc;
	rc = tree_open(call->host->system, name->path, flags, &file);
	call_leave(call);
	if (rc)
		return rc;
	return open_file_send(call, file, name, flags);
}

/* Root may write any file of a cover, but not what sysfs says can only be read. */
static bool attr_refuses(const struct host_name *name, int flags)
{
	return name->kind == TREE_ATTR && !(name->mode & 0222) && !(flags & O_PATH) &&
	       ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC);
}

static long open_name(struct call *call, struct host_name *name, int flags)
{
	if (attr_refuses(name, flags))
		return -EACCES;
	if (name->kind == TREE_NODE)
		return open_node(call, name, flags);
	if (name->kind == TREE_ATTR && (name->served || !name->ino))
		return attr_open(call, name, flags);
	return CALL_NATIVE;
}

long sys_open(struct call *call)
{
	struct path_hit hit;
	struct open_args args;
	char path[PATH_MAX];
	long rc = CALL_NATIVE;

	/* Where an argument is wrong, the kernel knows best how to say so. */
	if (open_args(call, &args) || call_path(call, args.path, path) < 0)
		return CALL_NATIVE;
	path_resolve(call, args.dirfd, path, !(args.flags & O_NOFOLLOW), &hit);
	switch (hit.kind) {
	case PATH_NAME:
		rc = open_name(call, hit.name, (int)args.flags);
		break;
	case PATH_FD:
		/* As with any device, opening through /proc is opening anew. */
		if (hit.file->name)
			rc = open_name(call, hit.file->name, (int)args.flags);
		else if (!(args.flags & O_PATH))
			rc = -ENXIO;
		break;
	case PATH_STATUS:
		rc = proc_status_open(call, &hit, (int)args.flags);
		break;
	case PATH_DEVICES:
		rc = proc_devices_open(call, (int)args.flags);
		break;
	case PATH_FAIL_NTH:
		rc = proc_fail_nth_open(call, &hit, (int)args.flags);
		break;
	case PATH_DIR: /* there is none to be listed */
	case PATH_OTHER:
		break;
	}
	path_hit_put(&hit);
	return rc;
}
