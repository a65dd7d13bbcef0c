/* SPDX-License-Identifier: MIT */
/*
 * The names of devices and groups in /dev and /sys.
 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "vfio/vfio_priv.h"

static struct vfio_name *names_new(struct vfio_names *names, enum tree_kind kind, mode_t mode,
				   const char *dir, const char *name)
{
	struct vfio_name *fresh;
	int len;

	assert(names->count < VFIO_NAMES_MAX);
	fresh = zalloc(sizeof(*fresh));
	if (!fresh)
		return NULL;
	len = snprintf(fresh->path, sizeof(fresh->path), "%s%s%s", dir, name ? "/" : "",
		       name ? name : "");
	if (len >= (int)sizeof(fresh->path)) {
		free(fresh);
		return NULL;
	}
	fresh->entry = (struct tree_entry){.path = fresh->path, .kind = kind, .mode = mode};
	names->names[names->count++] = fresh;
	return fresh;
}

int vfio_names_node(struct vfio_names *names, const char *path, mode_t mode, u32 major, u32 minor,
		    int (*open)(struct tree_entry *entry, int open_flags, struct file **ret_file),
		    void *owner)
{
	struct vfio_name *name = names_new(names, TREE_NODE, mode, path, NULL);

	if (!name)
		return -ENOMEM;
	name->entry.major = major;
	name->entry.minor = minor;
	name->entry.open = open;
	name->owner = owner;
	return 0;
}

static ssize_t attr_show(struct tree_entry *entry, char *buf)
{
	const struct vfio_name *name = container_of(entry, struct vfio_name, entry);
	size_t len = strlen(name->text);

	memcpy(buf, name->text, len);
	return (ssize_t)len;
}

int vfio_names_attr(struct vfio_names *names, const char *dir, const char *name, const char *text)
{
	struct vfio_name *attr = names_new(names, TREE_ATTR, 0444, dir, name);

	if (!attr)
		return -ENOMEM;
	snprintf(attr->text, sizeof(attr->text), "%s", text);
	attr->entry.show = attr_show;
	attr->entry.constant = true;
	return 0;
}

int vfio_names_dir(struct vfio_names *names, const char *dir, const char *name)
{
	return names_new(names, TREE_DIR, 0755, dir, name) ? 0 : -ENOMEM;
}

/* As sysfs writes them: up to the root of the file system, then down. */
int vfio_names_link(struct vfio_names *names, const char *path, const char *target)
{
	struct vfio_name *link = names_new(names, TREE_LINK, 0777, path, NULL);
	const char *slash = strchr(path + 1, '/');
	int len = 0;

	if (!link)
		return -ENOMEM;
	for (slash = strchr(slash + 1, '/'); slash && len < VFIO_PATH_MAX - 4;
	     slash = strchr(slash + 1, '/'))
		len += snprintf(link->text + len, sizeof(link->text) - len, "../");
	snprintf(link->text + len, sizeof(link->text) - len, "%s", strchr(target + 1, '/') + 1);
	link->entry.target = link->text;
	return 0;
}

int vfio_names_device(struct vfio_names *names, const char *node, u32 major, u32 minor,
		      const char *dir, const char *class_name, const char *name)
{
	char path[VFIO_PATH_MAX], target[VFIO_PATH_MAX], text[VFIO_PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "/dev/char/%u:%u", major, minor);
	rc = vfio_names_link(names, path, node);
	snprintf(text, sizeof(text), "%u:%u\n", major, minor);
	rc = rc ?: vfio_names_attr(names, dir, "dev", text);
	snprintf(text, sizeof(text), "MAJOR=%u\nMINOR=%u\nDEVNAME=%s\n", major, minor, node + 5);
	rc = rc ?: vfio_names_attr(names, dir, "uevent", text);
	rc = rc ?: vfio_names_dir(names, dir, "power");
	snprintf(path, sizeof(path), "%.200s/subsystem", dir);
	snprintf(target, sizeof(target), "/sys/class/%s", class_name);
	rc = rc ?: vfio_names_link(names, path, target);
	snprintf(path, sizeof(path), "/sys/class/%s/%s", class_name, name);
	rc = rc ?: vfio_names_link(names, path, dir);
	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u", major, minor);
	return rc ?: vfio_names_link(names, path, dir);
}

int vfio_names_show(struct vfio *vfio, struct vfio_names *names)
{
	int rc = 0;
	u32 i;

	for (i = 0; i < names->count && !rc; i++)
		rc = tree_add(&vfio->system->tree, &names->names[i]->entry);
	if (rc)
		for (i--; i--;)
			tree_remove(&vfio->system->tree, &names->names[i]->entry);
	names->shown = !rc;
	return rc;
}

void vfio_names_hide(struct vfio *vfio, struct vfio_names *names)
{
	while (names->count) {
		struct vfio_name *name = names->names[--names->count];

		if (names->shown)
			tree_remove(&vfio->system->tree, &name->entry);
		free(name);
	}
}
