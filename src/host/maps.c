/* SPDX-License-Identifier: MIT */
/*
 * Memory of ours that the program has mapped through a descriptor.
 *
 * The mapping is the kernel's: the descriptor's object is the memory.  mmap()
 * comes to us first, so that the file can refuse and count it, but its end does
 * not: munmap(), exec and exit pass by.  So a mapping that was let through is
 * remembered, and when the file must know (something behind it is about to be
 * destroyed) all processes are looked at: as long as any of them maps a byte of
 * the range, every mapping of the range counts as there.
 *
 * One that was let through but is not in place yet looks ended.  Then its memory
 * may be gone before it arrives, and it shows pages of the object that mean
 * nothing any more.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/host_priv.h"

/** struct host_map - one mmap() let through; under fdtable.lock */
struct host_map {
	struct cds_list_head node; /* host_file.maps */
	u64 first, last;           /* offsets in the object */
	void *cookie;              /* for the file's op unmap */
};

int host_map_add(struct host_file *hf, u64 offset, u64 length, void *cookie)
{
	struct fdtable *fds = &hf->host->fds;
	struct host_map *map = zalloc(sizeof(*map));

	if (!map)
		return -ENOMEM;
	map->first = offset;
	map->last = offset + length - 1;
	map->cookie = cookie;
	mutex_lock(&fds->lock);
	cds_list_add_tail(&map->node, &hf->maps);
	mutex_unlock(&fds->lock);
	return 0;
}

static void host_map_end(struct host_file *hf, struct cds_list_head *ended)
{
	struct host_map *map, *next;

	cds_list_for_each_entry_safe(map, next, ended, node) {
		hf->file->ops->unmap(hf->file, map->cookie);
		free(map);
	}
}

void host_map_end_all(struct host_file *hf)
{
	struct cds_list_head ended;

	CDS_INIT_LIST_HEAD(&ended);
	mutex_lock(&hf->host->fds.lock);
	cds_list_splice(&hf->maps, &ended);
	CDS_INIT_LIST_HEAD(&hf->maps);
	mutex_unlock(&hf->host->fds.lock);
	host_map_end(hf, &ended);
}

/* ---- who maps what ---- */

/* struct range_set - parts of an object that somebody maps, in no order */
struct range_set {
	struct map_range {
		u64 first, last;
	} *ranges;
	size_t n, max;
	bool incomplete; /* something could not be looked at: then everything is mapped */
};

static void range_set_add(struct range_set *set, u64 first, u64 last)
{
	if (set->n == set->max) {
		size_t max = set->max ? 2 * set->max : 16;
		void *bigger = realloc(set->ranges, max * sizeof(*set->ranges));

		if (!bigger) {
			set->incomplete = true;
			return;
		}
		set->ranges = bigger;
		set->max = max;
	}
	set->ranges[set->n].first = first;
	set->ranges[set->n].last = last;
	set->n++;
}

static bool range_set_touches(const struct range_set *set, u64 first, u64 last)
{
	if (set->incomplete)
		return true;
	for (size_t i = 0; i < set->n; i++)
		if (ranges_overlap(set->ranges[i].first, set->ranges[i].last, first, last))
			return true;
	return false;
}

/* A line of /proc/PID/maps: start-end perms offset major:minor inode name. */
static void scan_line(const char *line, const struct host_file *hf, struct range_set *set)
{
	unsigned int dev_major, dev_minor;
	u64 start, end, offset, ino;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %x:%x %" SCNu64, &start, &end,
		   &offset, &dev_major, &dev_minor, &ino) != 6)
		return;
	if (ino == hf->ino && makedev(dev_major, dev_minor) == hf->dev)
		range_set_add(set, offset, offset + (end - start) - 1);
}

static void scan_process(const char *pid, const struct host_file *hf, struct range_set *set)
{
	char path[300], *line = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	f = fopen(path, "re");
	if (!f)
		return; /* gone, or not of our tree: those we may not look at got no descriptor */
	while (getline(&line, &size, f) > 0)
		scan_line(line, hf, set);
	free(line);
	fclose(f);
}

static void scan_processes(const struct host_file *hf, struct range_set *set)
{
	DIR *proc = opendir("/proc");
	char self[16];
	struct dirent *entry;

	if (!proc) {
		set->incomplete = true;
		return;
	}
	/* We map it ourselves: that does not count. */
	snprintf(self, sizeof(self), "%d", getpid());
	while ((entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]) && strcmp(entry->d_name, self))
			scan_process(entry->d_name, hf, set);
	closedir(proc);
}

void host_map_settle(struct file *file)
{
	struct host_file *hf = file->host;
	struct fdtable *fds = &hf->host->fds;
	struct range_set set = { 0 };
	struct host_map *map, *next;
	struct cds_list_head ended;
	bool any;

	mutex_lock(&fds->lock);
	any = !cds_list_empty(&hf->maps);
	mutex_unlock(&fds->lock);
	if (!any)
		return;
	CDS_INIT_LIST_HEAD(&ended);
	scan_processes(hf, &set);
	mutex_lock(&fds->lock);
	cds_list_for_each_entry_safe(map, next, &hf->maps, node) {
		if (range_set_touches(&set, map->first, map->last))
			continue;
		cds_list_del(&map->node);
		cds_list_add_tail(&map->node, &ended);
	}
	mutex_unlock(&fds->lock);
	free(set.ranges);
	host_map_end(hf, &ended);
}

/* ---- the object as memory ---- */

#define SEALS_ON_USE (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

/* From now on the program cannot seal it, and so not keep us from changing its size. */
static int memory_unsealed(int fd)
{
	int seals;

	/* Refused where it is so already. */
	fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL);
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return -errno;
	return !(seals & F_SEAL_SEAL) || seals & SEALS_ON_USE ? -EPERM : 0;
}

/* From now on the program cannot take a page of it away from under whoever uses it here. */
static int memory_kept(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) ? -errno : 0;
}

int host_map_memory(struct file *file, bool shrinks, int *ret_fd)
{
	struct host_file *hf = file->host;
	int rc;

	if (hf->memory_fd < 0)
		return -ENODEV;
	rc = shrinks ? memory_unsealed(hf->memory_fd) : memory_kept(hf->memory_fd);
	if (rc)
		return rc;
	*ret_fd = hf->memory_fd;
	return 0;
}
