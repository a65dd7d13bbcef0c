/* SPDX-License-Identifier: MIT */
/*
 * Groups: opened by one program at a time, put into a container or an iommufd,
 * and then the way to the devices in them.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "core/ucmd.h"
#include "ioas/ioas.h"
#include "mem/task.h"
#include "vfio/vfio_priv.h"

#define DEVICE_NAME_MAX PAGE_SIZE
#define TOKEN_WORD	"vf_token="

/** struct vfio_group_file - the open file; holds the group */
struct vfio_group_file {
	struct file file;
	struct vfio_group *group;
};

static const struct file_ops group_file_ops;

/* ---- life ---- */

static struct vfio_group *group_find(struct vfio *vfio, u32 id) __must_hold(&vfio->lock)
{
	struct vfio_group *group;

	cds_list_for_each_entry (group, &vfio->groups, node) {
		if (group->id == id && !group->dead)
			return group;
	}
	return NULL;
}

static int group_open(struct tree_entry *entry, int open_flags, struct file **ret_file);

static int group_names(struct vfio_group *group)
{
	char node[64], dir[VFIO_PATH_MAX], name[32];
	int rc;

	snprintf(name, sizeof(name), "%u", group->id);
	snprintf(node, sizeof(node), "/dev/vfio/%s", name);
	snprintf(dir, sizeof(dir), "/sys/devices/virtual/vfio/%s", name);
	rc = vfio_names_node(&group->names, node, 0600, VFIO_GROUP_MAJOR, group->id, group_open,
			     group);
	return rc
		       ?: vfio_names_device(&group->names, node, VFIO_GROUP_MAJOR, group->id, dir,
					    "vfio", name);
}

static void group_free(struct vfio_group *group)
{
	mutex_destroy(&group->lock);
	free(group);
}

static int group_create(struct vfio *vfio, u32 id, struct vfio_group **ret_group)
{
	struct vfio_group *group = zalloc(sizeof(*group));
	int rc;

	if (!group)
		return -ENOMEM;
	group->vfio = vfio;
	group->id = id;
	mutex_init(&group->lock);
	CDS_INIT_LIST_HEAD(&group->devices);
	mutex_lock(&vfio->lock);
	cds_list_add_tail(&group->node, &vfio->groups);
	group->refs = 1;
	mutex_unlock(&vfio->lock);
	rc = group_names(group) ?: vfio_names_show(vfio, &group->names);
	if (rc) {
		vfio_names_hide(vfio, &group->names);
		vfio_group_put(group);
		return rc;
	}
	*ret_group = group;
	return 0;
}

void vfio_group_put(struct vfio_group *group)
{
	struct vfio *vfio;
	bool last;

	if (!group)
		return;
	vfio = group->vfio;
	mutex_lock(&vfio->lock);
	last = !--group->refs;
	if (last)
		cds_list_del(&group->node);
	mutex_unlock(&vfio->lock);
	if (last)
		group_free(group);
}

/* Into the group's list; the group is made for its first device. */
static int group_enter(struct vfio *vfio, u32 id, struct vfio_device *vdev)
	__must_hold(&vfio->group_lock)
{
	struct vfio_group *group;
	int rc = 0;

	mutex_lock(&vfio->lock);
	group = group_find(vfio, id);
	if (group)
		group->refs++;
	mutex_unlock(&vfio->lock);
	if (!group)
		rc = group_create(vfio, id, &group);
	if (rc)
		return rc;
	vdev->group = group;
	mutex_lock(&vfio->lock);
	cds_list_add_tail(&vdev->group_node, &group->devices);
	mutex_unlock(&vfio->lock);
	return 0;
}

int vfio_group_join(struct vfio *vfio, u32 id, struct vfio_device *vdev)
{
	struct vfio_group *group;
	int rc;

	mutex_lock(&vfio->group_lock);
	rc = group_enter(vfio, id, vdev);
	mutex_unlock(&vfio->group_lock);
	if (rc)
		return rc;
	group = vdev->group;
	mutex_lock(&group->lock);
	if (group->container)
		rc = vfio_container_device_added(group->container, vdev);
	mutex_unlock(&group->lock);
	if (rc)
		vfio_group_leave(vdev);
	return rc;
}

/* The names go with the last device, once; its number is free for another group afterwards. */
static void group_bury(struct vfio_group *group)
{
	struct vfio *vfio = group->vfio;
	bool last;

	mutex_lock(&vfio->group_lock);
	mutex_lock(&group->lock);
	mutex_lock(&vfio->lock);
	last = !group->dead && cds_list_empty(&group->devices);
	if (last)
		group->dead = true;
	mutex_unlock(&vfio->lock);
	mutex_unlock(&group->lock);
	if (last)
		vfio_names_hide(vfio, &group->names);
	mutex_unlock(&vfio->group_lock);
}

void vfio_group_leave(struct vfio_device *vdev)
{
	struct vfio_group *group = vdev->group;

	mutex_lock(&group->lock);
	mutex_lock(&group->vfio->lock);
	cds_list_del(&vdev->group_node);
	mutex_unlock(&group->vfio->lock);
	/* After it has left the list: then nobody else attaches it again. */
	if (group->container)
		vfio_container_device_removed(group->container, vdev);
	mutex_unlock(&group->lock);
	group_bury(group);
	vfio_group_put(group);
}

/* ---- against cdevs ---- */

int vfio_group_block(struct vfio_group *group)
{
	int rc = 0;

	mutex_lock(&group->lock);
	if (group->opened)
		rc = -EBUSY;
	else
		group->cdevs++;
	mutex_unlock(&group->lock);
	return rc;
}

void vfio_group_unblock(struct vfio_group *group)
{
	mutex_lock(&group->lock);
	group->cdevs--;
	mutex_unlock(&group->lock);
}

void vfio_group_device_closed(struct vfio_group *group)
{
	mutex_lock(&group->lock);
	group->open_devices--;
	mutex_unlock(&group->lock);
}

/* ---- what it is attached to ---- */

/* Let go of container or iommufd; the file it was is the caller's to put. */
static struct file *group_unset(struct vfio_group *group) __must_hold(&group->lock)
{
	struct file *file = NULL;

	if (group->container) {
		vfio_container_detach(group->container, group);
		file = vfio_container_file(group->container);
	} else if (group->ctx) {
		file = &group->ctx->file;
	}
	group->container = NULL;
	group->ctx = NULL;
	return file;
}

/* @file is kept on success; NULL: something that is none of ours. */
static int group_set(struct vfio_group *group, struct file *file) __must_hold(&group->lock)
{
	struct vfio_container *container = file ? vfio_container_from_file(file) : NULL;
	struct iommufd_ctx *ctx = file ? ctx_from_file(file) : NULL;
	int rc;

	if (group->container || group->ctx)
		return -EINVAL;
	if (group->dead)
		return -ENODEV;
	if (container) {
		rc = vfio_container_attach(container, group);
		if (!rc)
			group->container = container;
		return rc;
	}
	if (!ctx)
		return -EBADFD;
	rc = vfio_compat_ioas_create(ctx);
	if (!rc)
		group->ctx = ctx;
	return rc;
}

static int group_set_container(struct vfio_group *group, u64 arg)
{
	struct task_fd tfd;
	s32 fd;
	int rc = copy_from_user(&fd, arg, sizeof(fd));

	if (rc)
		return rc;
	if (fd < 0)
		return -EBADF;
	rc = task_current->ops->fd_get(task_current, fd, &tfd);
	if (rc)
		return rc;
	mutex_lock(&group->lock);
	rc = group_set(group, tfd.file);
	mutex_unlock(&group->lock);
	if (!tfd.file)
		close(tfd.host_fd);
	if (rc)
		file_put(tfd.file);
	return rc;
}

static int group_unset_container(struct vfio_group *group)
{
	struct file *file = NULL;
	int rc = 0;

	mutex_lock(&group->lock);
	if (!group->container && !group->ctx)
		rc = -EINVAL;
	else if (group->container && group->open_devices)
		rc = -EBUSY;
	else
		file = group_unset(group);
	mutex_unlock(&group->lock);
	file_put(file);
	return rc;
}

static int group_get_status(struct vfio_group *group, u64 arg)
{
	struct vfio_group_status status;
	int rc = copy_from_user(&status, arg, sizeof(status));

	if (rc)
		return rc;
	if (status.argsz < sizeof(status))
		return -EINVAL;
	mutex_lock(&group->lock);
	/* No device of ours has another driver. */
	status.flags = VFIO_GROUP_FLAGS_VIABLE;
	if (group->container || group->ctx)
		status.flags |= VFIO_GROUP_FLAGS_CONTAINER_SET;
	if (group->dead)
		rc = -ENODEV;
	mutex_unlock(&group->lock);
	return rc ? rc : copy_to_user(arg, &status, sizeof(status));
}

/* ---- devices ---- */

/** struct device_name - what GET_DEVICE_FD asks for: "0000:01:00.0 vf_token=UUID" */
struct device_name {
	char text[DEVICE_NAME_MAX];
	bool has_token;
	u8 token[VFIO_UUID_SIZE];
};

static int name_read(char *buf, u64 arg)
{
	for (size_t i = 0; i < DEVICE_NAME_MAX; i++) {
		int rc = copy_from_user(&buf[i], arg + i, 1);

		if (rc || !buf[i])
			return rc;
	}
	return -EINVAL;
}

static int hex_digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Return: what is behind it; NULL: it is none. */
static const char *uuid_parse(const char *text, u8 *uuid)
{
	for (u32 i = 0; i < VFIO_UUID_SIZE; i++) {
		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return NULL;
		if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
			return NULL;
		uuid[i] = (u8)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
		text += 2;
	}
	return text;
}

/* The words behind the address, of which one is known, once; spaces may be any number. */
static int name_options(struct device_name *name)
{
	const char *at = name->text + PCI_ADDR_LEN - 1;

	while (*at) {
		if (*at == ' ') {
			at++;
			continue;
		}
		if (name->has_token || strncmp(at, TOKEN_WORD, strlen(TOKEN_WORD)))
			return -EINVAL;
		at = uuid_parse(at + strlen(TOKEN_WORD), name->token);
		if (!at)
			return -EINVAL;
		name->has_token = true;
	}
	return 0;
}

static bool name_matches(const char *text, const struct pci_dev *pdev)
{
	char addr[PCI_ADDR_LEN + 1];
	size_t len;

	snprintf(addr, sizeof(addr), PCI_ADDR_FMT, PCI_ADDR_ARGS(pdev->addr));
	len = strlen(addr);
	return !strncmp(text, addr, len) && (!text[len] || text[len] == ' ');
}

/* The device of that name in the group, with one more open file. */
static struct vfio_device *group_device_get(struct vfio_group *group, const char *text)
{
	struct vfio_device *vdev, *found = NULL;

	mutex_lock(&group->vfio->lock);
	cds_list_for_each_entry (vdev, &group->devices, group_node) {
		if (vdev->removing || !name_matches(text, vdev->pdev))
			continue;
		vdev->files++;
		found = vdev;
	}
	mutex_unlock(&group->vfio->lock);
	return found;
}

/* The one that is asked for, if who asks may have it. */
static int group_device_find(struct vfio_group *group, u64 arg, struct vfio_device **ret_vdev)
{
	struct device_name name = {.has_token = false};
	struct vfio_device *vdev;
	int rc = name_read(name.text, arg);

	if (rc)
		return rc;
	vdev = group_device_get(group, name.text);
	if (!vdev)
		return -ENODEV;
	rc = name_options(&name);
	if (!rc)
		rc = vfio_token_check(vdev, name.has_token ? name.token : NULL);
	if (rc)
		vfio_device_put(vdev);
	else
		*ret_vdev = vdev;
	return rc;
}

/* The first to open it opens it; the group's iommufd, or container, has its DMA. */
static int group_device_first(struct vfio_group *group, struct vfio_device *vdev,
			      struct file *file)
	__must_hold(&group->lock) __must_hold(&vdev->set->lock)
{
	struct iommufd_ctx *ctx = group->ctx;
	u32 id, ioas;
	int rc;

	if (group->container) {
		/* It has been attached with its group; an emulated one has no group to speak of. */
		ctx = vdev->emulated ? vfio_container_ctx(group->container) : NULL;
		ioas = vfio_container_ioas(group->container);
	} else {
		rc = vfio_compat_ioas_get_id(ctx, &ioas);
		if (rc)
			return rc;
	}
	rc = vfio_device_open(vdev, ctx, file, &id);
	if (rc || !ctx)
		return rc;
	rc = vfio_device_attach(vdev, &ioas);
	if (rc)
		vfio_device_close(vdev);
	return rc;
}

static int group_device_open(struct vfio_group *group, struct vfio_file *df)
	__must_hold(&group->lock)
{
	struct vfio_device *vdev = df->vdev;
	int rc = 0;

	if (!group->container && !group->ctx)
		return -EINVAL;
	if (group->container && !vfio_container_ready(group->container))
		return -EINVAL;
	mutex_lock(&vdev->set->lock);
	if (vdev->open_count)
		vdev->open_count++;
	else
		rc = group_device_first(group, vdev, &df->file);
	mutex_unlock(&vdev->set->lock);
	if (rc)
		return rc;
	group->open_devices++;
	atomic_store_explicit(&df->bound, true, memory_order_release);
	return 0;
}

/*
 * Memory of registers is behind one file's descriptors.  So who opens the device once more, and
 * has one of these, gets another of the same file; what differs from a file of its own is nothing a
 * program can tell.  Return: 0: done; -ENOENT it is to have a file of its own.
 */
static int group_device_again(struct vfio_group *group, struct vfio_device *vdev, int fd)
{
	struct file *file = NULL;
	bool attached;
	int rc;

	mutex_lock(&group->lock);
	attached = group->container || group->ctx;
	mutex_unlock(&group->lock);
	/* It may have been taken out of its iommufd with the device open. */
	if (!attached)
		return -EINVAL;
	mutex_lock(&vdev->set->lock);
	if (vdev->open_count && vdev->memory_file && file_get_live(vdev->memory_file))
		file = vdev->memory_file;
	mutex_unlock(&vdev->set->lock);
	rc = file ? task_fd_again(fd, file) : -ENOENT;
	file_put(file);
	return rc;
}

/* A file of its own for @vdev, which it opens or shares. */
static int group_device_new(struct vfio_group_file *gf, struct vfio_device *vdev,
			    struct vfio_file **ret_file)
{
	struct vfio_file *df;
	int rc = vfio_file_create(vdev, &gf->file, O_RDWR | O_CLOEXEC, &df);

	if (rc)
		return rc;
	/* Memory of its registers is to lie behind the descriptor. */
	rc = task_fd_object(&df->file);
	if (!rc) {
		mutex_lock(&gf->group->lock);
		rc = group_device_open(gf->group, df);
		mutex_unlock(&gf->group->lock);
	}
	if (rc)
		file_put(&df->file);
	else
		*ret_file = df;
	return rc;
}

/* Descriptor @fd becomes one of @vdev. */
static int group_device_install(struct vfio_group_file *gf, struct vfio_device *vdev, int fd)
{
	struct vfio_file *df;
	int rc = group_device_again(gf->group, vdev, fd);

	if (!rc || rc == -EINVAL)
		return rc;
	rc = group_device_new(gf, vdev, &df);
	if (!rc)
		task_current->ops->fd_install(task_current, fd, &df->file);
	return rc;
}

static int group_get_device_fd(struct vfio_group_file *gf, u64 arg)
{
	struct vfio_device *vdev;
	int fd, rc;

	rc = group_device_find(gf->group, arg, &vdev);
	if (rc)
		return rc;
	rc = task_current->ops->fd_reserve(task_current, O_RDWR | O_CLOEXEC, &fd);
	if (!rc) {
		rc = group_device_install(gf, vdev, fd);
		if (rc)
			task_current->ops->fd_unreserve(task_current, fd);
	}
	vfio_device_put(vdev);
	return rc ? rc : fd;
}

/* ---- the file ---- */

static long group_ioctl(struct file *file, unsigned int cmd, u64 arg)
{
	struct vfio_group_file *gf = container_of(file, struct vfio_group_file, file);

	switch (cmd) {
	case VFIO_GROUP_GET_STATUS:
		return group_get_status(gf->group, arg);
	case VFIO_GROUP_SET_CONTAINER:
		return group_set_container(gf->group, arg);
	case VFIO_GROUP_UNSET_CONTAINER:
		return group_unset_container(gf->group);
	case VFIO_GROUP_GET_DEVICE_FD:
		return group_get_device_fd(gf, arg);
	default:
		return -ENOTTY;
	}
}

static void group_release(struct file *file)
{
	struct vfio_group_file *gf = container_of(file, struct vfio_group_file, file);
	struct vfio_group *group = gf->group;
	struct file *unset;

	mutex_lock(&group->lock);
	unset = group_unset(group);
	group->opened = NULL;
	mutex_unlock(&group->lock);
	file_put(unset);
	vfio_group_put(group);
	free(gf);
}

static const struct file_ops group_file_ops = {
	.name = "/dev/vfio/group",
	.ioctl = group_ioctl,
	.release = group_release,
};

struct vfio_group *vfio_group_from_file(struct file *file)
{
	if (file->ops != &group_file_ops)
		return NULL;
	return container_of(file, struct vfio_group_file, file)->group;
}

static int group_open(struct tree_entry *entry, int open_flags, struct file **ret_file)
{
	const struct vfio_name *name = container_of(entry, struct vfio_name, entry);
	struct vfio_group *group = name->owner;
	struct vfio_group_file *gf = zalloc(sizeof(*gf));
	int rc = 0;

	if (!gf)
		return -ENOMEM;
	file_init(&gf->file, &group_file_ops, group->vfio->system, open_flags);
	gf->group = group;
	mutex_lock(&group->lock);
	if (group->dead)
		rc = -ENODEV;
	else if (group->cdevs || group->opened)
		rc = -EBUSY;
	else
		group->opened = &gf->file;
	if (!rc) {
		mutex_lock(&group->vfio->lock);
		group->refs++;
		mutex_unlock(&group->vfio->lock);
	}
	mutex_unlock(&group->lock);
	if (rc)
		free(gf);
	else
		*ret_file = &gf->file;
	return rc;
}
